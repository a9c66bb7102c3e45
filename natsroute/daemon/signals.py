"""The second SIGTERM or SIGINT. Twisted stops the reactor at the first, and ignores all others."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any


def call_at_next_signal(reactor: Any, on_signal: Callable[[], object]) -> None:
    """
    Wait for the next SIGTERM or SIGINT. Signals after that one have their default effect: they end the process.

    Does nothing outside the main thread, where Python cannot handle signals.

    :param on_signal: called once, in the reactor's thread.
    """

    def signalled(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        reactor.callFromThread(on_signal)

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            signal.signal(number, signalled)
        except ValueError:
            return
