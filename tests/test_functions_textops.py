"""natsroute.kamailio.script.functions.textops"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation
from tests.support.functions import call, compile_call


class TextTests(SynchronousTestCase):
    """Results of calls with constant texts."""

    def check(self, name: str, *cases: tuple[Any, ...]) -> None:
        """Each case has the arguments and, last, the result."""
        for *written, expected in cases:
            self.assertEqual(call(make_evaluation(), name, *written), expected, (name, written))

    def test_compare(self) -> None:
        self.check(
            "cmp_str", ("a", "a", 1), ("b", "a", -1), ("a", "b", -2), ("A", "a", -2), ("ab", "a", -1), ("", "", 1)
        )
        self.check("cmp_istr", ("A", "a", 1), ("B", "a", -1), ("a", "B", -2), ("É", "é", -2))

    def test_parts(self) -> None:
        self.check("starts_with", ("ab", "a", 1), ("ab", "b", -2), ("bb", "a", -1), ("a", "ab", -1), ("a", "", 1))
        self.check("ends_with", ("ab", "b", 1), ("ab", "a", -1), ("aa", "b", -2), ("b", "ab", -1), ("a", "", 1))
        self.check("str_find", ("abab", "ba", 2), ("ab", "B", -1), ("a", "ab", -1), ("ab", "", 3), ("$rm", "ION", 4))
        self.check("str_ifind", ("abab", "BA", 2), ("ab", "x", -1))
        self.check("str_any_in", ("abc", "xb", 1), ("abc", "xy", -1), ("", "a", -1), ("a", "", -1))
        self.check("str_all_in", ("abc", "cb", 1), ("abc", "cx", -1), ("", "a", -1), ("a", "", -1))

    def test_search(self) -> None:
        self.check(
            "search_str", ("abc", "^A.C$$", 1), ("abc", "x", -1), ("abc", "(", -2), ("abc", "", 2), ("", "a", -2)
        )

    def test_lists(self) -> None:
        self.check("in_list", ("b", "a, b", ",", 1), ("b", "ab", ",", -1), ("", "a", ",", -1), ("a", "", ",", -1))
        self.check("in_list_prefix", ("bc", "a, b", ",", 1), ("bc", "ab,", ",", -1), ("", "a", ",", -1))
        for separator in ("", ",,", "é"):
            self.assertRaises(ScriptError, compile_call, "in_list", "a", "b", separator)

    def assigned(self, name: str, *written: Any, result: int = 1) -> Value:
        """The variable that a call assigns to."""
        evaluation = make_evaluation()
        self.assertEqual(call(evaluation, name, *written), result, written)
        return evaluation.consumer.vn.get(b"out")

    def test_regex_substring(self) -> None:
        """A group; -2 if nothing matches, -1 for anything else."""
        self.assertEqual(self.assigned("regex_substring", "sip:al@ex", "sip:(.*)@(.*)", 2, 3, "$vn(out)"), b"ex")
        self.assertEqual(self.assigned("regex_substring", "sip:al@ex", "l.e", 0, 1, "$vn(out)"), b"l@e")
        self.assigned("regex_substring", "a", "A", 0, 1, "$vn(out)", result=-2)
        for pattern, index, count in (
            ("a", 1, 1),
            ("a", 1, 2),
            ("(x)?a", 1, 2),
            ("x*", 0, 1),
            ("(", 0, 1),
            ("a", -1, 1),
        ):
            self.assertIsNone(self.assigned("regex_substring", "a", pattern, index, count, "$vn(out)", result=-1))

    def test_subst_v(self) -> None:
        """-1 if nothing matches."""
        self.assertEqual(self.assigned("subst_v", "abab", "/b/[\\0]/g", "$vn(out)"), b"a[b]a[b]")
        for text, substitution in (("abab", "/x/y/"), ("abab", "x"), ("abab", "/(/y/")):
            self.assertIsNone(self.assigned("subst_v", text, substitution, "$vn(out)", result=-1))

    def test_fnmatch(self) -> None:
        self.check("fnmatch", ("abc", "a*", 1), ("abc", "A*", -1), ("abc", "A*", "i", 1), ("abc", "A*", "x", -1))

    def test_kinds(self) -> None:
        self.check("is_numeric", ("12", 1), ("", -2), ("1a", -2), ("٣", -2))
        self.check("is_tel_number", ("12", 1), ("+12", 1), ("012", 1), ("+012", -2), ("+", -2), ("", -2), ("1+", -2))
        self.check("is_alphanum", ("a1Z", 1), ("", -2), ("a-b", -3), ("é", -3))
        self.check("is_alphanumex", ("a-b", "-", 1), ("a-b", "", -3), ("", "-", -2))
        self.check("is_uri", ("sip:a@b", 1), ("a@b", -1), ("", -1))
