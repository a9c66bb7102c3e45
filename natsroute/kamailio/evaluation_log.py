"""Logging why expressions have no value."""

from __future__ import annotations

from natsroute.errors import EvaluationError
from natsroute.log import Logger

#: Expressions whose failure was logged. Programs can make any number of them.
_MAX_LOGGED = 1024


class EvaluationLog:
    """Logs the first failure of each expression. Most fail because of a payload, and the next payload is as bad."""

    log = Logger()

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def failed(self, expression: str, error: EvaluationError) -> None:
        """
        Log that an expression has no value, unless it was logged before. May be called in any thread.

        :param error: the reason. Its text has nothing of a payload in it.
        """
        if expression in self._logged or len(self._logged) >= _MAX_LOGGED:
            return
        self._logged.add(expression)
        self.log.warn(
            "{expression!r} has no value for an event: {reason}. Further failures of this expression are not logged",
            expression=expression,
            reason=str(error),
        )
