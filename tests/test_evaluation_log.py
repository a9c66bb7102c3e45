"""natsroute.kamailio.evaluation_log"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio import evaluation_log
from natsroute.kamailio.evaluation_log import EvaluationLog
from tests.support.log_recorder import LogRecorder


class EvaluationLogTests(SynchronousTestCase):
    """Why expressions have no value."""

    def test_once_for_each_expression(self) -> None:
        """The next payload is as bad."""
        log, failures = LogRecorder(self), EvaluationLog()
        for expression in ("$(natsReply{s.len})", "$natsHeader(a)", "$(natsReply{s.len})"):
            failures.failed(expression, EvaluationError("why"))
        self.assertEqual(
            log.lines("warn"),
            [
                f"{expression!r} has no value for an event: why. Further failures of this expression are not logged"
                for expression in ("$(natsReply{s.len})", "$natsHeader(a)")
            ],
        )

    def test_escaped(self) -> None:
        """A program may have made the expression out of anything."""
        log = LogRecorder(self)
        EvaluationLog().failed("$a\n{b}", EvaluationError("why"))
        self.assertTrue(log.lines("warn")[0].startswith(r"'$a\n{b}' has no value"))

    def test_bounded(self) -> None:
        """It remembers a bounded number of expressions, and is then silent."""
        self.patch(evaluation_log, "_MAX_LOGGED", 2)
        log, failures = LogRecorder(self), EvaluationLog()
        for number in range(5):
            failures.failed(f"$env({number})", EvaluationError("why"))
        self.assertEqual(len(log.lines("warn")), 2)


class StatementTests(SynchronousTestCase):
    """Statements of scripts that fail."""

    def test_once_for_each_place(self) -> None:
        """Also if an expression has the same text."""
        recorder = LogRecorder(self)
        log = EvaluationLog()
        for position in ("kamailio.cfg:1:1", "kamailio.cfg:1:1", "kamailio.cfg:2:1"):
            log.statement_failed(position, EvaluationError("division by zero"))
        lines = recorder.lines("error")
        self.assertEqual(len(lines), 2)
        self.assertIn("kamailio.cfg:1:1 failed for an event: division by zero", lines[0])
