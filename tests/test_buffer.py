"""natsroute.publishing.buffer"""

from __future__ import annotations

import gc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PayloadTooLargeError, PublishDroppedError, PublisherStoppedError
from natsroute.publishing.batches import Command, Message, Unserialised
from natsroute.publishing.buffer import Buffer, Failures
from natsroute.publishing.confirmation import Confirmation, UnhandledFailureLog
from natsroute.publishing.options import PublishLimits
from tests.support.log_recorder import LogRecorder


class BufferTests(SynchronousTestCase):
    """The bounds of messages and bytes, and the marks at half and at a quarter of them."""

    def setUp(self) -> None:
        self.marks: list[str] = []
        self.buffer = Buffer(
            PublishLimits(messages=8, bytes=80), lambda: self.marks.append("high"), lambda: self.marks.append("low")
        )

    def hold(self, messages: int, size: int) -> None:
        self.buffer.messages += messages
        self.buffer.bytes += size

    def test_bounds(self) -> None:
        """A buffer that is exactly full is within its bounds."""
        self.hold(8, 80)
        self.assertFalse(self.buffer.is_exceeded)
        self.hold(1, 0)
        self.assertTrue(self.buffer.is_exceeded)
        self.buffer.release(8, 0)
        self.buffer.grow(1)
        self.assertTrue(self.buffer.is_exceeded)

    def test_full_error(self) -> None:
        """Its numbers leave out the message that does not fit."""
        self.hold(9, 75)
        error = self.buffer.full_error(5)
        self.assertEqual((error.messages, error.max_messages, error.bytes, error.max_bytes), (8, 8, 70, 80))

    def test_marks(self) -> None:
        """
        ``on_high_water`` is called once; ``on_low_water`` when both messages and bytes are down to a quarter, and once.
        """
        self.hold(5, 50)
        self.buffer.signal_high_water()
        self.buffer.signal_high_water()
        for messages, size in ((2, 10), (1, 19), (0, 1)):
            self.buffer.signal_low_water()
            self.assertEqual(self.marks, ["high"])
            self.buffer.release(messages, size)
        self.buffer.signal_low_water()
        self.buffer.signal_low_water()
        self.assertEqual((self.marks, self.buffer.messages, self.buffer.bytes), (["high", "low"], 2, 20))


class FailuresTests(SynchronousTestCase):
    """Failed messages are counted and released at once; their Deferreds fail later."""

    def setUp(self) -> None:
        self.buffer = Buffer(PublishLimits(), lambda: None, lambda: None)
        self.failures = Failures(self.buffer, UnhandledFailureLog(Clock()))
        self.log = LogRecorder(self)

    def hold_message(self, command: Command) -> tuple[Confirmation, Command]:
        """Count a message as held."""
        self.buffer.messages += 1
        self.buffer.bytes += len(command)
        return Confirmation(), command

    def left(self) -> tuple[int, int]:
        return self.buffer.messages, self.buffer.bytes

    def test_add(self) -> None:
        """The counters are right before the Deferred fails."""
        confirmation, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.failures.add(confirmation, command, PayloadTooLargeError(2, 1))
        self.assertEqual((self.failures.failed, self.left()), (1, (0, 0)))
        self.assertNoResult(confirmation)
        self.failures.fire()
        self.failureResultOf(confirmation, PayloadTooLargeError)

    def test_add_an_abandoned_message(self) -> None:
        """The failure is logged, since there is no Deferred."""
        _, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.failures.add(None, command, PayloadTooLargeError(2, 1))
        self.assertEqual(self.log.lines("error"), [])
        self.failures.fire()
        [line] = self.log.lines("error")
        self.assertIn("Not published: ", line)

    def test_add_all(self) -> None:
        """One log line, and an exception for each message. An unserialised command has no bytes."""
        messages = [
            self.hold_message(b"PUB b r 1\r\nx\r\n"),
            self.hold_message(Unserialised("a", lambda: b"")),
            self.hold_message(b"PUB b 0\r\n\r\n"),
        ]
        self.failures.add_all(messages, lambda: PublisherStoppedError("the end"))
        self.failures.fire()
        self.assertEqual((self.failures.failed, self.left()), (3, (0, 0)))
        self.assertEqual(self.log.lines("error"), ["Not confirmed: 3 message(s) to a, b: the end"])
        errors = [self.failureResultOf(confirmation, PublisherStoppedError).value for confirmation, _ in messages]
        self.assertEqual(len(set(map(id, errors))), 3)
        messages.clear()
        gc.collect()
        self.assertEqual(len(self.log.lines("error")), 1, "failures that were logged are not logged again")

    def test_add_all_names_ten_subjects(self) -> None:
        """However many there are, the log line stays short."""
        messages: list[Message] = [self.hold_message(b"PUB s%d 0\r\n\r\n" % number) for number in range(20)]
        self.failures.add_all(messages, lambda: PublisherStoppedError("the end"))
        self.failures.fire()
        [line] = self.log.lines("error")
        self.assertEqual(line, f"Not confirmed: 20 message(s) to {', '.join(f's{n}' for n in range(10))}: the end")
        for confirmation, _ in messages:
            assert confirmation is not None
            self.failureResultOf(confirmation, PublisherStoppedError)

    def test_add_none(self) -> None:
        self.failures.add_all([], lambda: PublisherStoppedError("the end"))
        self.failures.fire()
        self.assertEqual((self.failures.failed, self.log.lines("error")), (0, []))

    def test_drop(self) -> None:
        confirmation, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.failures.drop(confirmation, command)
        self.failureResultOf(confirmation, PublishDroppedError)
        self.assertEqual((self.failures.dropped, self.failures.failed, self.left()), (1, 0, (0, 0)))
