"""natsroute.kamailio.cfg.lexemes"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.cfg.lexemes import (
    Kind,
    Lexeme,
    NoLexemeError,
    can_be_substituted,
    condition_from,
    lexeme_at,
)


def split(text: str) -> list[str]:
    """The lexemes of a text, blanks left out."""
    found: list[str] = []
    index = 0
    while index < len(text):
        lexeme = lexeme_at(text, index)
        if lexeme.kind is not Kind.BLANK:
            found.append(text[index : lexeme.end])
        index = lexeme.end
    return found


class LexemeTests(SynchronousTestCase):
    """What begins at a character."""

    def test_split(self) -> None:
        """Strings, variables, words and marks, whatever is inside of them."""
        for text, expected in [
            ("debug=3 # comment", ["debug", "=", "3"]),
            ("a//b\nc/**/d /* /* */ */e", ["a", "c", "d", "e"]),
            ("a/ b", ["a", "/", "b"]),
            ("a\\\nb\\c", ["a", "b", "\\", "c"]),
            (r'"a\"#" "b" ' + "'c\\'", [r'"a\"#"', '"b"', r"'c\'"]),
            ('"a\nb"', ['"a\nb"']),
            ('$var(x) $(var(y){s.sub,"#,(,)}) $x$', ["$var(x)", '$(var(y){s.sub,"#,(,)})', "$x", "$"]),
            ("$rc+$?-$retcode $rcx(1", ["$rc", "+", "$?", "-", "$retcode", "$rc", "x", "(", "1"]),
            ("5abc 0x1F abc", ["5abc", "0x1F", "abc"]),
            (
                "tls:fe80::1 [::1] ab:1 1:2:3:4:5:6:7:8",
                ["tls", ":", "fe80::1", "[", "::1", "]", "ab", ":", "1", "1:2:3:4:5:6:7:8"],
            ),
            ("@hdr[2].x %a.b;", ["@hdr[2].x", "%a.b", ";"]),
            ("!a !!b", ["!", "a", "!", "!", "b"]),
        ]:
            self.assertEqual(split(text), expected, text)

    def test_directives(self) -> None:
        """They have a kind and a name; where one does not match, it is a comment."""
        for text, expected in [
            ("#!define A", ("define", "define", 9)),
            ("!!def\tA", ("define", "def", 6)),
            ("#!trydefenvs A", ("env", "trydefenvs", 12)),
            ("#!defexps A 1", ("define", "defexps", 10)),
            ("#!substdefs", ("subst", "substdefs", 11)),
            ("#!subst", ("subst", "subst", 7)),
            ("#!ifndef A", ("if", "ifndef", 9)),
            ("#!else \r\n", ("end", "else", 9)),
            ("#!endif\n", ("end", "endif", 8)),
            ("#!KAMAILIO\n", ("mode", "KAMAILIO", 11)),
            ("//!ALL\n", ("mode", "ALL", 7)),
            ("#!import_file", ("include", "import_file", 13)),
        ]:
            lexeme = lexeme_at(text, 0)
            self.assertEqual((lexeme.directive, lexeme.name, lexeme.end), expected, text)
        for text in ("#!define\n", "#!definex\n", "#!endif x\n", "#!KAMAILIO \n", "#!\n", "//!define A\n", "#!endif"):
            self.assertEqual(lexeme_at(text, 0), Lexeme(Kind.BLANK, len(text)), text)

    def test_not_closed(self) -> None:
        """A string, a comment, and the parentheses of a variable."""
        for text, problem in [
            ('"a', "the string that begins here is never closed"),
            (r'"a\"', "the string that begins here is never closed"),
            ("'a", "the string that begins here is never closed"),
            ("/* a", "the comment that begins here is never closed"),
            ("/* /* */", "the comment that begins here is never closed"),
            ("/* /*", "the comment that begins here is never closed: 2 are open"),
            ("/*/", "the comment that begins here is never closed"),
            ("$var(a", "the parentheses of this pseudo-variable are not closed on its line"),
            ("$(var(a)\n)", "the parentheses of this pseudo-variable are not closed on its line"),
        ]:
            error = self.assertRaises(NoLexemeError, lexeme_at, text, 0)
            self.assertEqual(error.problem, problem, text)
            self.assertTrue(error.remedy)

    @given(st.text(alphabet="#!/*\\\"'$()[]{}@% \t\n\rabcdefinsubt0129:.=-é", min_size=1))
    def test_any(self, text: str) -> None:
        """Something begins at each character, or nothing can; it never ends before it begins."""
        for index in range(len(text)):
            try:
                lexeme = lexeme_at(text, index)
            except NoLexemeError:
                continue
            self.assertTrue(index < lexeme.end <= len(text))


class SkippedTests(SynchronousTestCase):
    """Text that is skipped."""

    def test_conditions(self) -> None:
        """They count anywhere, also in strings and comments; other directives do not."""
        text = 'a "#!else\n" #!define X\n# #!ifdef Y\n/* !!endif \n#!endif x'
        found: list[tuple[int, str]] = []
        index = 0
        while (condition := condition_from(text, index)) is not None:
            found.append((condition[0], condition[1].name))
            index = condition[1].end
        self.assertEqual(found, [(3, "else"), (25, "ifdef"), (38, "endif")])


class SubstitutedTests(SynchronousTestCase):
    """The variables in which #!subst works."""

    def test_which(self) -> None:
        """Those with parentheses, and those without behind #!KAMAILIO."""
        for variable, always, after_mode in [
            ("$var(x)", True, True),
            ("$(var(x))", True, True),
            ("$ru", False, True),
            ("$rc", False, False),
            ("$?", False, False),
            ("$", False, False),
        ]:
            self.assertEqual(can_be_substituted(variable, after_mode=False), always, variable)
            self.assertEqual(can_be_substituted(variable, after_mode=True), after_mode, variable)
