"""Commands that end cleanly when they are interrupted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.text import printable


@contextmanager
def finishing(reactor: Any) -> Iterator[None]:
    """While this is entered, the reactor goes on at SIGINT and SIGTERM: what was begun can be written and closed."""
    finished: Deferred[None] = Deferred()
    trigger = reactor.addSystemEventTrigger("before", "shutdown", lambda: finished)
    try:
        yield
    finally:
        finished.callback(None)
        try:
            reactor.removeSystemEventTrigger(trigger)
        except (KeyError, ValueError):  # the reactor stops, and has called it
            pass


def tell(text: str) -> None:
    """Write a line to standard error."""
    print(f"natsroute: {printable(text)}", file=sys.stderr, flush=True)
