"""
The file of a recording: JSON lines, the first of which has the version.

A message is a line such as::

    {"time":"2026-11-26T18:00:00.123456Z","subject":"a.b","headers":[["A","b"]],"payload":"eHl6"}

The payload is in base64. ``reply`` and ``headers`` are left out if there are none. Headers are in their order, each as
name and value. A header block that is not made of such lines alone is in ``header_block``, in base64. A line
``{"lost":3}`` says that so many messages were not recorded there.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, BinaryIO

import attrs

from natsroute.errors import NatsrouteError, RecordingError
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import encode_headers, parse_headers

VERSION = 1
FIRST_LINE = b'{"natsroute_recording":%d}\n' % VERSION
#: Bytes that a line may have. A payload has 64 MiB at most, and base64 makes it a third longer.
MAX_LINE = 128 * 1024 * 1024

_BEGINNING, _END = b"NATS/1.0\r\n", b"\r\n"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d+)?(?:[Zz]|([+-]\d\d:\d\d))")
_FIELDS = {"time", "subject", "reply", "headers", "header_block", "payload"}
_CUT_OFF = "Remove it: the recording was probably cut off there"


@attrs.frozen
class Recorded:
    """
    A message in a recording.

    :ivar time: when it arrived, in seconds since 1970.
    :ivar subject: its subject. Bytes that are not UTF-8 are surrogate escapes, here and in the reply subject.
    :ivar payload: its payload.
    :ivar reply: the subject for answers, or None.
    :ivar header_block: its header block as it arrived; empty if it has no headers.
    """

    time: float
    subject: str
    payload: bytes
    reply: str | None = None
    header_block: bytes = b""

    def line(self) -> bytes:
        """Its line, with the line end."""
        fields: dict[str, Any] = {"time": time_text(self.time), **message_fields(self)}
        return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


@attrs.frozen
class Lost:
    """
    Messages that were not recorded.

    :ivar count: how many.
    """

    count: int

    def line(self) -> bytes:
        """Its line, with the line end."""
        return b'{"lost":%d}\n' % self.count


def message_fields(message: Recorded) -> dict[str, Any]:
    """The fields of a message without its time."""
    fields: dict[str, Any] = {"subject": message.subject}
    if message.reply is not None:
        fields["reply"] = message.reply
    if message.header_block:
        pairs = _pairs(message.header_block)
        if pairs is None:
            fields["header_block"] = base64.b64encode(message.header_block).decode("ascii")
        else:
            fields["headers"] = pairs
    fields["payload"] = base64.b64encode(message.payload).decode("ascii")
    return fields


def time_text(seconds: float) -> str:
    """A time as RFC 3339 has it, in UTC, with microseconds."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_recording(file: BinaryIO, name: str) -> Iterator[tuple[int, Recorded | Lost]]:
    """
    Read a recording, line by line.

    :param file: is read when the next line is asked for, and never as a whole.
    :param name: the name of the file, for errors.
    :return: each line with its number, from 2.
    :raises RecordingError: a line is malformed. It is raised when the line is asked for, after those before it.
    """
    first = file.readline(MAX_LINE)
    version = _object(first, name, 1).get("natsroute_recording")
    if version != VERSION:
        problem = "it is no recording of natsroute" if version is None else f"it has version {version!r}"
        raise RecordingError(name, 1, problem, f"The first line must be {FIRST_LINE.decode('ascii').strip()}")
    number = 1
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise RecordingError(name, number, f"it has more than {MAX_LINE} bytes", "Remove it")
        if line.strip():
            yield number, _read_line(_object(line, name, number), name, number)


def _object(line: bytes, name: str, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        problem = "it is empty" if not line else "it is not JSON"
        raise RecordingError(name, number, problem, _CUT_OFF if number > 1 else "Give a recording") from None
    if not isinstance(fields, dict):
        raise RecordingError(name, number, "it is not a JSON object", _CUT_OFF if number > 1 else "Give a recording")
    return fields


def _read_line(fields: dict[str, Any], name: str, number: int) -> Recorded | Lost:
    try:
        if set(fields) == {"lost"}:
            return Lost(_typed(fields, "lost", int))
        return _read_message(fields)
    except (_MalformedError, NatsrouteError) as error:
        raise RecordingError(name, number, str(error), "Correct it, or remove the line") from None


class _MalformedError(Exception):
    """What is wrong with a line."""


def _read_message(fields: dict[str, Any]) -> Recorded:
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        raise _MalformedError(f"there is no field {unknown[0]!r}")
    subject, payload = _typed(fields, "subject", str), _bytes(fields, "payload")
    reply = _typed(fields, "reply", str) if "reply" in fields else None
    if "headers" in fields and "header_block" in fields:
        raise _MalformedError("it has both headers and header_block")
    block = _bytes(fields, "header_block") if "header_block" in fields else b""
    if "headers" in fields:
        block = _block(_typed(fields, "headers", list))
    encode_pub(subject, b"", reply, block)  # raises an error that says what is wrong with a subject
    return Recorded(_seconds(_typed(fields, "time", str)), subject, payload, reply, block)


def _typed(fields: dict[str, Any], field: str, kind: type) -> Any:
    value = fields.get(field)
    if type(value) is not kind:
        kinds = {str: "a string", int: "a whole number", list: "a list"}
        raise _MalformedError(f"{field} is not {kinds[kind]}" if field in fields else f"there is no {field}")
    return value


def _bytes(fields: dict[str, Any], field: str) -> bytes:
    try:
        return base64.b64decode(_typed(fields, field, str), validate=True)
    except (binascii.Error, ValueError):
        raise _MalformedError(f"{field} is not base64") from None


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text)
    try:
        if found is not None:
            whole = datetime.fromisoformat(f"{found[1].upper()}{found[3] or '+00:00'}").timestamp()
            return whole + float(found[2] or 0)
    except ValueError:  # such as a 32nd day
        pass
    raise _MalformedError("time is not such as 2026-11-26T18:00:00.123456Z")


def _pairs(block: bytes) -> list[list[str]] | None:
    """The lines of a header block, each as name and value; None if it has anything else."""
    if not (block.startswith(_BEGINNING) and block.endswith(_END)):
        return None
    try:
        parse_headers(block)
        lines = block[len(_BEGINNING) : -len(_END)].decode("utf-8", "surrogateescape").split("\r\n")[:-1]
        pairs = [line.split(": ", 1) for line in lines]
        return pairs if _block(pairs) == block else None
    except (_MalformedError, NatsrouteError):
        return None


def _block(pairs: list[Any]) -> bytes:
    """The header block that is made of these lines."""
    lines = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise _MalformedError("headers has something other than pairs of a name and a value")
        lines.append(encode_headers({pair[0]: pair[1]})[len(_BEGINNING) : -len(_END)])
    return b"".join([_BEGINNING, *lines, _END])
