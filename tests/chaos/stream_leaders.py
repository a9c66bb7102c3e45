"""
A cluster of three with a replicated stream and consumer: its leaders step down, and its nodes are killed, under load.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from tests.chaos.messages import PATTERN, Pace
from tests.chaos.outcome import Outcome
from tests.chaos.publishers import QUICK
from tests.chaos.stream_control import StreamControl, missing
from tests.support.nats_cluster import start_cluster
from tests.support.nats_server import NatsServer
from tests.support.waiting import until

STREAM, DURABLE = "CHAOS", "crew"

#: What happens: the first two step down, the third one is killed.
EVENTS = ("the stream's leader", "the consumer's leader", "a node")

#: Messages a second.
RATE = 500.0

#: Seconds after which a message that was not acknowledged is delivered again.
ACK_WAIT = 5.0

#: Seconds within which consuming must go on after each event. An election of the server itself takes up to 5 s.
MAX_PAUSE = 20.0


class _Run:
    """The cluster, a publisher, and a natsroute service that consumes."""

    def __init__(self, reactor: Any, chance: random.Random) -> None:
        self.handled: Counter[int] = Counter()
        self.acknowledged: set[int] = set()
        self.events: Counter[str] = Counter()
        self.longest_pause = 0.0
        self._reactor = reactor
        self._chance = chance
        self._last = 0.0
        self._servers: list[NatsServer] = []
        self._control: StreamControl | None = None
        self._service: NatsrouteService | None = None
        self._publishing = False
        self._sending: Deferred[None] | None = None

    @property
    def control(self) -> StreamControl:
        """The connection of the run."""
        assert self._control is not None
        return self._control

    async def start(self) -> None:
        """Start everything, and publish."""
        self._servers += await start_cluster(self._reactor, 3, "jetstream: {}")
        urls = [server.url for server in self._servers]
        self._control = StreamControl(self._reactor, urls)
        await self.control.start()
        await self.control.create_stream(STREAM, PATTERN, replicas=3)
        await self.control.create_consumer(STREAM, DURABLE, ACK_WAIT)
        routes = EventRoutes()
        routes("nats:chaos.*")(self._handle)
        settings = Settings(nats_url=urls, jetstream_consumer=f"{STREAM}:{DURABLE}", num_publish_workers=1, **QUICK)
        self._service = NatsrouteService(settings, routes)
        self._service.startService()
        self._publishing = True
        self._sending = Deferred.fromCoroutine(self._send())
        await until(lambda: self.handled, self._reactor)

    def _handle(self, event: Event) -> None:
        now = self._reactor.seconds()
        if self._last:
            self.longest_pause = max(self.longest_pause, now - self._last)
        self._last = now
        self.handled[int(event.data.split()[0])] += 1

    async def _send(self) -> None:
        pace = Pace(RATE)
        sending: set[Deferred[None]] = set()
        while self._publishing:
            for number in pace.due(self._reactor.seconds()):
                one = Deferred.fromCoroutine(self._send_one(number))
                sending.add(one)
                one.addCallback(lambda _, one=one: sending.discard(one))
            await deferLater(self._reactor, 0.005)
        await until(lambda: not sending, self._reactor)

    async def _send_one(self, number: int) -> None:
        await self.control.publish(number)
        self.acknowledged.add(number)

    async def play(self, seconds: float) -> None:
        """
        One event after the other, each kind at least once: the leader of the stream or of the consumer steps down, or a
        node is killed.
        """
        end = self._reactor.seconds() + seconds
        kinds: list[str] = []
        while self._reactor.seconds() < end or len(self.events) < len(EVENTS):
            await deferLater(self._reactor, self._chance.uniform(0.5, 2.0))
            if not kinds:
                kinds = self._chance.sample(EVENTS, len(EVENTS))
            event = kinds.pop()
            self.events[event] += 1
            if event == EVENTS[0]:
                await self.control.ask(f"STREAM.LEADER.STEPDOWN.{STREAM}")
            elif event == EVENTS[1]:
                await self.control.ask(f"CONSUMER.LEADER.STEPDOWN.{STREAM}.{DURABLE}")
            else:
                await self._kill()

    async def _kill(self) -> None:
        server = self._chance.choice(self._servers)
        await server.kill()
        await deferLater(self._reactor, self._chance.uniform(0.5, 2.0))
        await server.start()
        # With a second node down, nothing could be stored: that is no fault of natsroute.
        while not await self._is_whole():
            await deferLater(self._reactor, 0.1)

    async def _is_whole(self) -> bool:
        for method in (f"STREAM.INFO.{STREAM}", f"CONSUMER.INFO.{STREAM}.{DURABLE}"):
            cluster = (await self.control.ask(method)).get("cluster", {})
            replicas = cluster.get("replicas", [])
            if not cluster.get("leader") or len(replicas) < 2 or not all(one.get("current") for one in replicas):
                return False
        return True

    async def finish(self) -> None:
        """Stop publishing, and wait until everything is handled."""
        self._publishing = False
        assert self._sending is not None
        await self._sending
        try:
            await until(lambda: not self.acknowledged - self.handled.keys(), self._reactor)
        except AssertionError:
            pass  # the comparison counts what is missing

    async def stop(self) -> None:
        """End everything."""
        self._publishing = False
        if self._service is not None:
            await self._service.stopService()
        if self._control is not None:
            await self._control.stop()
        await gatherResults([server.stop() for server in self._servers])


async def run(reactor: Any, folder: Path, seed: int, seconds: float) -> Outcome:
    """
    Publish and consume for a while.

    :param folder: is not used: the files of a server are its own.
    """
    this = _Run(reactor, random.Random(seed))
    try:
        await this.start()
        await this.play(seconds)
        await this.finish()
    finally:
        await this.stop()
    violations = [
        *missing(this.acknowledged, this.handled, "that the stream had acknowledged were never handled"),
        *([f"nothing was handled for {this.longest_pause:.1f} s"] if this.longest_pause > MAX_PAUSE else []),
    ]
    figures = {
        "events": ", ".join(f"{name}: {count}" for name, count in sorted(this.events.items())),
        "acknowledged by the stream": f"{len(this.acknowledged):,}",
        "handled": f"{len(this.handled):,}",
        "handled more than once": f"{sum(count > 1 for count in this.handled.values()):,}",
        "longest pause": f"{this.longest_pause:.1f} s",
    }
    return Outcome(violations, figures)
