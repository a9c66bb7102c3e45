"""natsroute.wire.publish_options"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import MisuseError
from natsroute.wire.publish_options import STREAM_OPTIONS, is_scheduled, stream_headers, stream_options

#: 2026-11-26 21:19:14 UTC.
NOW = 1795727954.0


def headers(options: dict[str, Any], given: dict[str, str] | None = None) -> Any:
    """The headers of a message to ``calls.a``."""
    return stream_headers("calls.a", given, options, lambda: NOW)  # type: ignore[arg-type]


class StreamHeadersTests(SynchronousTestCase):
    """The headers that nats-server reads."""

    def test_none(self) -> None:
        self.assertIs(headers({}), None)
        self.assertEqual(headers({"ttl": None, "stream": True, "policy": "fail"}, {"A": "b"}), {"A": "b"})

    def test_expectations(self) -> None:
        made = headers(
            {
                "msg_id": "id",
                "expected_stream": "CALLS",
                "expected_last_sequence": 0,
                "expected_last_subject_sequence": 7,
                "expected_last_msg_id": "last",
            },
            {"A": "b", "Nats-Msg-Id": "given"},
        )
        self.assertEqual(
            made,
            {
                "A": "b",
                "Nats-Msg-Id": "id",
                "Nats-Expected-Stream": "CALLS",
                "Nats-Expected-Last-Sequence": "0",
                "Nats-Expected-Last-Subject-Sequence": "7",
                "Nats-Expected-Last-Msg-Id": "last",
            },
        )

    def test_ttl(self) -> None:
        for ttl, expected in ((1, "1000ms"), (90.0, "90000ms"), (1.5, "1500ms"), ("never", "never")):
            self.assertEqual(headers({"ttl": ttl}), {"Nats-TTL": expected})

    def test_after(self) -> None:
        """A time of the server's; fractions of a second count."""
        self.assertEqual(
            headers({"after": 2.25}),
            {"Nats-Schedule": "@at 2026-11-26T21:19:16.250000Z", "Nats-Schedule-Target": "calls.a"},
        )

    def test_at(self) -> None:
        zone = timezone(timedelta(hours=2))
        for at in (NOW + 1, datetime(2026, 11, 26, 23, 19, 15, tzinfo=zone)):
            self.assertEqual(headers({"at": at})["Nats-Schedule"], "@at 2026-11-26T21:19:15.000000Z")

    def test_ttl_of_a_scheduled_message(self) -> None:
        """It is that of the message that appears."""
        made = headers({"after": 1, "ttl": 60})
        self.assertEqual(made["Nats-Schedule-TTL"], "60000ms")
        self.assertNotIn("Nats-TTL", made)

    def test_invalid(self) -> None:
        """The error names the option."""
        for name, value in (
            ("msg_id", 5),
            ("expected_stream", b"CALLS"),
            ("expected_last_msg_id", 1),
            ("expected_last_sequence", -1),
            ("expected_last_sequence", "7"),
            ("expected_last_subject_sequence", True),
            ("expected_last_subject_sequence", 1.0),
            ("ttl", 0.5),
            ("ttl", "soon"),
            ("ttl", True),
            ("ttl", float("nan")),
            ("ttl", 1e300),
            ("after", -1),
            ("after", "1"),
            ("after", float("inf")),
            ("at", "tomorrow"),
            ("at", -5.0),
            ("at", datetime(2026, 11, 26)),  # that is the fault
            ("schedule", "schedules.1"),
        ):
            error = self.assertRaises(MisuseError, headers, {name: value})
            self.assertTrue(str(error).startswith(f"{name}: "), error)
        self.assertRaises(MisuseError, headers, {"after": 1, "at": NOW})


class OptionsTests(SynchronousTestCase):
    """The names."""

    def test_names(self) -> None:
        """Those that only streams have, if they are in use."""
        self.assertEqual(stream_options({"policy": "fail", "msg_id": "1", "stream": True, "ttl": None}), [])
        self.assertEqual(stream_options({"ttl": 5, "after": 0}), ["ttl", "after"])
        self.assertIn("expected_stream", STREAM_OPTIONS)

    def test_unknown(self) -> None:
        """As Python says it."""
        error = self.assertRaises(TypeError, stream_options, {"tll": 5})
        self.assertEqual(str(error), "publish() got an unexpected keyword argument 'tll'")

    def test_scheduled(self) -> None:
        self.assertTrue(is_scheduled({"after": 0}))
        self.assertTrue(is_scheduled({"at": NOW}))
        self.assertFalse(is_scheduled({"after": None}))
