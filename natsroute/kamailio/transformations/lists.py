"""``{param.…}`` for lists of parameters, ``{line.…}`` for lines."""

from __future__ import annotations

from natsroute.kamailio.sip.parts import parse_params
from natsroute.kamailio.transformations.definitions import (
    Builder,
    Transformation,
    as_filled_text,
    counted_separator,
    number,
    separator,
    text,
)
from natsroute.kamailio.values import Value


def value_of(value: bytes, name: bytes, delimiter: bytes = b";") -> Value:
    """The value of the last parameter with this name, or an empty string; the case of names does not matter."""
    wanted = name.lower()
    return next((found for known, found in reversed(parse_params(value, delimiter)) if known.lower() == wanted), b"")


def contains(value: bytes, name: bytes, delimiter: bytes = b";") -> Value:
    """1 if there is a parameter with this name, else 0."""
    wanted = name.lower()
    return int(any(known.lower() == wanted for known, _ in parse_params(value, delimiter)))


def value_at(value: bytes, index: int, delimiter: bytes = b";") -> Value:
    """
    The value of one parameter, or an empty string.

    :param index: which; below 0, counted from the end, which is -1.
    """
    params = parse_params(value, delimiter)
    return params[index][1] if -len(params) <= index < len(params) else b""


def name_at(value: bytes, index: int, delimiter: bytes = b";") -> Value:
    """The name of one parameter, or an empty string; see ``valueat``."""
    params = parse_params(value, delimiter)
    return params[index][0] if -len(params) <= index < len(params) else b""


def count_params(value: bytes, delimiter: bytes = b";") -> Value:
    """How many parameters there are."""
    return len(parse_params(value, delimiter))


def count_lines(value: bytes) -> Value:
    """How many lines there are, as a string."""
    return b"%d" % (value.count(b"\n") + (not value.endswith(b"\n")))


def line_at(value: bytes, index: int) -> Value:
    """
    One line without its end, or an empty string.

    :param index: which; below 0, counted from the end, which is -1.
    """
    lines = value.split(b"\n")
    if index < 0 and not lines[-1] and len(lines) > 1:
        lines.pop()
    return _without_cr(lines[index]) if -len(lines) <= index < len(lines) else b""


def line_starting_with(value: bytes, beginning: bytes) -> Value:
    """The first line that begins with a text, or an empty string."""
    # The text may have line ends in it, so it may be longer than a line.
    position = 0
    while position >= 0 and position + len(beginning) <= len(value):
        if value.startswith(beginning, position):
            end = value.find(b"\n", position + len(beginning))
            return _without_cr(value[position:] if end < 0 else value[position:end])
        position = value.find(b"\n", position) + 1 or -1
    return b""


def _without_cr(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line


PARAM: dict[str, Builder] = {
    "value": Transformation(value_of, (text, separator), as_filled_text, optional=1),
    "in": Transformation(contains, (text, separator), as_filled_text, optional=1),
    "valueat": Transformation(value_at, (number, separator), as_filled_text, optional=1),
    "name": Transformation(name_at, (number, separator), as_filled_text, optional=1),
    "count": Transformation(count_params, (counted_separator,), as_filled_text, optional=1),
}

LINE: dict[str, Builder] = {
    "count": Transformation(count_lines, takes=as_filled_text),
    "at": Transformation(line_at, (number,), as_filled_text),
    "sw": Transformation(line_starting_with, (text,), as_filled_text),
}
