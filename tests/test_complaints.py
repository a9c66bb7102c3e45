"""natsroute.publishing.complaints"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PayloadError, SubjectError
from natsroute.publishing.complaints import AGAIN, UnhandledFailureLog
from tests.support.cases import LogRecorder


class ComplaintsTests(SynchronousTestCase):
    """One line for each kind of failure, and not one for each failure."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.complaints = UnhandledFailureLog(self.clock)
        self.log = LogRecorder(self)

    def fail(self, error: Exception, times: int = 1) -> None:  # type: ignore[override]
        for _ in range(times):
            self.complaints.add(Failure(error))

    def test_a_flood(self) -> None:
        """The first is told at once, the others when it is time again, or at the end."""
        self.fail(SubjectError("subject 'a b'"), 1000)
        self.fail(PayloadError("no JSON"))
        self.assertEqual(self.log.lines("error"), ["Not published: subject 'a b'", "Not published: no JSON"])
        self.clock.advance(AGAIN)
        self.fail(SubjectError("subject 'c d'"), 5)
        self.assertEqual(
            self.log.lines("error")[2:],
            ["Not published: subject 'c d' (999 more of this kind since the last was told)"],
        )
        self.complaints.tell_rest()
        self.complaints.tell_rest()
        self.assertEqual(self.log.lines("error")[3:], ["4 more messages were not published: SubjectError"])

    def test_what_code_raised(self) -> None:
        """With its traceback, for somebody must mend it."""
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            self.complaints.add(Failure())
        [failure] = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIn("test_what_code_raised", failure.getTraceback())
