"""natsroute.kamailio.transformations.strings"""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import MAX_INTEGER, Value
from tests.support.expressions import make_evaluation


def apply(transformation: str, payload: bytes) -> Value:
    """A transformation of a payload."""
    return compile_expression(f"$(natsData{{s.{transformation}}})").evaluate(make_evaluation(payload))


class StringTests(SynchronousTestCase):
    """``{s.…}``; each of these was compared with Kamailio, but for the faults that it has."""

    def check(self, payload: bytes, **expected: Value) -> None:
        """Without parameters; two underscores stand for a dot."""
        for name, value in expected.items():
            self.assertEqual(apply(name.replace("__", "."), payload), value, name)

    def check_all(self, payload: bytes, *pairs: tuple[str, Value]) -> None:
        for transformation, value in pairs:
            self.assertEqual(apply(transformation, payload), value, transformation)

    def refused(self, payload: bytes, *transformations: str) -> None:
        for transformation in transformations:
            self.assertRaises(EvaluationError, apply, transformation, payload)

    def test_simple(self) -> None:
        """Lengths, letters and white space."""
        self.check(b" A\xc3\x84b\t1\r\n", len=9, tolower=b" a\xc3\x84b\t1\r\n", toupper=b" A\xc3\x84B\t1\r\n",
                   rmws=b"A\xc3\x84b1", numeric=b"1", trim=b"A\xc3\x84b\t1", ltrim=b"A\xc3\x84b\t1\r\n",
                   rtrim=b" A\xc3\x84b\t1")  # fmt: skip
        self.check(b"\x0b x\x0c", trim=b"\x0b x\x0c", rmws=b"\x0bx\x0c")

    def test_integers(self) -> None:
        """A number keeps the text that it was made of."""
        self.check_all(b"007", ("int", 7), ("int}{s.len", 3), ("int}{s.int", 7))
        self.check_all(b"", ("int", 0))
        self.check_all(b"%d" % MAX_INTEGER, ("int", MAX_INTEGER))
        self.refused(b"1.5", "int")
        self.refused(b"%d" % (MAX_INTEGER + 1), "int")

    def test_sums(self) -> None:
        """In small hexadecimal letters."""
        for name in ("md5", "sha256", "sha384", "sha512"):
            self.assertEqual(apply(name, b"Hello World"), hashlib.new(name, b"Hello World").hexdigest().encode())

    def test_corehash(self) -> None:
        """That of Kamailio's core."""
        self.check_all(b"Hello World", ("corehash", b"2764307758"), ("corehash,16", b"14"), ("corehash,10", b"8"))
        self.check_all(b"", ("corehash", b"0"))

    def test_substr(self) -> None:
        """From both ends; a length of 0 or too long a one is up to the end."""
        self.check_all(b"abc,def,ghi", ("substr,0,3", b"abc"), ("substr,3,0", b",def,ghi"), ("substr,-3,0", b"ghi"),
                       ("substr,-3,2", b"gh"), ("substr,-3,5", b"ghi"), ("substr,-11,0", b"abc,def,ghi"),
                       ("substr,9,100", b"hi"))  # fmt: skip
        self.refused(b"abc", "substr,3,0", "substr,-4,0", "substr,100,1")
        self.refused(b"", "substr,0,0")

    def test_select(self) -> None:
        """From both ends; what is not there is an empty string."""
        self.check_all(b"abc,def,ghi", ("select,0,,", b"abc"), ("select,2,,", b"ghi"), ("select,3,,", b""),
                       ("select,-1,,", b"ghi"), ("select,-3,,", b"abc"), ("select,-4,,", b""),
                       ("select,0,;", b"abc,def,ghi"), ("select,1,;", b""))  # fmt: skip
        self.check_all(b",", ("select,0,,", b""), ("select,1,,", b""), ("select,-1,,", b""))

    def test_strip(self) -> None:
        """From one end; 0 and less is nothing, more than there is, is all."""
        for name, expected in (("strip", b"c"), ("striptail", b"a")):
            self.check_all(b"abc", (f"{name},2", expected), (f"{name},0", b"abc"), (f"{name},-1", b"abc"),
                           (f"{name},3", b""), (f"{name},99", b""))  # fmt: skip

    def test_around_characters(self) -> None:
        """Before and behind the first and the last."""
        self.check_all(b"a:b:c", ("before,:", b"a"), ("after,:", b"b:c"), ("rbefore,:", b"a:b"), ("rafter,:", b"c"),
                       ("stripto,:", b":b:c"), ("count,:", 2))  # fmt: skip
        self.check_all(b"abc", ("before,:", b"abc"), ("after,:", b""), ("rbefore,:", b""), ("rafter,:", b"abc"),
                       ("stripto,:", b""), ("count,:", 0))  # fmt: skip

    def test_replace_and_remove(self) -> None:
        """All occurrences; nothing to look for changes nothing."""
        self.check_all(b"aXbXc", ("replace,X,yy", b"ayybyyc"), ("replace,X,", b"abc"), ("replace,,y", b"aXbXc"),
                       ("rm,X", b"abc"), ("rm,", b"aXbXc"))  # fmt: skip
        self.check_all(b"a\nb\\c\td", ("rm,\\n", b"ab\\c\td"), ("rm,\\\\", b"a\nbc\td"), ("rm,\\t", b"a\nb\\cd"),
                       ("rm,\\b", b"a\n\\c\td"), ("rm,b\\", b"a\nc\td"))  # fmt: skip

    def test_prefixes(self) -> None:
        """All, or up to a length; a list that would be too long is refused."""
        self.check_all(b"abc", ("prefixes", b"a,ab,abc"), ("prefixes,2", b"a,ab"), ("prefixes,0", b"a,ab,abc"),
                       ("prefixes,9", b"a,ab,abc"), ("prefixes.quoted,2", b"'a','ab'"))  # fmt: skip
        self.check_all(b"", ("prefixes", b""))
        self.refused(b"a" * 1000, "prefixes")

    def test_quotes_and_brackets(self) -> None:
        """Only those that belong together, and only the outermost."""
        self.check(b'"a"', unquote=b"a", unbracket=b'"a"')
        self.check(b"'\"a\"'", unquote=b'"a"')
        self.check(b"\"a'", unquote=b"\"a'")
        self.check(b'"', unquote=b'"')
        for text in (b"(a)", b"[a]", b"{a}", b"<a>"):
            self.check(text, unbracket=b"a")
        self.check(b"(a]", unbracket=b"(a]")

    def test_short_numbers_stay(self) -> None:
        """What is too short for quotes stays a number."""
        self.check_all(b"a", ("len}{s.unquote", 1))
        self.check_all(b"0123456789", ("len}{s.unquote", b"10"))

    def test_lines(self) -> None:
        """Broken after so many bytes."""
        self.check_all(b"Hello World", ("fmtlines,4,2", b"Hell\r\n  o Wo\r\n  rld"),
                       ("fmtlinet,6,1", b"Hello \r\n\tWorld"), ("fmtlines,99,2", b"Hello World"))  # fmt: skip
        self.refused(b"a", "fmtlines,0,1")

    def test_time(self) -> None:
        """Seconds since 1970 as local time."""
        self.check_all(b"86400", ("ftime,%Y", b"1970"), ("int}{s.ftime,%Y %d", b"1970 02"))
        self.check_all(b"", ("ftime,%Y", b"1970"))
        self.refused(b"-5", "ftime,%Y")
        self.refused(b"x", "ftime,%Y")
        self.refused(b"%d" % MAX_INTEGER, "ftime,%Y")

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=20), st.integers(-12, 12), st.sampled_from([b",", b"a", b"\0"]))
    def test_select_is_split(self, value: bytes, index: int, delimiter: bytes) -> None:
        """A field is what Python's split gives."""
        value = value.replace(b"}", b"")
        fields = value.split(delimiter)
        expected = fields[index] if -len(fields) <= index < len(fields) else b""
        shown = delimiter.decode()
        self.assertEqual(apply(f"select,{index},{shown}", value), expected)
