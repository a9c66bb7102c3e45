"""Logging why expressions have no value, and why statements of scripts fail."""

from __future__ import annotations

from natsroute.errors import EvaluationError
from natsroute.log import Logger

#: Expressions and statements whose failure was logged. Programs can make any number of them.
_MAX_LOGGED = 1024


class EvaluationLog:
    """
    Logs the first failure of each expression and statement. Most fail because of a payload, and the next payload is as
    bad.
    """

    log = Logger()

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def failed(self, expression: str, error: EvaluationError) -> None:
        """
        Log that an expression has no value, unless it was logged before. May be called in any thread.

        :param error: the reason. Its text has nothing of a payload in it.
        """
        if self._is_new(expression):
            self.log.warn(
                "{expression!r} has no value for an event: {reason}. Further failures of this expression are not "
                "logged",
                expression=expression,
                reason=str(error),
            )

    def statement_failed(self, position: str, error: EvaluationError) -> None:
        """
        Log that a statement of a script failed for an event, unless it was logged before. May be called in any thread.

        :param position: where it is.
        :param error: the reason. Its text has nothing of a payload in it.
        """
        if self._is_new(position):
            self.log.error(
                "The statement at {position} failed for an event: {reason}. Further failures of this statement are not "
                "logged",
                position=position,
                reason=str(error),
            )

    def _is_new(self, what: str) -> bool:
        """True the first time, until there are too many."""
        if what in self._logged or len(self._logged) >= _MAX_LOGGED:
            return False
        self._logged.add(what)
        return True
