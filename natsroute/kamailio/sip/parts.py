"""
Lists of parameters, name-addresses and the values of To and From headers (RFC 3261, section 25.1), parsed as Kamailio
parses them.
"""

from __future__ import annotations

import re
from functools import lru_cache

import attrs

from natsroute.errors import EvaluationError
from natsroute.kamailio.remembering import remember_short

_SPACE = b" \t\r\n"


@remember_short
def parse_params(text: bytes, separator: bytes = b";") -> tuple[tuple[bytes, bytes], ...]:
    """
    Parse a list such as ``a=1;b="x y";c``. It ends at a comma or at ``>``.

    :param separator: one byte.
    :return: names and values. A missing value is empty. Quotes are not part of a value.
    :raises EvaluationError: it is malformed.
    """
    if len(text) > 1 and text.endswith(separator):
        text = text[:-1]
    found: list[tuple[bytes, bytes]] = []
    name_end, value_end = _ends(separator)
    position = 0
    while True:
        end = name_end.search(text, position)
        name = text[position:] if end is None else text[position : end.start()]
        position = _skip_space(text, position + len(name))
        value = b""
        if text[position : position + 1] == b"=":
            position = _skip_space(text, position + 1)
            value, position = _param_value(text, position, value_end)
            position = _skip_space(text, position)
        found.append((name, value))
        mark = text[position : position + 1]
        if mark in (b"", b",", b">"):
            return tuple(found)
        position = _skip_space(text, position + 1)
        if mark != separator or position >= len(text):
            raise EvaluationError("not a list of parameters")


@lru_cache(16)
def _ends(separator: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What ends the name of a parameter, and what ends its value."""
    return re.compile(rb"[ \t\r\n,=%s]" % re.escape(separator)), re.compile(rb"[ \t\r\n,%s]" % re.escape(separator))


def _skip_space(text: bytes, position: int) -> int:
    while text[position : position + 1] and text[position] in _SPACE:
        position += 1
    return position


def _param_value(text: bytes, position: int, value_end: re.Pattern[bytes]) -> tuple[bytes, int]:
    """A value and the index behind it."""
    if position >= len(text):
        return b"", position
    quote = text[position : position + 1]
    if quote in (b'"', b"'"):
        closing = text.find(quote, position + 1)
        if closing < 0:
            raise EvaluationError("a list of parameters with a quote that is never closed")
        return text[position + 1 : closing], closing + 1
    end = value_end.search(text, position)
    stop = len(text) if end is None else end.start()
    if stop == position:
        raise EvaluationError("a list of parameters without a value after '='")
    return text[position:stop], stop


_OPENING, _CLOSING = re.compile(rb'["<]'), re.compile(rb'[">]')
_CLOSING_QUOTE = re.compile(rb'(?<!\\)"')


@attrs.frozen
class NameAddr:
    """
    ``"Display name" <uri>``.

    :ivar name: what comes before the ``<``, with quotes and blanks.
    :ivar length: bytes up to and including the ``>``.
    """

    name: bytes
    uri: bytes
    length: int


def parse_name_addr(text: bytes) -> NameAddr:
    """
    Parse a name-address. A text without ``<`` is a URI.

    :raises EvaluationError: the ``<`` is never closed.
    """
    opening = _find_unquoted(text, _OPENING, 0)
    if opening < 0:
        return NameAddr(b"", text, len(text))
    closing = _find_unquoted(text, _CLOSING, opening + 1)
    if closing < 0:
        raise EvaluationError("a name-address whose '<' is never closed")
    return NameAddr(text[:opening], text[opening + 1 : closing], closing + 1)


def _find_unquoted(text: bytes, wanted: re.Pattern[bytes], position: int) -> int:
    """The index of what a pattern matches outside of quotes, or -1; the pattern matches quotes too."""
    while (found := wanted.search(text, position)) is not None:
        if found[0] != b'"':
            return found.start()
        closing = _CLOSING_QUOTE.search(text, found.end())
        if closing is None:
            return -1
        position = closing.end()
    return -1


@attrs.frozen
class ToBody:
    """
    The value of a To or From header.

    :ivar display: the display name, with quotes.
    :ivar params: all parameters, without the first ``;``.
    """

    display: bytes
    uri: bytes
    tag: bytes
    params: bytes


#: White space in a header: blanks, and line breaks that are followed by a blank.
_SPACE_OR_FOLD = rb"(?:[ \t]|\r\n[ \t]|[\r\n][ \t])"
_SPACES = _SPACE_OR_FOLD + rb"*"
_ADDRESS = re.compile(
    rb"[ \t]*(?:"
    rb'(?:(?P<quoted>"(?:[^"\\]|\\.)*")%(spaces)s'
    rb'|(?P<tokens>[^ \t\r\n"<>;\\]+(?:%(space)s+[^ \t\r\n"<>;\\]+)*)%(spaces)s)?'
    rb'<[ \t]*(?P<enclosed>[^ \t\r\n<>"\\][^ \t\r\n<>"\\]*)[ \t]*>'
    rb'|(?P<bare>[^ \t\r\n"<>;\\]+))%(spaces)s' % {b"space": _SPACE_OR_FOLD, b"spaces": _SPACES},
    re.DOTALL,
)
_TO_PARAM = re.compile(
    rb';%(spaces)s(?P<name>[^ \t\r\n=;,"\\]+)%(spaces)s'
    rb'(?:=%(spaces)s(?:"(?P<quoted>[^"\\]*)"|(?P<token>[^ \t\r\n=;"\\]*)))?%(spaces)s' % {b"spaces": _SPACES}
)
_END = re.compile(rb"(?:\r\n|\r(?!\n)|\n)(?!\\)|\Z")


def parse_to_body(text: bytes) -> ToBody:
    """
    Parse the value of a To or From header, which ends at the end of its line.

    :raises EvaluationError: it is malformed.
    """
    match = _ADDRESS.match(text)
    if match is None:
        raise EvaluationError("not an address")
    uri = match["bare"] if match["enclosed"] is None else match["enclosed"]
    display = match["quoted"] or match["tokens"] or b""
    tag, begin_of_params, position = b"", len(text), match.end()
    while not _END.match(text, position):
        param = _TO_PARAM.match(text, position)
        if param is None:
            raise EvaluationError("not an address")
        is_tag, value = param["name"].lower() == b"tag", param["token"] or param["quoted"] or b""
        if is_tag:
            tag = value
        elif param["token"] and b"," in value:
            raise EvaluationError("not an address")
        begin_of_params = min(begin_of_params, param.start("name"))
        position = param.end()
    return ToBody(display, uri, tag, text[begin_of_params:])
