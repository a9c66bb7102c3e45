"""Publishes that failed while nobody looked at their Deferred: told, and not ten thousand times."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.errors import NatsrouteError

#: Seconds in which one kind of failure is told once.
AGAIN = 60.0


class UnhandledFailureLog:
    """Logs the first failure of a kind, and counts the others until it is time to tell of them."""

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._told: dict[type[BaseException], float] = {}
        self._untold: dict[type[BaseException], int] = {}

    def add(self, failure: Failure) -> None:
        """A failure that nobody looked at; any thread may call it, but no more than read the clock."""
        kind = failure.type
        assert kind is not None
        now = self._clock.seconds()
        if now - self._told.get(kind, -AGAIN) < AGAIN:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._told[kind] = now
        count = self._untold.pop(kind, 0)
        more = f" ({count} more of this kind since the last was told)" if count else ""
        if failure.check(NatsrouteError):
            self.log.error("Not published: {reason}{more}", reason=failure.getErrorMessage(), more=more)
        else:  # a payload's own function raised it: its code is to be mended
            self.log.failure("Not published{more}", failure=failure, more=more)

    def tell_rest(self) -> None:
        """At the end, what was counted and not told."""
        untold, self._untold = self._untold, {}
        for kind, count in untold.items():
            self.log.error("{count} more messages were not published: {kind}", count=count, kind=kind.__name__)
