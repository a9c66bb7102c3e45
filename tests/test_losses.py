"""natsroute.publishing.losses"""

from __future__ import annotations

import gc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PayloadTooLargeError, PublishDroppedError, PublisherStoppedError
from natsroute.publishing.batches import Unserialised
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.complaints import UnhandledFailureLog
from natsroute.publishing.confirmation import Confirmation
from natsroute.publishing.losses import Failures
from natsroute.publishing.options import PublishLimits
from tests.support.cases import LogRecorder


class LossesTests(SynchronousTestCase):
    """Counted at once, and told when it is time."""

    def setUp(self) -> None:
        self.room = Buffer(PublishLimits(), lambda: None, lambda: None)
        self.losses = Failures(self.room, UnhandledFailureLog(Clock()))
        self.log = LogRecorder(self)

    def held(self, command: bytes | Unserialised) -> tuple[Confirmation, bytes | Unserialised]:
        """A message that takes its room."""
        self.room.messages += 1
        self.room.bytes += len(command)
        return Confirmation(), command

    def left(self) -> tuple[int, int]:
        return self.room.messages, self.room.bytes

    def test_fail(self) -> None:
        """The count is right before anybody is told."""
        confirmation, command = self.held(b"PUB a 1\r\nx\r\n")
        self.losses.fail(confirmation, command, PayloadTooLargeError(2, 1))
        self.assertEqual((self.losses.failed, self.left()), (1, (0, 0)))
        self.assertNoResult(confirmation)
        self.losses.tell()
        self.failureResultOf(confirmation, PayloadTooLargeError)

    def test_fail_what_nobody_waits_for(self) -> None:
        """The log tells, in place of the Deferred."""
        _, command = self.held(b"PUB a 1\r\nx\r\n")
        self.losses.fail(None, command, PayloadTooLargeError(2, 1))
        self.assertEqual(self.log.lines("error"), [])
        self.losses.tell()
        [line] = self.log.lines("error")
        self.assertIn("Not published: ", line)

    def test_fail_all(self) -> None:
        """One line, and an exception for each; what is not made yet has no bytes."""
        messages = [
            self.held(b"PUB b r 1\r\nx\r\n"),
            self.held(Unserialised("a", lambda: b"")),
            self.held(b"PUB b 0\r\n\r\n"),
        ]
        self.losses.fail_all(messages, lambda: PublisherStoppedError("the end"))
        self.losses.tell()
        self.assertEqual((self.losses.failed, self.left()), (3, (0, 0)))
        self.assertEqual(self.log.lines("error"), ["3 messages were not confirmed, to a, b: the end"])
        errors = [self.failureResultOf(confirmation, PublisherStoppedError).value for confirmation, _ in messages]
        self.assertEqual(len(set(map(id, errors))), 3)
        messages.clear()
        gc.collect()
        self.assertEqual(len(self.log.lines("error")), 1, "it is told already")

    def test_fail_none(self) -> None:
        self.losses.fail_all([], lambda: PublisherStoppedError("the end"))
        self.losses.tell()
        self.assertEqual((self.losses.failed, self.log.lines("error")), (0, []))

    def test_drop(self) -> None:
        confirmation, command = self.held(b"PUB a 1\r\nx\r\n")
        self.losses.drop(confirmation, command)
        self.failureResultOf(confirmation, PublishDroppedError)
        self.assertEqual((self.losses.dropped, self.losses.failed, self.left()), (1, 0, (0, 0)))
