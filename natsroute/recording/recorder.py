"""Records messages: makes their lines as they arrive, and writes them in another thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import BinaryIO, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.errors import NatsrouteError
from natsroute.recording.format import FIRST_LINE, Lost, Recorded
from natsroute.wire.frames import Msg

#: Bytes of lines that wait for a slow disk. What arrives while there are more is lost, and counted.
MAX_WAITING = 64 * 1024 * 1024


class RunInThread(Protocol):
    """Runs a function in a thread."""

    def __call__(self, function: Callable[[bytes], None], lines: bytes, /) -> Deferred[None]:
        """Fires in the reactor's thread when the function has returned; fails with what it raised."""


class Recorder:
    """
    Writes messages to a file.

    :param file: is written to and flushed in a thread, by one call at a time.
    :param max_messages: ends the recording after so many messages; None: it goes on until :meth:`stop`.
    :param max_waiting: bytes of lines that may wait for the file.
    :param unix_time: the time, as ``time.time()``.

    :ivar recorded: messages recorded so far.
    :ivar lost: messages that came while too much waited for the file.
    :ivar ended: fires when there are ``max_messages``; fails with the error of the file.
    """

    def __init__(
        self,
        file: BinaryIO,
        run_in_thread: RunInThread,
        *,
        max_messages: int | None = None,
        max_waiting: int = MAX_WAITING,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self.recorded = self.lost = 0
        self.ended: Deferred[None] = Deferred()
        self._file = file
        self._run_in_thread = run_in_thread
        self._max_messages = max_messages
        self._max_waiting = max_waiting
        self._unix_time = unix_time
        self._lines: list[bytes] = []
        self._waiting = 0  # bytes, those that are being written too
        self._lost_here = 0  # since the last line
        self._is_open = True
        self._writing: Deferred[None] | None = None
        self._idle: list[Deferred[None]] = []
        self._append(FIRST_LINE)

    def on_msg(self, msg: Msg) -> None:
        """Record a message."""
        if not self._is_open:
            return
        if self._waiting >= self._max_waiting:
            self.lost += 1
            self._lost_here += 1
            return
        self._tell_lost()
        line = Recorded(self._unix_time(), msg.subject, msg.data, msg.reply, msg.header_block).line()
        self.recorded += 1
        self._append(line)
        if self.recorded == self._max_messages:
            self._end(None)

    def stop(self) -> Deferred[None]:
        """
        Record nothing more.

        :return: fires in the reactor's thread when everything is written, or the file has failed; it never fails.
        """
        self._is_open = False
        self._tell_lost()
        if self._writing is None:
            self._write()
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        self._fire_if_idle()
        return idle

    def _tell_lost(self) -> None:
        if self._lost_here:
            self._lines.append(Lost(self._lost_here).line())
            self._lost_here = 0

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._waiting += len(line)
        if self._writing is None:
            self._write()

    def _write(self) -> None:
        if not self._lines:
            return
        lines, self._lines = b"".join(self._lines), []
        self._writing = self._run_in_thread(self._write_lines, lines)
        self._writing.addCallbacks(lambda _: self._written(len(lines)), self._failed)

    def _write_lines(self, lines: bytes) -> None:
        self._file.write(lines)
        self._file.flush()

    def _written(self, size: int) -> None:
        self._writing = None
        self._waiting -= size
        self._write()
        self._fire_if_idle()

    def _failed(self, failure: Failure) -> None:
        self._writing = None
        self._is_open = False
        self._lines.clear()
        reason = getattr(failure.value, "strerror", None) or failure.getErrorMessage()
        self._end(Failure(NatsrouteError(f"the recording cannot be written: {reason}")))
        self._fire_if_idle()

    def _end(self, failure: Failure | None) -> None:
        self._is_open = False
        if self.ended.called:
            return
        if failure is None:
            self.ended.callback(None)
        else:
            self.ended.errback(failure)

    def _fire_if_idle(self) -> None:
        if self._writing is None and not self._lines:
            idle, self._idle = self._idle, []
            for one in idle:
                one.callback(None)
