"""natsroute.kamailio.json.lenient"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.json.lenient import Literal, NotJsonError, RawText, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=2), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


class ParseTests(SynchronousTestCase):
    """What json-c accepts."""

    @settings(deadline=None, max_examples=200)
    @given(JSON, st.booleans())
    def test_as_the_standard_library(self, value: object, ascii_only: bool) -> None:
        """JSON that is correct is read as the standard library reads it."""
        self.assertEqual(parse(json.dumps(value, ensure_ascii=ascii_only).encode()), value)

    def test_lenient(self) -> None:
        """What others refuse."""
        for data, expected in (
            (b"{'a':'b\"c'}", {"a": 'b"c'}),
            (b'{"a":"b\'c"}', {"a": "b'c"}),
            (b'{"a":1,}', {"a": 1}),
            (b"[1,]", [1]),
            (b'/* x */{"a":/*y*/1//z\n}', {"a": 1}),
            (b'{"a":1}//z', {"a": 1}),
            (b"[TRUE,False,nUll]", [True, False, None]),
            (b"[nan,infinity,-INFINITY]", ["NaN", "Infinity", "-Infinity"]),
            (b"[01,-007]", [1, -7]),
            (b"[5.,1e,1e+,01.5]", ["5.", "1", "1", "01.5"]),
            (b'["\x01\n"]', ["\x01\n"]),
            (rb'["\u0041\/"]', ["A/"]),
            (b'{"a":1} rest', {"a": 1}),
        ):
            self.assertEqual(parse(data), expected, data)

    def test_literals(self) -> None:
        """A number that is no integer is the text that it was written as."""
        (found,) = parse(b"[01.50]")
        self.assertIs(type(found), Literal)

    def test_not_utf8(self) -> None:
        """Such strings are marked."""
        found = parse(b'["\xff", "a"]')
        self.assertEqual([type(text) for text in found], [RawText, str])
        self.assertEqual(found[0].encode("utf-8", "surrogateescape"), b"\xff")

    def test_surrogates(self) -> None:
        """A pair is a character, each alone is a replacement character."""
        self.assertEqual(
            parse(rb'["\ud83d\ude00", "\ud83d", "\ude00", "\ud83d\u0041"]'), ["😀", "\ufffd", "\ufffd", "\ufffdA"]
        )

    def test_refused(self) -> None:
        """What json-c refuses too."""
        for data in (
            b"", b"  ", b"{a:1}", b'{"a"1}', b'{"a":}', b'{"a":1 "b":2}', b"[,1]", b"[1 2]", b"{,}", b'{"a":1,,}',
            b"[1x]", b"[+1]", b"[.5]", b"[--1]", b"[-]", b"[1.2.3]", b"[1-2]", b"[0x10]", b"[tru]", b"nope", b'"a',
            b"'a", b'"\\x"', b'"\\u12"', b'"\\', b"{", b'{"a":1', b"[1", b"/* never ends", b"\x0b{}",
        ):  # fmt: skip
            self.assertRaises(NotJsonError, parse, data)
