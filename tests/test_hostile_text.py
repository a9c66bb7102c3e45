"""
Whatever a server, a publisher or an exception says, twistd's log file has one printable line of bounded length for it.
"""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher, textFileLogObserver
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.connection import Connection
from natsroute.client.observers import Observers
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.confirmation import UnhandledFailureLog
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.errors import DecodeError, NatsrouteError, PendingLimitError, PublishError
from natsroute.ledger import RouteCounters
from natsroute.middleware import dead_letter, retry
from natsroute.payloads import to_json, to_text
from natsroute.routes.calls import Calls
from natsroute.routes.event import Event, EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.unrouted import UnroutedMessages
from natsroute.wire.frames import Address
from natsroute.wire.server_errors import server_error
from tests.support.log_recorder import LogRecorder
from tests.support.memory_network import MemoryNetwork, info
from tests.support.memory_process import MemoryProcessReactor
from tests.test_nats_server import LOG

#: A text that clears a screen, forges a line, turns around what follows, looks like a format, and is not UTF-8.
HOSTILE = (
    "\x1b[2J\0\r\n2026-01-01T00:00:00+0000 [-] forged\x85\u2028\u2029\u202e{0}{x.y!r}{log_time}{%s\x9b\udcff\ud800"
)
LONG = HOSTILE * 50_000
#: Characters of a line: about 2,000 of what was received, and what natsroute says around it.
MAX_LINE = 2600


def raises(error: BaseException) -> Any:
    """A function that raises it, whatever its arguments are."""

    def function(*arguments: object) -> NoReturn:
        raise error

    return function


class HostileTextTests(SynchronousTestCase):
    """Each path from the outside to the log, with twistd's own log file."""

    def setUp(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.file = LogFile("twistd.log", folder)
        observer = textFileLogObserver(self.file)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(self.file.close)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.recorder = LogRecorder(self)
        self.clock = Clock()

    def check_log(self, events: int | None = None) -> list[str]:
        """The lines of the log file: one for each event, and the lines of tracebacks after a tab."""
        with open(self.file.path, "rb") as file:
            lines = file.read().decode().split("\n")
        self.assertEqual(lines.pop(), "")
        if events is not None:
            self.assertEqual(len(self.recorder.events), events)
        self.assertGreater(len(self.recorder.events), 0)
        for line in lines:
            self.assertTrue(line.removeprefix("\t").isprintable(), ascii(line)[:500])
            self.assertLess(len(line), MAX_LINE)
        heads = [line for line in lines if not line.startswith("\t")]
        self.assertEqual(len(heads), len(self.recorder.events))
        for line in heads:
            self.assertRegex(line, r"^[-+0-9T:]+ \[(natsroute|tests)[\w.]*#\w+\] ")
        self.flushLoggedErrors()
        return lines

    def event(self, subject: str) -> Event:
        context = EventContext(lambda *message, **options: fail(PublishError(HOSTILE)), self.clock, RouteCounters("r"))
        return Event.of_message(context, Address(subject, 1), b"")

    def call(self, function: Any, text: str = HOSTILE) -> None:
        Calls(function, RouteCounters("nats:a"), CallsInFlight(self.clock, slow_after=1.0)).call(self.event(text))

    def test_exceptions_of_routes(self) -> None:
        for text in (HOSTILE, LONG):
            self.call(raises(ValueError(text)))
            self.call(raises(KeyError(text)))
            self.call(raises(DecodeError(text)), text)
            self.call(raises(NatsrouteError(text)), text)
            self.call(lambda event, text=text: fail(ValueError(text)), text)
        self.check_log(events=10)

    def test_an_exception_without_a_text(self) -> None:
        class BrokenError(Exception):
            def __str__(self) -> str:
                raise ValueError(HOSTILE)

        self.call(raises(BrokenError()))
        self.check_log(events=1)

    def test_payloads(self) -> None:
        for data in (HOSTILE.encode("utf-8", "surrogatepass"), b"1" * 5000, b"1e999999", b"\xff", b"[" * 100_000):
            self.call(lambda event, data=data: to_json(data, event.subject))
        self.call(lambda event: to_text(b"\xff", event.subject), LONG)
        self.check_log(events=6)

    def test_headers(self) -> None:
        for block in (b"x", b"NATS/1.0\r\n\x1b[2J\xff\r\n\r\n", b"NATS/1.0 \x1b\xff\r\n\r\n"):

            def read(event: Event, block: bytes = block) -> object:
                event.header_block = block
                return event.headers

            self.call(read)
        self.check_log(events=3)

    def test_a_slow_route(self) -> None:
        self.call(lambda event: Deferred())
        self.clock.advance(2)
        self.check_log(events=1)

    def test_retries_and_dead_letters(self) -> None:
        for text in (HOSTILE, LONG):
            self.call(dead_letter("dead")(retry(1)(raises(ValueError(text)))), text)
            self.clock.advance(1)
        self.check_log(events=6)

    def test_messages_without_a_route(self) -> None:
        UnroutedMessages().warn("a.>", HOSTILE)
        UnroutedMessages().warn("a.>", LONG)
        self.check_log(events=2)

    def test_unhandled_publishes(self) -> None:
        for text in (HOSTILE, LONG):
            log = UnhandledFailureLog(self.clock)
            log.add(Failure(PublishError(text)), text)
            log.add(Failure(ValueError(text)), text)
        self.check_log(events=4)

    def test_observers(self) -> None:
        for text in (HOSTILE, LONG):
            observers: Observers[None] = Observers()
            observers.add(raises(ValueError(text)))
            observers.notify(None)
        self.check_log(events=2)

    def connection(self) -> MemoryNetwork:
        network = MemoryNetwork()
        pool = ServerPool([Server("a")], Backoff(2.0, 10.0, 0.0), keep_order=True)
        connection = Connection(network.clock, pool, endpoint_for=network.endpoint_for)
        log = ConnectionLog(self.clock)
        log.watch("worker", connection)
        connection.startService()
        network.clock.advance(0)
        log.overflow("worker", PendingLimitError(HOSTILE, LONG, 1, 1, "pause"))
        return network

    def test_info_and_errors_of_servers(self) -> None:
        """The version and the name in INFO, and an -ERR."""
        link = self.connection().link
        link.shake_hands(version=HOSTILE, server_name=HOSTILE, host=HOSTILE)
        line = HOSTILE.replace("\r\n", "").encode("utf-8", "surrogatepass")
        link.receive(b"-ERR '%b'\r\n-ERR '%b'\r\n" % (line, line * 50))
        link.receive(b"-ERR 'Permissions Violation for Subscription to \"%b\"'\r\n" % line)
        link.receive(b"+FOO %b\r\n" % line)
        link.lose()
        self.check_log(events=6)

    def test_answers_that_are_not_nats(self) -> None:
        """HTTP, junk, and an INFO with wrong types."""
        line = HOSTILE.replace("\r\n", "").encode("utf-8", "surrogatepass")
        for answer in (
            b"HTTP/1.1 400 %b\r\n" % line,
            line * 5000,
            b"INFO %b\r\n" % line,
            b"INFO %b\r\n" % json.dumps({"version": [HOSTILE]}).encode(),
            b"INFO %b\r\n" % json.dumps({"connect_urls": [HOSTILE, 1]}).encode(),
            b"%b-ERR '%b'\r\n" % (info(), line),
            b"%b-ERR 'Authorization Violation%b'\r\n" % (info(), line),
        ):
            link = self.connection().link
            link.receive(answer)
            link.lose()
        self.check_log(events=14)

    def test_the_embedded_server(self) -> None:
        """nats-server logs what clients send."""
        line = HOSTILE.replace("\r\n", "").encode("utf-8", "surrogatepass")
        for starts in (True, False):
            reactor = MemoryProcessReactor()
            started = EmbeddedServer(reactor, on_failed=lambda failure: None).start()
            for text in (line, line * 5000):
                reactor.processes[0].write_error(b"[1] 2026/01/01 00:00:00.0 [ERR] %b\n" % text)
            if starts:
                reactor.processes[0].write_error(LOG)
                self.successResultOf(started)
            else:
                reactor.processes[0].end(1)
                error = self.failureResultOf(started).value
                self.assertTrue(str(error).isprintable())
                self.assertLess(len(str(error)), MAX_LINE)
        self.check_log(events=3)

    @given(st.text(st.characters(exclude_categories=())))
    @settings(deadline=None, max_examples=100)
    def test_any_text(self, text: str) -> None:
        self.call(raises(ValueError(text)), text)
        self.call(raises(DecodeError(text)), text)
        self.check_log()

    def test_errors(self) -> None:
        """The text of each error that natsroute raises is safe, wherever a program shows it."""
        for text in (HOSTILE, LONG):
            for error in (server_error(text), DecodeError(text), PendingLimitError(text, text, 1, 1, "pause")):
                self.assertTrue(str(error).isprintable())
                self.assertLess(len(str(error)), MAX_LINE)
            self.assertEqual(server_error(text).text, text)
