"""natsroute.publishing.written_batches"""

from __future__ import annotations

from twisted.internet.task import Clock

from natsroute.errors import (
    AuthenticationExpiredError,
    ConnectionLimitError,
    ConnectionLostError,
    HeaderError,
    PayloadTooLargeError,
    PayloadViolationError,
    PermissionsError,
    ProtocolError,
    PublishError,
    ServerError,
    ServerLeftError,
    ServerProtocolError,
    ServerShutdownError,
    SlowConsumerError,
    StaleConnectionError,
    SubscriptionLimitError,
)
from natsroute.publishing.batches import Batch, Command, Message, Messages, ServerLimits
from natsroute.publishing.suspicion import MAX_LOST_CONNECTIONS, SOON, Suspicion
from natsroute.publishing.written_batches import WrittenBatches, attribute
from natsroute.wire.encoder import encode_pub
from natsroute.wire.server_errors import server_error
from tests.test_batches import FilterTestCase, messages_of, unresendable

CUT = ConnectionLostError("cut")


def refusal(subject: str, operation: str = "Publish to") -> PermissionsError:
    """What the server answers to a message to this subject."""
    error = server_error(f'Permissions Violation for {operation} "{subject}"')
    assert isinstance(error, PermissionsError)
    return error


def commands(*numbers: int) -> list[bytes]:
    """A command for each number."""
    return [encode_pub(f"s{number}", b"") for number in numbers]


class WrittenTestCase(FilterTestCase):
    """Batches on a link to the server S1."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.passed: list[Batch] = []  # before a message that was refused
        self.written = WrittenBatches(self.clock, self.passed.append)
        self.connect("S1")

    def write(self, *commands: bytes) -> Batch:
        batch = messages_of(*commands).to_batch()
        self.written.add(batch)
        return batch

    def connect(self, server_id: str) -> None:
        self.written.connected(server_id, self.record_failure)

    def lose(self, reason: Exception | None = CUT, then: str = "S1") -> list[Message]:
        """Lose the connection, and connect to a server: the same, unless its ID is given."""
        lost = self.link_lost([], reason)
        self.connect(then)
        return lost

    def link_lost(self, just_confirmed: list[Batch], reason: Exception | None) -> list[Message]:
        groups = self.written.link_lost(just_confirmed, reason, self.record_failure)
        return [message for group in groups for message in group]

    def counted(self) -> list[int]:
        """How many lost connections count against each batch."""
        return [0 if batch.suspicion is None else batch.suspicion.lost_connections for batch in self.written]

    def resend(self) -> list[bytes]:
        """Write again what may be written now."""
        sent = []
        while (batch := self.written.next_to_resend()) is not None:
            self.written.add(batch)
            sent.append(batch.data)
        return sent

    def confirm_oldest(self) -> Batch | None:
        return self.confirm(self.written.unconfirmed[0])

    def confirm(self, batch: Batch) -> Batch | None:
        return self.written.confirm(batch, self.record_failure)


class ConfirmTests(WrittenTestCase):
    """PONGs, and refusals before them."""

    def test_confirm(self) -> None:
        """In order; an abandoned batch is not confirmed."""
        first, second = self.write(*commands(1)), self.write(*commands(2))
        self.assertIsNone(self.confirm(second))
        self.assertIs(self.confirm(first), first)
        self.assertEqual(list(self.written), [second])
        self.written.clear()
        self.assertIsNone(self.confirm(second))

    def test_oldest(self) -> None:
        """When the oldest message was published that has no answer, on this connection."""
        self.assertIsNone(self.written.oldest)
        for since in (3.0, 4.0):
            messages = messages_of(*commands(1))
            messages.since = since
            self.written.add(messages.to_batch())
        self.assertEqual(self.written.oldest, 3.0)
        self.written.unconfirmed[0].take()
        self.assertEqual(self.written.oldest, 4.0)

    def test_refused(self) -> None:
        """A refusal is for the oldest batch alone, and is forgotten with its PONG."""
        self.written.refused(refusal("s1"))  # nothing was written, so it is not for us
        batches = [self.write(*commands(1, 2)) for _ in range(2)]
        self.written.refused(refusal("s1"))
        confirmed = self.confirm(batches[0])
        assert confirmed is not None
        self.assertEqual((confirmed.data, confirmed.since), (commands(2)[0], 7.0))
        self.assert_failed(batches[0].confirmations, _0=PermissionsError)
        self.assertIs(self.confirm(batches[1]), batches[1])
        self.assertFalse(self.written.has_to_resend)

    def test_the_order_around_a_refusal(self) -> None:
        """Messages before the one that is refused are passed on before it fails; those behind it are returned."""
        batch = self.write(*commands(1, 2, 3, 4, 5))
        for number in (2, 4):
            self.written.refused(refusal(f"s{number}"))
        failed: list[tuple[Command, int]] = []
        confirmed = self.written.confirm(batch, lambda _, command, error: failed.append((command, len(self.passed))))
        assert confirmed is not None
        passed = [(one.data, at) for at, one in enumerate(self.passed)]
        self.assertEqual(passed, [(commands(1)[0], 0), (commands(3)[0], 1)])
        self.assertEqual(failed, [(commands(2)[0], 1), (commands(4)[0], 2)])
        self.assertEqual(confirmed.data, commands(5)[0])

    def test_another_subject(self) -> None:
        """Each message is sent again in a batch of its own, before what waits; the one at fault fails then."""
        batch, next_batch = self.write(*commands(1, 2, 3)), self.write(*commands(4))
        self.written.refused(refusal("mapped"))
        confirmed = self.confirm(batch)
        assert confirmed is not None
        self.assertEqual((confirmed.confirmations, confirmed.data, self.failed), ([], b"", []))
        self.assertTrue(self.written.holds_back)
        self.assertEqual(self.resend(), commands(1, 2, 3))
        self.assertFalse(self.written.holds_back)
        self.assertIs(self.confirm_oldest(), next_batch)
        self.assertIsNotNone(self.confirm_oldest())
        self.written.refused(refusal("mapped"))
        confirmed = self.confirm_oldest()
        assert confirmed is not None
        self.assertEqual((confirmed.confirmations, confirmed.data), ([], b""))
        self.assert_failed(batch.confirmations, _1=PermissionsError)
        confirmed = self.confirm_oldest()
        assert confirmed is not None
        self.assertEqual(confirmed.confirmations, [batch.confirmations[2]])
        self.assertEqual((len(self.failed), self.written.has_to_resend, list(self.written)), (1, False, []))

    def test_another_subject_and_the_policy_fail(self) -> None:
        """A message that may not be sent again fails."""
        messages = messages_of(*commands(1))
        messages.add(unresendable(), commands(2)[0])
        batch = messages.to_batch()
        self.written.add(batch)
        self.written.refused(refusal("mapped"))
        self.confirm(batch)
        self.assert_failed(batch.confirmations, _1=PublishError)
        self.assertEqual(self.resend(), commands(1))

    def test_errors_about_something_else(self) -> None:
        """Of a subscription, or of a kind that ends the connection: no message is refused."""
        batch = self.write(*commands(1))
        for error in (
            refusal("s1", "Subscription to"),
            SubscriptionLimitError("maximum subscriptions exceeded"),
            StaleConnectionError("Stale Connection"),
        ):
            self.written.refused(error)
        self.assertIs(self.confirm_oldest(), batch)

    def test_an_unknown_error(self) -> None:
        """Nothing of the batch is confirmed."""
        self.write(*commands(1, 2))
        self.written.refused(ServerError("Something New"))
        confirmed = self.confirm_oldest()
        assert confirmed is not None
        self.assertEqual(confirmed.confirmations, [])
        self.assertEqual(self.resend(), commands(1, 2))

    def test_an_error_of_an_abandoned_batch(self) -> None:
        """It is not taken for one of the next batch."""
        abandoned = self.write(*commands(1))
        self.written.clear()
        batch = self.write(*commands(2))
        self.written.refused(refusal("s1"))
        self.assertIsNone(self.confirm(abandoned))
        self.assertIs(self.confirm_oldest(), batch)

    def test_an_error_before_all_were_abandoned(self) -> None:
        """It is forgotten with them."""
        self.write(*commands(1))
        self.written.refused(refusal("s1"))
        self.written.clear()
        batch = self.write(*commands(1))
        self.assertIs(self.confirm_oldest(), batch)

    def test_an_error_of_an_expired_batch(self) -> None:
        expired, batch = self.write(*commands(1)), self.write(*commands(1))
        expired.clear()
        self.written.refused(refusal("s1"))
        self.assertIs(self.confirm_oldest(), expired)
        self.assertIs(self.confirm_oldest(), batch)

    def test_errors_are_bounded(self) -> None:
        """By the number of messages, since a server can send any number of errors."""
        self.write(*commands(1, 2))
        for _ in range(10):
            self.written.refused(refusal("s1"))
        self.assertEqual(len(self.written._errors), 3)

    def test_a_cleared_batch_waits_for_its_pong(self) -> None:
        first, second = self.write(*commands(1)), self.write(*commands(2))
        first.clear()
        self.assertIs(self.confirm_oldest(), first)
        self.assertEqual((list(first), first.data), ([], b""))
        self.assertIs(self.confirm_oldest(), second)


class OrderTests(WrittenTestCase):
    """Whether each batch is older than those behind it."""

    def write_one(self, since: float) -> Batch:
        batch = messages_of(*commands(1, 2)).to_batch()
        batch.since = since
        self.written.add(batch)
        return batch

    def check(self) -> None:
        """What is said is true; it may be said later than it is."""
        times = [batch.since for batch in self.written]
        if self.written.is_in_order:
            self.assertEqual(times, sorted(times))

    def send_apart(self) -> None:
        """The messages of the oldest of three batches are sent again behind the others."""
        for since in (1.0, 2.0, 3.0):
            self.write_one(since)
        self.assertTrue(self.written.is_in_order)
        self.written.refused(refusal("mapped"))
        self.confirm_oldest()
        self.assertFalse(self.written.is_in_order)
        self.assertEqual([batch.since for batch in self.written], [2.0, 3.0, 1.0, 1.0])

    def confirm_all(self) -> None:
        while self.written.unconfirmed:
            self.confirm_oldest()
            self.check()
        self.assertTrue(self.written.is_in_order)

    def test_sent_apart(self) -> None:
        """They are not, until the last of the messages apart is confirmed. Batches behind them are in order."""
        self.send_apart()
        self.resend()
        self.write_one(4.0)
        self.assertFalse(self.written.is_in_order)
        for _ in range(4):
            self.confirm_oldest()
            self.check()
        self.assertTrue(self.written.is_in_order)
        self.assertEqual([batch.since for batch in self.written], [4.0])

    def test_link_lost(self) -> None:
        """The order stays as it is, behind what was just confirmed."""
        self.send_apart()
        self.written.add(next(iter(self.written._to_resend)))
        confirmed = [Batch([], commands(1)[0], since) for since in (0.1, 0.2)]
        self.link_lost(confirmed, CUT)
        for _ in range(3):  # the oldest is divided
            self.resend()
            self.check()
            self.lose()
        self.resend()
        self.check()
        while self.written.unconfirmed:
            self.check()
            self.confirm_oldest()
            self.resend()
        self.assertTrue(self.written.is_in_order)

    def test_without_a_refusal(self) -> None:
        """A lost connection changes no order."""
        for since in (1.0, 2.0):
            self.write_one(since)
        self.lose()
        self.assertTrue(self.written.is_in_order)
        self.resend()
        self.confirm_all()

    def test_cleared(self) -> None:
        """Nothing is in order."""
        self.send_apart()
        self.written.clear()
        self.assertTrue(self.written.is_in_order)


class AttributeTests(FilterTestCase):
    """attribute(): which messages errors are about."""

    def attribute(self, batch: Batch, *errors: ServerError) -> list[int] | None:
        found = attribute(batch, list(errors))
        return None if found is None else sorted(found)

    def test_subjects_and_reply_subjects(self) -> None:
        """The subject of a message is no reply subject, and the other way round."""
        batch = messages_of(
            encode_pub("a", b""), encode_pub("b", b"", "a"), encode_pub("a", b""), encode_pub("c", b"", "r")
        ).to_batch()
        reply = refusal("r", "Publish with Reply of")
        self.assertEqual(self.attribute(batch, refusal("a"), refusal("a")), [0, 2])
        self.assertEqual(self.attribute(batch, reply), [3])
        self.assertEqual(self.attribute(batch, refusal("a"), reply, refusal("a")), [0, 2, 3])
        self.assertIsNone(self.attribute(batch, refusal("r")))
        self.assertIsNone(self.attribute(batch, refusal("a", "Publish with Reply of"), reply, reply))

    def test_a_different_number(self) -> None:
        """With a mapping, some messages to a subject may be refused, or others under its name."""
        batch = messages_of(encode_pub("a", b""), encode_pub("a", b""), encode_pub("b", b"")).to_batch()
        self.assertIsNone(self.attribute(batch, refusal("a")))
        self.assertIsNone(self.attribute(batch, refusal("a"), refusal("a"), refusal("a")))
        self.assertIsNone(self.attribute(batch, refusal("b"), refusal("x")))
        self.assertIsNone(self.attribute(batch, refusal("b"), ServerError("?")))

    def test_a_message_has_one_error(self) -> None:
        """Its subject is refused first, so an error about its reply subject is for another message."""
        batch = messages_of(encode_pub("a", b"", "r"), encode_pub("b", b"", "r")).to_batch()
        self.assertEqual(self.attribute(batch, refusal("a"), refusal("r", "Publish with Reply of")), [0, 1])

    def test_the_error_of_each(self) -> None:
        batch = messages_of(encode_pub("a", b""), encode_pub("b", b"")).to_batch()
        errors = [refusal("b"), refusal("a")]
        self.assertEqual(attribute(batch, [*errors]), {0: errors[1], 1: errors[0]})

    def test_a_single_message(self) -> None:
        """Whatever the error names."""
        batch = messages_of(encode_pub("a", b"")).to_batch()
        for error in (refusal("x"), ServerError("?")):
            self.assertEqual(attribute(batch, [error]), {0: error})


class LinkLostTests(WrittenTestCase):
    """What is unconfirmed is sent again."""

    def test_order(self) -> None:
        """First what was just confirmed, then what is unconfirmed; what may not be sent again is taken out."""
        messages = messages_of(*commands(2))
        once = unresendable()
        messages.add(once, commands(3)[0])
        self.written.add(messages.to_batch())
        last = self.write(*commands(4))
        self.written.refused(refusal("s2"))
        expected: list[Message] = [(once, commands(3)[0])]
        just_confirmed = [Batch([], commands(1)[0])]
        self.assertEqual(self.link_lost(just_confirmed, CUT), expected)
        self.assertEqual(list(self.written.unconfirmed), [])
        self.assertEqual(self.resend(), commands(1, 2, 4))
        self.assertIsNone(self.written.next_to_resend())
        self.written.clear()
        self.written.add(last)
        self.assertIs(self.confirm_oldest(), last, "a refusal before the outage is forgotten")

    def test_none_may_be_sent_again(self) -> None:
        """The batch is taken out as it is."""
        messages = Messages()
        for command in commands(1, 2):
            messages.add(unresendable(), command)
        batch = messages.to_batch()
        self.written.add(batch)
        self.write(*commands(3))
        self.assertEqual(self.lose(), list(messages))
        self.assertEqual((next(map(list, self.written)), self.resend()), ([], commands(3)))

    def test_before_what_waits(self) -> None:
        """Unconfirmed batches are older than those that wait to be sent again."""
        self.write(*commands(1, 2))
        self.written.refused(refusal("mapped"))
        self.confirm_oldest()
        batch = self.written.next_to_resend()
        assert batch is not None
        self.written.add(batch)
        self.lose()
        self.assertEqual(self.resend(), commands(1, 2))

    def test_the_oldest_first(self) -> None:
        """Iteration, also when some wait to be sent again."""
        self.write(*commands(1, 2))
        self.written.refused(refusal("mapped"))
        self.confirm_oldest()
        batch = self.written.next_to_resend()
        assert batch is not None
        self.written.add(batch)
        self.assertEqual([batch.data for batch in self.written], commands(1, 2))

    def test_limit(self) -> None:
        """A message that was confirmed already does not fail."""
        confirmed = Batch([], encode_pub("a", b"123") + encode_pub("a", b"12"))
        batch = self.write(encode_pub("a", b"123"), encode_pub("a", b"12"), encode_pub("a", b"", None, b"N"))
        confirmations = [*batch.confirmations]
        self.written.link_lost([confirmed], CUT, self.record_failure)
        self.written.limit(ServerLimits(2, headers=False), self.record_failures)
        self.assertEqual([batch.suspicion for batch in self.written], [None, batch.suspicion])
        self.assertIsNotNone(batch.suspicion)
        self.assertEqual(self.resend(), [encode_pub("a", b"12")] * 2)
        self.assert_failed(confirmations, _0=PayloadTooLargeError, _2=HeaderError)

    def test_forget_confirmed(self) -> None:
        """By its age; what is unconfirmed stays."""
        self.write(*commands(3))
        batches = [Batch([], commands(1)[0], 5.0), Batch([], commands(2)[0], 5.1)]
        self.written.link_lost(batches, CUT, self.record_failure)
        self.written.forget_confirmed(5.0)
        self.assertEqual(self.resend(), commands(2, 3))


class SuspicionTestCase(WrittenTestCase):
    """A server that ends the connection at one command, and answers everything else."""

    def setUp(self) -> None:
        super().setUp()
        self.confirmed: list[object] = []

    def run_until_quiet(self, bad: bytes, reason: Exception) -> int:
        """Confirm what the server takes, until nothing is left; gives the connections that it has ended."""
        for connection in range(100):
            self.resend()
            while self.written.unconfirmed:
                if bad in self.written.unconfirmed[0].data:
                    break
                confirmed = self.confirm_oldest()
                assert confirmed is not None
                self.confirmed += confirmed.confirmations
                self.resend()
            else:
                return connection
            self.lose(reason)
        raise AssertionError("it never ends")


class RefusedWithWordsTests(SuspicionTestCase):
    """The server says that it does not take a message, and ends the connection."""

    def test_the_one_at_fault(self) -> None:
        """Wherever it is, it fails with what the server said; all others are confirmed, in order."""
        error = ServerProtocolError("maximum control line exceeded")
        for fault in range(9):
            self.setUp()
            batches = [self.write(*commands(*range(8))), self.write(*commands(8))]
            everybody = [confirmation for batch in batches for confirmation in batch.confirmations]
            connections = self.run_until_quiet(commands(fault)[0], error)
            self.assertEqual(self.failed, [(everybody[fault], ServerProtocolError)])
            self.assertEqual(self.confirmed, everybody[:fault] + everybody[fault + 1 :])
            self.assertEqual(connections, 4 if fault == 8 else 6)

    def test_another_server_each_time(self) -> None:
        """It counts whatever the next server is."""
        self.write(*commands(1))
        for number in range(2):
            self.lose(PayloadViolationError("x"), then=f"S{number + 2}")
            self.assertEqual(self.counted(), [number + 1])
            self.resend()

    def test_alone(self) -> None:
        """From the third loss on, each half is written alone, and new messages wait."""
        error = ServerProtocolError("x")
        self.write(*commands(1, 2, 3))
        for _ in range(MAX_LOST_CONNECTIONS - 1):
            self.lose(error)
            self.assertEqual(self.resend(), [b"".join(commands(1, 2, 3))])
            self.assertFalse(self.written.holds_back)
        self.write(*commands(4))
        self.lose(error)
        self.assertTrue(self.written.holds_back)
        for expected in (b"".join(commands(1, 2)), commands(3)[0]):
            self.assertEqual(self.resend(), [expected])
            self.assertTrue(self.written.holds_back)
            self.assertIsNotNone(self.confirm_oldest())
        self.assertEqual(self.resend(), commands(4))
        self.assertFalse(self.written.holds_back)

    def test_only_the_oldest_is_counted(self) -> None:
        self.write(*commands(1)), self.write(*commands(2))
        self.lose(ServerProtocolError("x"))
        self.assertEqual(self.counted(), [1, 0])

    def test_an_expired_batch(self) -> None:
        """No message is to blame if the oldest batch has no messages any more."""
        expired, second = self.write(*commands(1)), self.write(*commands(2))
        expired.clear()
        self.lose(ServerProtocolError("x"))
        self.assertEqual((expired.suspicion, second.suspicion, self.resend()), (None, None, commands(2)))

    def test_an_unresendable_message(self) -> None:
        """The lost connections of the others stay counted when it is taken out."""
        messages = messages_of(*commands(1))
        messages.add(unresendable(), commands(2)[0])
        batch = messages.to_batch()
        batch.suspicion = Suspicion(1)
        self.written.add(batch)
        self.assertEqual(len(self.lose(ServerProtocolError("x"))), 1)
        self.assertEqual(self.counted(), [2])

    def test_a_message_that_was_confirmed(self) -> None:
        """Nothing fails, and it is not sent again."""
        self.written.add(Batch([], b"".join(commands(1, 2))))
        self.run_until_quiet(commands(2)[0], ServerProtocolError("x"))
        self.assertEqual((self.failed, list(self.written)), ([], []))


class SilentServerTests(SuspicionTestCase):
    """The server ends the connection without a word, or its words get lost with the connection."""

    def test_a_single_message(self) -> None:
        """It has more chances than with words, since it may have been an accident."""
        batch = self.write(*commands(1))
        self.assertEqual(self.run_until_quiet(commands(1)[0], CUT), 2 * MAX_LOST_CONNECTIONS)
        self.assert_failed(batch.confirmations, _0=PublishError)

    def test_one_of_several(self) -> None:
        """A single message has three chances alone, however often its batch was divided. All others are confirmed."""
        for fault in range(9):
            self.setUp()
            batches = [self.write(*commands(*range(8))), self.write(*commands(8))]
            everybody = [confirmation for batch in batches for confirmation in batch.confirmations]
            connections = self.run_until_quiet(commands(fault)[0], CUT)
            self.assertEqual(self.failed, [(everybody[fault], PublishError)])
            self.assertEqual(self.confirmed, everybody[:fault] + everybody[fault + 1 :])
            self.assertEqual(connections, 2 * MAX_LOST_CONNECTIONS + (0 if fault == 8 else 3))

    def test_words_that_are_not_known(self) -> None:
        """They may be about a message, so they count like none; the message fails with them."""
        batch = self.write(*commands(1))
        self.assertEqual(self.run_until_quiet(commands(1)[0], ServerError("New")), MAX_LOST_CONNECTIONS + 1)
        self.assert_failed(batch.confirmations, _0=ServerError)

    def test_two_servers(self) -> None:
        """Both are alive, and close the connection: it counts when a server is back."""
        self.write(*commands(1))
        counted = []
        for server_id in ["S2", "S1"] * 4:
            self.lose(then=server_id)
            counted += self.counted()
            self.resend()
        # Of the fourth loss, S2 was the server when the batch was not written alone yet.
        self.assertEqual(counted, [0, 1, 2, 3, 3, 4, 5])
        self.assertEqual([error for _, error in self.failed], [PublishError])

    def test_the_error_names_the_reason(self) -> None:
        errors: list[Exception] = []
        batch = self.write(*commands(1))
        batch.suspicion = Suspicion(2 * MAX_LOST_CONNECTIONS - 1, is_alone=True)
        self.written.link_lost([], CUT, self.record_failure)
        self.written.connected("S1", lambda confirmation, command, error: errors.append(error))  # type: ignore[arg-type]
        self.assertEqual(
            str(errors[0]),
            "the connection ended 6 times when this message was sent, the last 3 times while no other was on its way: "
            "cut",
        )

    def test_alone(self) -> None:
        """After three losses it is written alone, and whole. Nothing waits any more when it is confirmed."""
        self.write(*commands(1, 2)), self.write(*commands(3))
        whole = b"".join(commands(1, 2))
        for counted in range(1, MAX_LOST_CONNECTIONS):
            self.lose()
            self.assertEqual((self.counted(), self.resend()), ([counted, 0], [whole, *commands(3)]))
            self.assertFalse(self.written.holds_back)
        self.lose()
        self.assertEqual((self.counted(), self.resend()), ([MAX_LOST_CONNECTIONS, 0], [whole]))
        self.assertTrue(self.written.holds_back)
        self.confirm_oldest()
        self.assertEqual(self.resend(), commands(3))
        self.assertFalse(self.written.holds_back)

    def test_not_soon(self) -> None:
        """A connection that ends long after a batch was written does not end because of it."""
        self.write(*commands(1)).suspicion = Suspicion(is_alone=True)
        self.lose()
        for seconds, counted in ((SOON + 1, 1), (SOON, 2), (SOON + 1, 2)):
            self.clock.advance(1)
            self.resend()
            self.clock.advance(seconds)
            self.lose()
            self.assertEqual(self.counted(), [counted])

    def test_alone_behind_others(self) -> None:
        """It is written when everything before it is confirmed."""
        just_confirmed = [Batch([], commands(1)[0])]
        self.write(*commands(2)).suspicion = Suspicion(is_alone=True)
        self.written.link_lost(just_confirmed, CUT, self.record_failure)
        self.assertEqual(self.resend(), commands(1))
        self.confirm_oldest()
        self.assertEqual(self.resend(), commands(2))


class OtherReasonsTests(SuspicionTestCase):
    """Lost connections that no message is to blame for."""

    def test_killed_again_and_again(self) -> None:
        """A server that is killed has another ID afterwards. The batch is never divided, nor written alone."""
        batches = [self.write(*commands(1, 2, 3)), self.write(*commands(4))]
        for number in range(100):
            self.lose(then=f"S{number + 2}")
            self.assertFalse(self.written.unconfirmed)
            self.assertEqual(self.resend(), [batch.data for batch in batches])
            self.assertFalse(self.written.holds_back)
        self.assertEqual((self.failed, self.counted()), ([], [0, 0]))

    def test_killed_in_a_cluster(self) -> None:
        """Two servers, of which one is killed while the other starts again."""
        self.write(*commands(1))
        for number in range(100):
            self.lose(then=f"{'AB'[number % 2]}{number}")
            self.resend()
        self.assertEqual((self.failed, self.counted()), ([], [0]))

    def test_killed_while_alone(self) -> None:
        """Also a batch that is written alone, because the network was cut before."""
        self.write(*commands(1, 2))
        for _ in range(MAX_LOST_CONNECTIONS):
            self.lose()
            self.resend()
        for number in range(100):
            self.lose(then=f"S{number + 2}")
            self.assertEqual(self.resend(), [b"".join(commands(1, 2))])
        self.assertEqual((self.failed, self.counted()), ([], [MAX_LOST_CONNECTIONS]))

    def test_reasons(self) -> None:
        """We ended the connection, or the server ended it for something else than a message."""
        batch = self.write(*commands(1))
        batch.suspicion = Suspicion(MAX_LOST_CONNECTIONS, is_alone=True)
        for reason in (
            None,
            ServerLeftError("lame duck"),
            AuthenticationExpiredError("x"),
            ConnectionLimitError("x"),
            ServerShutdownError("x"),
            SlowConsumerError("x"),
            StaleConnectionError("x"),
            ProtocolError("x"),
        ):
            self.lose(reason)
            self.assertEqual((self.counted(), self.resend(), self.failed), ([MAX_LOST_CONNECTIONS], commands(1), []))
