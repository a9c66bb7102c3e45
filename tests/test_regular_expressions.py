"""natsroute.kamailio.regular_expressions"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio import regular_expressions
from natsroute.kamailio.regular_expressions import HAS_RE2, BadExpressionError, compile_regex

NO_RE2 = None if HAS_RE2 else "google-re2 is not installed: pip install '.[re2]'"


class MatchTests(SynchronousTestCase):
    """What matches, with Python's ``re``."""

    has_re2 = False

    def setUp(self) -> None:
        self.patch(regular_expressions, "HAS_RE2", self.has_re2)
        compile_regex.cache_clear()
        self.addCleanup(compile_regex.cache_clear)

    def check(self, pattern: bytes, text: bytes, expected: bytes | None, **how: bool) -> None:
        match = compile_regex(pattern, **how).search(text)
        self.assertEqual(None if match is None else match[0], expected, (pattern, text))

    def test_as_posix(self) -> None:
        """Classes, sets, repetitions, escapes and edges."""
        for pattern, text, expected in (
            (b"a+b*c?", b"xaabd", b"aab"),
            (b"[[:alpha:]]+", b"12ab3", b"ab"),
            (b"[^[:digit:]]+", b"12ab3", b"ab"),
            (b"[]x]+", b"a]x", b"]x"),
            (b"[^]x]+", b"]xab", b"ab"),
            (b"[a-]+", b"b-a", b"-a"),
            (b"[a\\n]+", b"\\n", b"\\n"),  # a backslash in a set is itself
            (b"[[.x.]]", b"ax", b"x"),
            (b"[&~|-]+", b"a&|~-", b"&|~-"),
            (b"a{2}", b"aaa", b"aa"),
            (b"a{,1}b", b"aab", b"ab"),
            (b"\\.", b"a.b", b"."),
            (b"\\w+", b"-a_1-", b"a_1"),
            (b"\\bx", b"ax x", b"x"),
            (b"\\<b", b"ab b", b"b"),
            (b"(a)(b)\\2", b"abab abb", b"abb"),
            (b"x||y", b"y", b"y"),
            (b"()a", b"a", b"a"),
        ):
            self.check(pattern, text, expected)

    def test_no_laziness(self) -> None:
        """A second repetition is one more repetition, neither lazy nor possessive."""
        for pattern in (b"^a+?$", b"^a*+a*$", b"^a?*$", b"^(a{2})?a$"):
            self.check(pattern, b"aaa", b"aaa")

    def test_longest_plain_alternative(self) -> None:
        """Of plain alternatives the longest is tried first."""
        self.check(b"a|ab|abc", b"abcd", b"abc")
        self.check(b"(sip|sips):", b"sips:x", b"sips:")

    def test_newline(self) -> None:
        """With and without REG_NEWLINE."""
        for pattern, text, with_newline, without in (
            (b"^b", b"a\nb", b"b", None),
            (b"a$", b"a\nb", b"a", None),
            (b"a.b", b"a\nb", None, b"a\nb"),
            (b"[^x]+", b"a\nb", b"a", b"a\nb"),
            (b"b$", b"a\nb\n", b"b", None),
        ):
            self.check(pattern, text, with_newline, newline=True)
            self.check(pattern, text, without, newline=False)

    def test_case(self) -> None:
        """ASCII letters only."""
        self.check(b"ABC", b"abc", b"abc", ignore_case=True)
        self.check(b"\xe9", b"\xc9", None, ignore_case=True)
        self.check(b"(a|\xe9)+", b"xA\xe9a\xc9", b"A\xe9a", ignore_case=True)
        self.check(b"[a-c\xe9]+", b"xAB\xe9c\xc9", b"AB\xe9c", ignore_case=True)
        self.check(b"[^a-c\xe9]+", b"A\xe9\xc9x\nB", b"\xc9x", ignore_case=True)
        self.check(b"[[:upper:]\xe9]+", b"1a\xe9B\xc9", b"a\xe9B", ignore_case=True)
        self.check(b"(x[^\x01-\xff]|\xe9)", b"x\xe9", b"\xe9", ignore_case=True)
        self.check(b"(x[^\x01-\xff])?", b"X\x00", b"X\x00", ignore_case=True)

    def test_many_repetitions(self) -> None:
        """More than the 1,000 that RE2 has."""
        for pattern, count, matched in (
            (b"^a{1001}$", 1000, None),
            (b"^a{1001}$", 1001, 1001),
            (b"^a{1001}$", 1002, None),
            (b"a{1500}", 2999, 1500),
            (b"a{2000}", 3000, 2000),
            (b"a{1500,}", 1499, None),
            (b"a{1500,}", 4000, 4000),
            (b"a{,2500}", 4000, 2500),
            (b"a{,2500}", 700, 700),
            (b"a{10,2500}", 9, None),
            (b"a{10,2500}", 4000, 2500),
            (b"a{1100,1200}", 4000, 1200),
            (b"[a-c]{1100,3300}b?", 4000, 3300),
            (b"[[:alpha:]]{1001}{1}", 1001, 1001),
            (b"^a{9000}$", 9000, 9000),
        ):
            self.check(pattern, b"a" * count, None if matched is None else b"a" * matched)

    def test_backslashes(self) -> None:
        """None of them is taken for the end of the text."""
        self.check(b"(\\\\Z)+", b"a\\Z\\Z", b"\\Z\\Z", newline=False)
        self.check(b"[\\]Z+", b"a\\ZZ", b"\\ZZ", newline=False)
        self.check(b"Z?\\'", b"aZ\n", b"", newline=False)

    def test_bytes(self) -> None:
        """Any byte can be matched."""
        self.check(b"\xff.", b"a\xff\x80", b"\xff\x80")


class LinearTests(MatchTests):
    """What matches, with RE2."""

    has_re2 = True
    skip = NO_RE2

    def test_takes_no_time(self) -> None:
        """With Python's ``re``, none of these would end in hours."""
        for pattern, text in (
            (b"(a+)+$", b"a" * 100_000 + b"b"),
            (b"(a|aa)+$", b"a" * 100_000 + b"b"),
            (b"x*x*x*y", b"x" * 3_000),
            (b"(a+)+b{1001}$", b"a" * 10_000 + b"b"),
            (b"\xe9?(a+)+$", b"a" * 100_000 + b"b"),
        ):
            self.check(pattern, text, None)
            self.check(pattern, text, None, ignore_case=True)

    def test_longest_alternative(self) -> None:
        """Of any alternatives, the one that gives the longest match."""
        self.check(b"a|a.", b"ab", b"ab")
        self.check(b"(a|ab)(c|bcd)", b"abcd", b"abcd")

    def test_engines(self) -> None:
        """RE2 for all patterns that it supports and understands in the same way, unless there is one way to match."""
        for pattern, ignore_case, expected in (
            (b"a+$", False, True),
            (b"a|b", False, True),
            (b"a$", False, False),
            (b"^[[:alpha:]].\\.\xe9", True, False),
            (b"^[[:alpha:]].?\\.\xe9", True, True),
            (b"^[[:alpha:]]{,3}\\b", True, True),
            (b"a?\\'", False, True),
            (b"\xe9?", False, True),
            (b"\xe9?", True, True),
            (b"(a)\\1", False, False),
            (b"\\<a", False, False),
            (b"(\\>|a)", False, False),
            (b"a{1001}", False, True),
        ):
            for newline in (True, False):
                compiled = compile_regex(pattern, ignore_case=ignore_case, newline=newline)
                self.assertEqual(not isinstance(compiled, re.Pattern), expected, pattern)

    def test_too_large(self) -> None:
        """What RE2 cannot take is refused, instead of taking hours with Python's ``re``."""
        for pattern in (
            b"(ab){1001}",
            b"(a{1001}){2}",
            b"a{1001}{2}",
            b"((a{40}){40})",
            b"([a-z]?{1000}[^x]{30000})+" * 50,
        ):
            error = self.assertRaises(BadExpressionError, compile_regex, pattern)
            self.assertIn("more than 1000 repetitions", str(error))
        compile_regex(b"((a{20}){50})")


class RefusalTests(SynchronousTestCase):
    """What is no regular expression."""

    def test_nested_too_deeply(self) -> None:
        """It is refused, and the script goes on."""
        deep = b"(" * 5000 + b"a" + b")" * 5000
        error = self.assertRaises(BadExpressionError, compile_regex, deep)
        self.assertEqual(str(error), "groups are nested too deeply")

    def test_refused(self) -> None:
        """One that POSIX refuses too."""
        for pattern in (
            b"(", b")", b"a)", b"[a", b"[", b"*a", b"+", b"a|*", b"(*a)", b"(?:a)", b"{1}", b"a{x}", b"a{1", b"[z-a]",
            b"[[:nope:]]", b"a{99999}", b"\\", b"\\1", b"a{2,1}",
        ):  # fmt: skip
            self.assertRaises(BadExpressionError, compile_regex, pattern)
