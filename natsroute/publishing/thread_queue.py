"""Messages on their way from other threads into the reactor thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Lock

from twisted.internet.interfaces import IReactorTime

from natsroute.errors import PublishBufferFullError
from natsroute.log import Logger
from natsroute.publishing.options import PublishLimits
from natsroute.turns import Turn


class ThreadQueue:
    """
    A bounded queue of calls, from any thread into the reactor thread. The order is kept.

    :param limits: how many messages and bytes it holds.
    :param call_from_thread: the reactor's ``callFromThread``.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, limits: PublishLimits, call_from_thread: Callable[..., object]) -> None:
        self._clock = clock
        self._limits = limits
        self._call_from_thread = call_from_thread
        self._lock = Lock()
        self._calls: deque[tuple[int, int, Callable[[], object]]] = deque()
        self._messages = self._bytes = 0
        self._is_scheduled = False  # the reactor will make the calls

    def put(self, size: int, function: Callable[..., object], *arguments: object) -> None:
        """
        Call a function in the reactor thread, soon. Runs in any thread.

        :param size: bytes that the call counts for.
        :raises PublishBufferFullError: too many calls or bytes wait. The function is not called.
        """
        with self._lock:
            limits, messages, bytes_held = self._limits, self._messages, self._bytes
            if messages >= limits.messages or bytes_held + size > limits.bytes:
                raise PublishBufferFullError(
                    messages=messages, max_messages=limits.messages, bytes=bytes_held, max_bytes=limits.bytes
                )
            self._append(1, size, partial(function, *arguments))

    def put_failure(self, function: Callable[..., object], *arguments: object) -> None:
        """Likewise, for a message that has failed: it has no payload, so it counts for nothing."""
        with self._lock:
            self._append(0, 0, partial(function, *arguments))

    def after_all(self, function: Callable[[], object]) -> None:
        """
        Call a function in the reactor thread, after all calls that wait now: at once if none waits, or if they are made
        within a turn. Runs in the reactor thread.
        """
        self._run_turn()
        with self._lock:
            if self._calls:
                self._append(0, 0, function)
                return
        function()

    def _append(self, messages: int, size: int, call: Callable[[], object]) -> None:
        self._messages += messages
        self._bytes += size
        self._calls.append((messages, size, call))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_from_thread(self._run_turns)

    def run_all(self) -> None:
        """Make all calls that wait, in one turn of the reactor. Runs in the reactor thread."""
        while self._calls:
            self._run_oldest()

    def _run_turns(self) -> None:
        self._run_turn()
        with self._lock:
            self._is_scheduled = bool(self._calls)
        if self._is_scheduled:
            self._call_from_thread(self._run_turns)

    def _run_turn(self) -> None:
        turn = Turn(self._clock)
        while self._calls:
            self._run_oldest()
            if self._calls and turn.is_over():
                return

    def _run_oldest(self) -> None:
        with self._lock:
            messages, size, call = self._calls.popleft()
            self._messages -= messages
            self._bytes -= size
        try:
            call()
        except Exception:  # the calls behind it must not wait for ever
            self.log.failure("A message that another thread has published was lost because of a fault in natsroute")
