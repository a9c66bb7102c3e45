"""natsroute.kamailio.script.functions.wildcards"""

from __future__ import annotations

import fnmatch
import random
import re
import time

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.script.functions.wildcards import matches_wildcard


class WildcardTests(SynchronousTestCase):
    """``matches_wildcard()``."""

    def test_matches(self) -> None:
        for text, pattern in (
            (b"", b""), (b"", b"*"), (b"abc", b"abc"), (b"abc", b"a*"), (b"abc", b"*c"), (b"abc", b"a?c"),
            (b"abab", b"*ab"), (b"a/b", b"*"), (b".a", b"*a"), (b"b", b"[a-c]"), (b"d", b"[!a-c]"),
            (b"d", b"[^a-c]"), (b"]", b"[]]"), (b"-", b"[a-]"), (b"[", b"["), (b"a[", b"a["), (b"*", b"\\*"),
            (b"a", b"\\a"), (b"5", b"[[:digit:]]"), (b"x", b"[[:digit:]x]"), (b"\\", b"[\\\\]"), (b"]", b"[\\]]"),
            (b"\xff", b"?"), (b"aaab", b"a*b*"),
        ):  # fmt: skip
            self.assertTrue(matches_wildcard(text, pattern), (text, pattern))

    def test_does_not_match(self) -> None:
        for text, pattern in (
            (b"a", b""), (b"", b"?"), (b"abc", b"a"), (b"abc", b"ABC"), (b"abc", b"a*d"), (b"b", b"[!a-c]"),
            (b"a", b"\\*"), (b"a", b"a\\"), (b"x", b"[[:digit:]]"), (b"x", b"[[:nothing:]]"), (b"b", b"[c-a]"),
            (b"ab", b"[a-c]"),
        ):  # fmt: skip
            self.assertFalse(matches_wildcard(text, pattern), (text, pattern))

    def test_random(self) -> None:
        """As Python's fnmatch, which has no backslash."""
        chance = random.Random(1)
        for _ in range(3000):
            text = "".join(chance.choices("ab-", k=chance.randint(0, 6)))
            pattern = "".join(chance.choices(["a", "b", "*", "?", "[ab]", "[!a]", "-"], k=chance.randint(0, 5)))
            expected = re.match(fnmatch.translate(pattern), text) is not None
            self.assertEqual(matches_wildcard(text.encode(), pattern.encode()), expected, (text, pattern))

    def test_time(self) -> None:
        """Many stars and large texts do not take long."""
        started = time.process_time()
        self.assertFalse(matches_wildcard(b"a" * 1_000_000, b"*aa" * 50 + b"*b*"))
        self.assertTrue(matches_wildcard(b"a" * 1_000_000 + b"b", b"*a*b*"))
        self.assertLess(time.process_time() - started, 2)
