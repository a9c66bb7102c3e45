"""natsroute.daemon.operations.exporter_log"""

from __future__ import annotations

import logging

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.operations.exporter_log import PERIOD, ExporterLog
from tests.support.log_recorder import LogRecorder

EXPORTER = logging.getLogger("opentelemetry.exporter")


class ExporterLogTests(SynchronousTestCase):
    """Lines of OpenTelemetry."""

    def setUp(self) -> None:
        self.recorder = LogRecorder(self)
        self.clock = Clock()
        self.clock.advance(1000)
        self.log = ExporterLog(self.clock.seconds)
        self.log.install()
        self.addCleanup(self.log.remove)

    def lines(self) -> list[str]:
        """The lines so far."""
        return self.recorder.matching("OpenTelemetry:")

    def test_once_a_minute(self) -> None:
        """The values differ, the kind is the same. The others are counted."""
        for attempt in range(64):
            EXPORTER.error("cannot reach %s, attempt %d", "collector", attempt)
            self.clock.advance(PERIOD / 64)
        EXPORTER.error("cannot reach %s, attempt %d", "collector", 64)
        EXPORTER.warning("queue full")
        self.assertEqual(
            self.lines(),
            [
                "OpenTelemetry: cannot reach collector, attempt 0",
                "OpenTelemetry: cannot reach collector, attempt 64 (63 more since the last line)",
                "OpenTelemetry: queue full",
            ],
        )

    def test_details(self) -> None:
        """What is no warning is left out; what was received is escaped."""
        EXPORTER.info("exported")
        EXPORTER.warning("answer: %s", "\x1b[31m")
        self.assertEqual(self.lines(), ["OpenTelemetry: answer: \\x1b[31m"])

    def test_two_services(self) -> None:
        """One of them logs each line."""
        other = ExporterLog(self.clock.seconds)
        other.install()
        self.addCleanup(other.remove)
        EXPORTER.warning("queue full")
        self.assertEqual(len(self.lines()), 1)

    def test_removed(self) -> None:
        """After the stop, the lines are the program's."""
        self.log.remove()
        logging.getLogger("opentelemetry").addHandler(nothing := logging.NullHandler())
        self.addCleanup(logging.getLogger("opentelemetry").removeHandler, nothing)
        EXPORTER.warning("queue full")
        self.assertEqual(self.lines(), [])
