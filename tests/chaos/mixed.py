"""
Everything at once: bursts into routes that are slow and fail, over connections that are cut, split, delayed and
stalled, from a server that is paused and killed; and then the end under load.
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
from tests.chaos.busy_routes import BusyRoutes, Told
from tests.chaos.proxy import Flow, Passage
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.stage import Stage, module
from tests.chaos.tally import RouteCounters, tally
from tests.support.cases import until
from tests.support.program import ROOT, Program

#: Messages a second that the feeder sends, bursts included, and that natsroute publishes by itself.
FED, PUBLISHED = 1_500.0, 1_500.0

#: Messages that may wait in a subscription; few, so that it is told to read no more now and then.
MAX_PENDING = 50

#: Messages of a burst of natsroute's own.
BURST = 3_000


@attrs.frozen
class Outcome:
    """
    What a run gave.

    :ivar complaints: what must not be; empty if all is well.
    :ivar figures: what there was, for people to see.
    """

    complaints: list[str]
    figures: dict[str, object]


class Actions:
    """
    What can happen, chosen by a seed. Each takes a while, and leaves all as it was.

    :ivar done: how often each has happened.
    """

    def __init__(self, stage: Stage, publisher: NatsroutePublisher, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._stage = stage
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
        """One after the other; each comes before any comes again."""
        give_up = self._stage.reactor.seconds() + seconds
        while self._stage.reactor.seconds() < give_up:
            if not self._next:
                self._next = self._chance.sample(self._all, len(self._all))
            action = self._next.pop()
            await action()
            self.done[action.__name__] += 1
            await self._wait(0.05, 0.3)

    async def cut(self) -> None:
        """A RST in both directions."""
        (await self._passage()).cut()

    async def cut_in_frame(self) -> None:
        """After a few more bytes, most likely within a frame."""
        (await self._flow()).cut_after(self._chance.randrange(1, 5_000))

    async def split(self) -> None:
        """Byte by byte for a while, in all connections."""
        for passage in self._stage.proxy.passages:
            for flow in passage.flows:
                flow.split(self._chance.randrange(1, 300))

    async def delay(self) -> None:
        """All that is said takes longer, in all connections."""
        flows = [flow for passage in self._stage.proxy.passages for flow in passage.flows]
        for flow in flows:
            flow.delay = self._chance.uniform(0.0, 0.03)
        await self._wait(0.1, 0.4)
        for flow in flows:
            flow.delay = 0.0

    async def stall(self) -> None:
        """One direction of one connection stands still."""
        flow = await self._flow()
        flow.stall()
        await self._wait(0.1, 0.5)
        flow.go_on()

    async def pause_server(self) -> None:
        """SIGSTOP, and SIGCONT."""
        self._stage.server.pause()
        await self._wait(0.1, 0.5)
        self._stage.server.resume()

    async def burst(self) -> None:
        """natsroute publishes many at once."""
        self._publisher.burst(self._chance.randrange(1, BURST))

    async def kill_server(self) -> None:
        """SIGKILL, and a new one."""
        await self._stage.restart(self._chance.uniform(0.0, 0.3))

    async def _wait(self, least: float, most: float) -> None:
        await deferLater(self._stage.reactor, self._chance.uniform(least, most))

    async def _passage(self) -> Passage:
        """Any, as soon as there are any."""
        await until(lambda: self._stage.proxy.passages, self._stage.reactor)
        return self._chance.choice(self._stage.proxy.passages)

    async def _flow(self) -> Flow:
        return self._chance.choice((await self._passage()).flows)


async def run(
    reactor: Any, folder: Path, seed: int, seconds: float, pending_policy: PendingPolicy = "pause"
) -> Outcome:
    """
    One run, which takes a little longer than so many seconds.

    :param folder: for the files of the run; a new one.
    """
    folder.mkdir(parents=True)
    stage = Stage(reactor, folder)
    routes = BusyRoutes(reactor, seed, lambda: publisher.auditor.look())
    publisher = NatsroutePublisher(
        PUBLISHED,
        routes.event_routes,
        subject_queue_group=routes.subject_queue_group,
        pending_max_messages=MAX_PENDING,
        pending_policy=pending_policy,
        drain_timeout=60.0,
    )
    feeder: Program | None = None
    try:
        await stage.start()
        await publisher.start(stage)
        feeder = Program(reactor, module("burst_feeder", stage.server.port, seed, FED, *routes.subjects), ROOT)
        actions = Actions(stage, publisher, seed)
        await actions.play(seconds)
        await until(lambda: any(each.waiting for each in publisher.service.ledger().consumers), reactor)
        await publisher.stop()  # the feeder, and natsroute's own publishing, go on meanwhile
        told = tally(publisher.published, publisher.outcomes, await stage.sightings())
        return _outcome(publisher, routes, actions, told)
    finally:
        if feeder is not None:
            await feeder.stop()
        await publisher.stop()
        await stage.stop()


def _outcome(publisher: NatsroutePublisher, routes: BusyRoutes, actions: Actions, told: RouteCounters) -> Outcome:
    ledger = publisher.service.ledger()
    service = Told.by(ledger)
    return Outcome(
        [
            *publisher.auditor.differences,
            *told.complaints,
            *routes.book.complaints(service),
        ],
        {
            **attrs.asdict(service),
            "published by routes": routes.book.published,
            "published beside": told.published,
            "confirmed": told.sent,
            "failed to publish": dict(told.reasons),
            "resent": ledger.publisher.resent,
            "seen twice": told.twice,
            "most waiting at once": publisher.auditor.most_waiting,
            "samples of the figures": publisher.auditor.samples,
            "actions": dict(actions.done),
        },
    )
