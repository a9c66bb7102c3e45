"""natsroute.jetstream.key_value.entry"""

from __future__ import annotations

from datetime import datetime, timezone

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import DecodeError
from natsroute.jetstream.key_value.entry import (
    Entry,
    stored_entry,
    ttl_of,
    watched_entry,
)
from natsroute.jetstream.management.stored_messages import StoredMessage
from natsroute.message import Message
from natsroute.wire.frames import Address
from natsroute.wire.headers import Headers, encode_headers

_ACK = b"$JS.ACK.KV_b.x.1.7.2.1700000000250000000.3"
_MOMENT = datetime(2023, 11, 14, 22, 13, 20, 250_000, timezone.utc)
_EXPECTED = Entry("b", "a.c", b"v", 7, _MOMENT)


def message(data: bytes = b"v", headers: dict[str, str] | None = None, reply: bytes | None = None) -> Message:
    """A message to the key ``a.c`` of the bucket ``b``."""
    return Message(Address("$KV.b.a.c", 1), data, encode_headers(headers) if headers else b"", reply)


class EntryTests(SynchronousTestCase):
    """What entries are made from."""

    def test_watched(self) -> None:
        """The subject of its acknowledgement has the revision, the time and how many follow."""
        found = watched_entry("b", message(reply=_ACK))
        self.assertEqual((found, found.delta), (attrs.evolve(_EXPECTED, delta=3), 3))
        for reply in (None, b"_INBOX.x"):
            with self.assertRaisesRegex(DecodeError, "does not come from a consumer"):
                watched_entry("b", message(reply=reply))

    def test_stored(self) -> None:
        message = StoredMessage(
            stream="KV_b",
            subject="$KV.b.a.c",
            sequence=7,
            timestamp=1700000000250000000,
            data=b"v",
            headers=Headers({"KV-Operation": ["DEL"]}),
        )
        self.assertEqual(stored_entry("b", message), attrs.evolve(_EXPECTED, operation="delete"))

    def test_values(self) -> None:
        entry = Entry("b", "a", b'{"x": 1}', 1, _MOMENT)
        self.assertEqual((entry.json(), entry.text(), entry.is_deleted), ({"x": 1}, '{"x": 1}', False))
        with self.assertRaisesRegex(DecodeError, "payload on a is not UTF-8"):
            Entry("b", "a", b"\xff", 1, _MOMENT).text()

    def test_ttl(self) -> None:
        for value, expected in (("5", 5.0), ("1500ms", 1.5), ("1h1m1s", 3661.0), ("never", None)):
            self.assertEqual(ttl_of(Headers({"Nats-TTL": [value]})), expected)
        self.assertIsNone(Entry("b", "a", b"", 1, _MOMENT).ttl)
