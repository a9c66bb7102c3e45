"""HTTP without twisted.web, for the stand-in: the head of a request, and a response as bytes."""

from __future__ import annotations

import re
from http.client import responses

import attrs

from natsroute.monitoring.http.resources import Answer
from natsroute.monitoring.http.security import HEADERS

#: Bytes that the head of a request may have.
MAX_HEAD = 8192

_FIRST_LINE = re.compile(rb"([A-Za-z]{1,20}) (\S+) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*")


@attrs.frozen
class Head:
    """
    The head of a request.

    :ivar path: its path, without the query.
    :ivar old: whether it is of HTTP/1.0.
    """

    method: bytes
    path: bytes
    old: bool
    _headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def parse(cls, data: bytes) -> Head | None:
        """
        Read the head of a request, and nothing behind it.

        :param data: what has been received so far.
        :return: None if it is not complete.
        :raises ValueError: it is malformed or too long.
        """
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
        if end < 0:
            if len(data) >= MAX_HEAD + 4:
                raise ValueError("the head is too long")
            return None
        first, *lines = data[:end].split(b"\r\n")
        found = _FIRST_LINE.fullmatch(first)
        headers = [_HEADER.fullmatch(line) for line in lines]
        if found is None or None in headers:
            raise ValueError("the head is malformed")
        pairs = tuple((header[1].lower(), header[2]) for header in headers if header is not None)
        return cls(found[1], found[2].partition(b"?")[0], found[3] == b"0", pairs)

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header, whose name is in lower case."""
        return [value for header, value in self._headers if header == name]


def response(answer: Answer, *, body: bool = True) -> bytes:
    """
    An answer as the last response of a connection.

    :param body: whether it has its body, as all but those to HEAD have.
    """
    headers = [
        (b"Content-Type", answer.content_type),
        (b"Content-Length", b"%d" % len(answer.body)),
        (b"Connection", b"close"),
        *answer.headers,
        *HEADERS,
    ]
    lines = [b"HTTP/1.1 %d %s" % (answer.status, responses.get(answer.status, "").encode())]
    lines += [b"%s: %s" % header for header in headers]
    return b"\r\n".join([*lines, b"", answer.body if body else b""])
