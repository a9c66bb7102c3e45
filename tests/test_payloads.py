"""natsroute.payloads"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute import payloads
from natsroute.errors import DecodeError, PayloadError


class Plain(Enum):
    A = (1, 2)
    DAY = date(2026, 2, 3)


class Text(str, Enum):
    A = "a"


class Number(IntEnum):
    A = 1


class Pair(NamedTuple):
    number: int
    text: str


class OwnText(str):
    def __str__(self) -> str:
        return "not this"


class OwnNumber(int):
    def __str__(self) -> str:
        return "not this"


class OwnFloat(float):
    def __repr__(self) -> str:
        return "not this"


class OwnList(list[int]):
    def __iter__(self) -> Iterator[int]:
        return iter([9, 9])


@dataclass
class Dialog:
    call_id: str
    legs: Any = None
    _cache: Any = None


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


ANY_CHARACTER = st.characters(exclude_categories=())
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(2**70), 2**70) | st.floats() | st.text(ANY_CHARACTER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(ANY_CHARACTER, max_size=4), inner, max_size=4),
    max_leaves=8,
)
#: Parts of JSON texts, and of texts that are nearly JSON.
TOKENS = [
    *'[]{},:-+.eE \t\n"\\/u019',
    *('"a"', "1e400", "NaN", "Infinity", "null", "true", "False", "9" * 18, "1" * 19, "\\ud800", "\\udc00", "\\u00e9"),
    *("\ufeff", "\ud800", "\0", "\x7f", "\xe9", "\u2028", "[[", "]]", '{"a":', "0.", "-0"),
]


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


class OneMeaningTests(SynchronousTestCase):
    """JSON means the same with orjson and without: what is written, what is read, and what is refused and why."""

    def outcomes(self, function: Callable[..., Any], *arguments: object) -> list[object]:
        """What the function returns or raises, with orjson and without. NaN and big numbers compare as their repr."""
        found: list[object] = []
        for with_orjson in (True, False):
            self.patch(payloads, "_HAS_ORJSON", with_orjson)
            try:
                found.append(repr(function(*arguments)))
            except (PayloadError, DecodeError) as error:
                found.append(error)
        return found

    def assert_written(self, payload: object, expected: bytes) -> None:
        self.assertEqual(self.outcomes(payloads.to_bytes, payload), [repr(expected)] * 2, payload)

    def assert_refused(self, function: Callable[..., Any], problem: str, *arguments: object) -> None:
        errors = self.outcomes(function, *arguments)
        for error in errors:
            self.assertIsInstance(error, (PayloadError, DecodeError), problem)
            self.assertIn(problem, str(error))
        self.assertEqual(str(errors[0]), str(errors[1]))

    def test_what_is_written(self) -> None:
        moment = datetime(2026, 2, 3, 4, 5, 6, 7)
        cases: list[tuple[object, bytes]] = [
            (moment, b'"2026-02-03T04:05:06.000007"'),
            (moment.replace(microsecond=0, tzinfo=timezone.utc), b'"2026-02-03T04:05:06+00:00"'),
            (moment.replace(tzinfo=timezone(timedelta(hours=-3.5))), b'"2026-02-03T04:05:06.000007-03:30"'),
            (moment.date(), b'"2026-02-03"'),
            (moment.time(), b'"04:05:06.000007"'),
            (moment.time().replace(tzinfo=timezone.utc), b'"04:05:06.000007+00:00"'),
            (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
            (Dialog("a", [Dialog("b")]), b'{"call_id":"a","legs":[{"call_id":"b","legs":null}]}'),
            ([Plain.A, Text.A, Number.A, Plain.DAY], b'[[1,2],"a",1,"2026-02-03"]'),
            (Pair(1, "x"), b'[1,"x"]'),
            ([OwnText("x"), OwnNumber(7), OwnFloat(1.5), OwnList([1])], b'["x",7,1.5,[9,9]]'),
            ([OrderedDict(b=1, a=2), defaultdict(list, a=[1])], b'[{"b":1,"a":2},{"a":[1]}]'),
            ({OwnText("x"): 1, Text.A: 2, Number.A: 3}, b'{"x":1,"a":2,"1":3}'),
            ({1: 0, None: 0, 1.5: 0, 2**70: 0}, b'{"1":0,"null":0,"1.5":0,"1180591620717411303424":0}'),
            ([2**63, -(2**63) - 1, 2**64, 10**29], b"[9223372036854775808,-9223372036854775809,"
             b"18446744073709551616,100000000000000000000000000000]"),
            ({"none": None, "text": "null"}, b'{"none":null,"text":"null"}'),
            ({True: 0, False: 1}, b'{"true":0,"false":1}'),
            ([0.1, -0.0, 1.0, 5e-324], b"[0.1,-0.0,1.0,5e-324]"),
            (["\x00\x1b\x7f\u2028\U0001f600/\\\""], '["\\u0000\\u001b\x7f\u2028\U0001f600/\\\\\\""]'.encode()),
        ]  # fmt: skip
        for payload, expected in cases:
            self.assert_written(payload, expected)

    def test_what_is_not_written(self) -> None:
        """NaN and infinite numbers are no JSON, and a reader would get null."""
        nan, infinite = float("nan"), float("inf")
        deep: list[Any] = []
        for _ in range(200_000):
            deep = [deep]
        loop: dict[str, Any] = {}
        loop["x"] = [loop]
        cases: list[tuple[object, str]] = [
            (nan, "not JSON compliant"),
            ([None, infinite], "not JSON compliant"),
            ({"a": {"b": -infinite}}, "not JSON compliant"),
            ({nan: 1}, "not JSON compliant"),
            (OwnFloat("nan"), "not JSON compliant"),
            (Dialog("a", nan), "not JSON compliant"),
            ([b"x"], "JSON has no bytes"),
            ({"a": bytearray(b"x")}, "JSON has no bytearray"),
            ({"a": memoryview(b"x")}, "JSON has no memoryview"),
            ({1, 2}, "JSON has no set"),
            (Decimal("1.5"), "JSON has no Decimal"),
            (1j, "JSON has no complex"),
            (Dialog, "JSON has no type"),
            (object(), "JSON has no object"),
            (["\ud800"], "surrogates not allowed"),
            ({"\udcff": 1}, "surrogates not allowed"),
            ({UUID(int=1): 1}, "keys must be str, int, float, bool or None, not UUID"),
            ({(1, 2): 1}, "keys must be str, int, float, bool or None, not tuple"),
            ({b"x": 1}, "keys must be str, int, float, bool or None, not bytes"),
            ({Plain.A: 1}, "keys must be str, int, float, bool or None, not Plain"),
            ([10**5000], "Exceeds the limit"),
            (loop, "Circular reference"),
            (deep, "recursion"),
        ]
        for payload, problem in cases:
            self.assert_refused(payloads.to_bytes, problem, payload)

    def test_what_is_read(self) -> None:
        cases: list[tuple[bytes, object]] = [
            (b"123456789012345678901234567890", 123456789012345678901234567890),
            (b"[18446744073709551615,18446744073709551616]", [2**64 - 1, 2**64]),
            (b"[-9223372036854775808,-9223372036854775809]", [-(2**63), -(2**63) - 1]),
            (b'{"a":{"b":[-99999999999999999999]}}', {"a": {"b": [-99999999999999999999]}}),
            (
                b'{"12345678901234567890123":0.12345678901234567890123}',
                {"12345678901234567890123": 0.12345678901234568},
            ),
            (b"[-0,-0.0,1E2,1e-400,0.1]", [0, -0.0, 100.0, 0.0, 0.1]),
            (b"\xef\xbb\xbf{}", {}),
            (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
            (b' {"":null}\r\n\t', {"": None}),
            (b'"\\ud83d\\ude00\\u0000\\/\x7f"', "\U0001f600\0/\x7f"),
            (b'"\\\\ud800"', "\\ud800"),
            (b"[" * 200 + b"]" * 200, nested(200)),
        ]
        for data, expected in cases:
            self.assertEqual(self.outcomes(payloads.to_json, data, "s"), [repr(expected)] * 2, data)

    def test_what_is_not_read(self) -> None:
        cases: list[tuple[bytes, str]] = [
            (b"NaN", "JSON has no NaN"),
            (b"[Infinity]", "JSON has no Infinity"),
            (b'{"a":-Infinity}', "JSON has no -Infinity"),
            (b"1e400", "1e400 is infinite as a float"),
            (b"[-1E999]", "-1E999 is infinite as a float"),
            (b"1" * 5000, "Exceeds the limit"),
            (b'"\\ud800"', "surrogates not allowed"),
            (b'{"\\uDC00x":1}', "surrogates not allowed"),
            (b'"\xed\xa0\x80"', "can't decode byte 0xed"),
            ('"x"'.encode("utf-16"), "can't decode byte 0xff"),
            ("1".encode("utf-16-le"), "Extra data"),
            ('"x"'.encode("utf-32-le"), "Invalid control character"),
            (b"\xef\xbb\xbf", "Expecting value"),
            (b"", "Expecting value"),
            (b"\xef\xbb\xbf\xef\xbb\xbf1", "Expecting value"),
            (b"{'a':1}", "Expecting property name"),
            (b"[1,]", "trailing comma"),
            (b"01", "Extra data"),
            (b"1.", "Extra data"),
            (b".5", "Expecting value"),
            (b"\x0b1", "Expecting value"),
            (b'"\n"', "Invalid control character"),
            (b"/**/1", "Expecting value"),
            (b"[" * 200_000 + b"]" * 200_000, "recursion"),
        ]
        for data, problem in cases:
            if problem == "trailing comma" and sys.version_info < (3, 13):
                problem = "Expecting value"
            self.assert_refused(payloads.to_json, problem, data, "s")

    @given(JSON_VALUES)
    @settings(deadline=None, max_examples=300)
    def test_any_value(self, value: Any) -> None:
        """Both ways write what both read as the same value, and numbers keep their type and all their digits."""
        written = []
        for with_orjson in (True, False):
            self.patch(payloads, "_HAS_ORJSON", with_orjson)
            try:
                written.append(payloads.to_bytes([value]))
            except PayloadError as error:
                written.append(str(error).encode())
        if any(data[:1] != b"[" for data in written):
            self.assertEqual(written[0], written[1])
            return
        for data in written:
            self.assertEqual(self.outcomes(payloads.to_json, data, "s"), [repr([value])] * 2)

    @given(st.recursive(st.sampled_from(TOKENS), lambda inner: st.lists(inner, max_size=4).map("".join)))
    @settings(deadline=None, max_examples=500)
    def test_any_text(self, text: str) -> None:
        """Both ways read the same, or refuse for the same reason."""
        first, second = self.outcomes(payloads.to_json, text.encode("utf-8", "surrogatepass"), "s")
        self.assertEqual(str(first), str(second))
