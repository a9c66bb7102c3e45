"""The tokens of Kamailio's script language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from natsroute.kamailio.cfg.source import SourceText

#: The keywords, and their terminals in the grammar. Kamailio distinguishes upper and lower case.
KEYWORDS = {
    "if": "IF",
    "else": "_ELSE",
    "while": "WHILE",
    "switch": "SWITCH",
    "case": "_CASE",
    "default": "DEFAULT",
    "route": "ROUTE",
    "return": "RETURN",
    "exit": "EXIT",
    "drop": "DROP",
    "break": "BREAK",
    "and": "AND",
    "or": "OR",
    "not": "NOT",
    "mod": "MOD",
    "eq": "EQUALITY",
    "ne": "EQUALITY",
    "ieq": "EQUALITY",
    "ine": "EQUALITY",
    "strlen": "STRLEN",
    "strempty": "STREMPTY",
    "defined": "DEFINED",
    "selval": "SELVAL",
}

#: Words that stand for numbers.
_NUMBER_WORDS = {
    **dict.fromkeys(("yes", "true", "on", "enable"), 1),
    **dict.fromkeys(("no", "false", "off", "disable"), 0),
}

#: Operators and punctuation, the longer ones first.
SYMBOLS = {
    "(int)": "INT_CAST",
    "(str)": "STR_CAST",
    "==": "EQUALITY",
    "!=": "EQUALITY",
    "=~": "EQUALITY",
    "&&": "AND",
    "||": "OR",
    "<<": "SHIFT_LEFT",
    ">>": "SHIFT_RIGHT",
    "<=": "COMPARISON",
    ">=": "COMPARISON",
    "<": "COMPARISON",
    ">": "COMPARISON",
    "=": "_ASSIGN",
    "!": "NOT",
    "~": "BIT_NOT",
    "&": "BIT_AND",
    "|": "BIT_OR",
    "^": "BIT_XOR",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "SLASH",
    "(": "_LEFT_PARENTHESIS",
    ")": "_RIGHT_PARENTHESIS",
    "{": "_LEFT_BRACE",
    "}": "_RIGHT_BRACE",
    ",": "_COMMA",
    ";": "_SEMICOLON",
    ":": "_COLON",
}

_TOKEN = re.compile(
    rf"""
    (?P<blank>[ \t\r\n\b]+ | \\\n)
  | (?P<comment>(?:\#|//)[^\n]*)
  | (?P<block_comment>/\*)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[0-9][A-Za-z0-9_]*)
  | (?P<open_variable>\$(?:[A-Za-z_][A-Za-z0-9_]*)?\()
  | (?P<variable>\$(?:\?|[A-Za-z_][A-Za-z0-9_]*))
  | (?P<quote>["'])
  | (?P<symbol>{"|".join(map(re.escape, SYMBOLS))})
    """,
    re.VERBOSE,
)

_COMMENT_MARK = re.compile(r"/\*|\*/")

#: A string in double quotes, up to the closing one; in single quotes nothing is an escape.
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SINGLE_QUOTED = re.compile(r"'([^']*)'")
#: What may stand between two strings in double quotes that are one string.
_BETWEEN = re.compile(r"[ \t\r\n\b]*(?=\")")

_ESCAPE = re.compile(rb'\\(?:([nrat"\\])|x([0-9a-fA-F]{1,2})|([0-7]{2,3})|(\n))')
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"a": b"\a", b"t": b"\t", b'"': b'"', b"\\": b"\\"}

#: Numbers, with the base of each form.
_NUMBERS = (
    (re.compile(r"0x([0-9a-fA-F]+)"), 16),
    (re.compile(r"0([0-7]+)"), 8),
    (re.compile(r"(0|[1-9][0-9]*)"), 10),
    (re.compile(r"([01]+)b"), 2),
)

#: No number of 64 bits has more digits than this in any base.
_MAX_DIGITS = 70


class Lexeme(NamedTuple):
    """
    A token.

    :ivar type: its terminal in the grammar.
    :ivar value: the bytes of a string, the integer of a number, else its text.
    :ivar start: the index of its first character.
    :ivar end: the index behind its last character.
    """

    type: str
    value: str | bytes | int
    start: int
    end: int


def tokens(source: SourceText) -> Iterator[Lexeme]:
    """
    The tokens of a script.

    :raises ScriptError: something is not a token: a string or parenthesis that is not closed, or a character that has
        no meaning.
    """
    return _Lexer(source).tokens()


class _Lexer:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._text = source.text

    def tokens(self) -> Iterator[Lexeme]:
        position, text = 0, self._text
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                self._unknown(position)
            start, kind = position, found.lastgroup
            position = found.end()
            if kind in ("blank", "comment"):
                continue
            if kind == "block_comment":
                position = self._end_of_comment(start)
            elif kind == "word":
                yield _word(found[0], start, position)
            elif kind == "symbol":
                yield Lexeme(SYMBOLS[found[0]], found[0], start, position)
            elif kind == "number":
                yield Lexeme("NUMBER", self._number(found[0], start), start, position)
            elif kind == "quote":
                value, position = self._string(start)
                yield Lexeme("STRING", value, start, position)
            else:
                position = position if kind == "variable" else self._end_of_variable(start, position)
                yield Lexeme("VARIABLE", text[start:position], start, position)

    def _unknown(self, position: int) -> NoReturn:
        character = self._text[position]
        problem, remedy = f"unexpected {character!r}", "Remove it"
        if character == "$":
            problem, remedy = "'$' without the name of a variable", "A variable is written $name or $(name)"
        elif character == ".":
            remedy = "Strings are joined with '+'"
        elif character in "%@":
            remedy = "Kamailio's modulo is 'mod'" if character == "%" else "Use a variable such as $ru"
        raise self._source.position_at(position).error(problem, remedy)

    def _end_of_comment(self, start: int) -> int:
        """Comments can be nested."""
        depth = 0
        for found in _COMMENT_MARK.finditer(self._text, start):
            depth += 1 if found[0] == "/*" else -1
            if depth == 0:
                return found.end()
        raise self._source.position_at(start).error("a comment is not closed", "Close it with '*/'")

    def _end_of_variable(self, start: int, position: int) -> int:
        depth, text = 1, self._text
        while depth and position < len(text) and text[position] != "\n":
            depth += {"(": 1, ")": -1}.get(text[position], 0)
            position += 1
        if depth:
            problem = "a parenthesis of a variable is not closed in this line"
            raise self._source.position_at(start).error(problem, "Close it with ')'")
        return position

    def _number(self, text: str, start: int) -> int:
        for pattern, base in _NUMBERS:
            found = pattern.fullmatch(text)
            if found is not None and len(found[1]) <= _MAX_DIGITS:
                number = int(found[1], base)
                if number >= 2**63:
                    break
                return number
        remedy = "A number has at most 64 bits, and is decimal, 0x… (hexadecimal), 0… (octal) or …b (binary)"
        raise self._source.position_at(start).error(f"{text!r} is not a number", remedy)

    def _string(self, start: int) -> tuple[bytes, int]:
        text = self._text
        if text[start] == "'":
            found = _SINGLE_QUOTED.match(text, start)
            if found is None:
                raise self._not_closed(start)
            return found[1].encode("utf-8", "surrogateescape"), found.end()
        parts = []
        position = start
        while True:
            found = _DOUBLE_QUOTED.match(text, position)
            if found is None:
                raise self._not_closed(position)
            parts.append(_unescape(found[1].encode("utf-8", "surrogateescape")))
            position = found.end()
            more = _BETWEEN.match(text, position)
            if more is None:
                return b"".join(parts), position
            position = more.end()

    def _not_closed(self, start: int) -> Exception:
        quote = self._text[start]
        return self._source.position_at(start).error("a string is not closed", f"Close it with {quote}")


def _word(text: str, start: int, end: int) -> Lexeme:
    if text in KEYWORDS:
        return Lexeme(KEYWORDS[text], text, start, end)
    if text in _NUMBER_WORDS:
        return Lexeme("NUMBER", _NUMBER_WORDS[text], start, end)
    return Lexeme("NAME", text, start, end)


def _unescape(text: bytes) -> bytes:
    """Resolve the escapes of a string in double quotes; other backslashes stay."""

    def resolved(found: re.Match[bytes]) -> bytes:
        letter, hexadecimal, octal, newline = found.groups()
        if letter is not None:
            return _ESCAPED[letter]
        if newline is not None:
            return b""
        return bytes([int(hexadecimal, 16) if hexadecimal is not None else int(octal, 8) & 0xFF])

    return _ESCAPE.sub(resolved, text) if b"\\" in text else text
