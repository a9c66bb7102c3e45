"""
The ``NATS/1.0`` header block (NATS ADR-4).

Names are case-sensitive, a name may have several values, and the first line may have a status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from natsroute.errors import DecodeError, HeaderError

#: Headers to publish: for each name one value, or several.
HeaderValues = Mapping[str, "str | Sequence[str]"]

#: The header by which a JetStream stream detects duplicates.
MESSAGE_ID = "Nats-Msg-Id"

#: The error text for a message with headers, if the server does not support them.
NO_HEADERS = "the server does not support headers: see no_header_support in its configuration"

#: Header lines that are read of one message. A header block may have 64 MiB, and so 16 million lines, which would keep
#: the reactor for many seconds.
MAX_HEADER_LINES = 128 * 1024

_VERSION = "NATS/1.0"
_NAME = re.compile(r"[!-9;-~]+")  # printable ASCII without the colon
# The only surrogates that can be written are surrogate escapes, which stand for bytes that are not UTF-8.
_VALUE = re.compile(r"[^\r\n\ud800-\udc7f\udd00-\udfff]*")
# This must not backtrack: any publisher can send a megabyte of white space.
_STATUS = re.compile(r"[ \t]+([1-5][0-9]{2})(?:[ \t](.*))?")
_WHITE_SPACE = " \t"
# A route may publish the headers that it received, and their names may have a megabyte each.
_MAX_CACHED_NAME = 256


def with_message_id(headers: HeaderValues | None, message_id: str) -> HeaderValues:
    """A copy of the headers, with this message ID."""
    return {**all_values(headers or {}), MESSAGE_ID: message_id}


class Headers(Mapping[str, str]):
    """
    The headers of a received message: a mapping from each name to its first value. Published again, as
    ``headers=event.headers``, they keep all values.

    :ivar status: the code of the status line, such as 503 for "no responders", or None.
    :ivar description: the text after the code, or "".
    """

    __slots__ = ("_values", "description", "status")

    def __init__(
        self, values: Mapping[str, list[str]] | None = None, status: int | None = None, description: str = ""
    ) -> None:
        self._values = {} if values is None else values
        self.status = status
        self.description = description

    def get_all(self, name: str) -> list[str]:
        """All values of a name, in their order; an empty list if there are none."""
        return list(self._values.get(name, ()))

    def __getitem__(self, name: str) -> str:
        return self._values[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        status = "" if self.status is None else f", status={self.status}, description={self.description!r}"
        return f"Headers({dict(self._values)!r}{status})"


def all_values(headers: HeaderValues) -> HeaderValues:
    """Headers to publish; those of a received message with all of their values."""
    return headers._values if isinstance(headers, Headers) else headers


def parse_headers(block: bytes) -> Headers:
    """
    Parse a header block.

    :param block: the block from ``NATS/1.0`` to the empty line, inclusive. Bytes that are not UTF-8 become surrogate
        escapes, so that nothing is lost.
    :raises DecodeError: the block is malformed, or has more than ``MAX_HEADER_LINES`` header lines. This is no
        :class:`~natsroute.errors.ProtocolError`, since any publisher can send such a block: the message is bad, not
        the connection.
    """
    count = block.count(b"\n") - 2  # without the first and the last line
    if count > MAX_HEADER_LINES:
        raise DecodeError(f"{count} header lines; natsroute reads at most {MAX_HEADER_LINES} of a message")
    lines = block.decode("utf-8", "surrogateescape").split("\r\n")
    first, fields, ending = lines[0], lines[1:-2], lines[-2:]
    line_ends = len(lines) - 1
    if (
        not first.startswith(_VERSION)
        or ending != ["", ""]
        or block.count(b"\r") != line_ends  # some readers would take a lone CR or LF for a line end
        or count + 2 != line_ends
    ):
        raise DecodeError(f"not a NATS/1.0 header block: {block[:100]!r}")
    status, description = _parse_status(first[len(_VERSION) :], block)
    values: dict[str, list[str]] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise DecodeError(f"not a header line: {field[:100]!r}")
        values.setdefault(name, []).append(value.strip(_WHITE_SPACE))
    return Headers(values, status, description)


def _parse_status(rest: str, block: bytes) -> tuple[int | None, str]:
    rest = rest.rstrip(_WHITE_SPACE)
    if not rest:
        return None, ""
    status = _STATUS.fullmatch(rest)
    if status is None:
        raise DecodeError(f"not a NATS/1.0 status line: {block[:100]!r}")
    return int(status[1]), (status[2] or "").lstrip(_WHITE_SPACE)


def encode_headers(headers: HeaderValues) -> bytes:
    """
    Encode a header block as UTF-8, with a line for each value.

    :raises HeaderError: a name is not printable ASCII or has a colon, or a value is no string or has a CR or LF.
    """
    lines = [_VERSION]
    for name, values in (headers._values if type(headers) is Headers else headers).items():
        cached = type(name) is str and len(name) <= _MAX_CACHED_NAME
        prefix = _line_prefix(name) if cached else _line_prefix.__wrapped__(name)
        if type(values) is str and values.isprintable():  # nearly all are
            lines.append(prefix + values)
            continue
        for value in values if isinstance(values, Iterable) and not isinstance(values, str) else (values,):
            lines.append(prefix + _checked(name, value))
    lines += "", ""
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


@lru_cache(1024, typed=True)
def _line_prefix(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise HeaderError(f"header name {name!r}: it must be printable ASCII without white space and colons")
    return f"{name}: "


def _checked(name: str, value: object) -> str:
    if isinstance(value, str) and _VALUE.fullmatch(value):
        return value
    raise HeaderError(f"header {name}: {value!r} must be a string without CR, LF and lone surrogates")
