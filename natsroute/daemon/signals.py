"""The second SIGTERM or SIGINT: Twisted begins the end at the first, and has no use for another."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any


def call_at_next_signal(reactor: Any, function: Callable[[], object]) -> None:
    """
    Have a function called in the reactor's thread at the next SIGTERM or SIGINT; later ones do what they do by default.

    Outside the main thread, where Python has no signals, nothing is done.
    """

    def signalled(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        reactor.callFromThread(function)

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            signal.signal(number, signalled)
        except ValueError:
            return
