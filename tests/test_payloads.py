"""natsroute.payloads"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import payloads
from natsroute.errors import DecodeError, PayloadError


class PayloadTests(SynchronousTestCase):
    """Payloads are the same with and without orjson."""

    def with_and_without_orjson(self) -> list[bool]:
        """With orjson, if it is installed, and with the standard library."""
        return [True, False] if payloads._HAS_ORJSON else [False]

    def test_bytes_text_and_json(self) -> None:
        for with_orjson in self.with_and_without_orjson():
            self.patch(payloads, "_HAS_ORJSON", with_orjson)
            for payload, expected in [
                (b"a\0", b"a\0"),
                (bytearray(b"a"), b"a"),
                (memoryview(b"a"), b"a"),
                ("grüße", "grüße".encode()),
                ({"a": [1, None, True]}, b'{"a":[1,null,true]}'),
                ({1: "ü"}, '{"1":"ü"}'.encode()),
                (None, b"null"),
                (3, b"3"),
            ]:
                self.assertEqual(payloads.to_bytes(payload), expected)

    def test_payloads_that_cannot_be_serialised(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        for with_orjson in self.with_and_without_orjson():
            self.patch(payloads, "_HAS_ORJSON", with_orjson)
            for payload in (object(), {"a": {1, 2}}, "\ud800", loop):
                self.assertRaises(PayloadError, payloads.to_bytes, payload)

    def test_json_is_parsed(self) -> None:
        for with_orjson in self.with_and_without_orjson():
            self.patch(payloads, "_HAS_ORJSON", with_orjson)
            self.assertEqual(payloads.to_json(json.dumps({"a": 1}).encode(), "s"), {"a": 1})
            for data in (b"", b"{", b"\xff"):
                self.assertRaises(DecodeError, payloads.to_json, data, "s")
