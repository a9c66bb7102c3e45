"""natsroute.kamailio.transformations.encodings"""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.transformations import encodings
from natsroute.kamailio.transformations.encodings import (
    decode_7bit,
    decode_base58,
    decode_base64,
    decode_base64t,
    decode_base64url,
    decode_base64urlt,
    decode_hexa,
    encode_7bit,
    encode_base58,
    encode_base64,
    encode_base64t,
    encode_base64url,
    encode_base64urlt,
    encode_hexa,
)

quick = settings(deadline=None, max_examples=200)


class RoundTripTests(SynchronousTestCase):
    """What is encoded can be decoded."""

    @quick
    @given(st.binary(max_size=40))
    def test_all(self, data: bytes) -> None:
        """But for the seven-bit alphabet, any bytes."""
        for encode, decode in (
            (encode_hexa, decode_hexa),
            (encode_base64, decode_base64),
            (encode_base64t, decode_base64t),
            (encode_base58, decode_base58),
        ):
            encoded = encode(data)
            assert isinstance(encoded, bytes)
            self.assertEqual(decode(encoded), data, encode.__name__)

    @quick
    @given(st.binary(min_size=1, max_size=40))
    def test_url(self, data: bytes) -> None:
        """Any bytes, but at least one."""
        for encode, decode in ((encode_base64url, decode_base64url), (encode_base64urlt, decode_base64urlt)):
            encoded = encode(data)
            assert isinstance(encoded, bytes)
            self.assertEqual(decode(encoded), data, encode.__name__)

    @quick
    @given(st.binary(max_size=40))
    def test_seven_bits(self, data: bytes) -> None:
        """Seven bits of each byte; behind eight septets a further one may come."""
        data = bytes(byte & 0x7F for byte in data)
        encoded = encode_7bit(data)
        assert isinstance(encoded, bytes)
        decoded = decode_7bit(encoded)
        assert isinstance(decoded, bytes)
        self.assertEqual(decoded[: len(data)], data)
        self.assertLessEqual(len(decoded) - len(data), 1)

    def test_long(self) -> None:
        """Base58 of a long value, whose halves are converted apart."""
        data = bytes(range(256)) * 40
        encoded = encode_base58(data)
        assert isinstance(encoded, bytes)
        self.assertEqual(decode_base58(encoded), data)

    def test_too_long(self) -> None:
        """What is done byte by byte is refused for values that would take long."""
        for function in (encode_base58, decode_base58, encode_7bit, decode_7bit):
            self.assertRaises(EvaluationError, function, b"a" * 65_536)
        self.assertRaises(EvaluationError, decode_base64, b"!" * 65_536)
        self.assertEqual(decode_base64(b"AAAA" * 20_000), b"\0" * 60_000)


class ExampleTests(SynchronousTestCase):
    """Values that Kamailio gives."""

    def test_encoded(self) -> None:
        """Of one text, in all encodings."""
        for encode, expected in (
            (encode_hexa, b"48656c6c6f20576f726c64"),
            (encode_base64, b"SGVsbG8gV29ybGQ="),
            (encode_base64t, b"SGVsbG8gV29ybGQ"),
            (encode_base64url, b"SGVsbG8gV29ybGQ="),
            (encode_base64urlt, b"SGVsbG8gV29ybGQ"),
            (encode_base58, b"JxF12TrwUP45BMd"),
            (encode_7bit, b"C8329BFD065DDF723619"),
        ):
            self.assertEqual(encode(b"Hello World"), expected, encode.__name__)

    def test_zeros(self) -> None:
        """Base58 keeps NUL bytes at the beginning."""
        self.assertEqual([encode_base58(data) for data in (b"", b"\0\0", b"\0\0a")], [b"", b"11", b"112g"])
        self.assertEqual([decode_base58(data) for data in (b"", b"11", b"112g")], [b"", b"\0\0", b"\0\0a"])

    def test_hexadecimal(self) -> None:
        """An odd digit is ignored, other characters are not."""
        self.assertEqual([decode_hexa(data) for data in (b"486", b"48656C", b"a", b"")], [b"H", b"Hel", b"", b""])
        for data in (b"4x", b"zz", b"4 5 "):
            self.assertRaises(EvaluationError, decode_hexa, data)

    def test_base64(self) -> None:
        """Unknown characters spoil the result; a wrong length is refused."""
        for data, expected in (
            (b"SGVs!G8=", b"Hel\xfco"),
            (b"====", b"\xff"),
            (b"A===", b"\x0f"),
            (b"_-8=", b"\xff\xff"),
            (b"!!!!", b"\xff\xff\xff"),
            (b"a=b=", b"o\xf6"),
            (b"AAA=", b"\0\0"),
        ):
            self.assertEqual(decode_base64(data), expected, data)
        for data in (b"a", b"ab", b"abc", b"abcde", b"ab=c"):
            self.assertRaises(EvaluationError, decode_base64, data)
        self.assertEqual([decode_base64t(data) for data in (b"a", b"ab", b"abc")], [b"o", b"i", b"i\xb7"])

    def test_base64_way(self) -> None:
        """Clean input is decoded by the standard library."""
        decoded: list[bytes] = []
        b64decode = base64.b64decode

        def counting(data: bytes) -> bytes:
            decoded.append(data)
            return b64decode(data)

        self.patch(encodings.base64, "b64decode", counting)
        decode_base64(b"SGVsbG8gV29ybGQ=")
        decode_base64(b"SGVs!G8=")
        self.assertEqual(decoded, [b"SGVsbG8gV29ybGQ="])

    def test_base64url(self) -> None:
        """Unknown characters are refused."""
        self.assertEqual(
            [decode_base64url(data) for data in (b"_-8=", b"_-8", b"ab")], [b"\xff\xef", b"\xff\xef", b"i"]
        )
        for data in (b"", b"a", b"SGVs!G8=", b"====", b"A===", b"+/+/"):
            self.assertRaises(EvaluationError, decode_base64url, data)
        self.assertRaises(EvaluationError, decode_base64urlt, b"a")

    def test_base58(self) -> None:
        """Characters that are not in its alphabet are refused."""
        for data in (b"0", b"O", b"I", b"l", b"a b", b"\xff"):
            self.assertRaises(EvaluationError, decode_base58, data)

    def test_seven_bits(self) -> None:
        """What is not hexadecimal gives something too."""
        for data, expected in (
            (b"C8329BFD06", b"Hello"),
            (b"SGVsbG9v", b"PyC}"),
            (b"zz", b"3"),
            (b"48656C", b"HJ1"),
        ):
            self.assertEqual(decode_7bit(data), expected, data)
