"""Messages whose payload the thread pool makes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage


class PayloadQueue:
    """
    Makes payloads one after the other, as long as there is space for them.

    :param run_in_pool: runs a function in the thread pool; its Deferred fires in the reactor thread when it has ended.
    :param has_space: whether the buffer has space for another payload.
    :param on_made: called in the reactor thread with a message, and its command or why there is none.

    :ivar queue: the messages that wait, and what makes their commands. For the publisher's hot path, which looks
        whether there are any.
    """

    def __init__(
        self,
        run_in_pool: Callable[[Callable[[], None]], Deferred[None]],
        has_space: Callable[[], bool],
        on_made: Callable[[OutgoingMessage, bytes | Failure], object],
    ) -> None:
        self._run_in_pool = run_in_pool
        self._has_space = has_space
        self._on_made = on_made
        self.queue: deque[tuple[OutgoingMessage, Callable[[], bytes]]] = deque()
        self._is_running = False

    def add(self, message: OutgoingMessage, make_command: Callable[[], bytes]) -> None:
        """Take a message. ``make_command`` runs in the pool."""
        self.queue.append((message, make_command))
        self.go_on()

    def go_on(self) -> None:
        """Make the next payload if there is space."""
        while self.queue and self.queue[0][0].command is None:  # it has expired, or was cancelled
            self.queue.popleft()
        if self._is_running or not self.queue or not self._has_space():
            return
        self._is_running = True
        message, make_command = self.queue.popleft()
        made: list[Any] = []

        def run() -> None:
            try:
                made.append(make_command())
            except BaseException:
                made.append(Failure())

        self._run_in_pool(run).addBoth(self._made, message, made)

    def _made(self, ended: object, message: OutgoingMessage, made: list[Any]) -> None:
        self._is_running = False
        self._on_made(message, made[0] if made else ended if isinstance(ended, Failure) else Failure(RuntimeError()))
        self.go_on()
