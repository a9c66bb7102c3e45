"""natsroute.kamailio.json.documents"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.json import documents as json_documents
from natsroute.kamailio.json import lenient as json_lenient
from natsroute.kamailio.json.documents import as_string, parse
from natsroute.kamailio.json.lenient import MAX_DEPTH, NotJsonError


def nested(depth: int) -> bytes:
    """An array in an array, so often."""
    return b"[" * depth + b"]" * depth


class TextTests(SynchronousTestCase):
    """Values as json-c prints them."""

    def check(self, data: bytes, expected: bytes) -> None:
        self.assertEqual(as_string(parse(data)), expected)

    def test_scalars(self) -> None:
        """Strings lose their quotes, constants are as they are written."""
        for data, expected in (
            (b'"a b"', b"a b"),
            (b'""', b""),
            (b"true", b"true"),
            (b"false", b"false"),
            (b"null", b"null"),
            (b"NaN", b"NaN"),
            (b"-Infinity", b"-Infinity"),
        ):
            self.check(data, expected)

    def test_numbers_as_written(self) -> None:
        """What has a fraction or an exponent keeps its digits."""
        for number in (b"1.50", b"1e3", b"1E400", b"-0.0", b"1.0e+5", b"100000000000000000000.25"):
            self.check(number, number)

    def test_integers(self) -> None:
        """They have 64 bits, without a sign one more; those beyond are the nearest."""
        for data, expected in (
            (b"12345678901234567890", b"12345678901234567890"),
            (b"123456789012345678901234567890", b"18446744073709551615"),
            (b"-99999999999999999999", b"-9223372036854775808"),
            (b"-0", b"0"),
            (b"9" * 5000, b"18446744073709551615"),
        ):
            self.check(b"[" + data + b"]", b"[ " + expected + b" ]")

    def test_spacing(self) -> None:
        """Blanks as json-c sets them."""
        self.check(b'{"a":[1,{"b":null}],"c":{},"d":[]}', b'{ "a": [ 1, { "b": null } ], "c": { }, "d": [ ] }')

    def test_escapes(self) -> None:
        """A slash is escaped, control characters are, other characters are not."""
        self.check(
            rb'["/\"\\\b\f\n\r\t\u0001\u001f\u007f\u00e9\ud83d\ude00"]',
            rb'[ "\/\"\\\b\f\n\r\t\u0001\u001f' + "\x7fé😀".encode() + b'" ]',
        )

    def test_lone_surrogates(self) -> None:
        """Each is a replacement character, in names too."""
        self.check(rb'{"a\ud83d":"\ude00x"}', '{ "a\ufffd": "\ufffdx" }'.encode())
        self.check(rb'"\ud83d"', "\ufffd".encode())

    def test_not_utf8(self) -> None:
        """Bytes stay as they are, in names too."""
        self.check(b'{"\xff":"\xfe"}', b'{ "\xff": "\xfe" }')
        self.check(b'"\xff\x80"', b"\xff\x80")

    def test_nul(self) -> None:
        """A string goes on behind a NUL byte."""
        self.check(rb'"a\u0000b"', b"a\0b")

    def test_repeated_name(self) -> None:
        """The last value counts, where the first stood."""
        self.check(b'{"a":1,"b":2,"a":3}', b'{ "a": 3, "b": 2 }')


class ParseTests(SynchronousTestCase):
    """Finding the document."""

    def test_around(self) -> None:
        """Blanks before it and anything behind it are ignored."""
        for data in (b' \t\r\n{"a":1}', b'{"a":1} more', b'{"a":1}}'):
            self.assertEqual(parse(data), {"a": 1})

    def test_nothing(self) -> None:
        """What is no document."""
        for data in (b"", b" ", b"{", b'{"a"', b"[1,", b"x", b'"a', b"\xff", b"\xef\xbb\xbf{}"):
            self.assertRaises(NotJsonError, parse, data)

    def test_depth(self) -> None:
        """So deep as json-c goes, however many brackets are beside each other or in strings."""
        self.assertEqual(as_string(parse(nested(MAX_DEPTH))), (b"[ " * MAX_DEPTH + b"] " * MAX_DEPTH).strip())
        self.assertRaises(NotJsonError, parse, nested(MAX_DEPTH + 1))
        self.assertRaises(NotJsonError, parse, b'{"a":' + nested(MAX_DEPTH) + b"}")
        self.assertRaises(NotJsonError, parse, nested(200_000))
        many = b"[" + b",".join([b'{"a":[]}'] * 100) + b"]"
        self.assertEqual(len(parse(many)), 100)
        self.assertEqual(parse(b'["' + b"[" * 100 + b'"]'), ["[" * 100])
        for depth, around in ((MAX_DEPTH - 1, b'{"a":%s,"b":["%s"]}'), (MAX_DEPTH, b'{"a":%s,"b":["%s"]}')):
            data = around % (nested(depth), b"[" * 10)
            if depth < MAX_DEPTH:
                self.assertEqual(len(parse(data)), 2)
            else:
                self.assertRaises(NotJsonError, parse, data)

    def test_large(self) -> None:
        """Large JSON is read, whatever is in its strings; what is not quite JSON only if it is not large."""
        text = "[{" * json_documents.MAX_LENIENT
        self.assertEqual(parse(b'{"a":"%s"}' % text.encode()), {"a": text})
        for size, expected in ((json_documents.MAX_LENIENT, {"a": 1}), (json_documents.MAX_LENIENT + 1, None)):
            data = b"{'a':1}".ljust(size)
            if expected is None:
                self.assertRaises(NotJsonError, parse, data)
            else:
                self.assertEqual(parse(data), expected)

    def test_way(self) -> None:
        """What the standard library can read does not come to the slow parser, however many brackets it has."""
        self.patch(json_lenient, "parse", self.fail)
        parse(b"[" + b",".join([b'{"a":[{"b":1.5}]}'] * 100) + b"]")
