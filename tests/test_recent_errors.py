"""natsroute.monitoring.recent_errors"""

from __future__ import annotations

from threading import Thread

from twisted.logger import Logger as TwistedLogger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.log import Logger
from natsroute.monitoring.overview import MAX_ERRORS
from natsroute.monitoring.recent_errors import RecentErrors


class RecentErrorsTests(SynchronousTestCase):
    """What is kept of the log."""

    def setUp(self) -> None:
        self.errors = RecentErrors()
        self.errors.startService()
        self.addCleanup(lambda: self.errors.running and self.errors.stopService())
        self.log = Logger("natsroute.test")

    def texts(self) -> list[str]:
        """The texts of the rows."""
        return [row.text for row in self.errors.rows()]

    def test_levels(self) -> None:
        """Warnings and errors, the latest first."""
        for level in ("debug", "info", "warn", "error", "critical"):
            getattr(self.log, level)("a {which}", which=level)
        self.assertEqual(
            [(row.level, row.namespace, row.text) for row in self.errors.rows()],
            [(level, "natsroute.test", f"a {level}") for level in ("critical", "error", "warn")],
        )
        self.assertGreater(self.errors.rows()[0].time, 1e9)

    def test_counts(self) -> None:
        """All are counted by level, also those that are no longer kept."""
        self.assertEqual(self.errors.counts(), {"warn": 0, "error": 0, "critical": 0})
        for _ in range(MAX_ERRORS + 10):
            self.log.warn("x")
        self.log.error("x")
        self.log.info("x")
        self.assertEqual(self.errors.counts(), {"warn": MAX_ERRORS + 10, "error": 1, "critical": 0})

    def test_failures(self) -> None:
        """The exception is named, without its traceback."""
        self.log.failure("It failed", Failure(ValueError("one\ntwo\x1b")))
        self.assertEqual(self.texts(), ["It failed: ValueError: one\\ntwo\\x1b"])
        self.flushLoggedErrors(ValueError)

    def test_others(self) -> None:
        """Of other programs, only the errors that nobody handled."""
        TwistedLogger("other").error("x")
        TwistedLogger("natsroutes").error("x")
        TwistedLogger("twisted.internet.defer").failure("Unhandled error in Deferred", Failure(KeyError("a")))
        self.assertEqual(self.texts(), ["Unhandled error in Deferred: KeyError: 'a'"])
        self.flushLoggedErrors(KeyError)

    def test_bounded(self) -> None:
        """The number of rows is, and their length."""
        for number in range(MAX_ERRORS + 10):
            self.log.warn("{number} {text}", number=number, text="x" * 10_000)
        rows = self.errors.rows()
        self.assertEqual((len(rows), rows[-1].text[:4]), (MAX_ERRORS, "10 x"))
        self.assertLess(max(len(row.text) for row in rows), 600)

    def test_stopped(self) -> None:
        """What was seen stays."""
        self.log.warn("one")
        self.errors.stopService()
        self.log.warn("two")
        self.assertEqual(self.texts(), ["one"])

    def test_threads(self) -> None:
        """Rows are read while other threads log."""
        threads = [Thread(target=lambda: [self.log.warn("x") for _ in range(300)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.errors.rows()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.errors.rows()), MAX_ERRORS)
