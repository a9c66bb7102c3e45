"""
Commands out, as bytes. Every name is checked before it is written, and what was checked is remembered (a bounded
number of names), since programs publish to the same subjects again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import attrs

from natsroute.errors import SubjectError
from natsroute.wire.frames import ConnectOptions
from natsroute.wire.parser import DEFAULT_MAX_CONTROL_LINE
from natsroute.wire.subjects import check_pattern, check_queue_group, check_subject, is_plain

PING = b"PING\r\n"
PONG = b"PONG\r\n"

_REMEMBERED_NAMES = 8192
# A server ends the connection over a control line that is too long, and the message would be sent again for ever. Half
# of the line each leaves room for the command, a reply subject and the sizes.
_LONGEST_NAME = DEFAULT_MAX_CONTROL_LINE // 2 - 32
# Others choose the reply subjects, and they are not to fill the memory with the beginnings of theirs.
_REMEMBERED_BEGINNINGS = 1024
_LONGEST_PLAIN_REPLY = 256


@lru_cache(_REMEMBERED_NAMES)
def _subject(subject: str) -> bytes:
    check_subject(subject)
    return _checked_length(subject.encode("utf-8", "surrogateescape"))


@lru_cache(_REMEMBERED_NAMES)
def pub_template(subject: str) -> bytes:
    """
    ``PUB`` to a subject without reply subject and headers: apply ``%`` to it with the size and the payload.

    :raises SubjectError: the subject is not one.
    """
    return b"PUB %b %%d\r\n%%b\r\n" % _subject(subject).replace(b"%", b"%%")


_is_plain_beginning = lru_cache(_REMEMBERED_BEGINNINGS)(is_plain)


def _reply(subject: str) -> bytes:
    # Not remembered: most reply subjects are for one answer. What stands before their last token comes again.
    beginning, _, token = subject.rpartition(".")
    if len(subject) < _LONGEST_PLAIN_REPLY and (
        (token.isalnum() and _is_plain_beginning(beginning)) or is_plain(subject)
    ):
        return subject.encode()
    check_subject(subject)
    return _checked_length(subject.encode("utf-8", "surrogateescape"))


def _checked_length(name: bytes) -> bytes:
    if len(name) > _LONGEST_NAME:
        raise SubjectError(
            f"subject {name[:100]!r}...: it has {len(name)} bytes; at most {_LONGEST_NAME} fit on the wire"
        )
    return name


def encode_connect(options: ConnectOptions) -> bytes:
    """``CONNECT``."""
    return b"CONNECT %b\r\n" % options.to_json()


def encode_pub(subject: str, payload: bytes, reply: str | None = None, headers: bytes = b"") -> bytes:
    """
    ``PUB``, or ``HPUB`` where there are headers.

    :param headers: a block made by :func:`~natsroute.wire.headers.encode_headers`, or nothing.
    :raises SubjectError: the subject or the reply subject is not one.
    """
    if headers:
        to = _subject(subject) if reply is None else b"%b %b" % (_subject(subject), _reply(reply))
        return b"HPUB %b %d %d\r\n%b%b\r\n" % (to, len(headers), len(headers) + len(payload), headers, payload)
    if reply is None:
        return pub_template(subject) % (len(payload), payload)
    return b"PUB %b %b %d\r\n%b\r\n" % (_subject(subject), _reply(reply), len(payload), payload)


@attrs.frozen
class Pub:
    """
    What a ``PUB`` or ``HPUB`` of ours says.

    :ivar subjects: the subject, and behind it the reply subject if there is one.
    :ivar size: bytes of headers and payload, which is what ``max_payload`` bounds.
    """

    subjects: list[str]
    size: int


def read_pub(command: bytes) -> Pub:
    """What one command that :func:`encode_pub` made says."""
    words = command.partition(b"\r\n")[0].decode("utf-8", "surrogateescape").split(" ")
    return Pub(words[1:-2] if words[0] == "HPUB" else words[1:-1], int(words[-1]))


def split_pubs(data: bytes) -> Iterator[bytes]:
    """The commands of a block that :func:`encode_pub` made one by one."""
    start = 0
    while start < len(data):
        line_end = data.index(b"\r\n", start)
        size = int(data[data.rindex(b" ", start, line_end) : line_end])
        stop = line_end + size + 4
        yield data[start:stop]
        start = stop


def encode_sub(subject: str, sid: int, queue_group: str | None = None) -> bytes:
    """
    ``SUB``.

    :raises SubjectError: the subject or the queue group is not one.
    """
    check_pattern(subject)
    name = _checked_length(subject.encode("utf-8", "surrogateescape"))
    if queue_group is None:
        return b"SUB %b %d\r\n" % (name, sid)
    check_queue_group(queue_group)
    return b"SUB %b %b %d\r\n" % (name, _checked_length(queue_group.encode("utf-8", "surrogateescape")), sid)


def encode_unsub(sid: int, max_messages: int | None = None) -> bytes:
    """``UNSUB``, at once or after so many messages."""
    return b"UNSUB %d\r\n" % sid if max_messages is None else b"UNSUB %d %d\r\n" % (sid, max_messages)
