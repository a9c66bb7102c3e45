"""natsroute.publishing.batches"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.confirmation import Confirmation
from natsroute.errors import HeaderError, PayloadTooLargeError
from natsroute.publishing.batches import (
    MAX_BATCH,
    Batch,
    Command,
    Message,
    Messages,
    ServerLimits,
    Unserialised,
    resendable,
    resendable_within,
    sendable,
    serialise,
)
from natsroute.publishing.suspicion import Suspicion
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import NO_HEADERS
from tests.support.garbage import left_in_cycles


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


class UnserialisedTests(SynchronousTestCase):
    """A payload that is serialised in the pool."""

    def test_serialise(self) -> None:
        command = Unserialised("a", lambda: encode_pub("a", b"m"), 5)
        self.assertEqual((command.result, len(command), command.growth), (None, 5, 0))
        command.serialise()
        growth = len(encode_pub("a", b"m")) - 5
        self.assertEqual((command.result, len(command), command.growth), (encode_pub("a", b"m"), 5, growth))

    def test_a_factory_that_raises(self) -> None:
        """Whatever it raises, even SystemExit, is the result."""

        def leave() -> bytes:
            raise SystemExit

        for factory, error in ((lambda: b"%d" % (1 // 0), ZeroDivisionError), (leave, SystemExit)):
            command = Unserialised("a", factory)
            command.serialise()
            assert isinstance(command.result, Failure)
            self.assertEqual((command.result.type, len(command), command.growth), (error, 0, 0))

    def test_no_cycles(self) -> None:
        """The error goes when the message has failed, and nobody has it."""

        def fail() -> None:
            messages = messages_of(Unserialised("a", lambda: b"%d" % (1 // 0)))
            serialise(messages.unserialised, 1)
            failed: list[object] = []
            sendable(
                messages,
                ServerLimits(100, headers=True),
                lambda messages, make_error: failed.extend(make_error(command) and 1 for _, command in messages),
            )
            self.assertEqual(len(failed), 1)

        self.assertEqual(left_in_cycles(fail), [])


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

    def test_may_take(self) -> None:
        """What a batch can have, and what expires together."""
        messages = messages_of(*[encode_pub("a", b"")] * (MAX_BATCH - 1))
        self.assertTrue(messages.may_take(messages_of(encode_pub("a", b"")), 0.0))
        self.assertFalse(messages.may_take(messages_of(*[encode_pub("a", b"")] * 2), 0.0))
        later = Messages(8.0)
        self.assertTrue(messages.may_take(later, 1.0))
        self.assertFalse(messages.may_take(later, 0.9))

    def test_joined_commands(self) -> None:
        """An entry may have several commands. They are divided when somebody looks at each message."""
        first, second, third = encode_pub("a", b"1"), encode_pub("b", b"\r\nPUB"), encode_pub("c", b"")
        command = Unserialised("a", lambda: encode_pub("d", b"4"))

        def joined() -> Messages:
            messages = messages_of(first, second, third, command)
            messages.commands[:] = [first + second, third, command]
            return messages

        messages = joined()
        self.assertEqual([each for _, each in messages], [first, second, third, command])
        self.assertEqual(messages.commands, [first, second, third, command])
        messages = joined()
        rest = messages.take_unserialised()
        self.assertEqual(([*messages], [*rest]), ([*zip(messages.confirmations, [first, second, third])], [*rest]))
        self.assertEqual(rest.commands, [command])
        self.assertEqual(messages.to_batch().data, first + second + third)
        messages = joined()
        cancelled = messages.confirmations[1]
        assert cancelled is not None
        cancelled.addErrback(lambda failure: failure.trap(CancelledError))
        cancelled.cancel()
        self.assertEqual(messages.take_cancelled(), [(cancelled, second)])
        self.assertEqual(messages.commands, [first, third, command])

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


class SerialiseTests(SynchronousTestCase):
    """Payload functions are called while there is space."""

    def messages(self) -> Messages:
        """Three payload functions of 13 bytes each, behind a message of bytes and before another."""
        functions = [Unserialised("a", partial(encode_pub, "a", b"%d" % number)) for number in range(3)]
        return messages_of(encode_pub("b", b"0"), *functions, encode_pub("c", b"0"))

    def test_space(self) -> None:
        size = len(encode_pub("a", b"1"))
        for space, called in ((-5, 1), (0, 1), (size - 1, 1), (size, 1), (size + 1, 2), (3 * size, 3), (99, 3)):
            messages = self.messages()
            serialise(messages.unserialised, space)
            results = [command.result for command in messages.unserialised]
            self.assertEqual([result is not None for result in results], [number < called for number in range(3)])

    def test_take_unserialised(self) -> None:
        """The rest begins with the first that is unserialised, whatever follows it."""
        messages = self.messages()
        whole = list(messages)
        functions = list(messages.unserialised)
        serialise(messages.unserialised, 1)
        rest = messages.take_unserialised()
        self.assertEqual((list(messages), list(rest)), (whole[:2], whole[2:]))
        self.assertEqual((messages.unserialised, rest.unserialised), (functions[:1], functions[1:]))
        self.assertEqual((len(messages.commands), len(messages.confirmations)), (2, 2))
        self.assertEqual((len(rest.commands), len(rest.confirmations)), (3, 3))
        self.assertEqual((rest.since, rest.all_resendable), (7.0, True))
        rest.add(unresendable(), encode_pub("a", b"9"))
        self.assertFalse(rest.take_unserialised().all_resendable)
        messages = self.messages()
        serialise(messages.unserialised, 99)
        self.assertEqual((list(messages.take_unserialised()), len(list(messages))), ([], 5))

    def test_take_cancelled(self) -> None:
        messages = self.messages()
        self.assertEqual(messages.take_cancelled(), [])
        whole = list(messages)
        for at in (1, 4):
            confirmation = messages.confirmations[at]
            assert confirmation is not None
            confirmation.cancel()
            self.failureResultOf(confirmation, CancelledError)
        messages.confirmations[0] = None
        self.assertEqual(messages.take_cancelled(), [whole[1], whole[4]])
        self.assertEqual(list(messages), [(None, whole[0][1]), whole[2], whole[3]])
        self.assertEqual((len(messages.unserialised), messages.since), (2, 7.0))


class BatchTests(SynchronousTestCase):
    """Batch.parts()"""

    def test_parts(self) -> None:
        batch = messages_of(*(encode_pub("a", b"%d" % number) for number in range(5))).to_batch()
        batch.suspicion = Suspicion()
        parts = batch.parts(2)
        self.assertEqual([message for part in parts for message in part], list(batch))
        self.assertEqual([len(part.confirmations) for part in parts], [2, 2, 1])
        self.assertEqual({(part.since, part.all_resendable, part.suspicion) for part in parts}, {(7.0, True, None)})

    def test_parts_without_deferreds(self) -> None:
        """Messages that were confirmed already have none."""
        data = encode_pub("a", b"1") + encode_pub("b", b"2")
        parts = Batch([], data).parts(1)
        self.assertEqual([(part.confirmations, part.data) for part in parts], [([], data[:12]), ([], data[12:])])


class FilterTestCase(SynchronousTestCase):
    """Records the messages that a filter fails."""

    def setUp(self) -> None:
        self.failed: list[tuple[Confirmation | None, type[BaseException]]] = []

    def record_failure(self, confirmation: Confirmation | None, command: Command, error: Exception | Failure) -> None:
        self.failed.append((confirmation, type(error.value if isinstance(error, Failure) else error)))

    def record_failures(self, messages: list[Message], make_error: Callable[[Command], Exception | Failure]) -> None:
        for confirmation, command in messages:
            self.record_failure(confirmation, command, make_error(command))

    def assert_failed(self, confirmations: Sequence[Confirmation | None], **errors: type[BaseException]) -> None:
        """These failed, by their position, with these errors; no others did."""
        expected = [(confirmations[int(position.strip("_"))], error) for position, error in errors.items()]
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
        confirmations = [*messages.confirmations]
        passed = sendable(messages, ServerLimits(2, headers=True), self.record_failures)
        self.assertEqual((messages.confirmations, messages.commands), ([], []), "they would keep the Deferreds")
        self.assertEqual(passed.commands, [encode_pub("a", b"12"), encode_pub("a", b"m"), unserialised])
        self.assertEqual(passed.confirmations, [confirmations[at] for at in (0, 1, 4)])
        self.assertEqual((passed.unserialised, passed.since), ([unserialised], 7.0))
        self.assert_failed(confirmations, _2=ZeroDivisionError, _3=PayloadTooLargeError)

    def test_none_is_too_large(self) -> None:
        """The same messages are given back, whether one batch or another is looked at."""
        messages = messages_of(encode_pub("a", b"1"), encode_pub("a", b"12"))
        limits = ServerLimits(len(encode_pub("a", b"12")), headers=True)
        self.assertIs(sendable(messages, limits, self.record_failures), messages)
        batch = messages.to_batch()
        self.assertIs(resendable_within(batch, limits, self.record_failures), batch)
        self.assertIsNot(sendable(messages, ServerLimits(100, headers=False), self.record_failures), messages)
        self.assertEqual(self.failed, [])

    def test_headers(self) -> None:
        """A server without headers gets none; with headers, they count for max_payload."""
        commands = [encode_pub("a", b"1"), encode_pub("HPUB", b"2"), encode_pub("a", b"3", None, b"N\r\n")]
        for limits, passing, error in (
            (ServerLimits(4, headers=False), 2, HeaderError),
            (ServerLimits(4, headers=True), 3, None),
            (ServerLimits(3, headers=True), 2, PayloadTooLargeError),
        ):
            self.failed.clear()
            messages = messages_of(*commands)
            confirmations = [*messages.confirmations]
            passed = sendable(messages, limits, self.record_failures)
            self.assertEqual(passed.commands, commands[:passing])
            self.assert_failed(confirmations, **({} if error is None else {"_2": error}))

    def test_stricter_limits(self) -> None:
        limits = ServerLimits(5, headers=True)
        for payload, headers, is_stricter in ((5, True, False), (4, True, True), (6, False, True), (6, True, False)):
            self.assertIs(ServerLimits(payload, headers=headers).is_stricter_than(limits), is_stricter)
        self.assertFalse(limits.is_stricter_than(ServerLimits(5, headers=False)))
        problem = ServerLimits(5, headers=False).error(encode_pub("a", b"3", None, b"N\r\n"))
        self.assertEqual(str(problem), NO_HEADERS)

    def test_resendable(self) -> None:
        batch = messages_of(encode_pub("a", b"1")).to_batch()
        self.assertIs(resendable(batch), batch)
        messages = messages_of(encode_pub("a", b"1"))
        messages.add(unresendable(), encode_pub("a", b"2"))
        left = resendable(messages.to_batch())
        self.assertEqual((left.data, left.since, left.all_resendable), (encode_pub("a", b"1"), 7.0, True))
