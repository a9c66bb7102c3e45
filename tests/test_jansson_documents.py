"""natsroute.kamailio.jansson.documents"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.jansson.documents import MAX_DEPTH, NotJanssonError, dump, parse, short_real


class ParseTests(SynchronousTestCase):
    """What jansson reads."""

    def test_documents(self) -> None:
        """Objects and arrays."""
        text = b' {"a": [1, -0, 1.5, true, false, null, "\\u00e9\\ud83d\\ude00"]}\n'
        self.assertEqual(parse(text), {"a": [1, 0, 1.5, True, False, None, "é😀"]})
        self.assertEqual(parse(b"[]"), [])

    def test_refused(self) -> None:
        """Other values, what is behind them, names that are there twice, what is no number or no character."""
        for data in (
            b"5", b'"a"', b"null", b"", b"{", b"{} x", b'{"a":1,"a":2}', b"[NaN]", b"[Infinity]", b"[-Infinity]",
            b"[01]", b"[1e400]", b"[9223372036854775808]", b"[-9223372036854775809]", b'["\\u0000"]', b'["\\ud800"]',
            b'{"\\udc00": 1}', b'["\xff"]', b"['a']", b"[1,]", b'["\n"]', b"\xef\xbb\xbf[]", b"[1]\0",
            b'[{"\\u0000": 1}]',
        ):  # fmt: skip
            with self.assertRaises(NotJanssonError, msg=repr(data)):
                parse(data)

    def test_limits(self) -> None:
        """The largest integers; the deepest arrays."""
        self.assertEqual(parse(b"[9223372036854775807, -9223372036854775808]"), [2**63 - 1, -(2**63)])
        self.assertIsInstance(parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH), list)
        for depth in (MAX_DEPTH + 1, 100_000):
            self.assertRaises(NotJanssonError, parse, b"[" * depth + b"]" * depth)
        self.assertEqual(len(parse(b"[" + b"{}," * 1000 + b"{}]")), 1001)


class DumpTests(SynchronousTestCase):
    """What jansson writes."""

    def test_compact(self) -> None:
        """Without spaces; characters stay as they are, but for those that JSON forbids."""
        value = {"a": [1, True, False, None, {}, []], "é": 'q"\\/\b\f\n\r\t\x01\x1f\x7f'}
        expected = '{"a":[1,true,false,null,{},[]],"é":"q\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001F\x7f"}'
        self.assertEqual(dump(value), expected)
        self.assertEqual(parse(expected.encode()), value)

    def test_spaced(self) -> None:
        """With what the caller wants between the parts."""
        self.assertEqual(dump({"a": [1, 2], "b": 3}, ", ", ": "), '{"a": [1, 2], "b": 3}')

    def test_reals(self) -> None:
        """With 17 digits, and always as a real number."""
        for number, expected in (
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (0.1, "0.10000000000000001"),
            (1e22, "1e22"),
            (1.5e-7, "1.4999999999999999e-7"),
            (1e100, "1e100"),
            (-0.0, "-0.0"),
        ):
            self.assertEqual(dump(number), expected)
        self.assertEqual([short_real(number) for number in (0.1, 1.0, 1e22)], ["0.1", "1", "1e+22"])

    def test_deep(self) -> None:
        """As deep as parse() reads."""
        text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
        self.assertEqual(dump(parse(text.encode())), text)
