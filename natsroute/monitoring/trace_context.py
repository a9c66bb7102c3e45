"""
W3C Trace Context in NATS headers: which trace a message belongs to, and whether that is sampled.

It is read from the header block as it arrived, and without OpenTelemetry: this runs for each message that has headers.
See https://www.w3.org/TR/trace-context/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from natsroute.wire.headers import HeaderValues, all_values

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

#: Characters of a ``tracestate`` that are read, in all lines together. The specification asks for at least 512.
MAX_TRACESTATE = 512

# In a header block in lower case. Go's clients write the name as Traceparent, and names are case-sensitive in NATS.
_MARK = b"\r\ntraceparent:"
# Version ff and ids of zeros are invalid, and version 00 has nothing after the flags.
_VALUE = re.compile(
    rb"[ \t]*(?:(?P<first>00)|(?!00|ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-"
    rb"(?P<flags>[0-9a-f]{2})(?(first)|(?:-[!-~]{0,400})?)[ \t]*\r\n"
)
_STATE = re.compile(rb"\r\ntracestate:[ \t]*([ -~\t]*?)[ \t]*(?=\r\n)")


@attrs.frozen
class RemoteParent:
    """
    The span of another program that a message was published in.

    :ivar trace_id: 32 hexadecimal digits.
    :ivar span_id: 16 hexadecimal digits.
    :ivar flags: the trace flags.
    :ivar traceparent: the header as it was received, without white space around it.
    :ivar tracestate: the header, its lines joined; empty if there is none, or if it is malformed.
    """

    trace_id: str
    span_id: str
    flags: int
    traceparent: str
    tracestate: str = ""

    @property
    def sampled(self) -> bool:
        """Whether the other program has recorded its span."""
        return bool(self.flags & 1)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that pass the parent on unchanged."""
        state = {TRACESTATE: self.tracestate} if self.tracestate else {}
        return {TRACEPARENT: self.traceparent, **state}


def parent_headers(trace_id: int, span_id: int, flags: int, tracestate: str) -> dict[str, str]:
    """
    The headers that name a span of this program as the parent.

    :param tracestate: the header, or empty.
    """
    traceparent = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    return {TRACEPARENT: traceparent, TRACESTATE: tracestate} if tracestate else {TRACEPARENT: traceparent}


def find_parent(block: bytes) -> re.Match[bytes] | None:
    """
    Find the parent that a header block names. This is all that happens for a message that is not traced.

    :param block: the header block of a message, not parsed; it may be malformed.
    :return: it has the groups ``trace`` and ``flags``; None if there is no ``traceparent``, or a malformed one, which
        counts as absent.
    """
    lower = block.lower()  # keeps the offsets
    at = lower.find(_MARK)
    return None if at < 0 else _VALUE.match(lower, at + len(_MARK))


def read_parent(block: bytes) -> RemoteParent | None:
    """The parent that a header block names; None as for :func:`find_parent`."""
    found = find_parent(block)
    if found is None:
        return None
    trace, span, flags = found.group("trace", "span", "flags")
    value = found[0].strip().decode("ascii")
    state = _read_state(block, found.string)
    return RemoteParent(trace.decode("ascii"), span.decode("ascii"), int(flags, 16), value, state)


def _read_state(block: bytes, lower: bytes) -> str:
    values = []
    for found in _STATE.finditer(lower):
        values.append(block[found.start(1) : found.end(1)].decode("ascii"))
        if sum(map(len, values)) > MAX_TRACESTATE:
            return ""
    return ",".join(filter(None, values))


def _is(name: object, *known: str) -> bool:
    return isinstance(name, str) and name.lower() in known


def replaces(headers: HeaderValues, received: RemoteParent | None) -> bool:
    """
    Whether our ``traceparent`` takes the place of the one in headers to publish: they have none, or the one that was
    received, as when a route publishes the headers of its message again. One that the route chose itself is kept.
    """
    for name, value in all_values(headers).items():
        if _is(name, TRACEPARENT):
            texts = [value] if isinstance(value, str) else value
            if received is None or any(text.strip().lower() != received.traceparent for text in texts):
                return False
    return True


def with_parent(headers: HeaderValues, own: Mapping[str, str]) -> HeaderValues:
    """Headers to publish, with ours instead of those of the same names, in whatever case they are written."""
    rest = {name: value for name, value in all_values(headers).items() if not _is(name, TRACEPARENT, TRACESTATE)}
    return {**rest, **own}
