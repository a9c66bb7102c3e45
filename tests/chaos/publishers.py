"""
The publishers of numbered messages: natsroute in this process, its peers in programs of their own.

All of them publish the same messages at the same rate, reconnect as fast as their settings allow, and go on whatever
happens. At the end each has the outcome of each number.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from functools import partial
from typing import Any
from typing import Protocol as Interface

from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure

from natsroute import EventRoutes, NatsrouteService, Settings
from tests.chaos.comparison import SENT
from tests.chaos.ledger_auditor import LedgerAuditor
from tests.chaos.messages import SIZE, Pace, payload_of, subject_of
from tests.chaos.testbed import Testbed, module_command
from tests.support import ROOT
from tests.support.kamailio import PUBLISH_WORKERS, START_TIMEOUTS, Kamailio
from tests.support.program import Program
from tests.support.waiting import until

#: Seconds between two turns of publishing.
TURN = 0.005

#: Messages that may be without an outcome; natsroute's buffer takes a third more.
MAX_UNCONFIRMED = 49_152

#: Short waits, so that many restarts take minutes and not hours. The other settings are the defaults.
QUICK = {"reconnect_wait": 0.05, "reconnect_max_wait": 0.2, "reconnect_jitter": 0.05}


class Publisher(Interface):
    """
    What a run needs of each publisher.

    :ivar published: how many messages were published; their numbers begin with 0.
    :ivar outcomes: the outcome of each number, by number.
    """

    published: int
    outcomes: dict[int, str]

    async def start(self, testbed: Testbed) -> None:
        """Connect and begin to publish."""

    async def finish(self) -> None:
        """Stop publishing, and wait for the outcomes that are still missing."""

    async def stop(self) -> None:
        """End, whatever was reached."""


class NatsroutePublisher:
    """
    A natsroute service in this process.

    :ivar service: once started.
    :ivar auditor: checks the service's ledger all the time; once started.

    :param sizes: bytes of the payloads, which follow one another.
    :param settings: more settings than :data:`QUICK`.
    """

    def __init__(
        self,
        rate: float,
        event_routes: EventRoutes | None = None,
        *,
        sizes: Sequence[int] = (SIZE,),
        **settings: Any,
    ) -> None:
        self.outcomes: dict[int, str] = {}
        self._pace = Pace(rate)
        self._publishing: LoopingCall | None = None
        self._event_routes = event_routes
        self._sizes = sizes
        self._settings = {**QUICK, **settings}

    @property
    def published(self) -> int:
        return self._pace.sent

    async def start(self, testbed: Testbed) -> None:
        self._reactor = testbed.reactor
        self.service = NatsrouteService(Settings(nats_url=testbed.proxy.url, **self._settings), self._event_routes)
        self.auditor = LedgerAuditor(testbed.reactor, self.service)
        self.service.startService()
        self._publishing = LoopingCall(self._publish)
        await until(lambda: self.service.connected, testbed.reactor)
        self.auditor.start()
        self._publishing.start(TURN)

    async def finish(self) -> None:
        assert self._publishing is not None
        self._publishing.stop()
        try:
            await until(lambda: len(self.outcomes) == self.published, self._reactor)
        except AssertionError:
            pass  # the comparison counts the outcomes that are missing

    async def stop(self) -> None:
        if self._publishing is not None:
            await self.service.stopService()
            self.auditor.stop()
            if self._publishing.running:
                self._publishing.stop()

    def burst(self, count: int) -> None:
        """Publish that number of further messages at once."""
        self._pace.burst(count)

    def _publish(self) -> None:
        # If the server is away for long, as on a busy machine, messages are due later: the buffer must not become full.
        free = MAX_UNCONFIRMED - (self.published - len(self.outcomes))
        for number in self._pace.due(self._reactor.seconds(), free):
            ended = self.service.publish(subject_of(number), payload_of(number, self._sizes[number % len(self._sizes)]))
            ended.addBoth(partial(self._ended, number))

    def _ended(self, number: int, result: Failure | None) -> None:
        # A Deferred fires once. A second outcome would come from another Deferred for the same number.
        assert number not in self.outcomes
        self.outcomes[number] = SENT if result is None else type(result.value).__name__


class _ProgramPublisher:
    """A program of this package that publishes until it gets SIGUSR1, and then reports the outcomes."""

    published = 0

    def __init__(self, rate: float) -> None:
        self.outcomes: dict[int, str] = {}
        self._programs: list[Program] = []
        self._rate = rate

    async def stop(self) -> None:
        while self._programs:
            await self._programs.pop().stop()

    async def _start_program(self, testbed: Testbed, name: str, *arguments: object) -> None:
        self._outcomes_path = testbed.folder / "outcomes"
        command = module_command(name, self._rate, TURN, self._outcomes_path, *arguments)
        self._program = Program(testbed.reactor, command, ROOT)
        self._programs.append(self._program)
        await self._fact("pid")

    async def _finish_program(self) -> None:
        os.kill((await self._fact("pid"))["pid"], signal.SIGUSR1)
        self.published = (await self._fact("published"))["published"]
        for line in self._outcomes_path.read_text().splitlines():
            number, _, outcome = line.partition(" ")
            self.outcomes[int(number)] = outcome

    async def _fact(self, name: str) -> dict[str, Any]:
        """Wait until the program has printed a line with that fact; returns the line."""

        def find() -> dict[str, Any] | None:
            return next((facts for facts in map(json.loads, self._program.printed) if name in facts), None)

        await until(lambda: find() or self._program.status is not None, self._program.reactor)
        facts = find()
        if facts is None:
            raise AssertionError("\n".join(["the program ended:", *self._program.lines]))
        return facts


class NatsPyPublisher(_ProgramPublisher):
    """
    nats-py's ``publish``, and a ``flush`` now and then.

    :param flush_interval: seconds between flushes; 0 for a flush after each batch.
    """

    def __init__(self, rate: float, flush_interval: float) -> None:
        super().__init__(rate)
        self._flush_interval = flush_interval

    async def start(self, testbed: Testbed) -> None:
        await self._start_program(testbed, "nats_py_publisher", testbed.proxy.url, self._flush_interval)

    async def finish(self) -> None:
        await self._finish_program()


class KamailioPublisher(_ProgramPublisher):
    """
    Kamailio, whose script calls ``nats_publish`` for each SIP request that it gets.

    It is not fed through a subject that it consumes: messages that NATS does not deliver to a disconnected consumer
    would count as lost by Kamailio. It handles requests in one process, so that the module gets them in order.
    """

    #: The subject is the user of the request's URI, the payload is the body.
    ON_REQUEST = 'nats_publish("chaos.$rU", "$rb");'

    #: Seconds without a message after which no more are expected. Its NATS library waits 2 s before it reconnects.
    QUIET = 5.0

    async def start(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._kamailio = await self._start_kamailio(testbed)
        await self._start_program(testbed, "sip_publisher", self._kamailio.port)

    async def finish(self) -> None:
        await self._finish_program()
        # It confirms nothing, so all that is left is to wait until nothing more comes.
        before, now = -1, 0
        while before < now:
            await deferLater(self._testbed.reactor, self.QUIET)
            before, now = now, len(await self._testbed.sightings())

    async def _start_kamailio(self, testbed: Testbed) -> Kamailio:
        for number, seconds in enumerate(START_TIMEOUTS):
            folder = testbed.folder / f"kamailio-{number}"
            folder.mkdir()
            kamailio = Kamailio(testbed.reactor, testbed.proxy.url, {}, self.ON_REQUEST, folder, children=1)
            self._programs.append(kamailio)
            try:
                await until(
                    lambda kamailio=kamailio: kamailio.connected_workers >= PUBLISH_WORKERS,
                    testbed.reactor,
                    timeout=seconds,
                )
                return kamailio
            except AssertionError:
                await kamailio.stop()
        problem = (
            f"none of {len(START_TIMEOUTS)} Kamailios was ready within {START_TIMEOUTS[-1]} s; the last one logged:"
        )
        raise AssertionError("\n".join([problem, *kamailio.lines]))
