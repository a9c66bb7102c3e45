"""Single messages of a stream, by their sequence or subject (NATS ADR-1 and ADR-31)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import attrs

from natsroute.errors import DecodeError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.checks import check_name, read
from natsroute.jetstream.errors import (
    InvalidApiAnswerError,
    JetStreamError,
    JetStreamUnavailableError,
    MessageNotFoundError,
)
from natsroute.jetstream.times import parse_time
from natsroute.message import Message
from natsroute.wire.headers import Headers, parse_headers
from natsroute.wire.subjects import check_subject

_NOT_FOUND = 404


@attrs.frozen(kw_only=True)
class StoredMessage:
    """
    A message of a stream.

    :ivar stream: the stream.
    :ivar subject: what it was published to.
    :ivar sequence: its sequence in the stream.
    :ivar timestamp: when it was stored, in nanoseconds since 1970 (UTC).
    :ivar data: its payload.
    :ivar headers: its headers.
    """

    stream: str
    subject: str
    sequence: int
    timestamp: int
    data: bytes
    headers: Headers = attrs.field(factory=Headers, eq=False)


async def get_message(api: JetStreamApi, stream: str, sequence: int) -> StoredMessage:
    """
    Ask the leader of the stream for a message: what it answers is never out of date.

    :raises MessageNotFoundError: there is no message of this sequence.
    :raises JetStreamError: as :meth:`JetStreamApi.call <natsroute.jetstream.api.JetStreamApi.call>` does.
    """
    return await _get(api, stream, {"seq": sequence})


async def get_last_message(api: JetStreamApi, stream: str, subject: str) -> StoredMessage:
    """
    Ask the leader of the stream for the newest message of a subject, which may have wildcards.

    :raises JetStreamError: as :func:`get_message` does.
    """
    return await _get(api, stream, {"last_by_subj": subject})


async def get_message_direct(api: JetStreamApi, stream: str, sequence: int) -> StoredMessage:
    """
    Ask any server that has the stream for a message. It must have ``allow_direct``. A message that was stored a moment
    ago may be missing.

    :raises MessageNotFoundError: there is no message of this sequence.
    :raises JetStreamUnavailableError: there is no such stream, or it has no ``allow_direct``.
    :raises JetStreamError: as :func:`get_message` does.
    """
    return await _get_direct(api, f"DIRECT.GET.{check_name(stream)}", {"seq": sequence})


async def get_last_message_direct(api: JetStreamApi, stream: str, subject: str) -> StoredMessage:
    """
    The same for the newest message of a subject, without wildcards.

    :raises JetStreamError: as :func:`get_message_direct` does.
    """
    check_subject(subject)
    return await _get_direct(api, f"DIRECT.GET.{check_name(stream)}.{subject}", None)


async def delete_message(api: JetStreamApi, stream: str, sequence: int, *, erase: bool = False) -> None:
    """
    Remove a message from a stream.

    :param erase: overwrite it, so that nobody can read it from the disk.
    :raises JetStreamError: as :func:`get_message` does.
    """
    await api.call(f"STREAM.MSG.DELETE.{check_name(stream)}", {"seq": sequence, "no_erase": not erase})


async def _get(api: JetStreamApi, stream: str, request: Mapping[str, Any]) -> StoredMessage:
    method = f"STREAM.MSG.GET.{check_name(stream)}"
    answer = await api.call(method, request)

    def reader(answer: Mapping[str, Any]) -> StoredMessage:
        message = answer["message"]
        block = base64.b64decode(message.get("hdrs") or "", validate=True)
        return StoredMessage(
            stream=stream,
            subject=str(message["subject"]),
            sequence=int(message["seq"]),
            timestamp=parse_time(message["time"]),
            data=base64.b64decode(message.get("data") or "", validate=True),
            headers=parse_headers(block) if block else Headers(),
        )

    return read(api, method, answer, reader)


async def _get_direct(api: JetStreamApi, method: str, request: Mapping[str, Any] | None) -> StoredMessage:
    asked = f"{api.prefix}.{method}"
    try:
        answer = await api.ask(method, request)
    except JetStreamUnavailableError as error:
        remedy = "Check the name of the stream, set its allow_direct, or ask the leader instead"
        raise JetStreamUnavailableError(error.description, error.code, remedy=remedy, asked=asked) from None
    return parse_direct(answer, asked)


def parse_direct(answer: Message, asked: str) -> StoredMessage:
    """
    Read the answer to a direct request for a message.

    :param asked: the subject of the request, for errors.
    :raises MessageNotFoundError: there is no such message.
    :raises JetStreamError: the server refuses the request.
    :raises InvalidApiAnswerError: the answer is neither a message of a stream nor an error.
    """
    try:
        headers = answer.headers
    except DecodeError as problem:
        raise InvalidApiAnswerError(asked, answer.data, str(problem)) from None
    if headers.status is not None:
        error = MessageNotFoundError if headers.status == _NOT_FOUND else JetStreamError
        raise error(headers.description, headers.status, asked=asked)
    try:
        return StoredMessage(
            stream=headers["Nats-Stream"],
            subject=headers["Nats-Subject"],
            sequence=int(headers["Nats-Sequence"]),
            timestamp=parse_time(headers["Nats-Time-Stamp"]),
            data=answer.data,
            headers=headers,
        )
    except (KeyError, ValueError) as problem:
        raise InvalidApiAnswerError(asked, answer.data, f"{type(problem).__name__}: {problem}") from None
