"""tests.support.secret_watch; tests.integration.test_secret_watch shows it in processes of trial."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase

from tests.support import secret_watch
from tests.support.secret_watch import PASSWORD, SecretInLogError


class SecretWatchTests(SynchronousTestCase):
    """A secret in the log is an error of the test that is running."""

    def found(self) -> list[str]:
        """The lines in which the watch has found a secret."""
        return [str(failure.value) for failure in self.flushLoggedErrors(SecretInLogError)]

    def test_message(self) -> None:
        """The error has the line, without the secret."""
        Logger().info("the password is {password}", password=PASSWORD)
        [line] = self.found()
        self.assertIn("the password is [a secret]", line)

    def test_traceback(self) -> None:
        text = secret_watch.secret()
        try:
            raise ValueError(text)
        except ValueError:
            Logger().failure("it went wrong")
        self.flushLoggedErrors(ValueError)
        [line] = self.found()
        self.assertIn("ValueError: [a secret]", line)

    def test_nothing(self) -> None:
        """What is no secret may be logged, and so may a secret before it is one."""
        text = "not a secret yet"
        Logger().info("{text}", text=text)
        secret_watch.secret(text)
        self.addCleanup(secret_watch._secrets.remove, text)
        Logger().info("something else")
        self.assertEqual(self.found(), [])

    def test_once(self) -> None:
        """To install it twice is to install it once."""
        secret_watch.install()
        Logger().info(secret_watch.secret())
        self.assertEqual(len(self.found()), 1)

    def test_error_of_the_test(self) -> None:
        """trial reports it as an error of that test, which otherwise would pass."""

        class Leaking(SynchronousTestCase):
            def test_leak(self) -> None:
                Logger().info(PASSWORD)

            def test_fine(self) -> None:
                Logger().info("fine")

        for name, errors in (("test_leak", [SecretInLogError]), ("test_fine", [])):
            result = TestResult()
            Leaking(name).run(result)
            reported = [error.type for _, error in result.errors if isinstance(error, Failure)]
            self.assertEqual((reported, result.wasSuccessful()), (errors, not errors))
