"""What OpenTelemetry says of its exports, in our log: without limits, a collector that is down fills it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from natsroute.log import Logger

#: Seconds in which lines of one kind are logged once.
PERIOD = 60.0

_LOGGER = "opentelemetry"


class ExporterLog(logging.Handler):
    """
    Takes the warnings and errors of OpenTelemetry's packages from Python's ``logging``. Of each kind, which is a text
    without its values, one is logged in :data:`PERIOD`, with the number of those since the last.

    Exporters have threads of their own, so this may be called in any thread; ``logging`` calls it in one at a time.

    :param seconds: the time, as ``time.monotonic()``.
    """

    log = Logger()

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._seconds = seconds
        self._logged_at: dict[tuple[str, str], float] = {}
        self._not_logged: dict[tuple[str, str], int] = {}

    def install(self) -> None:
        """Take the lines, unless that of another service does."""
        logger = logging.getLogger(_LOGGER)
        if not any(isinstance(handler, ExporterLog) for handler in logger.handlers):
            logger.addHandler(self)

    def remove(self) -> None:
        """Undo :meth:`install`."""
        logging.getLogger(_LOGGER).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a line, or count it."""
        kind, now = (record.name, str(record.msg)), self._seconds()
        if now - self._logged_at.get(kind, -PERIOD) < PERIOD:
            self._not_logged[kind] = self._not_logged.get(kind, 0) + 1
            return
        self._logged_at[kind] = now
        count = self._not_logged.pop(kind, 0)
        more = f" ({count} more since the last line)" if count else ""
        self.log.warn("OpenTelemetry: {text}{more}", text=record.getMessage(), more=more)
