"""natsroute.wire.subjects"""

from __future__ import annotations

from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import SubjectError
from natsroute.wire.subjects import (
    check_pattern,
    check_queue_group,
    check_subject,
    intersection,
    is_service_name,
    is_wildcard,
    overlaps,
)
from tests.fuzz.properties import names_are_one_word

quick = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])

#: Any text, with lone surrogates, and with characters at the edges of what is valid.
ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("a.*> \t\r\n\v\f\0\x7f\udc0a\udcff"), max_size=8
)
PATTERNS = st.builds(
    lambda tokens, tail: ".".join([*tokens, *tail]) or "a",
    st.lists(st.sampled_from("ab*"), max_size=3),
    st.sampled_from([[], [">"]]),
)
#: Every subject of up to four tokens. ``c`` stands for all tokens that are in no pattern.
SUBJECTS = [".".join(tokens) for length in range(1, 5) for tokens in product("abc", repeat=length)]

#: Names that are invalid as a subject and as a pattern, by the problem.
BAD_NAMES = {
    "is empty": ("",),
    "has white space or a control character": (
        *(" ", "a b", " a", "a ", "a.b ", "a\tb", "a\0b", "\0", "a\x1bb", "a\x7f", "a\vb", "a\fb"),
        *("a\r\nPUB b 0\r\n", "a\n", "\na", "a\r", "a\r\n", "a.\nb"),
    ),
    "has an empty token": (".", "..", ".a", "a.", "a..b", ".>", "*."),
    "half of a surrogate pair": ("\ud800", "a.\udfff", "\udc0a", "a\udc0db", "\udc7f", "\udd00"),
}


def matches(pattern: str, subject: str) -> bool:
    """Whether the pattern matches the subject, compared token by token."""
    if not pattern or not subject:
        return pattern == subject
    first, _, rest = pattern.partition(".")
    token, _, tokens = subject.partition(".")
    if first == ">":
        return True
    return first in ("*", token) and matches(rest, tokens)


class NameTests(SynchronousTestCase):
    """Valid and invalid subjects, patterns and queue groups."""

    def test_subjects(self) -> None:
        for subject in ("a", "a.b", "Kamailio-World", "$JS.API.x", "_INBOX.a.1", "å.日本", "a*b", "a.b>", ">>", "**.a"):
            check_subject(subject)
            check_pattern(subject)

    def test_bytes_that_are_not_utf8(self) -> None:
        """A received subject can be published to."""
        subject = b"a.\x80.\xff".decode("utf-8", "surrogateescape")
        check_subject(subject)
        check_pattern(subject)
        check_queue_group(subject)

    def test_bad_names(self) -> None:
        for problem, names in BAD_NAMES.items():
            for check, name in product((check_subject, check_pattern), names):
                error = self.assertRaises(SubjectError, check, name)
                self.assertIn(problem, str(error))
                self.assertIn(repr(name), str(error))

    def test_wildcards_in_a_subject(self) -> None:
        for subject in ("*", ">", "a.*", "a.>", "*.a", "a.*.b"):
            error = self.assertRaises(SubjectError, check_subject, subject)
            self.assertIn("wildcard", str(error))
            check_pattern(subject)

    def test_an_inner_tail_wildcard(self) -> None:
        for pattern in (">.a", "a.>.b", "a.>.>", "*.>.*"):
            error = self.assertRaises(SubjectError, check_pattern, pattern)
            self.assertIn("may only be last", str(error))
            self.assertRaises(SubjectError, check_subject, pattern)

    def test_queue_groups(self) -> None:
        """Anything without white space; dots and wildcards have no meaning."""
        for queue_group in ("2021", "a.b", "a..b", ".", "*", ">", "å"):
            check_queue_group(queue_group)

    def test_bad_queue_groups(self) -> None:
        for problem in ("is empty", "has white space or a control character", "half of a surrogate pair"):
            for queue_group in BAD_NAMES[problem]:
                error = self.assertRaises(SubjectError, check_queue_group, queue_group)
                self.assertIn(problem, str(error))
                self.assertIn(f"queue group {queue_group!r}", str(error))

    def test_service_names(self) -> None:
        for name in ("a", "calc", "Kamailio-World_2", "-", "0"):
            self.assertTrue(is_service_name(name), name)
        for name in ("", "a.b", "a b", "a\n", "*", ">", "å", "٣", "a/b"):
            self.assertFalse(is_service_name(name), name)

    @quick
    @given(ANY_TEXT)
    def test_any_text(self, name: str) -> None:
        names_are_one_word(name)


class MatchingTests(SynchronousTestCase):
    """Which subjects match a pattern."""

    def test_is_wildcard(self) -> None:
        for pattern in ("*", ">", "a.*", "*.a", "a.*.b", "a.>"):
            self.assertTrue(is_wildcard(pattern), pattern)
        for pattern in ("a", "a.b", "a*", "*a.b", "a.b>", ">a", "**", "a.>>"):
            self.assertFalse(is_wildcard(pattern), pattern)

    def test_patterns_and_subjects(self) -> None:
        for pattern, subject, expected in (
            ("a.b", "a.b", True),
            ("a.b", "a.B", False),
            ("a.b", "a", False),
            ("a", "a.b", False),
            ("*", "a", True),
            ("*", "a.b", False),
            ("a.*", "a.b", True),
            ("a.*", "a", False),
            ("a.*", "a.b.c", False),
            ("*.b", "a.b", True),
            ("*.b", "a.c", False),
            (">", "a", True),
            (">", "a.b.c", True),
            ("a.>", "a.b.c", True),
            ("a.>", "a", False),
            ("a.>", "b.c", False),
            ("a*", "ab", False),
            ("a>", "ab", False),
        ):
            self.assertIs(overlaps(pattern, subject), expected, (pattern, subject))
            self.assertIs(overlaps(subject, pattern), expected, (subject, pattern))

    def test_two_patterns(self) -> None:
        for pattern, other, expected in (
            ("a.*", "*.b", True),
            ("a.*", "b.*", False),
            ("orders.>", "*.new.eu", True),
            ("a.>", "a.b.>", True),
            ("a.>", "b.>", False),
            (">", ">", True),
            ("a.>", "*", False),
            ("a.b.>", "*.*", False),
            ("*.*", "*", False),
        ):
            self.assertIs(overlaps(pattern, other), expected, (pattern, other))
            self.assertIs(overlaps(other, pattern), expected, (other, pattern))

    @quick
    @given(PATTERNS, PATTERNS)
    def test_any_two_patterns(self, pattern: str, other: str) -> None:
        """Two patterns overlap if a subject matches both."""
        common = [subject for subject in SUBJECTS if matches(pattern, subject) and matches(other, subject)]
        self.assertIs(overlaps(pattern, other), bool(common), common[:1])
        for subject in SUBJECTS[:40]:
            self.assertIs(overlaps(pattern, subject), matches(pattern, subject), subject)

    @quick
    @given(PATTERNS, PATTERNS)
    def test_intersection(self, pattern: str, other: str) -> None:
        """It matches what both match, and nothing else."""
        common = [subject for subject in SUBJECTS if matches(pattern, subject) and matches(other, subject)]
        found = intersection(pattern, other)
        if found is None:
            self.assertEqual(common, [])
        else:
            check_pattern(found)
            self.assertEqual([subject for subject in SUBJECTS if matches(found, subject)], common)
        self.assertEqual(intersection(other, pattern), found)

    @quick
    @given(PATTERNS)
    def test_is_any_pattern_a_wildcard(self, pattern: str) -> None:
        """A wildcard matches more than one subject."""
        self.assertIs(is_wildcard(pattern), sum(matches(pattern, subject) for subject in SUBJECTS) > 1)
