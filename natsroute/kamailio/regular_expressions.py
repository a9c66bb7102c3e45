"""
POSIX extended regular expressions, as Kamailio uses them, compiled for RE2 or for Python's ``re``.

RE2 takes time in proportion to the length of a text, whatever the pattern and the text are, and finds the longest match
as POSIX does. It is used if it is installed (``natsroute[re2]``), and for patterns that it supports: not for
back-references, ``\\<``, ``\\>``, and more than 1000 repetitions.

Patterns without repetitions, alternatives and groups are for Python's ``re`` in any case: it is faster, and there is
only one way to match them.

Python's ``re`` tries one way after the other. With a pattern such as ``(a+)+$``, a short text can take hours. Of
alternatives it takes the first that matches, not the longest. Alternatives that are plain text are sorted so that the
longest comes first, which gives the same match as POSIX in nearly all patterns that are written for Kamailio.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Protocol

try:
    from re2 import Options
    from re2 import compile as compile_re2
    from re2 import error as re2_error
except ImportError:
    HAS_RE2 = False
else:
    HAS_RE2 = True

_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\r\f\v",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "print": r" -~",
    "graph": r"!-~",
    "cntrl": r"\x00-\x1f\x7f",
    "xdigit": "0-9A-Fa-f",
}
_LETTERS = {
    "w": "[a-zA-Z0-9_]",
    "W": "[^a-zA-Z0-9_]",
    "s": r"[ \t\n\r\f\v]",
    "S": r"[^ \t\n\r\f\v]",
    "b": r"\b",
    "B": r"\B",
}
_EDGES = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "`": r"\A", "'": r"\Z"}
_REPEAT = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\}")
#: Patterns without repetitions, alternatives and groups. There is one way to match them, and Python takes it faster.
_ONE_WAY = re.compile(rb"[^*+?{|(]*")
_PLAIN = re.compile(r"[^\\^$.|()\[\]*+?{}]*")
_NAMED_CLASS = re.compile(r"\[:([a-z]+):\]")
_COLLATED = re.compile(r"\[([.=])(.)\1\]", re.DOTALL)
_MAX_REPEAT = 32767


class BadExpressionError(ValueError):
    """A regular expression that cannot be compiled."""


class Match(Protocol):
    """Where a pattern matches, as :class:`re.Match`."""

    def span(self) -> tuple[int, int]:
        """The indexes of its first byte and behind its last one."""

    def __getitem__(self, group: int, /) -> bytes | Any:
        """The whole match (0) or a group; None if the group is not in it."""


class Pattern(Protocol):
    """A compiled regular expression, as :class:`re.Pattern`."""

    @property
    def groups(self) -> int:
        """How many groups it has."""

    def search(self, text: bytes, position: int = 0, /) -> Match | None:
        """The first match at or behind a position."""


@lru_cache(256)
def compile_regex(pattern: bytes, *, ignore_case: bool = False, newline: bool = True) -> Pattern:
    """
    Compile a POSIX extended regular expression.

    :param newline: ``.`` and ``[^…]`` do not match a line feed, ``^`` and ``$`` match beside one (``REG_NEWLINE``).
    :raises BadExpressionError: it is not one.
    """
    flags = (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if newline else re.DOTALL)
    try:
        translated = _Translator(pattern.decode("latin-1"), newline=newline).translate().encode("latin-1")
        compiled = re.compile(translated, flags)
    except RecursionError:
        raise BadExpressionError("groups are nested too deeply") from None
    except (re.error, OverflowError) as error:
        raise BadExpressionError(str(error)) from None
    if _ONE_WAY.fullmatch(pattern):
        return compiled
    return _compile_linear(translated, ignore_case=ignore_case, newline=newline) or compiled


def _compile_linear(translated: bytes, *, ignore_case: bool, newline: bool) -> Pattern | None:
    """The same for RE2; None if it is not installed or does not support the pattern."""
    if not HAS_RE2 or (ignore_case and not translated.isascii()):  # RE2 ignores the case of all Latin-1 letters
        return None
    options = Options()
    options.encoding = Options.Encoding.LATIN1
    options.longest_match = True
    options.case_sensitive = not ignore_case
    options.log_errors = False
    translated = translated.replace(rb"\Z", rb"\z")  # an escaped backslash before a Z is written as [\\]
    try:
        compiled: Pattern = compile_re2(b"(?m)" + translated if newline else translated, options)
    except re2_error:
        return None
    return compiled


class _Translator:
    def __init__(self, pattern: str, *, newline: bool) -> None:
        self.pattern = pattern
        self.position = 0
        self.newline = newline

    def translate(self) -> str:
        translated = self._alternatives()
        if self.position < len(self.pattern):
            raise BadExpressionError("unmatched )")
        return translated

    def _peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def _alternatives(self) -> str:
        """Up to the end, or to the bracket that closes this group."""
        branches, all_plain = [], True
        while True:
            start = self.position
            branches.append(self._branch())
            all_plain = all_plain and _PLAIN.fullmatch(self.pattern, start, self.position) is not None
            if self._peek() != "|":
                break
            self.position += 1
        if all_plain:
            branches.sort(key=len, reverse=True)
        return "|".join(branches)

    def _branch(self) -> str:
        parts: list[str] = []
        while (character := self._peek()) and character not in "|)":
            parts.append(self._piece())
        return "".join(parts)

    def _piece(self) -> str:
        atom = self._atom()
        while (repeat := _REPEAT.match(self.pattern, self.position)) is not None:
            self.position = repeat.end()
            # A group around it: "a*?" is lazy in Python, and "a*+" possessive.
            atom = f"(?:{atom}{self._checked(repeat[0])})"
        return atom

    def _checked(self, repeat: str) -> str:
        if any(int(number) > _MAX_REPEAT for number in re.findall(r"[0-9]+", repeat)):
            raise BadExpressionError("too many repetitions")
        return "{0" + repeat[1:] if repeat.startswith("{,") else repeat  # RE2 takes "{,2}" for text

    def _atom(self) -> str:
        character = self._peek()
        self.position += 1
        if character == "(":
            return self._group()
        if character == "[":
            return self._set()
        if character == "\\":
            return self._escape()
        if character == ".":
            return r"[^\n]" if self.newline else "(?s:.)"
        if character == "^":
            return "^"
        if character == "$":
            return "$" if self.newline else r"\Z"
        if character in "*+?{":
            raise BadExpressionError(f"nothing to repeat before {character}")
        return re.escape(character)

    def _group(self) -> str:
        inside = self._alternatives()
        if self._peek() != ")":
            raise BadExpressionError("unmatched (")
        self.position += 1
        return f"({inside})"

    def _escape(self) -> str:
        character = self._peek()
        if not character:
            raise BadExpressionError("a backslash at the end")
        self.position += 1
        if character in _LETTERS:
            return _LETTERS[character]
        if character in _EDGES:
            return _EDGES[character]
        if character in "123456789":
            return f"(?:\\{character})"
        return re.escape(character)

    def _set(self) -> str:
        negated = self._peek() == "^"
        self.position += negated
        parts: list[str] = []
        start = self.position
        while True:
            character = self._peek()
            if not character:
                raise BadExpressionError("unmatched [")
            if character == "]" and self.position > start:
                self.position += 1
                break
            parts.append(self._member())
        if negated:
            return "[^" + "".join(parts) + (r"\n]" if self.newline else "]")
        return "[" + "".join(parts) + "]"

    def _member(self) -> str:
        """A character, a range or a class inside of brackets."""
        named = _NAMED_CLASS.match(self.pattern, self.position)
        if named is not None:
            self.position = named.end()
            try:
                return _CLASSES[named[1]]
            except KeyError:
                raise BadExpressionError(f"unknown class {named[1]}") from None
        first = self._element()
        if self._peek() == "-" and self.pattern[self.position + 1 : self.position + 2] not in ("]", ""):
            self.position += 1
            last = self._element()
            if first > last:
                raise BadExpressionError("a range in the wrong order")
            return f"{_in_set(first)}-{_in_set(last)}"
        return _in_set(first)

    def _element(self) -> str:
        collated = _COLLATED.match(self.pattern, self.position)
        if collated is not None:
            self.position = collated.end()
            return collated[2]
        character = self._peek()
        self.position += 1
        return character


def _in_set(character: str) -> str:
    return "\\" + character if character in r"\]^-[&~|" else character
