"""
Lame duck mode of the node of a consumer that is the only member of its queue group, 50 ms away from each node.

natsroute publishes at another node. Half of the time that is the node that the consumer moves to.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from tests.chaos.comparison import compare
from tests.chaos.ledger_auditor import LedgerAuditor
from tests.chaos.messages import subject_of
from tests.chaos.outcome import Outcome
from tests.chaos.proxy import Proxy
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.recording_consumer import RecordingConsumer
from tests.chaos.testbed import Testbed
from tests.support.nats_cluster import start_cluster
from tests.support.nats_server import NatsServer
from tests.support.waiting import until

#: Messages a second.
RATE = 2_000.0

#: Seconds by which everything between the consumer and a node is delayed, in each direction.
LATENCY = 0.05

#: Seconds of publishing before lame duck mode: the minimum and the maximum.
BEFORE = (0.3, 0.8)

#: Seconds of publishing after the move.
AFTER = 0.5

#: What is counted.
FIGURES = ("moves", "published", "consumed", "out of order", "lost", "seen twice by a plain subscriber")


async def run(reactor: Any, folder: Path, seed: int, rounds: int) -> Outcome:
    """
    Move that often, each time in a new cluster.

    :param folder: a new folder for the files of the run.
    """
    chance = random.Random(seed)
    violations: list[str] = []
    figures = dict.fromkeys(FIGURES, 0)
    for number in range(rounds):
        move = _Move(reactor, folder / str(number), publisher_at=1 + number % 2)
        try:
            await move.start()
            await deferLater(reactor, chance.uniform(*BEFORE))
            await move.move()
            await deferLater(reactor, AFTER)
            violations += [f"move {number}: {line}" for line in await move.finish(figures)]
        finally:
            await move.stop()
    return Outcome(violations, {**figures})


class _Move:
    """
    One move from the first node of a cluster to the second one.

    :param publisher_at: the node that is published at: the second one or the third one.
    """

    def __init__(self, reactor: Any, folder: Path, *, publisher_at: int) -> None:
        folder.mkdir(parents=True)
        self._reactor = reactor
        self._folder = folder
        self._publisher_at = publisher_at
        self._publisher = NatsroutePublisher(RATE, ignore_discovered_servers=True)
        self._servers: list[NatsServer] = []
        self._proxies: list[Proxy] = []
        self._testbed: Testbed | None = None
        self._consumer: RecordingConsumer | None = None
        self._auditor: LedgerAuditor | None = None

    async def start(self) -> None:
        """Begin to publish and to consume."""
        self._servers += await start_cluster(self._reactor, 3)
        for server in self._servers[:2]:
            proxy = Proxy(self._reactor, server.port, latency=LATENCY)
            proxy.start()
            self._proxies.append(proxy)
        self._testbed = Testbed(self._reactor, self._folder, server=self._servers[self._publisher_at])
        await self._testbed.start()
        self._consumer = RecordingConsumer(
            self._reactor,
            nats_url=[proxy.url for proxy in self._proxies],
            keep_url_order=True,
            ignore_discovered_servers=True,
        )
        await self._consumer.start()
        self._auditor = LedgerAuditor(self._reactor, self._consumer.service)
        self._auditor.start()
        await self._publisher.start(self._testbed)
        # Until the nodes have heard of each other's subscriptions, nothing published is consumed.
        await until(lambda: self._seen, self._reactor)

    async def move(self) -> None:
        """Let the consumer's node enter lame duck mode, and wait until the consumer is at the other one."""
        self._servers[0].lame_duck()
        await until(lambda: self._status.reconnects == 1, self._reactor)

    async def finish(self, figures: dict[str, int]) -> list[str]:
        """Stop publishing. Returns what must not happen, and adds to the figures."""
        assert self._testbed is not None
        assert self._consumer is not None
        assert self._auditor is not None
        await self._publisher.finish()
        published = self._publisher.published
        comparison = compare(published, self._publisher.outcomes, await self._testbed.sightings())
        first = min(number for _, number in self._seen)
        # Not what the witness saw: nats-server sends a message that was on its way to the old node back to the one
        # where it was published, and plain subscribers there get it again.
        expected = [(subject_of(number), number) for number in range(first, published)]
        differences = await self._consumer.differences(expected)
        figures["moves"] += self._status.reconnects
        figures["published"] += comparison.published
        figures["consumed"] += len(self._seen)
        figures["out of order"] += compare(published, self._publisher.outcomes, self._seen).out_of_order
        figures["lost"] += len(set(expected) - set(self._seen))
        figures["seen twice by a plain subscriber"] += comparison.repeated
        unclaimed = self._status.unclaimed
        return [
            *self._publisher.auditor.differences,
            *self._auditor.differences,
            *comparison.violations,
            *[f"failed with {name}" for name in comparison.reasons],
            *differences,
            *([f"{unclaimed} messages arrived for a subscription that had ended"] if unclaimed else []),
        ]

    async def stop(self) -> None:
        """End, whatever was reached."""
        await self._publisher.stop()
        if self._auditor is not None:
            self._auditor.stop()
        if self._consumer is not None:
            await self._consumer.stop()
        if self._testbed is not None:
            await self._testbed.stop()
        for proxy in self._proxies:
            await proxy.stop()
        for server in self._servers:
            await server.stop()

    @property
    def _seen(self) -> list[tuple[str, int]]:
        return [] if self._consumer is None else self._consumer.seen

    @property
    def _status(self) -> Any:
        assert self._consumer is not None
        return self._consumer.service.consumers[0].connection.status()
