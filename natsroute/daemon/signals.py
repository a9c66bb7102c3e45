"""
The signals of the process.

SIGTERM and SIGINT stop it in three steps: the first stops the reactor, as in any Twisted program; the second skips the
drain; the third ends the process at once. SIGHUP, SIGUSR1 and SIGUSR2 do not end a process that belongs to natsroute.

Python handles signals in the main thread only. In another thread, nothing here has an effect.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from natsroute.log import Logger

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """
    What SIGTERM and SIGINT mean for one service.

    :param on_skip_drain: called in the reactor's thread at the second signal.
    :param before_end: called in the signal handler at the third signal, before the process ends. Without it, the third
        signal has its default effect, which needs no Python.
    """

    def __init__(
        self, reactor: Any, on_skip_drain: Callable[[], object], before_end: Callable[[], object] | None = None
    ) -> None:
        self._reactor = reactor
        self._on_skip_drain = on_skip_drain
        self._before_end = before_end
        self._handler: _StopHandler | None = None
        self._trigger: Any = None

    @property
    def process_ends(self) -> bool:
        """Whether the whole process ends, not only this service."""
        return self._handler is not None and self._handler.stopping

    def install(self) -> None:
        """Count signals from now on, or from when the reactor runs: it installs its own handlers then."""
        self._trigger = self._reactor.addSystemEventTrigger("before", "shutdown", self._process_ends)
        self._reactor.callWhenRunning(self._take, only_from_reactor=True)

    def restore(self) -> None:
        """Undo :meth:`install`, unless the process ends."""
        trigger, self._trigger = self._trigger, None
        if trigger is not None:
            self._reactor.removeSystemEventTrigger(trigger)
            if self._handler is not None:
                self._handler.remove(self._on_skip_drain)
                self._handler = None

    def _process_ends(self) -> None:
        self._trigger = None
        self._take(only_from_reactor=False)
        if self._handler is not None:
            self._handler.stopping = True

    def _take(self, only_from_reactor: bool) -> None:
        """
        Handle the signals.

        :param only_from_reactor: leave a signal alone if the program handles it: the program may not stop because of
            it.
        """
        if only_from_reactor and self._trigger is None:
            return  # restored before the reactor ran
        current = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
        shared = [handler for handler in current.values() if isinstance(handler, _StopHandler)]
        handler = shared[0] if shared else self._handler or _StopHandler(self._reactor)
        from_reactor = (getattr(self._reactor, "sigTerm", None), getattr(self._reactor, "sigInt", None))
        try:
            for number, before in current.items():
                if before is not handler and (before in from_reactor or not only_from_reactor):
                    signal.signal(number, handler)
                    handler.before[number] = before
                    self._handler = handler
        except ValueError:
            return  # not in the main thread
        if shared:
            self._handler = handler
        if self._handler is not None:
            self._handler.add(self._on_skip_drain, self._before_end)


class _StopHandler:
    """
    The handler of SIGTERM and SIGINT. All services of a process share one, which is how they find it.

    :ivar before: the handlers that it stands in for.
    :ivar stopping: whether the process ends, because of a signal or otherwise.
    :ivar overlooks_next: whether the next signal does not count: see :func:`overlook_next_signal`.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self.before: dict[int, Any] = {}
        self.stopping = self.overlooks_next = False
        self._reactor = reactor
        self._was_second = False  # the last signal
        self._on_skip_drain: dict[Callable[[], object], Callable[[], object] | None] = {}

    def add(self, on_skip_drain: Callable[[], object], before_end: Callable[[], object] | None) -> None:
        """Call these at the second and at the third signal."""
        self._on_skip_drain[on_skip_drain] = before_end

    def remove(self, on_skip_drain: Callable[[], object]) -> None:
        """Undo :meth:`add`. After the last, the signals have their former handlers again."""
        del self._on_skip_drain[on_skip_drain]
        if not self._on_skip_drain and not self.stopping:
            for number, before in self.before.items():
                if signal.getsignal(number) is self:
                    signal.signal(number, before)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.overlooks_next:
            self.overlooks_next = False
            return
        if not self.stopping:
            self.stopping = True  # now, not when the reactor stops: to stop it twice would be an error
            self.before[number](number, frame)
            return
        before_end = [function for function in self._on_skip_drain.values() if function is not None]
        if not before_end or self._was_second:
            # The default effect, which needs no Python: the next signal ends the process even if a route blocks it.
            for each in _STOP_SIGNALS:
                signal.signal(each, signal.SIG_DFL)
        if self._was_second:
            for function in before_end:
                function()
            signal.raise_signal(number)
        else:
            self._was_second = True
            self._reactor.callFromThread(self._skip_drain, signal.Signals(number).name)

    def _skip_drain(self, name: str) -> None:
        self.log.info("Received {name} again: skipping the drain. One more ends the process at once", name=name)
        for on_skip_drain in self._on_skip_drain:
            on_skip_drain()


def overlook_next_signal() -> None:
    """
    The process is asked to stop in another way, by somebody who may send SIGTERM or SIGINT as well: the next of these
    signals does not count. Call this in the reactor's thread, before the reactor stops.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(handler, _StopHandler):
        handler.overlooks_next = not handler.stopping


class OtherSignals:
    """
    SIGHUP, SIGUSR1 and SIGUSR2 of a process that belongs to natsroute. Their default effect is to end it.

    A signal that the program or twistd already handles or ignores stays theirs: with a log file, twistd rotates it at
    SIGUSR1.

    :param on_report: called in the reactor's thread at SIGUSR2.
    :param on_reload: called in the reactor's thread at SIGHUP.
    """

    def __init__(self, reactor: Any, on_report: Callable[[], object], on_reload: Callable[[], object]) -> None:
        self._reactor = reactor
        # For SIGUSR1 a function that does nothing, and not SIG_IGN: an embedded nats-server would inherit that.
        self._handlers = {
            signal.SIGHUP: self._call_in_reactor(on_reload),
            signal.SIGUSR1: lambda number, frame: None,
            signal.SIGUSR2: self._call_in_reactor(on_report),
        }

    def install(self) -> None:
        """Handle the signals from now on."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is signal.SIG_DFL:
                try:
                    signal.signal(number, handler)
                except ValueError:
                    return  # not in the main thread

    def restore(self) -> None:
        """Undo :meth:`install`."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, signal.SIG_DFL)

    def _call_in_reactor(self, function: Callable[[], object]) -> Callable[[int, FrameType | None], None]:
        return lambda number, frame: self._reactor.callFromThread(function)
