"""
All kinds of trouble in one run, and a stop under load.

Bursts go into routes that are slow and fail, over connections that are cut, split, delayed and stalled, from a server
that is paused and killed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import deferLater

from natsroute.client.subscription import PendingPolicy
from tests.chaos.busy_routes import BusyRoutes, ServiceTotals
from tests.chaos.comparison import Comparison, compare
from tests.chaos.outcome import Outcome
from tests.chaos.proxy import Flow, ProxiedConnection
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.testbed import Testbed, module_command
from tests.support import ROOT
from tests.support.program import Program
from tests.support.waiting import TIMEOUT, until

#: Messages a second that the feeder sends, bursts included, and that natsroute publishes by itself.
FED, PUBLISHED = 1_500.0, 1_500.0

#: Messages that may wait in a subscription. The number is low, so that natsroute pauses reading now and then.
MAX_PENDING = 50

#: Messages of the largest burst that natsroute publishes.
MAX_BURST = 3_000


class Actions:
    """
    The kinds of trouble, in an order that the seed decides. Each takes a while and leaves everything as it was.

    :ivar done: how often each action was done, by name.
    """

    def __init__(self, testbed: Testbed, publisher: NatsroutePublisher, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._testbed = testbed
        self._publisher = publisher
        self._chance = random.Random(seed)
        self._all: list[Callable[[], Awaitable[None]]] = [
            self.cut,
            self.cut_in_frame,
            self.split,
            self.delay,
            self.stall,
            self.pause_server,
            self.burst,
            self.kill_server,
        ]
        self._next: list[Callable[[], Awaitable[None]]] = []

    async def play(self, seconds: float) -> None:
        """One action after the other, for that time. No action is done again before all others are done."""
        give_up = self._testbed.reactor.seconds() + seconds
        while self._testbed.reactor.seconds() < give_up:
            if not self._next:
                self._next = self._chance.sample(self._all, len(self._all))
            action = self._next.pop()
            await action()
            self.done[action.__name__] += 1
            await self._wait(0.05, 0.3)

    async def cut(self) -> None:
        """Cut a connection: a RST to both sides."""
        (await self._connection()).cut()

    async def cut_in_frame(self) -> None:
        """Cut a connection after some more bytes, most likely within a frame."""
        (await self._flow()).cut_after(self._chance.randrange(1, 5_000))

    async def split(self) -> None:
        """Pass single bytes for a while, in all connections."""
        for connection in self._testbed.proxy.connections:
            for flow in connection.flows:
                flow.split(self._chance.randrange(1, 300))

    async def delay(self) -> None:
        """Delay all bytes for a while, in all connections."""
        flows = [flow for connection in self._testbed.proxy.connections for flow in connection.flows]
        for flow in flows:
            flow.delay = self._chance.uniform(0.0, 0.03)
        await self._wait(0.1, 0.4)
        for flow in flows:
            flow.delay = 0.0

    async def stall(self) -> None:
        """Stall one direction of one connection."""
        flow = await self._flow()
        flow.stall()
        await self._wait(0.1, 0.5)
        flow.resume()

    async def pause_server(self) -> None:
        """SIGSTOP, and SIGCONT."""
        self._testbed.server.pause()
        await self._wait(0.1, 0.5)
        self._testbed.server.resume()

    async def burst(self) -> None:
        """Let natsroute publish many messages at once."""
        self._publisher.burst(self._chance.randrange(1, MAX_BURST))

    async def kill_server(self) -> None:
        """SIGKILL, and a new nats-server."""
        await self._testbed.restart(self._chance.uniform(0.0, 0.3))

    async def _wait(self, minimum: float, maximum: float) -> None:
        await deferLater(self._testbed.reactor, self._chance.uniform(minimum, maximum))

    async def _connection(self) -> ProxiedConnection:
        """Any connection, as soon as there is one."""
        await until(lambda: self._testbed.proxy.connections, self._testbed.reactor)
        return self._chance.choice(self._testbed.proxy.connections)

    async def _flow(self) -> Flow:
        return self._chance.choice((await self._connection()).flows)


async def run(
    reactor: Any, folder: Path, seed: int, seconds: float, pending_policy: PendingPolicy = "pause"
) -> Outcome:
    """
    Run for a little longer than that time.

    :param folder: a new folder for the files of the run.
    """
    folder.mkdir(parents=True)
    testbed = Testbed(reactor, folder)
    routes = BusyRoutes(reactor, seed, lambda: publisher.auditor.check())
    publisher = NatsroutePublisher(
        PUBLISHED,
        routes.event_routes,
        subject_queue_group=routes.subject_queue_group,
        pending_max_messages=MAX_PENDING,
        pending_policy=pending_policy,
        drain_timeout=TIMEOUT,
    )
    feeder: Program | None = None
    try:
        await testbed.start()
        await publisher.start(testbed)
        command = module_command("burst_feeder", testbed.server.url, seed, FED, *routes.subjects)
        feeder = Program(reactor, command, ROOT)
        actions = Actions(testbed, publisher, seed)
        await actions.play(seconds)
        await until(lambda: any(each.waiting for each in publisher.service.ledger().consumers), reactor)
        await publisher.stop()  # the feeder and natsroute's own publishing go on meanwhile
        comparison = compare(publisher.published, publisher.outcomes, await testbed.sightings())
        return _outcome(publisher, routes, actions, comparison)
    finally:
        if feeder is not None:
            await feeder.stop()
        await publisher.stop()
        await testbed.stop()


def _outcome(publisher: NatsroutePublisher, routes: BusyRoutes, actions: Actions, comparison: Comparison) -> Outcome:
    ledger = publisher.service.ledger()
    totals = ServiceTotals.of(ledger)
    return Outcome(
        [
            *publisher.auditor.differences,
            *comparison.violations,
            *routes.record.violations(totals),
        ],
        {
            **attrs.asdict(totals),
            "published by routes": routes.record.published,
            "published outside routes": comparison.published,
            "confirmed": comparison.sent,
            "failed to publish": dict(comparison.reasons),
            "resent": ledger.publisher.resent,
            "seen more than once": comparison.repeated,
            "most waiting at once": publisher.auditor.max_waiting,
            "checks of the ledger": publisher.auditor.samples,
            "actions": dict(actions.done),
        },
    )
