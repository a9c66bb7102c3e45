"""natsroute.kamailio.transformations.escapes"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.transformations.escapes import (
    escape_common,
    escape_csv,
    escape_param,
    escape_user,
    unescape,
    unescape_common,
    urldecode,
    urlencode,
)
from natsroute.kamailio.values import Value

PRINTABLE = bytes(range(32, 127))


class EscapeTests(SynchronousTestCase):
    """What is escaped, and how."""

    def check(self, function: Callable[[bytes], Value], *pairs: tuple[bytes, bytes]) -> None:
        for value, expected in pairs:
            self.assertEqual(function(value), expected, value)

    def test_common(self) -> None:
        """Quotes, backslashes and NUL bytes."""
        self.check(escape_common, (b'it\'s "q" \\ \0', b'it\\\'s \\"q\\" \\\\ \\0'), (b"", b""))
        self.check(unescape_common, (b'it\\\'s \\"q\\" \\\\ \\0', b'it\'s "q" \\ \0'), (b"\\n\\", b"\\n\\"))

    def test_user(self) -> None:
        """As in the user of a URI."""
        self.check(
            escape_user,
            (PRINTABLE, b"%20!%22%23$%25&'()*+,-.%2f0123456789%3a;%3c=%3e?%40ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        b"%5b%5c%5d%5e_%60abcdefghijklmnopqrstuvwxyz%7b%7c%7d~"),
        )  # fmt: skip

    def test_param(self) -> None:
        """As in a parameter of a URI."""
        self.check(
            escape_param,
            (PRINTABLE, b"%20!%22%23$%25&'()*+%2c-./0123456789:%3b%3c%3d%3e%3f%40ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        b"[%5c]%5e_%60abcdefghijklmnopqrstuvwxyz%7b%7c%7d~"),
        )  # fmt: skip

    def test_not_printable(self) -> None:
        """It can neither be escaped nor be the result."""
        for value in (b"\n", b"\x7f", b"\xc3\xa9", b"a\0"):
            self.assertRaises(EvaluationError, escape_user, value)
            self.assertRaises(EvaluationError, escape_param, value)
        for value in (b"%0a", b"%7f", b"%80", b"%", b"%4", b"%4x", b"%+1", b"% 1", b"%zz", b"a%"):
            self.assertRaises(EvaluationError, unescape, value)
        self.check(unescape, (b"a%41%7e%2F\n", b"aA~/\n"))

    def test_csv(self) -> None:
        """In quotes, which are doubled inside."""
        self.check(escape_csv, (b'a "b", c', b'"a ""b"", c"'), (b"", b'""'))

    def test_url(self) -> None:
        """Any byte; what is no escape loses its percent sign."""
        self.check(urlencode, (b"a b+c/\xc3\xa9\0-_.~", b"a%20b%2bc%2f%c3%a9%00-_.~"))
        self.check(urldecode, (b"a+b%2bc%C3%a9", b"a b+c\xc3\xa9"), (b"%", b""), (b"%4", b"4"), (b"%%", b""),
                   (b"%+", b" "), (b"%zz", b"3"), (b"%4%41", b"\xce41"))  # fmt: skip

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=20))
    def test_round_trips(self, value: bytes) -> None:
        """What was escaped can be unescaped."""
        for escape, back in ((escape_common, unescape_common), (urlencode, urldecode)):
            escaped = escape(value)
            assert isinstance(escaped, bytes)
            self.assertEqual(back(escaped), value)
