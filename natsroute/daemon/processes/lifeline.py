"""
The lifeline of a child process: a pipe to its parent. The parent sends orders; when it dies, the pipe closes.

A thread reads it, so that the process notices the death of its parent even while a route blocks the reactor. Orders do
not come as signals: a service manager may send SIGTERM to the parent and to each of its children, and a second SIGTERM
would skip the drain.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from twisted.internet.error import ReactorNotRunning

from natsroute.daemon.signals import overlook_next_signal
from natsroute.log import Logger

#: The descriptor from which a child process reads.
LIFELINE = 0

STOP = b"stop\n"
SKIP_DRAIN = b"skip\n"
REPORT = b"report\n"


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Orders:
    """
    What the parent sends. A thread reads it from the beginning: code that is imported may block for a long time.

    A process that still loads its code has received nothing. So when the parent asks it to stop, or dies, it ends at
    once.

    :param lines: returns the next line, as ``readline()`` of a file does: empty at the end.
    """

    def __init__(self, lines: Callable[[], bytes], *, kill: Callable[[], object] = _kill_self) -> None:
        self._lines = lines
        self._kill = kill
        self._lock = threading.Lock()
        self._loading = True
        self._read: SimpleQueue[bytes] = SimpleQueue()

    def start(self) -> None:
        """Read from now on, in a thread that does not keep the process from ending."""
        threading.Thread(target=self.read, name="natsroute orders", daemon=True).start()

    def read(self) -> None:
        """Read all lines."""
        line = REPORT
        while line:
            line = self._lines()
            with self._lock:
                if self._loading and line != REPORT:
                    self._kill()
            self._read.put(line)

    def loaded(self) -> None:
        """The code is loaded: from now on, the process drains before it ends."""
        with self._lock:
            self._loading = False

    def next(self) -> bytes:
        """Wait for the next line, and return it; empty at the end."""
        return self._read.get()


class Lifeline:
    """
    Reads the orders of the parent, and obeys.

    :param reactor: stops when the process is to end; orders are obeyed in its thread.
    :param on_skip_drain: called to skip the drain.
    :param on_report: called to log a report.
    :param timeout: seconds that the process may take to end when the parent is gone. Then it is killed.
    :param lines: returns the next line, as ``readline()`` of a file does: empty at the end.

    :ivar parent_is_gone: whether the pipe has ended.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        on_skip_drain: Callable[[], object],
        on_report: Callable[[], object],
        timeout: float,
        lines: Callable[[], bytes],
        *,
        kill: Callable[[], object] = _kill_self,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.parent_is_gone = False
        self._reactor = reactor
        self._on_skip_drain = on_skip_drain
        self._on_report = on_report
        self._timeout = timeout
        self._lines = lines
        self._kill = kill
        self._sleep = sleep
        self._stopping = False

    def start(self) -> None:
        """Read from now on, in a thread that does not keep the process from ending."""
        threading.Thread(target=self.read, name="natsroute lifeline", daemon=True).start()

    def read(self) -> None:
        """Obey all orders until the end of the pipe."""
        drain_skipped = False
        while line := self._lines():
            if line == STOP:
                self._reactor.callFromThread(self._stop)
            elif line == SKIP_DRAIN:
                drain_skipped = True
                self._reactor.callFromThread(self._on_skip_drain)
            elif line == REPORT:
                self._reactor.callFromThread(self._on_report)
        self.parent_is_gone = True
        if drain_skipped:  # and now nobody is left who would end it
            self._kill()
        else:
            self._reactor.callFromThread(self._parent_died)
            self._sleep(self._timeout)
            self._kill()

    def _parent_died(self) -> None:
        if not self._stopping:
            self.log.error("The parent process has died: this process drains and ends")
        self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._reactor.callWhenRunning(self._stop_reactor)

    def _stop_reactor(self) -> None:
        overlook_next_signal()  # a service manager sends it to all processes, and it may come after the order
        try:
            self._reactor.stop()
        except ReactorNotRunning:  # it stops already, because of a signal
            pass
