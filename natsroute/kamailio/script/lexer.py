"""The tokens of Kamailio's script language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from natsroute.kamailio.cfg.lexemes import STRING
from natsroute.kamailio.cfg.numbers import number_of
from natsroute.kamailio.cfg.source import SourceText
from natsroute.kamailio.cfg.strings import string_value

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
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[0-9][A-Za-z0-9_]*)
  | (?P<open_variable>\$(?:[A-Za-z_][A-Za-z0-9_]*)?\()
  | (?P<variable>\$(?:\?|[A-Za-z_][A-Za-z0-9_]*))
  | (?P<string>(?s:{STRING.pattern}))
  | (?P<symbol>{"|".join(map(re.escape, SYMBOLS))})
    """,
    re.VERBOSE,
)


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

    :param source: the body of a :class:`~natsroute.kamailio.cfg.document.Block`: without comments, and several strings
        in a row are one.
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
            if kind == "blank":
                continue
            if kind == "word":
                yield _word(found[0], start, position)
            elif kind == "symbol":
                yield Lexeme(SYMBOLS[found[0]], found[0], start, position)
            elif kind == "number":
                yield Lexeme("NUMBER", self._number(found[0], start), start, position)
            elif kind == "string":
                value = string_value(found[0]).encode("utf-8", "surrogateescape")
                yield Lexeme("STRING", value, start, position)
            else:
                position = position if kind == "variable" else self._end_of_variable(start, position)
                yield Lexeme("VARIABLE", text[start:position], start, position)

    def _unknown(self, position: int) -> NoReturn:
        character = self._text[position]
        problem, remedy = f"unexpected {character!r}", "Remove it"
        if character in "\"'":
            problem, remedy = "a string is not closed", f"Close it with {character}"
        elif character == "$":
            problem, remedy = "'$' without the name of a variable", "A variable is written $name or $(name)"
        elif character == ".":
            remedy = "Strings are joined with '+'"
        elif character in "%@":
            remedy = "Kamailio's modulo is 'mod'" if character == "%" else "Use a variable such as $ru"
        raise self._source.position_at(position).error(problem, remedy)

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
        number = number_of(text)
        if number is None:
            remedy = "A number has at most 64 bits, and is decimal, 0x… (hexadecimal), 0… (octal) or …b (binary)"
            raise self._source.position_at(start).error(f"{text!r} is not a number", remedy)
        return number


def _word(text: str, start: int, end: int) -> Lexeme:
    if text in KEYWORDS:
        return Lexeme(KEYWORDS[text], text, start, end)
    number = number_of(text)
    if number is not None:
        return Lexeme("NUMBER", number, start, end)
    return Lexeme("NAME", text, start, end)
