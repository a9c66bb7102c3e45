"""
POSIX extended regular expressions, as Kamailio uses them, compiled for RE2 or for Python's ``re``.

RE2 takes time in proportion to the length of a text, whatever the pattern and the text are, and finds the longest match
as POSIX does. It is used if it is installed (``natsroute[re2]``), for all patterns but those with back-references,
``\\<`` and ``\\>``. It has at most 1000 repetitions. More of them are divided, ``x{1500}`` into ``x{1000}x{500}``; of
groups, they are refused.

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
_EDGES = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "`": r"\A"}
_REPEAT = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\}")
#: Patterns without repetitions, alternatives and groups. There is one way to match them, and Python takes it faster.
_ONE_WAY = re.compile(rb"[^*+?{|(]*")
_PLAIN = re.compile(r"[^\\^$.|()\[\]*+?{}]*")
_NAMED_CLASS = re.compile(r"\[:([a-z]+):\]")
_COLLATED = re.compile(r"\[([.=])(.)\1\]", re.DOTALL)
_MAX_REPEAT = 32767
_MAX_REPEAT_OF_RE2 = 1000


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
    :raises BadExpressionError: it is not one, or is too large for RE2.
    """
    flags = (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if newline else re.DOTALL)
    text = pattern.decode("latin-1")
    translator = _Translator(text, newline=newline)
    try:
        compiled = re.compile(translator.translate().encode("latin-1"), flags)
    except RecursionError:
        raise BadExpressionError("groups are nested too deeply") from None
    except (re.error, OverflowError) as error:
        raise BadExpressionError(str(error)) from None
    if not HAS_RE2 or translator.needs_python or _ONE_WAY.fullmatch(pattern):
        return compiled
    return _compile_linear(_LinearTranslator(text, newline=newline, ignore_case=ignore_case))


def _compile_linear(translator: _LinearTranslator) -> Pattern:
    """
    The same for RE2.

    :raises BadExpressionError: it has too many repetitions.
    """
    options = Options()
    options.encoding = Options.Encoding.LATIN1
    options.longest_match = True
    options.case_sensitive = not translator.ignore_case
    options.log_errors = False
    translated = translator.translate().encode("latin-1")
    try:
        compiled: Pattern = compile_re2(b"(?m)" + translated if translator.newline else translated, options)
    except re2_error:
        problem = f"more than {_MAX_REPEAT_OF_RE2} repetitions of a group, or of groups inside of each other together"
        raise BadExpressionError(f"{problem}, or a pattern that is too large for RE2") from None
    return compiled


class _Translator:
    """
    Writes a pattern for Python's ``re``.

    :ivar groups: how many groups it has had so far.
    :ivar needs_python: RE2 does not have what is in it.
    """

    #: The end of the text.
    end = r"\Z"

    def __init__(self, pattern: str, *, newline: bool) -> None:
        self.pattern = pattern
        self.position = 0
        self.newline = newline
        self.groups = 0
        self.needs_python = False

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
        groups = self.groups
        atom = self._atom()
        while (repeat := _REPEAT.match(self.pattern, self.position)) is not None:
            self.position = repeat.end()
            # A group around it: "a*?" is lazy in Python, and "a*+" possessive.
            atom = f"(?:{self._repeated(atom, repeat[0], has_group=self.groups > groups)})"
        return atom

    def _repeated(self, atom: str, repeat: str, *, has_group: bool) -> str:
        if any(int(number) > _MAX_REPEAT for number in re.findall(r"[0-9]+", repeat)):
            raise BadExpressionError("too many repetitions")
        return atom + repeat

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
            return "$" if self.newline else self.end
        if character in "*+?{":
            raise BadExpressionError(f"nothing to repeat before {character}")
        return self._literal(character)

    def _literal(self, character: str) -> str:
        return re.escape(character)

    def _group(self) -> str:
        self.groups += 1
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
        if character == "'":
            return self.end
        if character in _EDGES:
            self.needs_python = self.needs_python or character in "<>"
            return _EDGES[character]
        if character in "123456789":
            self.needs_python = True
            return f"(?:\\{character})"
        return self._literal(character)

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
            return self._written_set("[^" + "".join(parts) + (r"\n]" if self.newline else "]"))
        return self._written_set("[" + "".join(parts) + "]")

    def _written_set(self, characters: str) -> str:
        return characters

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


class _LinearTranslator(_Translator):
    """
    Writes a pattern for RE2, which ignores the case of all Latin-1 letters.

    :param ignore_case: that of ASCII letters is to be ignored.
    """

    end = r"\z"

    def __init__(self, pattern: str, *, newline: bool, ignore_case: bool) -> None:
        super().__init__(pattern, newline=newline)
        self.ignore_case = ignore_case

    def _repeated(self, atom: str, repeat: str, *, has_group: bool) -> str:
        super()._repeated(atom, repeat, has_group=has_group)
        if repeat in ("*", "+", "?"):
            return atom + repeat
        least, comma, most = repeat[1:-1].partition(",")
        low = int(least or "0")  # RE2 takes "{,2}" for text
        if has_group or max(low, int(most or "0")) <= _MAX_REPEAT_OF_RE2:
            return f"{atom}{{{low}{comma}{most}}}"
        found = _times(atom, low, "{%d}")
        if comma:
            found += _times(atom, int(most) - low, "{0,%d}") if most else f"{atom}*"
        return found

    def _literal(self, character: str) -> str:
        written = super()._literal(character)
        return f"(?-i:{written})" if self.ignore_case and not character.isascii() else written

    def _written_set(self, characters: str) -> str:
        if not self.ignore_case or characters.isascii():
            return characters
        members = re.compile(characters.encode("latin-1"), re.IGNORECASE)
        matching = "".join(rf"\x{byte:02x}" for byte in range(256) if members.match(bytes([byte])))
        return f"(?-i:[{matching}])" if matching else r"[^\x00-\xff]"


def _times(atom: str, count: int, repeat: str) -> str:
    """
    Repetitions, divided into as many as RE2 has.

    :param repeat: how they are written, with the number as ``%d``.
    """
    whole, rest = divmod(count, _MAX_REPEAT_OF_RE2)
    return (atom + repeat % _MAX_REPEAT_OF_RE2) * whole + (atom + repeat % rest if rest else "")


def _in_set(character: str) -> str:
    return "\\" + character if character in r"\]^-[&~|" else character
