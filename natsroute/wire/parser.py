"""
From the bytes of a server to frames.

:meth:`Parser.feed` takes bytes as they come from the network, split anywhere. It gives each complete message to its
receiver, and yields all other frames; it ends when it needs more bytes. A malformed frame raises
:class:`~natsroute.errors.ProtocolError` after the frames before it. Then the parser is unusable, since nobody can say
where the next frame begins.

Memory is bounded. The limit of a line is ``max_control_line``; that of INFO, which grows with the cluster, is
``MAX_INFO_LINE``, and that of -ERR is ``ERR_LINE_FACTOR`` times as high. The limit of a payload is
``max_inbound_payload``, and so is that of a header block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any

from natsroute import hot
from natsroute.errors import ProtocolError
from natsroute.wire.frames import Address, Err, Frame, Info, Msg, Signal

#: Bytes of a control line without its line end: the default of nats-server.
DEFAULT_MAX_CONTROL_LINE = 4096
#: Bytes of a payload: the highest ``max_payload`` that nats-server allows. That of our own server is no limit
#: to what it sends us, because other servers of its cluster may accept more.
DEFAULT_MAX_INBOUND_PAYLOAD = 64 * 1024 * 1024
#: Bytes of an INFO line, enough for 1,000 addresses of a cluster.
MAX_INFO_LINE = 64 * 1024
#: Bytes that a message line may have above ``max_control_line``. A server limits the arguments that publishers write,
#: and adds the command and the sid.
MESSAGE_LINE_ALLOWANCE = 64

#: How much longer an -ERR may be. A server writes up to four characters for each byte of a refused subject.
ERR_LINE_FACTOR = 4

#: A message line: the address, the reply subject, the size of the header block, and of header block and payload.
_Line = tuple[Address, "bytes | None", int, int]

_NO_RECEIVERS: Mapping[int, Callable[[Any], object]] = MappingProxyType({})

_SIGNALS = {signal.value: signal for signal in Signal}
_CR, _VT, _FF = b"\r\v\f"
_BLANKS = re.compile(rb"[ \t]+")


class Parser:
    """
    Parses what a NATS server sends.

    :param max_control_line: the maximum length of a line in bytes, except for INFO and -ERR. Message lines may have
        ``MESSAGE_LINE_ALLOWANCE`` bytes more.
    :param max_inbound_payload: the maximum size of a payload in bytes, and of a header block. The two count separately,
        since servers may add headers.
    :param message_type: the class of messages. A receiver that needs more than a Msg passes a subclass, and does not
        have to wrap each message.
    :param receivers: what is called with each message of a subscription, by its sid. It must not raise. To call it is
        cheaper than to yield the message. It may change while :meth:`feed` runs.
    """

    def __init__(
        self,
        *,
        max_control_line: int = DEFAULT_MAX_CONTROL_LINE,
        max_inbound_payload: int = DEFAULT_MAX_INBOUND_PAYLOAD,
        message_type: type[Msg] = Msg,
        receivers: Mapping[int, Callable[[Any], object]] = _NO_RECEIVERS,
    ) -> None:
        self._message_type = message_type
        self._receivers = receivers
        self._max_control_line = max_control_line
        self._max_inbound_payload = max_inbound_payload
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._wanted = 0  # bytes that the unfinished frame needs, so that a large payload is joined once
        self._reader = self._new_reader()

    def _new_reader(self) -> hot.Reader:
        longest = self._max_control_line + MESSAGE_LINE_ALLOWANCE + 2
        return hot.Reader(self._message_type, Address, self._receivers, longest, self._max_inbound_payload)

    @property
    def buffered(self) -> int:
        """Bytes of an unfinished frame."""
        return self._buffered

    def feed(self, data: bytes) -> Generator[Frame, None, None]:
        """
        Parse bytes. Each message that they complete is given to its receiver; every other frame, and each message that
        has no receiver, is yielded. Exhaust the generator before the next call.

        :raises ProtocolError: the bytes are not NATS.
        """
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered < self._wanted:
            return
        buffer = data if len(self._chunks) == 1 else b"".join(self._chunks)
        length = len(buffer)
        reader = self._reader
        position = wanted = 0
        try:
            while True:
                try:
                    reader.deliver(buffer, position)  # nearly every message
                finally:
                    position, wanted = reader.position, reader.wanted
                if wanted:
                    return
                start = buffer.find(b"\n", position) + 1
                if not start:
                    self._check_unfinished_line(buffer, position)
                    return
                line = self._parse_line(buffer[position:start])
                if type(line) is not tuple:
                    position = start
                    yield line  # type: ignore[misc]
                    continue
                address, reply_to, header_size, size = line
                body, stop = start + header_size, start + size
                if stop + 2 > length:
                    wanted = stop + 2 - position
                    return
                if not buffer.startswith(b"\r\n", stop):
                    raise ProtocolError("no line end after a payload", buffer[stop:])
                position = stop + 2
                msg = self._message_type(address, buffer[body:stop], buffer[start:body], reply_to)
                receive = self._receivers.get(address.sid)
                if receive is None:
                    yield msg
                else:
                    receive(msg)
        finally:
            self._chunks = [buffer[position:]]
            self._buffered = length - position
            self._wanted = wanted

    def _check_unfinished_line(self, buffer: bytes, position: int) -> None:
        length = len(buffer) - position
        limit = self._line_limit(buffer[position : position + 5]) + 1  # the CR may have arrived
        if length > limit:
            # The text names the limit, not the length: the same problem has the same text, and is logged once.
            raise ProtocolError(f"a line of more than {limit} bytes", buffer[position:])

    def _line_limit(self, text: bytes) -> int:
        operation = text[:4].upper()
        if operation == b"INFO":
            return MAX_INFO_LINE
        if operation == b"-ERR":
            return self._max_control_line * ERR_LINE_FACTOR
        return self._max_control_line + MESSAGE_LINE_ALLOWANCE * (operation in (b"MSG ", b"HMSG"))

    def _parse_line(self, text: bytes) -> Info | Err | Signal | _Line:
        if len(text) > self._max_control_line + 2 and len(text) > self._line_limit(text) + 2:
            raise ProtocolError(f"a line of {len(text) - 2} bytes", text)
        if text[-2:] != b"\r\n":
            raise ProtocolError("a line that does not end in CR LF", text)
        words = text.split()
        if _VT in text or _FF in text or _CR in text[:-2]:
            # split() cuts at these characters too, but a server accepts them in the subject of a message.
            words = _BLANKS.split(text[:-2].strip(b" \t"))
        operation = text[: len(words[0])].upper() if words else b""  # from the text, so that it must be at its start
        if operation == b"MSG" or operation == b"HMSG":
            return self._parse_message_line(words, text)
        if operation in _SIGNALS and len(words) == 1:
            return _SIGNALS[operation]
        if operation == b"INFO":
            return Info.from_json(text[5:])
        if operation == b"-ERR":
            return Err(text[5:].strip().strip(b"'").decode("utf-8", "replace"))
        raise ProtocolError("not a NATS command", text)

    def _parse_message_line(self, words: list[bytes], text: bytes) -> _Line:
        with_headers = len(words[0]) == len(b"HMSG")
        arguments = len(words) - with_headers
        if arguments != 4 and arguments != 5:
            raise ProtocolError(f"a message line of {len(words)} words", text)
        reply_to = words[3] if arguments == 5 else None
        sid = _number(words[2], text)
        size = _number(words[-1], text)
        header_size = _number(words[-2], text) if with_headers else 0
        if header_size > size:
            raise ProtocolError("a header longer than its message", text)
        limit = self._max_inbound_payload
        if size - header_size > limit or header_size > limit:
            raise ProtocolError(f"a message above max_inbound_payload, {limit} bytes", text)
        address = Address(words[1].decode("utf-8", "surrogateescape"), sid)
        self._reader.learn(text, words, address, header_size, size, has_reply=reply_to is not None)
        return address, reply_to, header_size, size


def _number(word: bytes, text: bytes) -> int:
    # int() alone would accept "+1", "1_000" and numbers of any length, which take long to convert.
    if not word.isdigit() or len(word) > 19:
        raise ProtocolError("not a number where a number is required", text)
    return int(word)
