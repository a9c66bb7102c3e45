"""Reading plain messages in Python: see :mod:`natsroute.hot.pure`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MemberDescriptorType
from typing import Any, TypeVar

# A busy subscription receives the same few control lines again and again, and looking one up costs a tenth of parsing
# it. Lines with different reply subjects still have their other parts in common.
_MAX_CACHED_LINES = 1024
_MAX_CACHED_PARTS = 8192
_MAX_CACHED_LENGTH = 256

T = TypeVar("T")

#: A message line: the address, the reply subject, the size of the header block, the size of header block and payload,
#: and the bytes between two messages with this line (the line end of the first payload, and the line). These bytes are
#: empty if the line is not likely to repeat.
_Line = tuple[Any, "bytes | None", int, int, bytes]

_MESSAGES = (b"MSG", b"HMSG")
_MSG = b"MSG "
# The beginning of an answer to a request, or of the acknowledgement of a stream, unless it has headers, or inboxes have
# another prefix.
_ANSWER = _MSG + b"_INBOX."
_TAB, _H, _SPACE = b"\tH "


class Reader:
    """
    Gives the plain messages of a server to their receivers.

    A message is plain if its control line was learned, or differs from those only in its subject or reply subject.

    :param message_type: the class of messages: it takes an address, payload, header block and reply subject.
    :param address_type: the class of addresses: it takes a subject and a sid.
    :param receivers: what is called with each message of a subscription, by its sid. It may change while
        :meth:`deliver` runs.
    :param max_line: the bytes of the longest message line, with its line end.
    :param max_payload: the bytes of the largest payload, and of the largest header block.

    :ivar position: where :meth:`deliver` has stopped.
    :ivar wanted: bytes that an unfinished message at that position needs; 0 if that is not known.
    """

    __slots__ = (
        "_address_type",
        "_addresses",
        "_lines",
        "_max_cached",
        "_max_payload",
        "_message_type",
        "_new_message",
        "_receivers",
        "_sids",
        "_sizes",
        "position",
        "wanted",
    )

    def __init__(
        self,
        message_type: Callable[..., Any],
        address_type: Callable[[str, int], Any],
        receivers: Mapping[int, Callable[[Any], object]],
        max_line: int,
        max_payload: int,
    ) -> None:
        self.position = self.wanted = 0
        self._message_type = message_type
        self._new_message = _plain_new(message_type)
        self._address_type = address_type
        self._receivers = receivers
        self._max_cached = min(max_line, _MAX_CACHED_LENGTH)
        self._max_payload = max_payload
        self._lines: dict[bytes, _Line] = {}
        self._addresses: dict[bytes, Any] = {}  # by "MSG SUBJECT SID"
        self._sids: dict[bytes, int] = {}
        self._sizes: dict[bytes, int] = {}  # by the last word of a line, including CR LF, which then needs no check

    def deliver(self, buffer: bytes, position: int) -> None:
        """
        Give messages to their receivers, until something comes that is not a plain message, has no receiver, or is not
        complete.

        :param position: where the first control line begins.
        """
        length = len(buffer)
        known_line = self._lines.get
        known_parts = self._look_up_parts
        message_type = self._message_type
        new_message = self._new_message
        receivers = self._receivers
        find = buffer.find
        startswith = buffer.startswith
        reply_to: bytes | None = None
        self.wanted = 0
        try:
            while True:
                start = find(b"\n", position) + 1
                if not start:
                    return
                text = buffer[position:start]
                # After a message with a reply subject there is mostly another one, whose line is new.
                line = (known_line(text) if reply_to is None else None) or known_parts(text)
                if line is None:
                    return
                address, reply_to, header_size, size, repeated = line
                sid = address.sid
                while start:
                    stop = start + size
                    if repeated and startswith(repeated, stop):
                        following = stop + len(repeated)  # a busy subject: the same line again
                    else:
                        following = 0
                        if stop + 2 > length:
                            self.wanted = stop + 2 - position
                            return
                        if not startswith(b"\r\n", stop):
                            return
                    try:
                        receive = receivers[sid]
                    except KeyError:
                        return
                    position = stop + 2
                    body = start + header_size
                    if new_message is None:
                        msg = message_type(address, buffer[body:stop], buffer[start:body], reply_to)
                    else:
                        msg = new_message()
                        msg.address = address
                        msg.data = buffer[body:stop]
                        msg.header_block = buffer[start:body] if header_size else b""
                        msg.reply_to = reply_to
                    receive(msg)
                    start = following
        finally:
            self.position = position

    def _look_up_parts(self, text: bytes) -> _Line | None:
        """The message line, if all its parts except the reply subject, or the subject, are known from earlier lines."""
        if len(text) > self._max_cached:
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
                return self._address_type(subject.decode(), self._sids[reply_to]), None, header_size, size, b""
            name = b"%b %b" % (prefix, reply_to)
            address = addresses.get(name)
            if address is not None:
                return self._remember(text, address, header_size, size)
            # A new subject of a known subscription.
            operation, _, subject = prefix.partition(b" ")
            if operation not in _MESSAGES or not subject or _SPACE in subject or _TAB in subject:
                return None
            address = self._address_type(subject.decode("utf-8", "surrogateescape"), self._sids[reply_to])
            _put(addresses, name, address, _MAX_CACHED_PARTS)
            return address, None, header_size, size, b""
        except (KeyError, ValueError):
            return None

    def learn(
        self, text: bytes, words: Sequence[bytes], address: Any, header_size: int, size: int, *, has_reply: bool
    ) -> None:
        """
        Remember the parts of a message line that is plain, and may come again.

        :param text: the line with its line end.
        :param words: its words.
        """
        if words[0] not in _MESSAGES or len(text) > self._max_cached or size > self._max_payload:
            return
        _put(self._addresses, b"%b %b %b" % (words[0], words[1], words[2]), address, _MAX_CACHED_PARTS)
        _put(self._sids, words[2], address.sid, _MAX_CACHED_PARTS)
        _put(self._sizes, words[-1] + b"\r\n", size, _MAX_CACHED_PARTS)
        if len(words[0]) == len(b"HMSG"):
            _put(self._sizes, words[-2], header_size, _MAX_CACHED_PARTS)
        if not has_reply:
            self._remember(text, address, header_size, size)

    def _remember(self, text: bytes, address: Any, header_size: int, size: int) -> _Line:
        """Remember a line without a reply subject, which is likely to repeat."""
        line = address, None, header_size, size, b"\r\n" + text
        _put(self._lines, text, line, _MAX_CACHED_LINES)
        return line


def _plain_new(message_type: Any) -> Callable[[], Any] | None:
    """
    What makes an empty message; None if its attributes must be set by its class.

    To set the attributes of an empty message takes half as long as to call its class.
    """
    new: Any = object.__new__
    slots: list[Any] = [getattr(message_type, name, None) for name in ("address", "data", "header_block", "reply_to")]
    is_class = isinstance(message_type, type)
    if (
        is_class
        and message_type.__new__ is new
        and all(type(slot) is MemberDescriptorType for slot in slots)
        and message_type.__init__ is slots[0].__objclass__.__init__
    ):
        return partial(new, message_type)
    return None


def _put(cache: dict[bytes, T], key: bytes, value: T, max_size: int) -> None:
    """Add an entry; a full cache is emptied first."""
    if len(cache) >= max_size:
        cache.clear()
    cache[key] = value
