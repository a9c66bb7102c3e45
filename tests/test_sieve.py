"""natsroute.publishing.sieve"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ConnectionLostError, PayloadTooLargeError, PermissionsError, server_error
from natsroute.publishing.batches import Batch, Messages, Unserialised
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.complaints import UnhandledFailureLog
from natsroute.publishing.confirmation import Confirmation
from natsroute.publishing.losses import Failures
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.sieve import fitting, kept, permitted, sendable
from natsroute.wire.encoder import encode_pub


class SieveTests(SynchronousTestCase):
    """What passes keeps its order and its Deferred; what does not is lost."""

    def setUp(self) -> None:
        self.losses = Failures(Buffer(PublishLimits(), lambda: None, lambda: None), UnhandledFailureLog(Clock()))

    def messages(self, *commands: bytes | Unserialised) -> Messages:
        messages = Messages(7.0)
        for command in commands:
            messages.add(Confirmation(), command)
        return messages

    def assertLost(self, messages: Messages | Batch, *errors: type[Exception]) -> None:
        """These were lost, with these errors and in this order; the others wait still."""
        self.losses.tell()
        lost = [confirmation for confirmation in messages.confirmations if confirmation and confirmation.called]
        self.assertEqual(self.losses.failed, len(lost))
        for confirmation, error in zip(lost, errors, strict=True):
            self.failureResultOf(confirmation, error)

    def test_sendable(self) -> None:
        """What is not made yet is not judged yet."""
        made, broken = Unserialised("a", lambda: encode_pub("a", b"m")), Unserialised("a", lambda: b"%d" % (1 // 0))
        unmade = Unserialised("a", lambda: b"")
        made.make()
        broken.make()
        messages = self.messages(encode_pub("a", b"12"), made, broken, encode_pub("a", b"123"), unmade)
        passed = sendable(messages, 2, self.losses)
        self.assertEqual(passed.commands, [encode_pub("a", b"12"), encode_pub("a", b"m"), unmade])
        self.assertEqual((passed.unmade, passed.since), ([unmade], 7.0))
        self.assertLost(messages, ZeroDivisionError, PayloadTooLargeError)

    def test_fitting(self) -> None:
        """Of what was confirmed already, nobody is told."""
        batch = self.messages(encode_pub("a", b"123"), encode_pub("a", b"12")).as_batch()
        confirmed = Batch([], batch.data, 7.0)
        self.assertEqual(fitting(confirmed, 2, self.losses).data, encode_pub("a", b"12"))
        self.assertEqual(self.losses.failed, 0)
        self.assertEqual(fitting(batch, 2, self.losses).data, encode_pub("a", b"12"))
        self.assertLost(batch, PayloadTooLargeError)

    def test_kept(self) -> None:
        messages = self.messages(encode_pub("a", b"1"), encode_pub("a", b"2"))
        self.assertIs(kept(messages, "cut", self.losses), messages)
        once = Confirmation()
        once.kept = False
        messages.add(once, encode_pub("a", b"3"))
        left = kept(messages, "cut", self.losses)
        self.assertEqual((left.commands, left.since), ([encode_pub("a", b"1"), encode_pub("a", b"2")], 7.0))
        self.assertTrue(left.all_kept)
        self.assertLost(messages, ConnectionLostError)

    def test_permitted(self) -> None:
        """A reply subject may be refused, too."""
        error = server_error('Permissions Violation for Publish to "b"')
        assert isinstance(error, PermissionsError)
        batch = self.messages(
            *(encode_pub(*message) for message in (("a", b""), ("b", b""), ("c", b"", "b")))
        ).as_batch()
        self.assertEqual(permitted(batch, {"b": error}, self.losses).data, encode_pub("a", b""))
        self.assertLost(batch, PermissionsError, PermissionsError)
