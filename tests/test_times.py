"""natsroute.jetstream.times"""

from __future__ import annotations

from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.times import format_time, parse_time, to_nanoseconds, to_seconds


class DurationTests(SynchronousTestCase):
    """Seconds and nanoseconds."""

    def test_both_ways(self) -> None:
        for seconds, nanoseconds in ((0.0, 0), (0.1, 100_000_000), (30.0, 30_000_000_000), (1e-9, 1)):
            self.assertEqual((to_nanoseconds(seconds), to_seconds(nanoseconds)), (nanoseconds, seconds))


class MomentTests(SynchronousTestCase):
    """RFC 3339."""

    def test_nanoseconds(self) -> None:
        """No digit is lost."""
        self.assertEqual(parse_time("1970-01-01T00:00:01.411423122Z"), 1_411_423_122)
        self.assertEqual(parse_time("2026-11-26T21:21:49.4Z") % 1_000_000_000, 400_000_000)

    def test_time_zones(self) -> None:
        self.assertEqual(parse_time("1970-01-01T02:30:00+02:30"), 0)
        self.assertEqual(parse_time("1969-12-31T23:00:00-01:00"), 0)

    def test_go_zero(self) -> None:
        """The server writes this for "never"."""
        self.assertEqual(parse_time("0001-01-01T00:00:00Z"), -62_135_596_800 * 1_000_000_000)

    def test_malformed(self) -> None:
        for text in (
            "",
            "now",
            "2026-11-26",
            "2026-11-26T21:21:49",
            "2026-11-26T21:21Z",
            "2026-13-26T21:21:49Z",
            "2026-00-26T21:21:49Z",
            "2026-02-30T21:21:49Z",
            "2026-02-00T21:21:49Z",
            "0000-01-01T00:00:00Z",
            "2026-11-26T24:21:49Z",
            "2026-11-26T21:60:49Z",
            "2026-11-26T21:21:61Z",
            "2026-11-26T21:21:49.Z",
            "2026-11-26T21:21:49Zx",
        ):
            self.assertRaises(ValueError, parse_time, text)

    @given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)), st.integers(0, 999))
    def test_round_trip(self, moment: datetime, nanoseconds: int) -> None:
        """What is written is what datetime says, and is read again."""
        since = moment.replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
        whole = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000 + nanoseconds
        text = format_time(whole)
        self.assertEqual(text, f"{moment:%Y-%m-%dT%H:%M:%S.%f}{nanoseconds:03d}Z")
        self.assertEqual(parse_time(text), whole)
