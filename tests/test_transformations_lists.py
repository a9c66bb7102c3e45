"""natsroute.kamailio.transformations.lists"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.transformations.lists import line_at
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation


def apply(transformation: str, payload: bytes) -> Value:
    """A transformation of a payload."""
    return compile_expression(f"$(natsData{{{transformation}}})").evaluate(make_evaluation(payload))


class ParamTests(SynchronousTestCase):
    """``{param.…}``."""

    def test_by_name(self) -> None:
        """The last with the name, in any case; one without a value is there."""
        text = b'a=1;B=2;c;a=3;d="x;y"'
        for transformation, expected in (
            ("param.value,a", b"3"),
            ("param.value,b", b"2"),
            ("param.value,c", b""),
            ("param.value,d", b"x;y"),
            ("param.value,e", b""),
            ("param.in,A", 1),
            ("param.in,c", 1),
            ("param.in,e", 0),
        ):
            self.assertEqual(apply(transformation, text), expected, transformation)

    def test_by_index(self) -> None:
        """From both ends; what is not there is an empty string."""
        text = b"a=1;b=2;c"
        for transformation, expected in (
            ("param.valueat,0", b"1"),
            ("param.valueat,-2", b"2"),
            ("param.valueat,2", b""),
            ("param.valueat,3", b""),
            ("param.name,0", b"a"),
            ("param.name,-1", b"c"),
            ("param.name,-4", b""),
        ):
            self.assertEqual(apply(transformation, text), expected, transformation)

    def test_count(self) -> None:
        """With a semicolon, or another separator."""
        self.assertEqual([apply("param.count", b"a;b;c;"), apply("param.count,&", b"a&b;c")], [3, 2])

    def test_separator(self) -> None:
        """Any character, for each of them."""
        for transformation, expected in (
            ("param.value,b,&", b"2"),
            ("param.in,b,&", 1),
            ("param.valueat,1,&", b"2"),
            ("param.name,1,&", b"b"),
        ):
            self.assertEqual(apply(transformation, b"a=1&b=2"), expected, transformation)

    def test_no_list(self) -> None:
        """What is no list has no value."""
        for text in (b"", b"a b", b'a="x'):
            self.assertRaises(EvaluationError, apply, "param.count", text)


class LineTests(SynchronousTestCase):
    """``{line.…}``."""

    TEXT = b"first\r\nsecond: two\nthird\n"

    def test_count(self) -> None:
        """As a string; the last line need not have an end."""
        found = [apply("line.count", text) for text in (self.TEXT, b"a", b"\n", b"a\n\nb")]
        self.assertEqual(found, [b"3", b"1", b"1", b"3"])

    def test_at(self) -> None:
        """From both ends, without CR and LF."""
        found = [apply(f"line.at,{index}", self.TEXT) for index in (0, 1, 2, 3, 4, -1, -3, -4)]
        self.assertEqual(found, [b"first", b"second: two", b"third", b"", b"", b"third", b"first", b""])

    def test_starting_with(self) -> None:
        """The first line that begins so; the text may span lines."""
        for beginning, expected in (("s", b"second: two"), ("first", b"first"), ("nope", b""), ("third", b"third")):
            self.assertEqual(apply(f"line.sw,{beginning}", self.TEXT), expected)
        found = compile_expression("$(natsData{line.sw,$var(text)})").evaluate(
            make_evaluation(b"a\nb\nc\n", assignments={"$var(text)": b"a\nb"})
        )
        self.assertEqual(found, b"a\nb")
        self.assertEqual(apply("line.sw,abc", b"ab"), b"")

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.sampled_from([b"a", b"", b"b c"]), min_size=1, max_size=5), st.booleans())
    def test_from_the_end(self, lines: list[bytes], ended: bool) -> None:
        """The line -n is the n-th from the end, whether that has a line feed or not."""
        text = b"\n".join(lines) + (b"\n" if ended or not lines[-1] else b"")
        for number in range(1, len(lines) + 1):
            self.assertEqual(line_at(text, -number), lines[-number])
