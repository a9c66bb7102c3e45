"""
Bytes in, frames out.

The contract: :meth:`Parser.feed` takes bytes as they come from the network, cut wherever the network cut them, and
yields each frame that is complete; it ends when it needs more. A malformed frame raises one
:class:`~natsroute.errors.ProtocolError`, after the frames before it have been yielded; the parser is then of no more
use, for nobody can say where the next frame would begin.

Memory is bounded: a line by ``max_control_line`` (INFO, which grows with the cluster, by ``MAX_INFO_LINE``; -ERR by
``ERR_LINE_TIMES`` as much), a payload and a header block by ``max_payload`` each.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TypeVar

from natsroute.errors import ProtocolError
from natsroute.wire.frames import DEFAULT_MAX_PAYLOAD, Address, Err, Frame, Info, Msg, Signal

#: Bytes of a control line, without its line end; nats-server's own ``max_control_line``.
DEFAULT_MAX_CONTROL_LINE = 4096
#: Bytes of an INFO line: some 1,000 cluster addresses.
MAX_INFO_LINE = 64 * 1024
#: Bytes that a message line may have beyond ``max_control_line``: a server limits what publishers write, without the
#: command, and adds the sid to it.
MESSAGE_LINE_ROOM = 64

#: How much longer an -ERR may be: names that a server refuses, it writes with up to four characters for each byte.
ERR_LINE_TIMES = 4

# A busy subscription sees the same few control lines again and again, and a look-up costs a tenth of a parse. Where
# each line has a reply subject of its own, at least its other parts come again.
_REMEMBERED_LINES = 1024
_REMEMBERED_PARTS = 8192
_REMEMBERED_LENGTH = 256

T = TypeVar("T")

#: A message line: the address, the reply subject, the bytes of the header block and those of both, and what stands
#: between two messages that have the same line (the first one's end, and the line's text) if that is likely to come.
_Line = tuple[Address, bytes | None, int, int, bytes]

_SIGNALS = {signal.value: signal for signal in Signal}
_TAB, _CR, _H = b"\t\rH"
_VT, _FF = b"\v\f"
_BLANKS = re.compile(rb"[ \t]+")


class Parser:
    """
    Reads what a NATS server sends.

    :param max_control_line: bytes that a line may have, INFO and -ERR aside; a message line has ``MESSAGE_LINE_ROOM``
        more.
    :param message_type: what messages are made as, so that a taker who needs more than a Msg need not wrap each.
    """

    def __init__(self, *, max_control_line: int = DEFAULT_MAX_CONTROL_LINE, message_type: type[Msg] = Msg) -> None:
        self._message_type = message_type
        self._max_control_line = max_control_line
        self._max_payload = DEFAULT_MAX_PAYLOAD
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._wanted = 0  # do not look again before there is so much: a large payload is joined once
        self._lines: dict[bytes, _Line] = {}
        self._addresses: dict[bytes, Address] = {}  # "MSG SUBJECT SID", as it was read
        self._sizes: dict[bytes, int] = {}  # the last of a line with its CR LF, which then need not be looked for

    @property
    def max_payload(self) -> int:
        """Bytes that a payload may have, and a header block beside it (which servers may add to)."""
        return self._max_payload

    @max_payload.setter
    def max_payload(self, size: int) -> None:
        self._max_payload = size
        self._lines.clear()
        self._sizes.clear()

    @property
    def buffered(self) -> int:
        """Bytes kept until the rest of their frame comes."""
        return self._buffered

    def feed(self, data: bytes) -> Generator[Frame, None, None]:
        """
        Take bytes and yield the frames that they complete. Use it up, or drop the parser.

        :raises ProtocolError: what came is not NATS.
        """
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered < self._wanted:
            return
        buffer = data if len(self._chunks) == 1 else b"".join(self._chunks)
        length = len(buffer)
        known_line = self._lines.get
        recall = self._recall
        message_type = self._message_type
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
                # Behind a message with a reply subject mostly comes another, whose line has never been seen.
                line = (known_line(text) if reply_to is None else None) or recall(text) or self._parse_line(text)
                if type(line) is not tuple:
                    position = start
                    yield line  # type: ignore[misc]
                    continue
                address, reply_to, header_size, size, again = line
                while start:
                    stop = start + size
                    if again and startswith(again, stop):
                        following = stop + len(again)  # a busy subject: the same line once more
                    else:
                        following = 0
                        if stop + 2 > length:
                            wanted = stop + 2 - position
                            return
                        if buffer[stop : stop + 2] != b"\r\n":
                            raise ProtocolError("no line end behind a payload", buffer[stop:])
                    position = stop + 2
                    if header_size:
                        body = start + header_size
                        yield message_type(address, buffer[body:stop], buffer[start:body], reply_to)
                    else:
                        yield message_type(address, buffer[start:stop], b"", reply_to)
                    start = following
        finally:
            self._chunks = [buffer[position:]]
            self._buffered = length - position
            self._wanted = wanted

    def _recall(self, text: bytes) -> _Line | None:
        """The message line, if all of it but the reply subject has been seen before, in whatever lines."""
        if len(text) > _REMEMBERED_LENGTH:
            return None
        try:
            if text[0] == _H:
                beginning, reply_to, header_word, word = text.rsplit(b" ", 3)
                size, header_size = self._sizes[word], self._sizes[header_word]
                if header_size > size:
                    return None
            else:
                beginning, reply_to, word = text.rsplit(b" ", 2)
                size, header_size = self._sizes[word], 0
            address = self._addresses.get(beginning)
            if address is not None and reply_to and _TAB not in reply_to:
                return address, reply_to, header_size, size, b""
            return self._remember(text, self._addresses[b"%b %b" % (beginning, reply_to)], header_size, size)
        except (KeyError, ValueError):
            return None

    def _check_unfinished_line(self, buffer: bytes, position: int) -> None:
        length = len(buffer) - position
        most = self._line_limit(buffer[position : position + 5]) + 1  # its CR may be there already
        if length > most:
            # Not how many came by chance: the same problem has the same words, and so is logged once.
            raise ProtocolError(f"a line of more than {most} bytes", buffer[position:])

    def _line_limit(self, text: bytes) -> int:
        operation = text[:4].upper()
        if operation == b"INFO":
            return MAX_INFO_LINE
        if operation == b"-ERR":
            return self._max_control_line * ERR_LINE_TIMES
        return self._max_control_line + MESSAGE_LINE_ROOM * (operation in (b"MSG ", b"HMSG"))

    def _parse_line(self, text: bytes) -> Info | Err | Signal | _Line:
        if len(text) > self._max_control_line + 2 and len(text) > self._line_limit(text) + 2:
            raise ProtocolError(f"a line of {len(text) - 2} bytes", text)
        if text[-2:] != b"\r\n":
            raise ProtocolError("a line that does not end in CR LF", text)
        words = text.split()
        if _VT in text or _FF in text or _CR in text[:-2]:
            # split() cuts there too, but a server lets them through in a subject, whoever publishes to it.
            words = _BLANKS.split(text[:-2].strip(b" \t"))
        operation = text[: len(words[0])].upper() if words else b""  # of the text, for it must be what begins the line
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
        most = self._max_payload
        if size - header_size > most or header_size > most:
            raise ProtocolError(f"a message above max_payload, {most} bytes", text)
        address = Address(words[1].decode("utf-8", "surrogateescape"), sid)
        if words[0] in (b"MSG", b"HMSG") and len(text) <= _REMEMBERED_LENGTH and size <= most:
            _put(self._addresses, b"%b %b %b" % (words[0], words[1], words[2]), address, _REMEMBERED_PARTS)
            _put(self._sizes, words[-1] + b"\r\n", size, _REMEMBERED_PARTS)
            if with_headers:
                _put(self._sizes, words[-2], header_size, _REMEMBERED_PARTS)
            if reply_to is None:
                return self._remember(text, address, header_size, size)
        return address, reply_to, header_size, size, b""

    def _remember(self, text: bytes, address: Address, header_size: int, size: int) -> _Line:
        """A line without a reply subject, which is likely to come again."""
        line = address, None, header_size, size, b"\r\n" + text
        _put(self._lines, text, line, _REMEMBERED_LINES)
        return line


def _put(memory: dict[bytes, T], key: bytes, value: T, most: int) -> None:
    """Remember it; and nothing else, if that would be too much."""
    if len(memory) >= most:
        memory.clear()
    memory[key] = value


def _number(word: bytes, text: bytes) -> int:
    # Not int() alone: it takes "+1", "1_000" and numbers of any length, which cost time to convert.
    if not word.isdigit() or len(word) > 19:
        raise ProtocolError("not a number where one must stand", text)
    return int(word)
