"""natsroute.kamailio.cfg.strings"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.cfg.strings import quoted, string_value


class StringTests(SynchronousTestCase):
    """What the literals mean. The real Kamailio agrees: ``tests.interop.test_cfg``."""

    def test_values(self) -> None:
        """Escapes count between double quotes only, and others keep their backslash."""
        for literal, value in [
            ('""', ""),
            ('"a b"', "a b"),
            (r'"\n\r\t\a\"\\"', '\n\r\t\a"\\'),
            (r'"\x41\x4a4\x9g"', "AJ4\tg"),
            (r'"\101\77x\1017"', "A?xA7"),
            (r'"\1\8\d\s\x"', r"\1\8\d\s\x"),
            ('"a\\\nb\nc"', "ab\nc"),
            (r"'a\n\"\\'", r"a\n\"\\"),
            (r'"\xc3\xa9"', "é"),
            (r'"é\xff\377"', "é\udcff\udcff"),
            (r'"\\n"', r"\n"),
        ]:
            self.assertEqual(string_value(literal), value, literal)

    @given(st.text())
    def test_quoted(self, value: str) -> None:
        """A literal that is made for a value has that value."""
        self.assertEqual(string_value(quoted(value)), value)
