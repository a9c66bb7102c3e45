"""natsroute.recording.recorder"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import NatsrouteError
from natsroute.recording.format import Lost, Recorded, read_recording
from natsroute.recording.recorder import Recorder
from natsroute.wire.frames import Address, Msg


class RecorderTests(SynchronousTestCase):
    """Messages, and a thread that writes when the test lets it."""

    def setUp(self) -> None:
        self.file = BytesIO()
        self.writes: list[tuple[Callable[[], None], Deferred[None]]] = []
        self.now = 1_790_000_000.0

    def run_in_thread(self, function: Callable[[bytes], None], lines: bytes, /) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.writes.append((lambda: function(lines), done))
        return done

    def recorder(self, max_messages: int | None = None, max_waiting: int = 1000) -> Recorder:
        return Recorder(
            self.file,
            self.run_in_thread,
            max_messages=max_messages,
            max_waiting=max_waiting,
            unix_time=lambda: self.now,
        )

    def write(self) -> None:
        """The thread writes what it was given."""
        function, done = self.writes.pop(0)
        try:
            function()
        except Exception:
            done.errback(Failure())
        else:
            done.callback(None)

    def message(self, data: bytes = b"x") -> Msg:
        return Msg(Address("a.b", 1), data, b"NATS/1.0\r\nA: b\r\n\r\n", b"r")

    def read(self) -> list[Recorded | Lost]:
        return [item for _, item in read_recording(BytesIO(self.file.getvalue()), "file")]

    def test_messages(self) -> None:
        """They are written in order, with all they have; one call of the thread writes all that waits."""
        recorder = self.recorder()
        for number in range(3):
            recorder.on_msg(self.message(b"%d" % number))
            self.now += 1
        self.write()
        self.write()
        self.assertEqual(self.writes, [])
        self.assertEqual(
            self.read(),
            [
                Recorded(1_790_000_000.0 + number, "a.b", b"%d" % number, "r", b"NATS/1.0\r\nA: b\r\n\r\n")
                for number in range(3)
            ],
        )
        self.assertEqual((recorder.recorded, recorder.lost), (3, 0))
        self.assertNoResult(recorder.ended)

    def test_count(self) -> None:
        """It ends with that message."""
        recorder = self.recorder(max_messages=2)
        for _ in range(5):
            recorder.on_msg(self.message())
        self.successResultOf(recorder.ended)
        stopped = recorder.stop()
        self.assertNoResult(stopped)
        self.write()
        self.write()
        self.successResultOf(stopped)
        self.assertEqual((len(self.read()), recorder.recorded), (2, 2))

    def test_slow_file(self) -> None:
        """What comes while too much waits is lost, counted, and noted where it is missing."""
        recorder = self.recorder(max_waiting=300)
        for _ in range(10):
            recorder.on_msg(self.message())
        recorded = recorder.recorded
        self.assertTrue(1 < recorded < 10)
        self.assertEqual(recorder.lost, 10 - recorded)
        self.write()
        self.write()
        recorder.on_msg(self.message(b"later"))
        self.write()
        *_, lost, last = self.read()
        self.assertEqual(lost, Lost(10 - recorded))
        assert isinstance(last, Recorded)
        self.assertEqual(last.payload, b"later")

    def test_lost_at_the_end(self) -> None:
        recorder = self.recorder(max_waiting=1)
        recorder.on_msg(self.message())
        stopped = recorder.stop()
        recorder.on_msg(self.message())
        self.write()
        self.write()
        self.successResultOf(stopped)
        self.assertEqual((self.read(), recorder.lost), ([Lost(1)], 1))

    def test_empty(self) -> None:
        """A recording without messages is one too."""
        stopped = self.recorder().stop()
        self.write()
        self.successResultOf(stopped)
        self.assertEqual(self.read(), [])
        self.successResultOf(self.stopped_twice())

    def stopped_twice(self) -> Deferred[None]:
        recorder = self.recorder()
        self.write()
        self.successResultOf(recorder.stop())
        return recorder.stop()

    def test_file_that_fails(self) -> None:
        """As when the disk is full."""

        def write(data: bytes) -> int:
            raise OSError(28, "No space left on device")

        self.file.write = write  # type: ignore[method-assign,assignment]
        recorder = self.recorder()
        recorder.on_msg(self.message())
        self.write()
        failure = self.failureResultOf(recorder.ended, NatsrouteError)
        self.assertEqual(failure.getErrorMessage(), "the recording cannot be written: No space left on device")
        recorder.on_msg(self.message())
        self.successResultOf(recorder.stop())
        self.assertEqual((recorder.recorded, self.writes), (1, []))
