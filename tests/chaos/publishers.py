"""
The publishers of numbered messages: natsroute here, its peers in programs of their own.

Each is told to start and to finish, and then says what it was told of each number. All of them publish at the same pace
the same messages, wait as briefly as they can be told to before they connect again, and go on whatever happens.
"""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from typing import Any
from typing import Protocol as Interface

from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure

from natsroute import EventRoutes, NatsrouteService, Settings
from tests.chaos.account import Auditor
from tests.chaos.messages import Pace, payload_of, subject_of
from tests.chaos.stage import Stage, module
from tests.chaos.tally import SENT
from tests.support.cases import until
from tests.support.kamailio import PUBLISH_WORKERS, START_PATIENCE, STARTS, Kamailio
from tests.support.program import ROOT, Program

#: Seconds between two turns of publishing.
TURN = 0.005

#: Seconds that the last confirmations may take.
PATIENCE = 60.0

#: Settings other than the default ones: only the waits, so that many restarts take minutes and not hours.
QUICK = {"reconnect_wait": 0.05, "reconnect_max_wait": 0.2, "reconnect_jitter": 0.05}


class Publisher(Interface):
    """
    What a run asks of each.

    :ivar published: the numbers below this were published.
    :ivar outcomes: what was told of each number, by number.
    """

    published: int
    outcomes: dict[int, str]

    async def start(self, stage: Stage) -> None:
        """Connect, and begin to publish."""

    async def finish(self) -> None:
        """Publish no more, and wait for what is still to be told."""

    async def stop(self) -> None:
        """End it, however far it came."""


class NatsroutePublisher:
    """
    A natsroute service of this process.

    :ivar service: once it is started.
    :ivar auditor: looks at its figures all the time.

    :param settings: besides :data:`QUICK`.
    """

    def __init__(self, rate: float, event_routes: EventRoutes | None = None, **settings: Any) -> None:
        self.outcomes: dict[int, str] = {}
        self._pace = Pace(rate)
        self._publishing: LoopingCall | None = None
        self._event_routes = event_routes
        self._settings = {**QUICK, **settings}

    @property
    def published(self) -> int:
        return self._pace.sent

    async def start(self, stage: Stage) -> None:
        self._reactor = stage.reactor
        self.service = NatsrouteService(Settings(nats_url=stage.proxy.url, **self._settings), self._event_routes)
        self.auditor = Auditor(stage.reactor, self.service)
        self.service.startService()
        self._publishing = LoopingCall(self._publish)
        await until(lambda: self.service.connected, stage.reactor)
        self.auditor.start()
        self._publishing.start(TURN)

    async def finish(self) -> None:
        assert self._publishing is not None
        self._publishing.stop()
        try:
            await until(lambda: len(self.outcomes) == self.published, self._reactor, patience=PATIENCE)
        except AssertionError:
            pass  # the tally tells how many

    async def stop(self) -> None:
        if self._publishing is not None:
            await self.service.stopService()
            self.auditor.stop()
            if self._publishing.running:
                self._publishing.stop()

    def burst(self, count: int) -> None:
        """Publish so many more at once."""
        self._pace.burst(count)

    def _publish(self) -> None:
        for number in self._pace.due(self._reactor.seconds()):
            ended = self.service.publish(subject_of(number), payload_of(number))
            ended.addBoth(partial(self._ended, number))

    def _ended(self, number: int, result: Failure | None) -> None:
        # One Deferred fires once; a second outcome would be for another Deferred with the same number.
        assert number not in self.outcomes
        self.outcomes[number] = SENT if result is None else type(result.value).__name__


class _ProgramPublisher:
    """A program of this package that publishes until it gets SIGUSR1, and then tells what it was told."""

    published = 0

    def __init__(self, rate: float) -> None:
        self.outcomes: dict[int, str] = {}
        self._programs: list[Program] = []
        self._rate = rate

    async def stop(self) -> None:
        while self._programs:
            await self._programs.pop().stop()

    async def _start_program(self, stage: Stage, name: str, *arguments: object) -> None:
        self._outcomes_path = stage.folder / "outcomes"
        command = module(name, self._rate, TURN, self._outcomes_path, *arguments)
        self._program = Program(stage.reactor, command, ROOT)
        self._programs.append(self._program)
        await self._tells("pid")

    async def _finish_program(self) -> None:
        os.kill((await self._tells("pid"))["pid"], signal.SIGUSR1)
        self.published = (await self._tells("published"))["published"]
        for line in self._outcomes_path.read_text().splitlines():
            number, _, outcome = line.partition(" ")
            self.outcomes[int(number)] = outcome

    async def _tells(self, fact: str) -> dict[str, Any]:
        """The line with that fact."""

        def told() -> dict[str, Any] | None:
            return next((facts for facts in map(json.loads, self._program.printed) if fact in facts), None)

        await until(lambda: told() or self._program.status is not None, self._program.reactor, patience=PATIENCE)
        facts = told()
        if facts is None:
            raise AssertionError("\n".join(["it ended:", *self._program.lines]))
        return facts


class NatsPyPublisher(_ProgramPublisher):
    """
    nats-py's ``publish``, and a ``flush`` now and then.

    :param flush_interval: seconds between them; 0: one each turn, which is each batch.
    """

    def __init__(self, rate: float, flush_interval: float) -> None:
        super().__init__(rate)
        self._flush_interval = flush_interval

    async def start(self, stage: Stage) -> None:
        await self._start_program(stage, "nats_py_publisher", stage.proxy.url, self._flush_interval)

    async def finish(self) -> None:
        await self._finish_program()


class KamailioPublisher(_ProgramPublisher):
    """
    Kamailio, whose script calls ``nats_publish`` for each SIP request that it gets.

    Fed with SIP and not by a subject that it consumes: what NATS does not deliver to a consumer that is away would
    count as a loss of Kamailio's. It takes requests in one process, so that the module gets them in order.
    """

    #: Its subject is the user of the request's URI, its payload the body.
    ON_REQUEST = 'nats_publish("chaos.$rU", "$rb");'

    #: Seconds without a message after which no more are expected; its library waits 2 s before it connects again.
    QUIET = 5.0

    async def start(self, stage: Stage) -> None:
        self._stage = stage
        self._kamailio = await self._start_kamailio(stage)
        await self._start_program(stage, "sip_publisher", self._kamailio.port)

    async def finish(self) -> None:
        await self._finish_program()
        # It confirms nothing, so all that can be done is to wait until nothing more comes.
        before, now = -1, 0
        while before < now:
            await deferLater(self._stage.reactor, self.QUIET)
            before, now = now, len(await self._stage.sightings())

    async def _start_kamailio(self, stage: Stage) -> Kamailio:
        for number in range(STARTS):
            folder = stage.folder / f"kamailio-{number}"
            folder.mkdir()
            kamailio = Kamailio(stage.reactor, stage.proxy.url, {}, self.ON_REQUEST, folder, children=1)
            self._programs.append(kamailio)
            try:
                await until(
                    lambda kamailio=kamailio: kamailio.connected_workers == PUBLISH_WORKERS,
                    stage.reactor,
                    patience=START_PATIENCE,
                )
                return kamailio
            except AssertionError:
                await kamailio.stop()
        problem = f"of {STARTS} Kamailios none was ready in {START_PATIENCE} s; the last said:"
        raise AssertionError("\n".join([problem, *kamailio.lines]))
