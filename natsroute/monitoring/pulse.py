"""Whether the reactor answers: asked from another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class Pulse:
    """
    Asks the reactor for a sign of life, and knows for how long it has not answered.

    :param reactor: is asked with ``callFromThread()``.
    :param on_answer: called in the reactor's thread with each answer: the seconds that it took.
    :param seconds: the time, as ``time.monotonic()``.

    :ivar thread: the reactor's thread, as ``threading.get_ident()``; None before :meth:`start`.
    """

    def __init__(
        self,
        reactor: Any,
        on_answer: Callable[[float], object] = lambda seconds: None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.thread: int | None = None
        self._reactor = reactor
        self._on_answer = on_answer
        self._seconds = seconds
        self._asked: float | None = None  # when the question was asked that is not yet answered

    def start(self) -> None:
        """Begin. Called in the reactor's thread, or in the one that will run it; an answer corrects that."""
        self._asked = None
        self.thread = threading.get_ident()

    def look(self) -> float:
        """
        The seconds that a question has been waiting for its answer. If none waits, ask one.

        Called in one other thread.
        """
        asked, now = self._asked, self._seconds()
        if asked is not None:
            return now - asked
        self._asked = now
        self._reactor.callFromThread(self._answer, now)
        return 0.0

    def _answer(self, asked: float) -> None:
        self.thread = threading.get_ident()
        self._asked = None
        self._on_answer(self._seconds() - asked)
