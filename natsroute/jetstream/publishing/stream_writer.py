"""Writes messages to streams: those of a reactor turn together, and no more than may be in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage
from natsroute.jetstream.publishing.stream_options import MAX_IN_FLIGHT
from natsroute.jetstream.publishing.stream_subject import Phase


class StreamWriter:
    """
    What is to be written, and how much of it is in flight.

    :param write: writes commands; called with them and their number. There is a connection.
    :param on_turn: called when the first message of a turn is there.
    :param on_look: called before messages are written, some of which may have ended.

    :ivar is_connected: whether there is a connection.
    :ivar in_flight: messages that were written and are not answered.
    :ivar blocked: subjects that are not open.
    :ivar waiting: messages that are to be written, of earlier turns.
    :ivar needs_look: whether some of the messages to write may have ended.

    The others are for the hot path of :class:`~natsroute.jetstream.publishing.stream_subject.StreamSubject`:

    :ivar gathered: messages of this turn.
    :ivar next_flush: writes them; None before the first one.
    :ivar flushes_at_once: whether a message is written at once, because traffic is sparse.
    :ivar now: when the turn began, on the reactor's clock.
    """

    def __init__(
        self,
        clock: IReactorTime,
        write: Callable[[bytes, int], object],
        on_turn: Callable[[], object],
        on_look: Callable[[], object],
    ) -> None:
        self.is_connected = False
        self.in_flight = 0
        self.blocked = 0
        self.needs_look = False
        self.gathered: list[OutgoingMessage] = []
        self.next_flush: IDelayedCall | None = None
        self.flushes_at_once = False
        self.now = 0.0
        self._clock = clock
        self._write = write
        self._on_turn = on_turn
        self._on_look = on_look
        self.waiting: deque[OutgoingMessage] = deque()
        self._was_single = False  # the last write was one message
        self._is_moving = False  # to another server, while messages are in flight over the former one

    def connected(self) -> None:
        """There is a connection: write what waits. If it is another one, wait for what is in flight before."""
        self._is_moving = self.is_connected and self.in_flight > 0
        self.is_connected = True
        self.write_later()

    def disconnected(self) -> None:
        """There is none any more: nothing is to be written, and nothing in flight."""
        self.is_connected = self._is_moving = self._was_single = False
        self.unwritten().clear()
        self.in_flight = 0

    def begin_turn(self) -> None:
        """The first message of a turn is there: plan the write."""
        if self._was_single and not self.in_flight:
            self.flushes_at_once = True  # traffic is sparse, so waiting for further messages gains nothing
            self.now = self._clock.seconds()
            self._on_turn()
        else:
            self.write_later()

    def write_soon(self, message: OutgoingMessage) -> None:
        """Write a message that waited, in this turn."""
        message.written = None
        self.waiting.append(message)
        self.write_later()

    def write_later(self) -> None:
        """Write in the next turn."""
        if self.next_flush is None:
            self.now = self._clock.seconds()
            self.next_flush = self._clock.callLater(0, self.write_gathered)
            self._on_turn()

    def write_gathered(self) -> None:
        """Write the messages of this turn."""
        self.next_flush = None
        self.flushes_at_once = False
        gathered = self.gathered
        in_flight = self.in_flight + len(gathered)
        if (
            self.waiting
            or self.needs_look
            or self.blocked
            or self._is_moving
            or in_flight > MAX_IN_FLIGHT
            or not self.is_connected
        ):
            self._write_some()
        elif gathered:
            self.gathered = []
            self.in_flight = in_flight
            self._was_single = len(gathered) == 1
            self._write(b"".join([message.command for message in gathered]), len(gathered))  # type: ignore[misc]

    def unwritten(self) -> deque[OutgoingMessage]:
        """All messages that are to be written. They are not in flight."""
        for message in self.gathered:
            message.written = None
        self.waiting.extend(self.gathered)
        self.gathered = []
        return self.waiting

    def _write_some(self) -> None:
        """Write what can be written now of the messages that wait."""
        waiting = self.unwritten()
        if self.needs_look:
            self._on_look()
        if not self.is_connected:
            return
        if self._is_moving:
            if self.in_flight:
                return
            self._is_moving = False
        now = self._clock.seconds()
        commands: list[bytes] = []
        while waiting and self.in_flight + len(commands) < MAX_IN_FLIGHT:
            message = waiting.popleft()
            target = message.target
            if message.command is None:
                target.withdrawn()
            elif target.phase is Phase.BLOCKED:
                target.put_back(message)
            else:
                message.written = now
                commands.append(message.command)
        self.needs_look = False
        self._was_single = False
        if commands:
            self.in_flight += len(commands)
            self._write(b"".join(commands), len(commands))
