"""
The JSON that json-c accepts and others do not: single quotes, comments, a comma behind the last item, leading zeros,
names of constants in any case, strings that are not UTF-8.

It is read here character by character, which is slow; :mod:`natsroute.kamailio.json.documents` comes here only with
what the standard library refuses.
"""

from __future__ import annotations

import re
from typing import Any

#: Objects and arrays inside each other, the outermost included.
MAX_DEPTH = 32

_SPACE = re.compile(r"(?:[ \t\n\r]+|/\*.*?\*/|//[^\n]*(?:\n|\Z))*", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]*)?|-?Infinity|NaN", re.IGNORECASE)
_PLAIN = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*")}
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_WORDS = (("true", True), ("false", False), ("null", None))
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/", "'": "'"}
_BEHIND_NUMBER = frozenset(",]}/ \t\n\r")
_CONSTANTS = {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}
_MAX_DIGITS = 20  # of an integer that fits into 64 bits


class NotJsonError(ValueError):
    """No JSON document, not even for json-c."""


class Literal(str):
    """A number with a fraction or an exponent, or a constant, as it was written."""

    __slots__ = ()


class RawText(str):
    """A string that is not UTF-8; its bytes are surrogate escapes."""

    __slots__ = ()


def parse(data: bytes) -> Any:
    """
    Read a document.

    :raises NotJsonError: there is none.
    """
    return _Parser(data.decode("utf-8", "surrogateescape")).value(0)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def value(self, depth: int) -> Any:
        """A value, and the space before it; the depth is that of what it is in."""
        character = self._next()
        if character == "{":
            return self._object(self._deeper(depth))
        if character == "[":
            return self._array(self._deeper(depth))
        if character in _PLAIN:
            return self._string()
        number = _NUMBER.match(self.text, self.position)
        if number is not None:
            return self._number(number)
        for word, constant in _WORDS:
            if self.text[self.position : self.position + len(word)].lower() == word:
                self.position += len(word)
                return constant
        raise NotJsonError

    def _deeper(self, depth: int) -> int:
        if depth >= MAX_DEPTH:
            raise NotJsonError
        self.position += 1
        return depth + 1

    def _next(self) -> str:
        """The next character that is neither space nor comment."""
        space = _SPACE.match(self.text, self.position)
        if space is not None:
            self.position = space.end()
        if self.position >= len(self.text):
            raise NotJsonError
        return self.text[self.position]

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while True:
            character = self._next()
            if character == "}":
                self.position += 1
                return found
            if character not in _PLAIN:
                raise NotJsonError
            name = self._string()
            if self._next() != ":":
                raise NotJsonError
            self.position += 1
            found[name] = self.value(depth)
            self._separator("}")

    def _array(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while True:
            if self._next() == "]":
                self.position += 1
                return found
            found.append(self.value(depth))
            self._separator("]")

    def _separator(self, closing: str) -> None:
        """Move behind a comma, which may come before the closing bracket too."""
        character = self._next()
        if character == ",":
            self.position += 1
        elif character != closing:
            raise NotJsonError

    def _number(self, match: re.Match[str]) -> int | Literal:
        self.position = match.end()
        # Only inside something does json-c look at what comes next; and there it matters to us.
        if self.text[self.position : self.position + 1] not in _BEHIND_NUMBER and self.position < len(self.text):
            raise NotJsonError
        text = match[0]
        if text.lower() in _CONSTANTS:
            return Literal(_CONSTANTS[text.lower()])
        if any(character in ".eE" for character in text):
            return Literal(text.rstrip("eE-+"))
        digits = text.lstrip("-").lstrip("0") or "0"
        number = int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
        return -number if text.startswith("-") else number

    def _string(self) -> str:
        quote = self.text[self.position]
        plain = _PLAIN[quote]
        self.position += 1
        parts: list[str] = []
        while True:
            match = plain.match(self.text, self.position)
            assert match is not None  # it can be empty
            parts.append(match[0])
            self.position = match.end()
            character = self.text[self.position : self.position + 1]
            self.position += 1
            if character == quote:
                return _as_string("".join(parts))
            if not character:
                raise NotJsonError
            parts.append(self._escape())

    def _escape(self) -> str:
        character = self.text[self.position : self.position + 1]
        self.position += 1
        if character != "u":
            try:
                return _ESCAPED[character]
            except KeyError:
                raise NotJsonError from None
        high = self._code_unit()
        if 0xD800 <= high < 0xDC00 and self.text.startswith("\\u", self.position):
            start = self.position
            self.position += 2
            low = self._code_unit()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
            self.position = start
        return "\ufffd" if 0xD800 <= high < 0xE000 else chr(high)

    def _code_unit(self) -> int:
        digits = _HEX.match(self.text, self.position)
        if digits is None:
            raise NotJsonError
        self.position = digits.end()
        return int(digits[0], 16)


def _as_string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return RawText(text)
    return text
