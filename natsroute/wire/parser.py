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
from typing import Any, TypeVar

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

# A busy subscription receives the same few control lines again and again, and looking one up costs a tenth of parsing
# it. Lines with different reply subjects still have their other parts in common.
_MAX_CACHED_LINES = 1024
_MAX_CACHED_PARTS = 8192
_MAX_CACHED_LENGTH = 256

T = TypeVar("T")

#: A message line: the address, the reply subject, the size of the header block, the size of header block and payload,
#: and the bytes between two messages with this line (the line end of the first payload, and the line). These bytes are
#: empty if the line is not likely to repeat.
_Line = tuple[Address, bytes | None, int, int, bytes]

_NO_RECEIVERS: Mapping[int, Callable[[Any], object]] = MappingProxyType({})

_MESSAGES = (b"MSG", b"HMSG")
_MSG = b"MSG "
# The beginning of an answer to a request, or of the acknowledgement of a stream, unless it has headers, or inboxes have
# another prefix.
_ANSWER = _MSG + b"_INBOX."
_SIGNALS = {signal.value: signal for signal in Signal}
_TAB, _CR, _H, _SPACE = b"\t\rH "
_VT, _FF = b"\v\f"
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
        self._lines: dict[bytes, _Line] = {}
        self._addresses: dict[bytes, Address] = {}  # by "MSG SUBJECT SID"
        self._sids: dict[bytes, int] = {}
        self._sizes: dict[bytes, int] = {}  # by the last word of a line, including CR LF, which then needs no check

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
        known_line = self._lines.get
        known_parts = self._look_up_parts
        message_type = self._message_type
        receivers = self._receivers
        find = buffer.find
        startswith = buffer.startswith
        position = 0
        wanted = 0
        reply_to: bytes | None = None
        try:
            while True:
                start = find(b"\n", position) + 1
                if not start:
                    self._check_unfinished_line(buffer, position)
                    break
                text = buffer[position:start]
                # After a message with a reply subject there is mostly another one, whose line is new.
                line = (known_line(text) if reply_to is None else None) or known_parts(text) or self._parse_line(text)
                if type(line) is not tuple:
                    position = start
                    yield line  # type: ignore[misc]
                    continue
                address, reply_to, header_size, size, repeated = line
                sid = address.sid
                while start:
                    stop = start + size
                    if repeated and startswith(repeated, stop):
                        following = stop + len(repeated)  # a busy subject: the same line again
                    else:
                        following = 0
                        if stop + 2 > length:
                            wanted = stop + 2 - position
                            return
                        if not startswith(b"\r\n", stop):
                            raise ProtocolError("no line end after a payload", buffer[stop:])
                    position = stop + 2
                    if header_size:
                        body = start + header_size
                        msg = message_type(address, buffer[body:stop], buffer[start:body], reply_to)
                    else:
                        msg = message_type(address, buffer[start:stop], b"", reply_to)
                    try:
                        receive = receivers[sid]
                    except KeyError:
                        yield msg
                    else:
                        receive(msg)
                    start = following
        finally:
            self._chunks = [buffer[position:]]
            self._buffered = length - position
            self._wanted = wanted

    def _look_up_parts(self, text: bytes) -> _Line | None:
        """The message line, if all its parts except the reply subject, or the subject, are known from earlier lines."""
        if len(text) > _MAX_CACHED_LENGTH:
            return None
        try:
            if text[0] == _H:
                prefix, reply_to, header_word, word = text.rsplit(b" ", 3)
                size, header_size = self._sizes[word], self._sizes[header_word]
                if header_size > size:
                    return None
            else:
                prefix, reply_to, word = text.rsplit(b" ", 2)
                size, header_size = self._sizes[word], 0
            addresses = self._addresses
            address = addresses.get(prefix)
            if address is not None and reply_to and _TAB not in reply_to:
                return address, reply_to, header_size, size, b""
            if prefix.startswith(_ANSWER):  # its subject is a new one each time
                subject = prefix[len(_MSG) :]
                if _SPACE in subject or _TAB in subject:
                    return None
                return Address(subject.decode(), self._sids[reply_to]), None, header_size, size, b""
            name = b"%b %b" % (prefix, reply_to)
            address = addresses.get(name)
            if address is not None:
                return self._remember(text, address, header_size, size)
            # A new subject of a known subscription.
            operation, _, subject = prefix.partition(b" ")
            if operation not in _MESSAGES or not subject or _SPACE in subject or _TAB in subject:
                return None
            address = Address(subject.decode("utf-8", "surrogateescape"), self._sids[reply_to])
            _put(addresses, name, address, _MAX_CACHED_PARTS)
            return address, None, header_size, size, b""
        except (KeyError, ValueError):
            return None

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
        if words[0] in _MESSAGES and len(text) <= _MAX_CACHED_LENGTH and size <= limit:
            _put(self._addresses, b"%b %b %b" % (words[0], words[1], words[2]), address, _MAX_CACHED_PARTS)
            _put(self._sids, words[2], sid, _MAX_CACHED_PARTS)
            _put(self._sizes, words[-1] + b"\r\n", size, _MAX_CACHED_PARTS)
            if with_headers:
                _put(self._sizes, words[-2], header_size, _MAX_CACHED_PARTS)
            if reply_to is None:
                return self._remember(text, address, header_size, size)
        return address, reply_to, header_size, size, b""

    def _remember(self, text: bytes, address: Address, header_size: int, size: int) -> _Line:
        """Remember a line without a reply subject, which is likely to repeat."""
        line = address, None, header_size, size, b"\r\n" + text
        _put(self._lines, text, line, _MAX_CACHED_LINES)
        return line


def _put(cache: dict[bytes, T], key: bytes, value: T, max_size: int) -> None:
    """Add an entry; a full cache is emptied first."""
    if len(cache) >= max_size:
        cache.clear()
    cache[key] = value


def _number(word: bytes, text: bytes) -> int:
    # int() alone would accept "+1", "1_000" and numbers of any length, which take long to convert.
    if not word.isdigit() or len(word) > 19:
        raise ProtocolError("not a number where a number is required", text)
    return int(word)
