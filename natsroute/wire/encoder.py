"""
Commands to a server, as bytes.

Subjects and queue groups are checked before they are written. Programs publish to the same subjects again and again, so
the encoder remembers a bounded number of subjects that it has checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import attrs

from natsroute.errors import SubjectError
from natsroute.hot.pure import size_line
from natsroute.wire.frames import ConnectOptions
from natsroute.wire.parser import DEFAULT_MAX_CONTROL_LINE
from natsroute.wire.subjects import check_pattern, check_queue_group, check_subject, is_plain

PING = b"PING\r\n"
PONG = b"PONG\r\n"

_SUBJECT_CACHE_SIZE = 8192
# A server closes the connection if a control line is too long, and the message would be sent again and again. If each
# name has less than half of the line, two names, the command and the sizes fit in it.
_MAX_NAME_LENGTH = DEFAULT_MAX_CONTROL_LINE // 2 - 32
# Other clients choose the reply subjects, so the memory for their prefixes is bounded in number and in length.
_REPLY_PREFIX_CACHE_SIZE = 1024
_MAX_CACHED_REPLY_LENGTH = 256


@lru_cache(_SUBJECT_CACHE_SIZE)
def encode_subject(subject: str) -> bytes:
    """
    A subject to publish to, as bytes.

    :raises SubjectError: it is invalid.
    """
    check_subject(subject)
    return _checked_length(subject.encode("utf-8", "surrogateescape"))


@lru_cache(_SUBJECT_CACHE_SIZE)
def _pub(subject: str) -> bytes:
    """The beginning of a ``PUB``."""
    return b"PUB %b " % encode_subject(subject)


@lru_cache(_SUBJECT_CACHE_SIZE)
def request_template(subject: str) -> bytes:
    """
    A ``PUB`` with a reply subject and without headers, as a template: apply ``%`` with the reply subject, the payload's
    size and the payload. The reply subject must be valid.

    :raises SubjectError: the subject is invalid.
    """
    return b"PUB %b %%b %%d\r\n%%b\r\n" % encode_subject(subject).replace(b"%", b"%%")


_is_plain_prefix = lru_cache(_REPLY_PREFIX_CACHE_SIZE)(is_plain)


def encode_reply(subject: str) -> bytes:
    """
    A subject that is likely to be used once, as bytes.

    :raises SubjectError: it is invalid.
    """
    # Most reply subjects are used for one answer, so only the part before the last token is remembered.
    prefix, _, token = subject.rpartition(".")
    if len(subject) < _MAX_CACHED_REPLY_LENGTH and (
        (token.isalnum() and _is_plain_prefix(prefix)) or is_plain(subject)
    ):
        return subject.encode()
    check_subject(subject)
    return _checked_length(subject.encode("utf-8", "surrogateescape"))


def _checked_length(name: bytes, kind: str = "subject") -> bytes:
    if len(name) > _MAX_NAME_LENGTH:
        raise SubjectError(f"{kind} {name[:100]!r}...: it has {len(name)} bytes; the maximum is {_MAX_NAME_LENGTH}")
    return name


def encode_connect(options: ConnectOptions) -> bytes:
    """Encode ``CONNECT``."""
    return b"CONNECT %b\r\n" % options.to_json()


def encode_pub(subject: str, payload: bytes, reply: str | None = None, headers: bytes = b"") -> bytes:
    """
    Encode ``PUB``, or ``HPUB`` if there are headers.

    :param headers: a block from :func:`~natsroute.wire.headers.encode_headers`, or nothing.
    :raises SubjectError: the subject or the reply subject is invalid.
    """
    if headers:
        names = encode_subject(subject) if reply is None else b"%b %b" % (encode_subject(subject), encode_reply(reply))
        sizes = b" %d %d\r\n" % (len(headers), len(headers) + len(payload))
        return b"".join((b"HPUB ", names, sizes, headers, payload, b"\r\n"))
    if reply is None:
        return b"".join((_pub(subject), size_line(len(payload)), payload, b"\r\n"))
    return b"".join((_pub(subject), encode_reply(reply), b" ", size_line(len(payload)), payload, b"\r\n"))


def encode_answer(reply: str, payload: bytes, headers: bytes = b"") -> bytes:
    """
    Encode a message to a reply subject. It is as :func:`encode_pub`, for a subject that is used once.

    :raises SubjectError: the reply subject is invalid.
    """
    if headers:
        return b"HPUB %b %d %d\r\n%b%b\r\n" % (
            encode_reply(reply),
            len(headers),
            len(headers) + len(payload),
            headers,
            payload,
        )
    return b"PUB %b %d\r\n%b\r\n" % (encode_reply(reply), len(payload), payload)


@attrs.frozen
class Pub:
    """
    The control line of a ``PUB`` or ``HPUB``.

    :ivar subjects: the subject, and the reply subject if there is one.
    :ivar size: bytes of headers and payload, which ``max_payload`` limits.
    """

    subjects: list[str]
    size: int


def read_pub(command: bytes) -> Pub:
    """Read the control line of a command from :func:`encode_pub`."""
    words = command.partition(b"\r\n")[0].decode("utf-8", "surrogateescape").split(" ")
    return Pub(words[1:-2] if words[0] == "HPUB" else words[1:-1], int(words[-1]))


def split_pubs(data: bytes) -> Iterator[bytes]:
    """Split a block of commands from :func:`encode_pub`."""
    start = 0
    while start < len(data):
        line_end = data.index(b"\r\n", start)
        size = int(data[data.rindex(b" ", start, line_end) : line_end])
        stop = line_end + size + 4
        yield data[start:stop]
        start = stop


def encode_sub(subject: str, sid: int, queue_group: str | None = None) -> bytes:
    """
    Encode ``SUB``.

    :raises SubjectError: the subject or the queue group is invalid.
    """
    check_pattern(subject)
    name = _checked_length(subject.encode("utf-8", "surrogateescape"))
    if queue_group is None:
        return b"SUB %b %d\r\n" % (name, sid)
    check_queue_group(queue_group)
    return b"SUB %b %b %d\r\n" % (
        name,
        _checked_length(queue_group.encode("utf-8", "surrogateescape"), "queue group"),
        sid,
    )


def encode_unsub(sid: int, max_messages: int | None = None) -> bytes:
    """Encode ``UNSUB``: at once, or after ``max_messages`` in all."""
    return b"UNSUB %d\r\n" % sid if max_messages is None else b"UNSUB %d %d\r\n" % (sid, max_messages)
