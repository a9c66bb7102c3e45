"""natsroute.routes.key_value_event"""

from __future__ import annotations

from datetime import datetime, timezone

from twisted.trial.unittest import SynchronousTestCase

from natsroute.routes.key_value_event import KeyValueEvent
from natsroute.wire.frames import Address
from natsroute.wire.headers import encode_headers


class KeyValueEventTests(SynchronousTestCase):
    """What a route sees of a change."""

    def event(self, data: bytes = b"5", reply: bytes | None = None, **headers: str) -> KeyValueEvent:
        """A change of the key ``a.b``."""
        block = encode_headers(headers) if headers else b""
        return KeyValueEvent(Address("$KV.calls.a.b", 1), data, block, reply)

    def test_put(self) -> None:
        event = self.event(reply=b"$JS.ACK.KV_calls.x.1.7.2.1700000000250000000.3")
        self.assertEqual((event.bucket, event.key, event.operation, event.revision), ("calls", "a.b", "put", 7))
        self.assertEqual((event.json(), event.reply, event.pending, event.stream), (5, None, 3, "KV_calls"))
        self.assertEqual(event.timestamp, datetime(2023, 11, 14, 22, 13, 20, 250_000, timezone.utc))

    def test_marks(self) -> None:
        self.assertEqual(self.event(**{"KV-Operation": "DEL"}).operation, "delete")
        self.assertEqual(self.event(**{"KV-Operation": "PURGE"}).operation, "purge")
        self.assertEqual(self.event(**{"Nats-Marker-Reason": "MaxAge"}).operation, "purge")
        self.assertEqual(self.event(**{"X": "y"}).operation, "put")

    def test_no_revision(self) -> None:
        """In a test of a program, perhaps."""
        event = self.event()
        self.assertEqual((event.revision, event.delivery), (0, None))
