"""The log of messages that are sent again."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from natsroute.log import Logger
from natsroute.text import printable

#: Seconds in which one of them is logged.
LOG_INTERVAL = 60.0


class RetryLog:
    """Logs the first one at once, and counts further ones until ``LOG_INTERVAL`` is over."""

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._logged_at = -LOG_INTERVAL
        self._not_logged = 0

    def add(self, subject: str, reason: Exception) -> None:
        """A message to this subject is sent again."""
        now = self._clock.seconds()
        if now - self._logged_at < LOG_INTERVAL:
            self._not_logged += 1
            return
        count, self._not_logged, self._logged_at = self._not_logged, 0, now
        self.log.warn(
            "A message to {subject} is sent again: {reason}{more}",
            subject=printable(subject, 200),
            reason=reason,
            more=f" ({count} more since the last line)" if count else "",
        )
