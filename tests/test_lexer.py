"""natsroute.kamailio.script.lexer"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.script.lexer import tokens
from tests.support.scripts import source


def lexed(text: str) -> list[tuple[str, str | bytes | int]]:
    """Kinds and values of the tokens of a text."""
    return [(token.type, token.value) for token in tokens(source(text))]


def values(text: str) -> list[str | bytes | int]:
    """The values of the tokens of a text."""
    return [value for _, value in lexed(text)]


class TokenTests(SynchronousTestCase):
    """Words, numbers, strings, variables and symbols."""

    def error(self, text: str) -> ScriptError:
        """The error of a text."""
        return self.assertRaises(ScriptError, lexed, text)

    def test_words(self) -> None:
        """Keywords in lower case only; a word in another is a name."""
        self.assertEqual(lexed("if IF iffy"), [("IF", "if"), ("NAME", "IF"), ("NAME", "iffy")])

    def test_words_for_numbers(self) -> None:
        self.assertEqual(values("yes true on enable no false off disable Yes"), [1, 1, 1, 1, 0, 0, 0, 0, "Yes"])

    def test_numbers(self) -> None:
        """Decimal, hexadecimal, octal and binary."""
        self.assertEqual(values("0 10 0x1F 010 101b 9223372036854775807"), [0, 10, 31, 8, 5, 2**63 - 1])

    def test_no_numbers(self) -> None:
        for text in ("12abc", "08", "0x", "9223372036854775808", "1" * 100):
            self.assertIn("is not a number", self.error(text).problem, text)

    def test_symbols(self) -> None:
        """The longest that matches."""
        self.assertEqual(values("<<= >>< == =~ ! ="), ["<<", "=", ">>", "<", "==", "=~", "!", "="])

    def test_casts(self) -> None:
        """Without blanks between the parentheses."""
        self.assertEqual([kind for kind, _ in lexed("(int)(str)")], ["INT_CAST", "STR_CAST"])
        self.assertEqual(values("( int )"), ["(", "int", ")"])

    def test_variables(self) -> None:
        """Up to the parenthesis that closes, with all that is nested."""
        for text in ("$x", "$?", "$var(x)", "$(var(x){s.len})", "$avp($(var(x)))", "$sht(a=>$var(b))", "$(x[0])"):
            self.assertEqual(lexed(text), [("VARIABLE", text)])
        self.assertEqual(values("$x.y"[:2] + "=$y"), ["$x", "=", "$y"])

    def test_variable_not_closed(self) -> None:
        error = self.error("$var(x\n)")
        self.assertEqual((error.line, error.column), (1, 1))

    def test_double_quotes(self) -> None:
        """Escapes are resolved; other backslashes stay."""
        self.assertEqual(
            values(r'"a\n\r\t\a\"\\\x41\x4\102\0129\1\q" "é"'), [b'a\n\r\t\a"\\A\x04B\n9\\1\\q', "é".encode()]
        )
        self.assertEqual(values('"a\\\nb"'), [b"ab"])

    def test_single_quotes(self) -> None:
        """Nothing is an escape."""
        self.assertEqual(values(r"'a\n' 'b'"), [rb"a\n", b"b"])

    def test_bytes(self) -> None:
        """A byte that is not UTF-8 stays as it is."""
        self.assertEqual(values('"\udcff"'), [b"\xff"])

    def test_string_not_closed(self) -> None:
        for text in ('x "a', "x 'a"):
            error = self.error(text)
            self.assertEqual((error.column, error.problem), (3, "a string is not closed"))

    def test_no_tokens(self) -> None:
        for text, remedy in (
            ("a . b", "'+'"),
            ("5 % 2", "mod"),
            ("@ruri", "$ru"),
            ("$ x", "$name"),
            ("a ` b", "Remove"),
        ):
            self.assertIn(remedy, self.error(text).remedy, text)

    def test_positions(self) -> None:
        text = 'ab "c" $d'
        self.assertEqual([text[token.start : token.end] for token in tokens(source(text))], ["ab", '"c"', "$d"])
