"""No secret in any log: it has to be the last of the suite, and looks at what all tests before it have logged."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from tests.support import secret_watch


class LeakTests(SynchronousTestCase):
    """The log of the suite."""

    def test_no_secret_in_the_log(self) -> None:
        self.assertEqual(secret_watch.found, [])

    def test_a_leak_would_be_seen(self) -> None:
        """In a message, and in a traceback."""
        self.addCleanup(secret_watch.found.clear)
        text = secret_watch.secret()
        Logger().info("the password is {password}", password=text)
        try:
            raise ValueError(text)
        except ValueError:
            Logger().failure("it went wrong")
        self.flushLoggedErrors(ValueError)
        self.assertEqual(len(secret_watch.found), 2)
