"""natsroute.services.endpoints"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.services.endpoints import EndpointInfo, EndpointStats


class EndpointTests(SynchronousTestCase):
    """Their JSON has the fields of ADR-32, and no others."""

    info = EndpointInfo("add", "calc.add", "q", {"schema": "s"})

    def test_info(self) -> None:
        self.assertEqual(
            self.info.as_json(),
            {"name": "add", "subject": "calc.add", "queue_group": "q", "metadata": {"schema": "s"}},
        )

    def test_stats(self) -> None:
        """Times are whole nanoseconds; the average is rounded down."""
        stats = EndpointStats(self.info, 3, 1, "it broke", 0.000_000_010, {"retried": 2})
        self.assertEqual(
            stats.as_json(),
            {
                "name": "add",
                "subject": "calc.add",
                "queue_group": "q",
                "num_requests": 3,
                "num_errors": 1,
                "last_error": "it broke",
                "processing_time": 10,
                "average_processing_time": 3,
                "data": {"retried": 2},
            },
        )

    def test_without_requests(self) -> None:
        stats = EndpointStats(EndpointInfo("add", "calc.add")).as_json()
        self.assertEqual((stats["num_requests"], stats["average_processing_time"], stats["last_error"]), (0, 0, ""))
