"""
What the next characters of a ``kamailio.cfg`` are, as the lexer of Kamailio 6.1 sees them (``core/cfg.lex``).

Of what could begin at a character, the longest counts. Directives are recognised anywhere outside of strings, comments
and pseudo-variables, also in the middle of a line.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

_DIRECTIVE = re.compile(
    r"""(?:\#!|!!)(?:
    (?P<define>trydefine|trydef|redefine|redef|tryundefine|tryundef|undefine|undef|defexps|defexp|define|def)[ \t\b\r]+
    |(?P<if>ifdef|ifndef|ifexp)[ \t\b\r]+
    |(?P<end>else|endif)[ \t\b\r]*\n
    |(?P<env>trydefenvs|trydefenv|defenvs|defenv)
    |(?P<subst>substdefs|substdef|subst)
    |(?P<include>include_file|import_file))
    |(?:\#|//)!(?P<mode>SER|KAMAILIO|OPENSER|MAXCOMPAT|ALL)\n""",
    re.VERBOSE,
)
_CONDITION = re.compile(r"(?:#!|!!)(?:(?P<if>ifdef|ifndef|ifexp)[ \t\b\r]+|(?P<end>else|endif)[ \t\b\r]*\n)")
_LINE_COMMENT = re.compile(r"(?:#|//)[^\n]*\n?")
_COMMENT_PART = re.compile(r"/\*|\*/")
_BLANKS = re.compile(r"(?:[ \t\b\r\n]|\\\n)+")
_WORD = re.compile(r"[A-Za-z0-9_]+")
_ATTRIBUTE = re.compile(r"[@%][A-Za-z0-9_.\[\]*]*")
#: A string in either kind of quotes, which may hold line ends.
STRING = re.compile(r""""[^"\\]*(?:\\.[^"\\]*)*"|'[^']*'""", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\?|retcode|rc|(?:[A-Za-z_][A-Za-z0-9_]*)?)")
_KEPT_VARIABLE = re.compile(r"\$(?:\?|retcode|rc)?\Z")
_PARENTHESIS = re.compile(r"[()\n]")
_HEX = "[0-9a-fA-F]{1,4}"
_IPV6 = [
    re.compile(form)
    for form in (
        f"(?:{_HEX}:){{7}}{_HEX}",
        f"(?:{_HEX}:){{1,7}}(?::{_HEX}){{1,7}}",
        f":(?::{_HEX}){{1,7}}",
        f"(?:{_HEX}:){{1,7}}:",
    )
]


class Kind(Enum):
    """What some characters are."""

    BLANK = "white space or a comment"
    STRING = "a string"
    WORD = "an identifier, a number or an address"
    VARIABLE = "a pseudo-variable"
    MARK = "any other character"
    DIRECTIVE = "the beginning of a directive"
    END = "the end of the file"


class Lexeme(NamedTuple):
    """
    Characters that belong together.

    :ivar end: the index behind the last one.
    :ivar directive: the kind of a directive (``define``, ``if``, ``end``, ``env``, ``subst``, ``include`` or ``mode``).
    :ivar name: its name, such as ``trydef``.
    """

    kind: Kind
    end: int
    directive: str = ""
    name: str = ""


class NoLexemeError(ValueError):
    """
    The characters are nothing.

    :ivar problem: why not.
    :ivar remedy: what to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def lexeme_at(text: str, index: int) -> Lexeme:
    """
    What begins at an index of a text.

    :raises NoLexemeError: a string, a comment or a pseudo-variable begins there that is never closed.
    """
    character = text[index]
    if character in " \t\b\r\n\\":
        found = _BLANKS.match(text, index)
        return Lexeme(Kind.BLANK, found.end()) if found else Lexeme(Kind.MARK, index + 1)
    if character in "\"'":
        return _string(text, index)
    if character == "$":
        return _variable(text, index)
    if character in "#!/":
        return _directive_or_comment(text, index)
    if character in "@%":
        found = _ATTRIBUTE.match(text, index)
        return Lexeme(Kind.WORD, found.end() if found else index + 1)
    word = _WORD.match(text, index)
    end = word.end() if word else index
    if text[end : end + 1] == ":":
        end = max([end, *(address.end() for form in _IPV6 if (address := form.match(text, index)))])
    return Lexeme(Kind.WORD, end) if end > index else Lexeme(Kind.MARK, index + 1)


def condition_from(text: str, index: int) -> tuple[int, Lexeme] | None:
    """
    The next ``#!ifdef``, ``#!ifndef``, ``#!ifexp``, ``#!else`` or ``#!endif`` in text that is skipped.

    There, Kamailio sees them in strings and comments, too.

    :return: where it begins, and what it is; None if there is none.
    """
    found = _CONDITION.search(text, index)
    if found is None:
        return None
    group = str(found.lastgroup)
    return found.start(), Lexeme(Kind.DIRECTIVE, found.end(), group, found[group])


def can_be_substituted(variable: str, *, after_mode: bool) -> bool:
    """
    Whether ``#!subst`` works on a variable: not on ``$rc``, and on ``$name`` only behind ``#!KAMAILIO``.

    :param variable: its text.
    :param after_mode: there was a ``#!KAMAILIO``.
    """
    return "(" in variable or (after_mode and _KEPT_VARIABLE.match(variable) is None)


def _string(text: str, index: int) -> Lexeme:
    found = STRING.match(text, index)
    if found is None:
        raise NoLexemeError("the string that begins here is never closed", "Close it with the same quote")
    return Lexeme(Kind.STRING, found.end())


def _variable(text: str, index: int) -> Lexeme:
    found = _VARIABLE.match(text, index)
    assert found is not None  # of the "$" at least
    end = found.end()
    if text[end : end + 1] != "(" or found[0] in ("$?", "$retcode", "$rc"):
        return Lexeme(Kind.VARIABLE, end)
    depth = 0
    while depth or end == found.end():
        parenthesis = _PARENTHESIS.search(text, end)
        if parenthesis is None or parenthesis[0] == "\n":
            problem = "the parentheses of this pseudo-variable are not closed on its line"
            raise NoLexemeError(problem, "Close them there")
        end = parenthesis.end()
        depth += 1 if parenthesis[0] == "(" else -1
    return Lexeme(Kind.VARIABLE, end)


def _directive_or_comment(text: str, index: int) -> Lexeme:
    found = _DIRECTIVE.match(text, index)
    if found is not None:
        group = str(found.lastgroup)
        return Lexeme(Kind.DIRECTIVE, found.end(), group, found[group])
    if text.startswith("/*", index):
        return Lexeme(Kind.BLANK, _end_of_comment(text, index))
    comment = _LINE_COMMENT.match(text, index)
    return Lexeme(Kind.BLANK, comment.end()) if comment else Lexeme(Kind.MARK, index + 1)


def _end_of_comment(text: str, index: int) -> int:
    end, depth = index + 2, 1
    while depth:
        part = _COMMENT_PART.search(text, end)
        if part is None:
            nested = f": {depth} are open" if depth > 1 else ""
            remedy = "Close it with */. A /* inside of a comment needs a */ of its own"
            raise NoLexemeError(f"the comment that begins here is never closed{nested}", remedy)
        end = part.end()
        depth += 1 if part[0] == "/*" else -1
    return end
