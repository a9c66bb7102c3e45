"""natsroute.jetstream.publishing.retry_log"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.errors import NoStreamError
from natsroute.jetstream.publishing.retry_log import LOG_INTERVAL, RetryLog
from tests.support.log_recorder import LogRecorder


class RetryLogTests(SynchronousTestCase):
    def test_once_a_minute(self) -> None:
        """The first one at once, then the number of the others."""
        clock, logged = Clock(), LogRecorder(self)
        log = RetryLog(clock)
        for _ in range(3):
            log.add("calls.\x1b[31m", NoStreamError("calls"))
        (line,) = logged.matching("is sent again")
        self.assertTrue(line.isprintable())
        self.assertIn("no stream takes messages", line)
        clock.advance(LOG_INTERVAL)
        log.add("calls.b", NoStreamError("calls.b"))
        self.assertIn("(2 more since the last line)", logged.matching("is sent again")[1])
