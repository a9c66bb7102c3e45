"""natsroute.jetstream.consuming.pull_limits"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.consuming.pull_limits import PullLimits, remedy_for_bad_request
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.consuming.pull_status import PullStatus, StatusKind
from natsroute.jetstream.management.consumers import ConsumerInfo
from tests.support import pull_case
from tests.support.log_recorder import LogRecorder


def info(**config: Any) -> ConsumerInfo:
    """A consumer."""
    return ConsumerInfo.from_json(pull_case.info(**config))


class PullLimitsTests(SynchronousTestCase):
    """A batch of 100, 1,000 bytes and 30 s, and less if the consumer wants it."""

    def setUp(self) -> None:
        self.limits = PullLimits(PullOptions(batch=100, max_bytes=1000, expires=30.0), "S:D")
        self.lines = LogRecorder(self)

    def asked(self) -> tuple[int, int, float]:
        """What the next pull asks for."""
        options = self.limits.options
        return options.batch, options.max_bytes, options.expires

    def test_no_limits(self) -> None:
        self.limits.adapt(info(max_ack_pending=1000))
        self.assertEqual(self.asked(), (100, 1000, 30.0))
        self.assertEqual(self.lines.lines(), [])

    def test_adapt(self) -> None:
        """Each limit is in the log once, and what the consumer allows later is asked for again."""
        small = info(max_batch=10, max_expires=2_000_000_000, max_bytes=500)
        self.limits.adapt(small)
        self.limits.adapt(small)
        self.assertEqual(self.asked(), (10, 500, 2.0))
        self.assertEqual(len(self.lines.lines()), 3)
        self.limits.adapt(info())
        self.assertEqual(self.asked(), (100, 1000, 30.0))

    def test_max_ack_pending(self) -> None:
        """More could not be delivered anyway, and other clients may wait for it."""
        self.limits.adapt(info(max_ack_pending=20))
        self.assertEqual(self.asked()[0], 20)

    def test_reduce(self) -> None:
        for kind, limit, expected in (
            (StatusKind.MAX_BATCH, 10, (10, 1000, 30.0)),
            (StatusKind.MAX_EXPIRES, 2.0, (10, 1000, 2.0)),
            (StatusKind.MAX_BYTES, 500, (10, 500, 2.0)),
        ):
            self.assertTrue(self.limits.reduce(PullStatus(kind, "409", limit=limit)))
            self.assertEqual(self.asked(), expected)
            self.assertFalse(self.limits.reduce(PullStatus(kind, "409", limit=limit)))
            self.assertFalse(self.limits.reduce(PullStatus(kind, "409")))
            self.assertFalse(self.limits.reduce(PullStatus(kind, "409", limit=0)))
        self.assertEqual(self.asked(), (10, 500, 2.0))

    def test_grow(self) -> None:
        """A message did not fit: the next pulls may bring it, also when the consumer was looked up again."""
        self.assertTrue(self.limits.grow(1000, info()))
        self.assertEqual(self.limits.options.max_bytes, 2000)
        self.limits.adapt(info())
        self.assertEqual(self.limits.options.max_bytes, 2000)

    def test_cannot_grow(self) -> None:
        self.assertFalse(self.limits.grow(1000, info(max_bytes=1000)))
        refused = 1000
        while self.limits.grow(refused, None):
            refused = self.limits.options.max_bytes
        self.assertLess(refused, 128 * 1024 * 1024)

    def test_warn(self) -> None:
        """Once for each text, with what to do."""
        for _ in range(2):
            self.limits.warn(PullStatus(StatusKind.MAX_WAITING, "409 Exceeded MaxWaiting"))
            self.limits.warn(PullStatus(StatusKind.OTHER, "409 New"))
        waiting, other = self.lines.lines()
        self.assertIn("S:D: it refuses a pull: 409 Exceeded MaxWaiting; raise max_waiting", waiting)
        self.assertIn("409 New", other)


class RemedyTests(SynchronousTestCase):
    """What to do about a bad request."""

    def test_remedies(self) -> None:
        options = PullOptions(group="jobs")
        overflow = info(priority_policy="overflow", priority_groups=["a", "b"])
        self.assertIn("no priority policy", remedy_for_bad_request(options, info()))
        self.assertIn("a, b", remedy_for_bad_request(options, overflow))
        self.assertIn("'overflow'", remedy_for_bad_request(PullOptions(group="a", priority=3), overflow))
        self.assertIn("options", remedy_for_bad_request(options, None))
