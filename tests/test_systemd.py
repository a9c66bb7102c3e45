"""natsroute.daemon.operations.systemd; tests.integration.test_systemd has real sockets and processes."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.daemon.operations.systemd import (
    MAX_STATUS,
    RETRY_INTERVAL,
    STATUS_INTERVAL,
    Notifier,
    Rates,
    status_line,
)
from natsroute.monitoring.overview import ConnectionRow, ConsumerRow, Overview, PublisherRow, Reason
from tests.support.log_recorder import LogRecorder
from tests.support.memory_reactor import Reactor


class RecordedSocket:
    """A socket that keeps what is sent, or raises what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.error: OSError | None = None
        self.closed = False

    def sendto(self, data: bytes, address: bytes, /) -> int:
        assert not self.closed
        if self.error is not None:
            raise self.error
        self.sent.append((data.decode(), address))
        return len(data)

    def close(self) -> None:
        self.closed = True

    def kinds(self) -> list[str]:
        """What was sent, without values and without the status."""
        kinds = [message.partition("=")[0] for message, _ in self.sent]
        return [kind for kind in kinds if kind != "STATUS"]

    def last_status(self) -> str:
        return [message for message, _ in self.sent if message.startswith("STATUS=")][-1].removeprefix("STATUS=")


def make_overview(**changes: Any) -> Overview:
    """An overview of a service that has had no message."""
    return attrs.evolve(Overview("natsroute", "1", (1,), 0.0, 0.0), **changes)


def consumer(received: int, **counts: int) -> ConsumerRow:
    names = [name for name in attrs.fields_dict(ConsumerRow) if name not in ("name", "idle")]
    return ConsumerRow(name="in:q", **{**dict.fromkeys(names, 0), "received": received, **counts})


def connection(purpose: str, state: str) -> ConnectionRow:
    return ConnectionRow(purpose, state, None, None, 0, 0, 0, 0, 0, 0, None)


class NotifierCase(SynchronousTestCase):
    """A notifier with a recorded socket."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.socket = RecordedSocket()
        self.log = LogRecorder(self)
        self.now: Any = make_overview()

    def notifier(self, address: str = "/run/notify", **options: Any) -> Notifier:
        notifier = Notifier(
            self.clock,
            lambda: self.now,
            address,
            monotonic_ns=lambda: 1_234_567_890,
            new_socket=lambda: self.socket,
            **options,
        )
        notifier.startService()
        return notifier

    def start(self, **options: Any) -> Notifier:
        """A notifier that is stopped with the test."""
        notifier = self.notifier(**options)
        self.addCleanup(notifier.stopService)
        return notifier


class NotificationTests(NotifierCase):
    """What is sent, and when."""

    def test_order(self) -> None:
        notifier = self.notifier()
        notifier.ready()
        notifier.reloading()
        notifier.ready()
        notifier.stopping()
        notifier.stopService()
        self.assertEqual(self.socket.kinds(), ["READY", "RELOADING", "READY", "STOPPING"])
        self.assertIn(("RELOADING=1\nMONOTONIC_USEC=1234567", b"/run/notify"), self.socket.sent)
        self.assertTrue(self.socket.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_addresses(self) -> None:
        """``@`` stands for the NUL byte of the abstract namespace; a path may have any bytes."""
        for given, expected in [
            ("/run/notify", b"/run/notify"),
            ("@systemd/notify", b"\0systemd/notify"),
            ("/run/n\udcff", b"/run/n\xff"),
        ]:
            self.socket = RecordedSocket()
            self.start(address=given).ready()
            self.assertEqual({address for _, address in self.socket.sent}, {expected})

    def test_reload(self) -> None:
        """systemd is notified before and after, also if the reload fails, and gets its result."""
        notifier = self.start()
        notifier.ready()
        reloading: Deferred[str] = Deferred()
        ended = notifier.during_reload(lambda: reloading)
        self.assertEqual(self.socket.kinds(), ["READY", "RELOADING"])
        reloading.callback("done")
        self.assertEqual(self.successResultOf(ended), "done")
        self.assertEqual(self.socket.kinds(), ["READY", "RELOADING", "READY"])
        failed: Deferred[str] = notifier.during_reload(lambda: fail(ValueError()))
        self.failureResultOf(failed, ValueError)
        self.assertEqual(self.socket.kinds()[3:], ["RELOADING", "READY"])

    def test_reload_that_raises(self) -> None:
        notifier = self.start()
        notifier.ready()

        def reload() -> Deferred[None]:
            raise ZeroDivisionError

        self.failureResultOf(notifier.during_reload(reload), ZeroDivisionError)
        self.assertEqual(self.socket.kinds(), ["READY", "RELOADING", "READY"])

    def test_reload_of_a_service_that_is_not_ready(self) -> None:
        """A READY after it would not be true: before the start has ended, and after a stop has begun."""
        notifier = self.start()
        self.assertEqual(self.successResultOf(notifier.during_reload(lambda: succeed(1))), 1)
        self.assertEqual(self.socket.kinds(), [])
        notifier.ready()
        reloading: Deferred[None] = Deferred()
        ended = notifier.during_reload(lambda: reloading)
        notifier.stopping()
        reloading.callback(None)
        self.successResultOf(ended)
        self.assertEqual(self.socket.kinds(), ["READY", "RELOADING", "STOPPING"])

    def test_watchdog(self) -> None:
        """It is reset at half of the interval, by the clock of the reactor, until the stop."""
        notifier = self.notifier(watchdog_usec="3000000", watchdog_pid=str(os.getpid()))
        self.clock.pump([0.5] * 9)
        self.assertEqual(self.socket.kinds(), ["WATCHDOG"] * 4)  # at 0, 1.5, 3 and 4.5 s
        notifier.stopService()
        self.clock.pump([1.5] * 3)
        self.assertEqual(self.socket.kinds(), ["WATCHDOG"] * 4)

    def test_blocked_reactor(self) -> None:
        """What was missed is not made up for."""
        self.start(watchdog_usec="2000000")
        self.clock.advance(10)
        self.assertEqual(self.socket.kinds(), ["WATCHDOG"] * 2)

    def test_no_watchdog(self) -> None:
        """It is not set, it is for another process, or it is malformed."""
        for options in (
            {},
            {"watchdog_usec": "2000000", "watchdog_pid": "1"},
            {"watchdog_usec": "0"},
            {"watchdog_usec": "-5"},
            {"watchdog_usec": "x"},
            {"watchdog_usec": "2000000", "watchdog_pid": "x"},
        ):
            self.start(**options)
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.socket.kinds(), [])
        self.assertEqual(len(self.log.lines("warn")), 2)

    def test_start_again(self) -> None:
        """A service that is started again notifies again."""
        notifier = self.notifier()
        notifier.ready()
        notifier.stopService()
        self.socket = RecordedSocket()
        notifier.startService()
        self.assertEqual(self.successResultOf(notifier.during_reload(lambda: succeed(1))), 1)
        notifier.ready()
        notifier.stopService()
        self.assertEqual(self.socket.kinds(), ["READY"])


class StatusTests(NotifierCase):
    """The status line."""

    def test_rates(self) -> None:
        """They are those since the last look; what is told twice is sent once."""
        self.start()
        self.assertEqual(
            self.socket.last_status(), "in 0/s, out 0/s; 0 waiting; 0 failed, 0 not published; connections: none"
        )
        self.clock.advance(STATUS_INTERVAL)
        self.assertEqual(len(self.socket.sent), 1)
        self.now = make_overview(
            consumers=(consumer(100_000, waiting=1500, in_progress=2, failed=7), consumer(5_000, failed=1)),
            publisher=PublisherRow(published=50_000, failed=3),
            connections=(connection("a", "connected"), connection("b", "connected"), connection("c", "waiting")),
        )
        self.clock.advance(STATUS_INTERVAL)
        self.assertEqual(
            self.socket.last_status(),
            "in 21,000/s, out 10,000/s; 1,502 waiting; 8 failed, 3 not published; connections: 2 connected, 1 waiting",
        )
        self.clock.advance(STATUS_INTERVAL)
        self.assertTrue(self.socket.last_status().startswith("in 0/s, out 0/s; 1,502 waiting"))

    def test_rates_of_looks_in_quick_succession(self) -> None:
        """A few messages in a millisecond make no rate; nor do counters that a replaced process took along."""
        rates = Rates()
        self.assertEqual(rates.of(make_overview(consumers=(consumer(5),)), 10.0), (0.0, 0.0))
        self.assertEqual(rates.of(make_overview(consumers=(consumer(500),)), 10.001), (0.0, 0.0))
        self.assertEqual(rates.of(make_overview(consumers=(consumer(505),)), 15.0), (100.0, 0.0))
        self.assertEqual(rates.of(make_overview(consumers=(consumer(900),)), 15.5), (100.0, 0.0))
        self.assertEqual(rates.of(make_overview(consumers=(consumer(5),)), 20.0), (0.0, 0.0))

    def test_not_ready(self) -> None:
        """The first reason is there, escaped and shortened: it has the text of others in it."""
        one = Reason("not_connected", "x", "the connection of a\n\x1b[2J\u202e is lost")
        line = status_line(make_overview(reasons=(one,)), (0.0, 0.0))
        self.assertTrue(line.startswith(r"not ready: the connection of a\n\x1b[2J\u202e is lost; in 0/s"), line)
        many = (Reason("starting", "", "x" * 10_000), one, one)
        line = status_line(make_overview(reasons=many), (0.0, 0.0))
        self.assertIn("xx... (10000 characters) (and 2 more reasons); in 0/s", line)
        self.assertLess(len(line), MAX_STATUS)

    def test_text(self) -> None:
        """A status that somebody gives cannot send anything else."""
        notifier = self.start()
        notifier.status("a\nREADY=1\x00\udcff")
        self.assertEqual(self.socket.last_status(), r"a\nREADY=1\x00\xff")
        notifier.status("x" * 100_000)
        self.assertLess(len(self.socket.last_status()), MAX_STATUS + 50)

    def test_overview_that_comes_later(self) -> None:
        """The parent of several processes asks them. An answer after the stop is not sent."""
        answers: list[Deferred[Overview]] = []

        def ask() -> Deferred[Overview]:
            answers.append(Deferred())
            return answers[-1]

        notifier = Notifier(self.clock, ask, "/n", new_socket=lambda: self.socket)
        notifier.startService()
        self.clock.advance(STATUS_INTERVAL)
        self.assertEqual((len(answers), self.socket.sent), (1, []))
        answers[0].callback(make_overview())
        self.clock.advance(STATUS_INTERVAL)
        self.assertEqual((len(answers), len(self.socket.sent)), (2, 1))
        notifier.stopService()
        answers[1].callback(make_overview(consumers=(consumer(5, failed=1),)))
        self.assertEqual(len(self.socket.sent), 1)

    def test_no_overview(self) -> None:
        """It is logged, and looked for again."""
        answers: list[Deferred[Overview]] = [fail(ZeroDivisionError()), succeed(make_overview())]
        notifier = Notifier(self.clock, lambda: answers.pop(0), "/n", new_socket=lambda: self.socket)
        notifier.startService()
        self.addCleanup(notifier.stopService)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(STATUS_INTERVAL)
        self.assertEqual(len(self.socket.sent), 1)


class TroubleTests(NotifierCase):
    """A socket that is not there, refuses, or is full."""

    def test_full(self) -> None:
        """What matters is sent later, in order; of the status and the watchdog only the last one."""
        self.socket.error = BlockingIOError()
        notifier = self.start(watchdog_usec="1000000")
        notifier.ready()
        notifier.status("one")
        notifier.status("two")
        notifier.reloading()
        notifier.ready()
        self.clock.pump([0.5] * 10)
        self.assertEqual(len(notifier._unsent), 5)
        self.socket.error = None
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual(self.socket.kinds(), ["READY", "RELOADING", "READY", "WATCHDOG"])
        self.assertEqual(self.log.lines("warn"), [])

    def test_full_at_the_stop(self) -> None:
        """It is tried once more; the stop does not wait."""
        notifier = self.notifier()
        self.socket.error = BlockingIOError()
        notifier.stopping()
        notifier.stopService()
        self.assertEqual((self.clock.getDelayedCalls(), self.socket.closed), ([], True))
        self.socket = RecordedSocket()
        notifier.startService()
        self.socket.error = BlockingIOError()
        notifier.stopping()
        self.socket.error = None
        notifier.stopService()
        self.assertEqual(self.socket.kinds(), ["STOPPING"])

    def test_refused(self) -> None:
        """One warning, until it works again."""
        self.socket.error = ConnectionRefusedError(111, "Connection refused")
        notifier = self.start(watchdog_usec="1000000")
        notifier.ready()
        self.clock.pump([0.5] * 10)
        self.assertEqual(
            self.log.lines("warn"),
            ["NOTIFY_SOCKET: systemd cannot be notified: Connection refused. The service runs all the same"],
        )
        self.socket.error = None
        self.clock.advance(0.5)
        self.assertEqual(self.socket.kinds(), ["WATCHDOG"])
        self.socket.error = ConnectionRefusedError(111, "Connection refused")
        self.clock.advance(0.5)
        self.assertEqual(len(self.log.lines("warn")), 2)

    def test_no_socket(self) -> None:
        """The process has no file descriptor left."""

        def new_socket() -> RecordedSocket:
            raise OSError(24, "Too many open files")

        notifier = Notifier(self.clock, make_overview, "/n", "1000000", new_socket=new_socket)
        notifier.startService()
        notifier.ready()
        notifier.stopping()
        notifier.stopService()
        self.assertEqual(len(self.log.lines("warn")), 1)

    def test_real_sockets_that_do_not_work(self) -> None:
        """No such file, a path that is too long, a file that is no socket, a socket that nobody reads any more."""
        with tempfile.TemporaryDirectory() as folder:
            closed = os.path.join(folder, "closed")
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            listener.bind(closed)
            listener.close()
            Path(folder, "file").touch()
            for address in ("/nowhere/notify", "/" + "x" * 500, os.path.join(folder, "file"), closed, "@nobody", "@"):
                self.log.events.clear()
                notifier = Notifier(self.clock, make_overview, address)
                notifier.startService()
                notifier.ready()
                notifier.stopService()
                self.assertEqual(len(self.log.lines("warn")), 1, address)


class EnvironmentTests(SynchronousTestCase):
    """Whether a service has a notifier."""

    def test_variables(self) -> None:
        """They are removed, so that no child process has them; other variables stay."""
        environment = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2", "HOME": "/"}
        notifier = Notifier.from_environment(Clock(), make_overview, environment)
        self.assertIsNotNone(notifier)
        self.assertEqual(environment, {"HOME": "/"})
        self.assertIsNone(Notifier.from_environment(Clock(), make_overview, environment))

    def test_no_notifier(self) -> None:
        """A program that is more than the service notifies systemd by itself; its variables stay."""
        self.patch(os, "environ", {**os.environ, "NOTIFY_SOCKET": "/nowhere"})
        service = NatsrouteService(Settings(), EventRoutes(), reactor=Reactor())
        self.assertIsNone(service._operations._notifier)
        self.assertIn("NOTIFY_SOCKET", os.environ)
