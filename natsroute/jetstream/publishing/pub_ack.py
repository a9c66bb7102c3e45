"""The acknowledgement of a message that a stream has stored (NATS ADR-1 and ADR-50, and the server's ``stream.go``)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from natsroute import payloads
from natsroute.errors import DecodeError, NoRespondersError
from natsroute.jetstream.errors import (
    InvalidPubAckError,
    JetStreamBusyError,
    JetStreamError,
    NoStreamError,
    error_of,
)
from natsroute.wire.frames import Msg

#: The status of the reply when no stream takes the subject, or its leader is not elected yet (NATS ADR-4).
_NO_RESPONDERS = 503
#: The code of a server that has too many messages in its hands.
_TOO_MANY_REQUESTS = 429

# Nearly all acknowledgements. A name without backslashes and quotes means the same in JSON, and a sequence begins at 1.
# Anything else is read as JSON.
_USUAL = re.compile(rb'\{"stream": ?"([A-Za-z0-9_-]{1,255})", ?"seq": ?([1-9][0-9]{0,18})(,"duplicate": ?true)?\}')
_match_usual = _USUAL.fullmatch
# The sequences that are read without a look at the rest have fewer digits than this.
_MAX_DIGITS, _ZERO = 18, ord("0")


@attrs.define(weakref_slot=False)
class PubAck:
    """
    A stream has the message.

    :ivar stream: the stream that stored it.
    :ivar sequence: its sequence in the stream; of a duplicate, that of the first one; of a batch, that of the last
        message. 0 if the server did not say it again, which happens only for a batch whose first acknowledgement was
        lost.
    :ivar duplicate: whether the stream had a message with this id already, and did not store this one.
    :ivar domain: the JetStream domain of the stream, or None.
    :ivar batch: the id of the atomic batch, or None.
    :ivar count: the messages of the atomic batch; 0 without one.
    :ivar value: the new value of a counter, as the server writes it (NATS ADR-49), or None.
    """

    stream: str
    sequence: int
    duplicate: bool = False
    domain: str | None = None
    batch: str | None = None
    count: int = 0
    value: str | None = None


def parse_pub_ack(msg: Msg) -> PubAck:
    """
    Read the reply to a message that was published to a stream.

    :raises NoRespondersError: no stream takes the subject, or the stream has no leader at the moment. ``subject`` is
        that of the reply; whoever knows the subject of the message names that instead.
    :raises JetStreamError: the server refused the message; there are subclasses.
    :raises InvalidPubAckError: the reply is no acknowledgement.
    """
    usual = _match_usual(msg.data)
    if usual is None:
        return _parse(msg)
    stream, sequence, duplicate = usual.groups()
    return PubAck(stream.decode(), int(sequence), duplicate is not None)


def usual_ack_reader() -> Callable[[bytes], PubAck | None]:
    """
    What reads the usual acknowledgements for one publisher. Most of them differ from the one before in their sequence
    alone, so the beginning of that is remembered.

    :return: returns the acknowledgement, or None for any other payload.
    """
    beginning, stream = b'{"stream":"","seq":', ""
    length = len(beginning)

    def read(data: bytes) -> PubAck | None:
        nonlocal beginning, length, stream
        if data.startswith(beginning):
            digits = data[length:-1]
            if digits.isdigit() and data.endswith(b"}") and len(digits) < _MAX_DIGITS and digits[0] != _ZERO:
                return PubAck(stream, int(digits))
        usual = _match_usual(data)
        if usual is None:
            return None
        name, sequence, duplicate = usual.groups()
        if duplicate is None:
            length, stream = usual.start(2), name.decode()
            beginning = data[:length]
        return PubAck(name.decode(), int(sequence), duplicate is not None)

    return read


def may_pass(error: JetStreamError) -> bool:
    """Whether a message that was refused with this error may be accepted a moment later."""
    return isinstance(error, (NoStreamError, JetStreamBusyError)) or error.code == _TOO_MANY_REQUESTS


def _parse(msg: Msg) -> PubAck:
    """Read any reply."""
    if not msg.data and msg.header_block and _status(msg) == _NO_RESPONDERS:
        raise NoRespondersError(msg.subject)
    try:
        answer = payloads.to_json(msg.data, msg.subject)
    except DecodeError:
        raise InvalidPubAckError(msg.data) from None
    if not isinstance(answer, dict):
        raise InvalidPubAckError(msg.data)
    error = answer.get("error")
    if error is not None:
        raise _refusal(error, msg.data)
    fields: dict[str, Any] = {}
    for name, (key, kind, is_needed) in _FIELDS.items():
        value = answer.get(key)
        if value is None and not is_needed:
            continue
        if type(value) is not kind:
            raise InvalidPubAckError(msg.data)
        fields[name] = value
    if fields["sequence"] < 1:
        raise InvalidPubAckError(msg.data)
    return PubAck(**fields)


#: For each attribute, the name in the reply, its type, and whether it must be there.
_FIELDS: dict[str, tuple[str, type, bool]] = {
    "stream": ("stream", str, True),
    "sequence": ("seq", int, True),
    "duplicate": ("duplicate", bool, False),
    "domain": ("domain", str, False),
    "batch": ("batch", str, False),
    "count": ("count", int, False),
    "value": ("val", str, False),
}


def _refusal(error: object, data: bytes) -> JetStreamError:
    if not isinstance(error, dict):
        return InvalidPubAckError(data)
    code, err_code, description = error.get("code", 0), error.get("err_code", 0), error.get("description", "")
    if type(code) is not int or type(err_code) is not int or type(description) is not str:
        return InvalidPubAckError(data)
    return error_of(code, err_code, description)


def _status(msg: Msg) -> int | None:
    try:
        return msg.headers.status
    except DecodeError:
        return None
