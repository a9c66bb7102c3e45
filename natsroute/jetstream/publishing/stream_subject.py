"""
The messages to one subject of a stream, and their order.

Usually many of them are in flight. When one fails in a way that may pass, because the stream has no leader at the
moment or an acknowledgement is missing, no further one is sent until those in flight are answered. Then the first of
the messages that are not acknowledged is sent alone, with growing delays, until it is acknowledged. The others follow
in their order.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import Any

from natsroute.confirmation import Confirmation
from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import MESSAGE_ID

#: Seconds until a message is sent again that nothing has acknowledged, for each time in a row.
RETRY_DELAYS = (0.25, 0.5, 1.0, 2.0, 5.0)

_ID_LINE = MESSAGE_ID.encode() + b": "
_ID_LINE_START = b"\r\n" + _ID_LINE
_BEFORE_ID = b"NATS/1.0\r\n" + _ID_LINE
_END_OF_HEADERS = b"\r\n\r\n"


class Phase(enum.Enum):
    """What happens with the messages to a subject."""

    OPEN = "open"  # they are sent
    BLOCKED = "blocked"  # one has failed: those in flight are waited for, or the time of the next attempt
    PROBING = "probing"  # the first of them is sent alone


class StreamSubject:
    """
    Publishes to one subject.

    :ivar name: the subject.
    :ivar in_flight: messages that were given to the publisher to write, and are not answered.
    :ivar phase: what happens with its messages.
    :ivar is_held: whether new messages wait in :attr:`queue`.
    :ivar queue: messages that wait, in order.
    :ivar problem: why the last message that failed did; None after an acknowledgement.
    :ivar to_resend: messages that have failed and are sent again, in no order.

    :param publisher: the publisher that it belongs to. It is its owner, and not a set of callables, because
        :meth:`add` runs for each message and adds to its counters.
    :param window: messages that may be in flight.
    :raises SubjectError: the subject is invalid.
    """

    __slots__ = (
        "__weakref__",
        "_attempts",
        "_owner",
        "_start",
        "_template",
        "_template_overhead",
        "_window",
        "in_flight",
        "is_held",
        "name",
        "phase",
        "problem",
        "queue",
        "to_resend",
    )

    def __init__(self, name: str, publisher: Any, window: int) -> None:
        self.name = name
        self.in_flight = 0
        self.phase = Phase.OPEN
        self.problem: Exception | None = None
        self.is_held = False
        self.queue: deque[OutgoingMessage] = deque()
        self.to_resend: list[OutgoingMessage] = []
        self._owner = publisher
        self._window = window
        self._attempts = 0
        words = encode_pub(name, b"").partition(b"\r\n")[0].split(b" ")  # which checks it
        self._start = b"HPUB %b %b" % (words[1], publisher.tokens.base.encode())
        size = len(_BEFORE_ID) + publisher.tokens.id_length + len(_END_OF_HEADERS)
        start = self._start.replace(b"%", b"%%")
        self._template = start + b"%%b %d %%d\r\n%b%%b\r\n\r\n%%b\r\n" % (size, _BEFORE_ID)
        self._template_overhead = size

    # -- taking messages ----------------------------------------------------------------------------------------------

    def add(self, confirmation: Confirmation, payload: bytes, policy: str) -> None:
        """Take a message without headers. This is the hot path, so everything is written out."""
        owner = self._owner
        reply, token, message_id = (owner.tokens.ready or owner.tokens.more()).pop()
        size = len(payload) + self._template_overhead
        command = self._template % (token, size, message_id, payload)
        writer = owner.writer
        if writer.next_flush is None:
            writer.begin_turn()
        length = len(command)
        owner.published = number = owner.published + 1
        message = OutgoingMessage(confirmation, command, length, self, number, writer.now)
        buffer = owner.buffer
        buffer.messages = messages = buffer.messages + 1
        buffer.bytes = held = buffer.bytes + length
        if (
            messages > buffer.high_water_messages
            or held > buffer.high_water_bytes
            or size > owner.max_payload
            or policy != "keep"
        ) and owner.refuses(message, size, policy):
            return
        owner.unacknowledged[reply] = message
        if self.is_held:
            message.written = None
            self.queue.append(message)
            return
        self.in_flight = in_flight = self.in_flight + 1
        if in_flight >= self._window:
            self.is_held = True
        writer.gathered.append(message)
        if writer.flushes_at_once:
            writer.write_gathered()

    def add_with_headers(
        self, confirmation: Confirmation, payload: bytes | Callable[[], bytes], block: bytes, policy: str
    ) -> None:
        """
        Take a message with headers, or one whose payload the thread pool makes.

        :param payload: bytes, or what makes them.
        :param block: its headers; empty if there are none.
        """
        owner = self._owner
        reply, token, message_id = (owner.tokens.ready or owner.tokens.more()).pop()
        if not block:
            block = b"%b%b%b" % (_BEFORE_ID, message_id, _END_OF_HEADERS)
        elif _ID_LINE_START not in block:
            block = b"%b%b%b%b" % (block[:-2], _ID_LINE, message_id, _END_OF_HEADERS)
        writer = owner.writer
        if writer.next_flush is None:
            writer.begin_turn()
        data = b"" if callable(payload) else payload
        size = len(block) + len(data)
        command = self._command(token, block, data)
        owner.published += 1
        message = OutgoingMessage(confirmation, command, len(command), self, owner.published, writer.now)
        owner.buffer.messages += 1
        owner.buffer.bytes += len(command)
        if owner.refuses(message, size, policy):
            return
        owner.unacknowledged[reply] = message
        if callable(payload):
            message.command = b""
            message.written = None
            self.is_held = True
            self.queue.append(message)
            owner.payloads.add(message, lambda: self._command(token, block, payload()))
        elif self.is_held:
            message.written = None
            self.queue.append(message)
        else:
            self.in_flight += 1
            self.is_held = self.in_flight >= self._window
            writer.gathered.append(message)
        if writer.flushes_at_once:
            writer.write_gathered()

    def _command(self, token: bytes, block: bytes, payload: bytes) -> bytes:
        return b"%b%b %d %d\r\n%b%b\r\n" % (self._start, token, len(block), len(block) + len(payload), block, payload)

    # -- answers ------------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Give waiting messages to the publisher, as far as the window allows."""
        if self.phase is not Phase.OPEN:
            return
        queue = self.queue
        while queue and self.in_flight < self._window and queue[0].command != b"":
            message = queue.popleft()
            if message.command is not None:
                self.in_flight += 1
                self._owner.writer.write_soon(message)
        self.is_held = bool(queue) or self.in_flight >= self._window

    def acknowledged(self) -> None:
        """A message in flight was acknowledged, or refused for good."""
        self._attempts = 0
        self.problem = None
        if self.phase is Phase.PROBING:
            self._become(Phase.OPEN)
        if self.phase is Phase.OPEN:
            self.release()
        else:
            self._try_later()

    def failed(self, message: OutgoingMessage, problem: Exception) -> None:
        """A message that was in flight is to be sent again."""
        self.problem = problem
        self._become(Phase.BLOCKED)
        self.put_back(message)

    def put_back(self, message: OutgoingMessage) -> None:
        """A message that was given to the publisher is not in flight."""
        self.in_flight -= 1
        message.written = None
        self.to_resend.append(message)
        self._try_later()

    def withdrawn(self) -> None:
        """A message that the publisher was to write needs not be sent any more."""
        self.in_flight -= 1
        if self.phase is Phase.PROBING:
            self._become(Phase.BLOCKED)
        if self.phase is Phase.BLOCKED:
            self._try_later()
        else:
            self.release()

    def _try_later(self) -> None:
        """When the last message in flight is answered, plan the next attempt."""
        if self.phase is Phase.BLOCKED and not self.in_flight:
            delay = RETRY_DELAYS[min(self._attempts, len(RETRY_DELAYS) - 1)]
            self._attempts += 1
            self._owner.timers.retry_later(self, delay)

    def retry(self) -> None:
        """Send the first message again, alone."""
        if self.phase is not Phase.BLOCKED or self.in_flight:
            return
        again = sorted((one for one in self.to_resend if one.command is not None), key=lambda one: one.number)
        self.queue.extendleft(reversed(again))
        self.to_resend.clear()
        while self.queue and self.queue[0].command is None:
            self.queue.popleft()
        if self.queue and self.queue[0].command:
            self._become(Phase.PROBING)
            self.in_flight += 1
            self._owner.writer.write_soon(self.queue.popleft())
        else:
            self._become(Phase.OPEN)
            self.is_held = bool(self.queue)

    def restart(self) -> None:
        """The connection is another one: forget what was in flight. The publisher adds the messages again."""
        self.in_flight = self._attempts = 0
        self.problem = None
        self.queue.clear()
        self.to_resend.clear()
        self.is_held = False
        self._become(Phase.OPEN)

    def readd(self, message: OutgoingMessage) -> None:
        """Take a message again, after :meth:`restart`. Those before it were taken before."""
        message.written = None
        self.queue.append(message)
        self.is_held = True

    def _become(self, phase: Phase) -> None:
        if (self.phase is Phase.OPEN) != (phase is Phase.OPEN):
            self._owner.writer.blocked += 1 if self.phase is Phase.OPEN else -1
        self.phase = phase
        self.is_held = self.is_held or phase is not Phase.OPEN
