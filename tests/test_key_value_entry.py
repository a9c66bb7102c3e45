"""natsroute.jetstream.key_value_entry"""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import DecodeError
from natsroute.jetstream.errors import JetStreamError
from natsroute.jetstream.key_value_entry import (
    Entry,
    direct_entry,
    operation_of,
    parse_time,
    stored_entry,
    ttl_of,
    watched_entry,
)
from natsroute.message import Message
from natsroute.wire.frames import Address
from natsroute.wire.headers import Headers, encode_headers

_ACK = b"$JS.ACK.KV_b.x.1.7.2.1700000000250000000.3"
_DIRECT = {"Nats-Subject": "$KV.b.a.c", "Nats-Sequence": "7", "Nats-Time-Stamp": "2023-11-14T22:13:20.25Z"}


def message(data: bytes = b"v", headers: dict[str, str] | None = None, reply: bytes | None = None) -> Message:
    """A message to the key ``a.c`` of the bucket ``b``."""
    return Message(Address("$KV.b.a.c", 1), data, encode_headers(headers) if headers else b"", reply)


class EntryTests(SynchronousTestCase):
    """What entries are made from."""

    expected = Entry("b", "a.c", b"v", 7, 1700000000.25)

    def test_watched(self) -> None:
        """The subject of its acknowledgement has the revision, the time and how many follow."""
        found = watched_entry("b", message(reply=_ACK))
        self.assertEqual((found, found.delta), (Entry("b", "a.c", b"v", 7, 1700000000.25, delta=3), 3))
        for reply in (None, b"_INBOX.x"):
            with self.assertRaisesRegex(DecodeError, "does not come from a consumer"):
                watched_entry("b", message(reply=reply))

    def test_direct(self) -> None:
        self.assertEqual(direct_entry("b", message(headers=_DIRECT)), self.expected)
        for name, value in (("Nats-Sequence", "x"), ("Nats-Time-Stamp", "yesterday")):
            with self.assertRaisesRegex(JetStreamError, "no message"):
                direct_entry("b", message(headers={**_DIRECT, name: value}))
        with self.assertRaisesRegex(JetStreamError, "Nats-Sequence"):
            direct_entry("b", message())

    def test_stored(self) -> None:
        answer = {"subject": "$KV.b.a.c", "seq": 7, "data": "dg==", "time": "2023-11-14T23:13:20.25+01:00"}
        self.assertEqual(stored_entry("b", answer), self.expected)
        block = base64.b64encode(encode_headers({"KV-Operation": "DEL"})).decode()
        self.assertEqual(stored_entry("b", {**answer, "data": None, "hdrs": block}).operation, "delete")
        for bad in ({}, {**answer, "seq": None}, {**answer, "data": "!"}, {**answer, "hdrs": "dg=="}):
            with self.assertRaisesRegex(JetStreamError, "no message"):
                stored_entry("b", bad)

    def test_values(self) -> None:
        entry = Entry("b", "a", b'{"x": 1}', 1, 0.0)
        self.assertEqual((entry.json(), entry.text(), entry.is_deleted), ({"x": 1}, '{"x": 1}', False))
        with self.assertRaisesRegex(DecodeError, "payload on a is not UTF-8"):
            Entry("b", "a", b"\xff", 1, 0.0).text()

    def test_operations(self) -> None:
        """A mark of the server has another header than that of a client."""
        for headers, expected in (
            ({}, "put"),
            ({"KV-Operation": "DEL"}, "delete"),
            ({"KV-Operation": "PURGE"}, "purge"),
            ({"Nats-Marker-Reason": "MaxAge"}, "purge"),
            ({"Nats-Marker-Reason": "Remove"}, "delete"),
            ({"Nats-Marker-Reason": "Something"}, "purge"),
        ):
            self.assertEqual(operation_of(Headers({name: [value] for name, value in headers.items()})), expected)

    def test_ttl(self) -> None:
        for value, expected in (("5", 5.0), ("1500ms", 1.5), ("1h1m1s", 3661.0), ("never", None)):
            self.assertEqual(ttl_of(Headers({"Nats-TTL": [value]})), expected)
        self.assertIsNone(Entry("b", "a", b"", 1, 0.0).ttl)

    def test_times(self) -> None:
        self.assertEqual(parse_time("1970-01-01T00:00:01Z"), 1.0)
        self.assertAlmostEqual(parse_time("2026-11-26T21:18:15.123456789Z"), 1795727895.123456789, 6)
        for text in ("", "2026-11-26", "2026-11-26T21:18:15"):
            self.assertRaises(ValueError, parse_time, text)
