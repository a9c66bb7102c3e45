"""natsroute.publishing.batches"""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PayloadTooLargeError, PermissionsError, server_error
from natsroute.publishing.batches import (
    Batch,
    Command,
    Message,
    Messages,
    Unserialised,
    WrittenBatches,
    permitted,
    resendable,
    sendable,
)
from natsroute.publishing.confirmation import Confirmation
from natsroute.wire.encoder import encode_pub


def messages_of(*commands: Command) -> Messages:
    """Messages with these commands, published at 7.0."""
    messages = Messages(7.0)
    for command in commands:
        messages.add(Confirmation(), command)
    return messages


def unresendable() -> Confirmation:
    """The Deferred of a message with the policy ``fail``."""
    confirmation = Confirmation()
    confirmation.resendable = False
    return confirmation


def refusal(subject: str) -> PermissionsError:
    """What the server answers to a message to this subject."""
    error = server_error(f'Permissions Violation for Publish to "{subject}"')
    assert isinstance(error, PermissionsError)
    return error


class UnserialisedTests(SynchronousTestCase):
    """A payload that is serialised in the pool."""

    def test_serialise(self) -> None:
        command = Unserialised("a", lambda: encode_pub("a", b"m"))
        self.assertEqual((command.result, len(command)), (None, 0))
        command.serialise()
        self.assertEqual((command.result, len(command)), (encode_pub("a", b"m"), len(encode_pub("a", b"m"))))

    def test_a_factory_that_raises(self) -> None:
        """Whatever it raises, even SystemExit, is the result."""

        def leave() -> bytes:
            raise SystemExit

        for factory, error in ((lambda: b"%d" % (1 // 0), ZeroDivisionError), (leave, SystemExit)):
            command = Unserialised("a", factory)
            command.serialise()
            assert isinstance(command.result, Failure)
            self.assertEqual((command.result.type, len(command)), (error, 0))


class MessagesTests(SynchronousTestCase):
    """Messages before they are written."""

    def test_extend(self) -> None:
        """The order is kept, and so is the age of the oldest."""
        command = Unserialised("a", lambda: encode_pub("a", b"2"))
        messages, others = messages_of(encode_pub("a", b"1")), Messages(8.0)
        others.add(unresendable(), command)
        messages.extend(others)
        self.assertEqual((messages.commands, messages.unserialised), ([encode_pub("a", b"1"), command], [command]))
        self.assertEqual((len(messages.confirmations), messages.since, messages.all_resendable), (2, 7.0, False))

    def test_to_batch(self) -> None:
        messages = messages_of(encode_pub("a", b"1"), encode_pub("b", b"2"))
        batch = messages.to_batch()
        self.assertEqual(batch.data, encode_pub("a", b"1") + encode_pub("b", b"2"))
        self.assertEqual(list(batch), list(messages))
        self.assertEqual((batch.since, batch.all_resendable), (7.0, True))

    def test_drop_abandoned(self) -> None:
        """A Deferred that says that its message may not be sent again is kept."""
        messages = messages_of(encode_pub("a", b""))
        messages.drop_abandoned()
        self.assertEqual(messages.confirmations, [None])
        messages.add(unresendable(), encode_pub("a", b""))
        messages.drop_abandoned()
        self.assertIsNotNone(messages.confirmations[1])

    def test_take_unresendable(self) -> None:
        messages = messages_of(encode_pub("a", b"1"), encode_pub("a", b"2"))
        self.assertEqual(messages.take_unresendable(), [])
        once, command = unresendable(), Unserialised("a", lambda: b"")
        messages.add(once, encode_pub("a", b"3"))
        messages.add(Confirmation(), command)
        self.assertEqual(messages.take_unresendable(), [(once, encode_pub("a", b"3"))])
        self.assertEqual(
            (messages.commands, messages.unserialised, messages.since),
            ([encode_pub("a", b"1"), encode_pub("a", b"2"), command], [command], 7.0),
        )
        self.assertEqual(len(messages.confirmations), 3)
        self.assertTrue(messages.all_resendable)


class FilterTestCase(SynchronousTestCase):
    """Records the messages that a filter fails."""

    def setUp(self) -> None:
        self.failed: list[tuple[Confirmation | None, type[BaseException]]] = []

    def record_failure(self, confirmation: Confirmation | None, command: Command, error: Exception | Failure) -> None:
        self.failed.append((confirmation, type(error.value if isinstance(error, Failure) else error)))

    def assert_failed(self, messages: Messages | Batch, **errors: type[BaseException]) -> None:
        """These failed, by their position, with these errors; no others did."""
        expected = [(messages.confirmations[int(position[1:])], error) for position, error in errors.items()]
        self.assertEqual(self.failed, expected)


class FilterTests(FilterTestCase):
    """Messages that pass keep their order and their Deferred; the others fail."""

    def test_sendable(self) -> None:
        """A payload that is not serialised yet passes, whatever its size will be."""
        serialised = Unserialised("a", lambda: encode_pub("a", b"m"))
        raised = Unserialised("a", lambda: b"%d" % (1 // 0))
        unserialised = Unserialised("a", lambda: b"")
        serialised.serialise()
        raised.serialise()
        messages = messages_of(encode_pub("a", b"12"), serialised, raised, encode_pub("a", b"123"), unserialised)
        passed = sendable(messages, 2, self.record_failure)
        self.assertEqual(passed.commands, [encode_pub("a", b"12"), encode_pub("a", b"m"), unserialised])
        self.assertEqual(passed.confirmations, [messages.confirmations[at] for at in (0, 1, 4)])
        self.assertEqual((passed.unserialised, passed.since), ([unserialised], 7.0))
        self.assert_failed(messages, _2=ZeroDivisionError, _3=PayloadTooLargeError)

    def test_resendable(self) -> None:
        batch = messages_of(encode_pub("a", b"1")).to_batch()
        self.assertIs(resendable(batch), batch)
        messages = messages_of(encode_pub("a", b"1"))
        messages.add(unresendable(), encode_pub("a", b"2"))
        left = resendable(messages.to_batch())
        self.assertEqual((left.data, left.since, left.all_resendable), (encode_pub("a", b"1"), 7.0, True))

    def test_permitted(self) -> None:
        """The server may refuse a reply subject, too."""
        batch = messages_of(*(encode_pub(*message) for message in (("a", b""), ("b", b""), ("c", b"", "b")))).to_batch()
        self.assertEqual(permitted(batch, {"b": refusal("b")}, self.record_failure).data, encode_pub("a", b""))
        self.assert_failed(batch, _1=PermissionsError, _2=PermissionsError)


class WrittenBatchesTests(FilterTestCase):
    """Batches on the link, and those for the next link."""

    def setUp(self) -> None:
        super().setUp()
        self.written = WrittenBatches()

    def write(self, *commands: bytes) -> Batch:
        batch = messages_of(*commands).to_batch()
        self.written.add(batch)
        return batch

    def test_confirm(self) -> None:
        """In order; an abandoned batch is not confirmed."""
        first, second = self.write(encode_pub("a", b"1")), self.write(encode_pub("a", b"2"))
        self.assertIsNone(self.written.confirm(second, self.record_failure))
        self.assertIs(self.written.confirm(first, self.record_failure), first)
        self.assertEqual(list(self.written), [second])
        self.written.clear()
        self.assertIsNone(self.written.confirm(second, self.record_failure))

    def test_refused(self) -> None:
        """A refusal is for the oldest batch alone, and is forgotten with its PONG."""
        self.written.refused(refusal("a"))  # nothing was written, so it is not for us
        batches = [self.write(encode_pub("a", b"1"), encode_pub("b", b"1")) for _ in range(2)]
        self.written.refused(refusal("a"))
        confirmed = self.written.confirm(batches[0], self.record_failure)
        assert confirmed is not None
        self.assertEqual(confirmed.data, encode_pub("b", b"1"))
        self.assert_failed(batches[0], _0=PermissionsError)
        self.assertIs(self.written.confirm(batches[1], self.record_failure), batches[1])

    def test_refusals_are_bounded(self) -> None:
        """By the number of messages, since a server can send any number of errors."""
        batch = self.write(encode_pub("b", b"1"))
        self.written.refused(refusal("a"))
        self.written.refused(refusal("b"))
        self.assertIs(type(self.written.confirm(batch, self.record_failure)), Batch)
        self.assertEqual(self.failed, [])

    def test_link_lost(self) -> None:
        """First what was just confirmed, then what is unconfirmed; what may not be sent again is taken out."""
        messages = messages_of(encode_pub("a", b"2"))
        once = unresendable()
        messages.add(once, encode_pub("a", b"3"))
        self.written.add(messages.to_batch())
        last = self.write(encode_pub("a", b"4"))
        self.written.refused(refusal("a"))
        expected: list[Message] = [(once, encode_pub("a", b"3"))]
        self.assertEqual(self.written.link_lost([Batch([], encode_pub("a", b"1"))]), expected)
        self.assertEqual(list(self.written.unconfirmed), [])
        to_resend = self.written.take_to_resend()
        self.assertEqual([batch.data for batch in to_resend], [encode_pub("a", b"%d" % number) for number in (1, 2, 4)])
        self.assertIs(to_resend[2], last)
        self.assertEqual(self.written.take_to_resend(), [])
        self.written.add(last)
        self.assertIs(self.written.confirm(last, self.record_failure), last, "a refusal before the outage is forgotten")

    def test_limit_payload(self) -> None:
        """A message that was confirmed already does not fail."""
        confirmed = Batch([], encode_pub("a", b"123") + encode_pub("a", b"12"))
        batch = self.write(encode_pub("a", b"123"), encode_pub("a", b"12"))
        self.written.link_lost([confirmed])
        self.written.limit_payload(2, self.record_failure)
        self.assertEqual([batch.data for batch in self.written.take_to_resend()], [encode_pub("a", b"12")] * 2)
        self.assert_failed(batch, _0=PayloadTooLargeError)

    def test_a_cleared_batch_waits_for_its_pong(self) -> None:
        first, second = self.write(encode_pub("a", b"1")), self.write(encode_pub("a", b"2"))
        first.clear()
        self.assertIs(self.written.confirm(first, self.record_failure), first)
        self.assertEqual((list(first), first.data), ([], b""))
        self.assertIs(self.written.confirm(second, self.record_failure), second)
