"""One run of a child process, from its start to its end, as the supervisor sees it."""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, succeed

from natsroute.log import Logger


@attrs.frozen
class Exit:
    """
    How a process ended.

    :ivar code: its exit code; None if a signal ended it, or it could not be started.
    :ivar signal: the signal that ended it, or None.
    :ivar problem: why it could not be started; empty if it was.
    """

    code: int | None = None
    signal: int | None = None
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            return signal.Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"


class Child(Protocol):
    """A child process."""

    @property
    def pid(self) -> int:
        """The process."""

    def stop(self) -> None:
        """Ask it to drain and end."""

    def skip_drain(self) -> None:
        """Ask it to end without draining."""

    def report(self) -> None:
        """Ask it to log its report."""

    def kill(self) -> None:
        """Kill it."""

    def call(self, method: str, params: Mapping[str, Any], timeout: float) -> Deferred[Any]:
        """
        Call an admin method of it.

        :return: fires with the result; fails with an :class:`~natsroute.admin.errors.AdminError`.
        """


#: Starts a child process. It is given what to call when the process is ready and when it has ended.
#:
#: :raises OSError: the system cannot start a process.
Spawn = Callable[[Callable[[], None], Callable[[Exit], None]], Child]


class Phase(enum.Enum):
    """What a child process is doing."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"


@attrs.frozen
class Patience:
    """
    How long a child process may take to stop, in seconds. Then it is killed.

    :ivar drain: from the request to stop.
    :ivar skip: from the request to skip the drain.
    """

    drain: float
    skip: float


class Run:
    """
    One run of a child process.

    :ivar number: the number of the process.
    :ivar child: the process; None if it could not be started.
    :ivar phase: what it is doing.
    :ivar exit: how it ended; None before.
    :ivar began: when it was started, on the clock.
    :ivar was_ready: whether it has ever been ready.

    :param spawn: starts it.
    :param on_ready: called when it has become ready.
    """

    log = Logger()

    def __init__(
        self, clock: Any, number: int, spawn: Spawn, patience: Patience, on_ready: Callable[[], object]
    ) -> None:
        self.number = number
        self.child: Child | None = None
        self.phase = Phase.STARTING
        self.exit: Exit | None = None
        self.began = clock.seconds()
        self.was_ready = False
        self._clock = clock
        self._patience = patience
        self._on_ready = on_ready
        self._started: list[Deferred[bool]] = []
        self._waiting: list[Deferred[Exit]] = []
        self._kill_timer: Any = None
        self._drain_skipped = False
        try:
            self.child = spawn(self._ready, self._ended)
        except OSError as error:
            self._ended(Exit(problem=f"it cannot be started: {error.strerror or error}"))

    @property
    def pid(self) -> int:
        """The process; 0 if it could not be started."""
        return 0 if self.child is None else self.child.pid

    def started(self, timeout: float) -> Deferred[bool]:
        """
        Wait until it is ready.

        :param timeout: seconds to wait.
        :return: fires with False if it stops or ends first, or is not ready in time.
        """
        if self.phase is not Phase.STARTING:
            return succeed(self.phase is Phase.READY)
        started: Deferred[bool] = Deferred()
        self._started.append(started)
        timer = self._clock.callLater(timeout, self._tell_started, False)

        def cancel_timer(ready: bool) -> bool:
            if timer.active():
                timer.cancel()
            return ready

        return started.addCallback(cancel_timer)

    def ended(self) -> Deferred[Exit]:
        """Wait for its end; fires with how it ended, at once if it has ended already."""
        if self.exit is not None:
            return succeed(self.exit)
        waiting: Deferred[Exit] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def stop(self) -> None:
        """Drain and end it. It is killed if it takes longer than it may."""
        if self.phase in (Phase.STARTING, Phase.READY) and self.child is not None:
            self.phase = Phase.STOPPING
            self.child.stop()
            self._kill_after(self._patience.drain)
            self._tell_started(False)

    def skip_drain(self) -> None:
        """If it is stopping, wait neither for messages to be handled nor for hooks."""
        if self.phase is Phase.STOPPING and not self._drain_skipped and self.child is not None:
            self._drain_skipped = True
            self.child.skip_drain()
            self._kill_after(self._patience.skip)

    def _kill_after(self, delay: float) -> None:
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        self._kill_timer = self._clock.callLater(delay, self._kill, delay)

    def _kill(self, delay: float) -> None:
        self._kill_timer = None
        if self.child is not None:
            self.log.error(
                "Process {number} (pid {pid}) has not stopped within {delay} s, and is killed",
                number=self.number,
                pid=self.pid,
                delay=delay,
            )
            self.child.kill()

    def _ready(self) -> None:
        if self.phase is Phase.STARTING:
            self.phase = Phase.READY
            self.was_ready = True
            self._on_ready()
            self._tell_started(True)

    def _ended(self, exit: Exit) -> None:
        self.phase = Phase.ENDED
        self.exit = exit
        if self._kill_timer is not None:
            self._kill_timer.cancel()
            self._kill_timer = None
        self._tell_started(False)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(exit)

    def _tell_started(self, ready: bool) -> None:
        waiting, self._started = self._started, []
        for one in waiting:
            one.callback(ready)
