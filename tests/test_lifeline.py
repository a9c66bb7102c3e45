"""natsroute.daemon.processes.lifeline; tests.integration.test_processes kills parents"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.processes import lifeline
from natsroute.daemon.processes.lifeline import REPORT, SKIP_DRAIN, STOP, Lifeline, Orders
from tests.support.log_recorder import LogRecorder
from tests.support.waiting import TIMEOUT


class MemoryReactor:
    """
    Makes calls from other threads at once.

    :ivar stops: how often it was stopped.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.stops = 0

    def callFromThread(self, function: Callable[[], object]) -> None:
        function()

    callWhenRunning = callFromThread

    def stop(self) -> None:
        if self.stopping:  # its attribute "running" is True until the drain has ended
            raise ReactorNotRunning
        self.stopping = True
        self.stops += 1


class OrdersTests(SynchronousTestCase):
    """What a process reads while it loads its code, and after that."""

    def setUp(self) -> None:
        self.kills = 0

    def orders(self, *lines: bytes) -> Orders:
        given = [*lines, b""]
        return Orders(lambda: given.pop(0), kill=self.kill)

    def kill(self) -> None:
        self.kills += 1

    def test_while_it_loads(self) -> None:
        """An order to stop ends the process, and so does the end of the parent."""
        for lines, kills in (((), 1), ((STOP,), 2), ((REPORT,), 1), ((SKIP_DRAIN,), 2)):
            self.kills = 0
            self.orders(*lines).read()
            self.assertEqual(self.kills, kills, lines)

    def test_loaded(self) -> None:
        """Then the orders are passed on, those before it too."""
        orders = self.orders(REPORT, STOP)
        orders.loaded()
        orders.read()
        self.assertEqual([orders.next() for _ in range(3)], [REPORT, STOP, b""])
        self.assertEqual(self.kills, 0)

    def test_thread(self) -> None:
        """It reads while the process does something else."""
        reader, writer = os.pipe()
        killed = threading.Event()
        with os.fdopen(reader, "rb") as file:
            orders = Orders(file.readline, kill=killed.set)
            orders.start()
            os.close(writer)
            self.assertTrue(killed.wait(TIMEOUT))
            self.assertEqual(orders.next(), b"")


class LifelineTests(SynchronousTestCase):
    """The orders of a parent, and its death."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.reactor = MemoryReactor()
        self.calls: list[object] = []

    def read(self, *lines: bytes) -> None:
        """Read these lines, and the end."""
        given = [*lines, b""]
        lifeline = Lifeline(
            self.reactor,
            lambda: self.calls.append("skip"),
            lambda: self.calls.append("report"),
            40.0,
            lambda: given.pop(0),
            kill=lambda: self.calls.append("kill"),
            sleep=self.calls.append,
        )
        self.assertFalse(lifeline.parent_is_gone)
        lifeline.read()
        self.assertTrue(lifeline.parent_is_gone)

    def test_parent_dies(self) -> None:
        """The process drains and ends, and is killed if that takes too long."""
        self.read()
        self.assertEqual((self.reactor.stops, self.calls), (1, [40.0, "kill"]))
        self.assertEqual(self.log.lines("error"), ["The parent process has died: this process drains and ends"])

    def test_orders(self) -> None:
        """Each is obeyed; a parent that dies during the drain does not shorten it."""
        self.read(REPORT, STOP, STOP, b"unknown\n")
        self.assertEqual((self.reactor.stops, self.calls), (1, ["report", 40.0, "kill"]))
        self.assertEqual(self.log.lines("error"), [])

    def test_skip_drain(self) -> None:
        """When the parent ends after that, this process ends at once: so the third signal ends all."""
        self.read(STOP, SKIP_DRAIN)
        self.assertEqual((self.reactor.stops, self.calls), (1, ["skip", "kill"]))

    def test_stopped_by_a_signal(self) -> None:
        """The reactor is not stopped a second time."""
        self.reactor.stopping = True
        self.read(STOP)
        self.assertEqual(self.reactor.stops, 0)

    def test_thread(self) -> None:
        """It reads in a thread that does not keep the process alive."""
        reader, writer = os.pipe()
        file = os.fdopen(reader, "rb")
        self.addCleanup(file.close)
        threads: list[lifeline.threading.Thread] = []

        class Thread(lifeline.threading.Thread):
            def start(self) -> None:
                threads.append(self)
                super().start()

        self.patch(lifeline.threading, "Thread", Thread)
        Lifeline(
            self.reactor, lambda: None, lambda: None, 0.0, file.readline, kill=lambda: self.calls.append("kill")
        ).start()
        os.close(writer)
        threads[0].join(120)
        self.assertTrue(threads[0].daemon)
        self.assertEqual(self.calls, ["kill"])

    def test_kill(self) -> None:
        """It kills this process itself, which no route can prevent."""
        sent: list[tuple[int, int]] = []
        self.patch(lifeline.os, "kill", lambda pid, number: sent.append((pid, number)))
        lifeline._kill_self()
        self.assertEqual(sent, [(os.getpid(), signal.SIGKILL)])
