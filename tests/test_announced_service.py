"""natsroute.daemon.operations.announced_service"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.operations.announced_service import AnnouncedService
from natsroute.monitoring.overview import ServiceRow
from natsroute.services.endpoints import EndpointInfo, EndpointStats
from natsroute.services.identity import ServiceIdentity
from natsroute.wire.frames import Address, Msg
from natsroute.wire.headers import parse_headers
from tests.support.log_recorder import LogRecorder


class MemoryConnection:
    """
    A connection that keeps what is written to it.

    :ivar written: commands.
    """

    max_payload: int | None = 1000

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.receivers: dict[str, Any] = {}

    def subscribe(self, subject: str, on_msg: Any, *, limits: Any) -> None:
        """Keep the receiver."""
        assert subject not in self.receivers, subject
        self.receivers[subject] = on_msg

    def write(self, data: bytes, messages: int) -> bool:
        """Keep the command."""
        self.written.append(data)
        return True

    def stopService(self) -> Deferred[None]:
        """Stop, later."""
        self.stopped: Deferred[None] = Deferred()
        return self.stopped


class MemoryEndpoints:
    """One endpoint."""

    def __init__(self) -> None:
        self.all = [EndpointInfo("add", "calc.add", "q")]

    def infos(self) -> list[EndpointInfo]:
        """The endpoints."""
        return self.all

    def stats(self) -> list[EndpointStats]:
        """What they have done."""
        return [EndpointStats(info, 5) for info in self.all]


class AnnouncedServiceTests(SynchronousTestCase):
    """Questions and answers."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.connection: Any = MemoryConnection()
        self.endpoints: Any = MemoryEndpoints()
        self.announced = AnnouncedService(
            self.connection, lambda: ServiceIdentity("calc", "1.0.0", id="a1"), self.endpoints
        )
        self.announced.startService()

    def ask(self, subject: str, reply: bytes | None = b"_INBOX.1") -> bytes:
        """What is written for a question."""
        self.connection.written.clear()
        self.assertIsNone(self.connection.receivers[subject](Msg(Address(subject, 1), b"", b"", reply)))
        return b"".join(self.connection.written)

    def test_questions(self) -> None:
        """Each of the nine has its answer at the reply subject."""
        self.assertEqual(len(self.connection.receivers), 9)
        for subject in self.connection.receivers:
            line, payload = self.ask(subject)[:-2].split(b"\r\n")
            self.assertEqual(line, b"PUB _INBOX.1 %d" % len(payload))
            answer = json.loads(payload)
            verb = subject.split(".")[1].lower()
            self.assertEqual((answer["type"], answer["id"]), (f"io.nats.micro.v1.{verb}_response", "a1"))

    def test_log(self) -> None:
        """The ID is how an operator finds the instance."""
        self.assertEqual(self.log.lines("info"), ["Announced as service calc 1.0.0, ID a1. Endpoints: add (calc.add)"])

    def test_row(self) -> None:
        """What the overview shows; nothing before the first start."""
        self.assertEqual(self.announced.rows(), (ServiceRow("calc", "1.0.0", "a1", 1),))
        self.assertEqual(AnnouncedService(self.connection, lambda: None, self.endpoints).rows(), ())  # type: ignore[arg-type,return-value]

    def test_another_start(self) -> None:
        """It stays the same instance: its counters go on, too."""
        self.announced.stopService()
        self.endpoints.all = []
        self.announced.startService()
        self.assertEqual(len(self.connection.receivers), 9)
        self.assertEqual(self.log.lines("info")[1:], ["Announced as service calc 1.0.0, ID a1. Endpoints: none"])
        self.assertEqual(json.loads(self.ask("$SRV.INFO").split(b"\r\n")[1])["endpoints"], [])

    def test_no_answer(self) -> None:
        """Without a reply subject, with one that is none, or without a connection."""
        for reply in (None, b"a..b", b"*"):
            self.assertEqual(self.ask("$SRV.PING", reply), b"")
        self.connection.max_payload = None
        self.assertEqual(self.ask("$SRV.PING"), b"")

    def test_an_answer_that_is_too_large(self) -> None:
        """Whoever asked learns of it."""
        self.connection.max_payload = 200
        block = self.ask("$SRV.STATS").partition(b"\r\n")[2][:-2]
        headers = parse_headers(block)
        self.assertEqual(headers["Nats-Service-Error-Code"], "500")
        self.assertIn("the server's max_payload is 200", headers["Nats-Service-Error"])

    def test_stop(self) -> None:
        """It has stopped when its connection is closed."""
        stopped = self.announced.stopService()
        self.assertNoResult(stopped)
        self.connection.stopped.callback(None)
        self.successResultOf(stopped)
