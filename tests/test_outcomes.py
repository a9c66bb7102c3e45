"""natsroute.publishing.outcomes; tests.test_publisher_turns has them in a publisher."""

from __future__ import annotations

import gc

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.confirmation import Confirmation, UnhandledFailureLog
from natsroute.errors import PayloadTooLargeError, PublishDroppedError, PublisherStoppedError
from natsroute.publishing.batches import Command, Message, Unserialised
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.outcomes import Outcomes
from natsroute.turns import MAX_TURN
from tests.support.log_recorder import LogRecorder
from tests.support.waiting import run_one_call


class OutcomesTestCase(SynchronousTestCase):
    """The messages of a worker, and what becomes of them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = 0
        self.buffer = Buffer(PublishLimits(), lambda: None, lambda: None)
        self.outcomes = Outcomes(self.clock, self.buffer, UnhandledFailureLog(self.clock), self.count_turn)
        self.log = LogRecorder(self)

    def count_turn(self) -> None:
        self.turns += 1

    def hold_message(self, command: Command) -> tuple[Confirmation, Command]:
        """Count a message as held."""
        self.buffer.messages += 1
        self.buffer.bytes += len(command)
        return Confirmation(), command

    def left(self) -> tuple[int, int]:
        return self.buffer.messages, self.buffer.bytes


class FailTests(OutcomesTestCase):
    """Failed messages are counted and released at once; their Deferreds fail later."""

    def test_fail(self) -> None:
        """The counters are right before the Deferred fails."""
        confirmation, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.outcomes.fail(confirmation, command, PayloadTooLargeError(2, 1))
        self.assertEqual((self.outcomes.failed, self.left()), (1, (0, 0)))
        self.assertNoResult(confirmation)
        self.outcomes.fire()
        self.failureResultOf(confirmation, PayloadTooLargeError)

    def test_fail_an_abandoned_message(self) -> None:
        """The failure is logged, since there is no Deferred."""
        _, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.outcomes.fail(None, command, PayloadTooLargeError(2, 1))
        self.assertEqual(self.log.lines("error"), [])
        self.outcomes.fire()
        [line] = self.log.lines("error")
        self.assertIn("Not published: ", line)

    def test_fail_later(self) -> None:
        """The errors are made when the Deferreds fail. If nobody has those, the log has the first failure."""
        made: list[Command] = []

        def make_error(command: Command) -> Exception:
            made.append(command)
            return PayloadTooLargeError(len(command), 1)

        commands = [b"PUB a %d\r\n%b\r\n" % (size, b"x" * size) for size in (2, 3, 4)]
        self.outcomes.fail_later([self.hold_message(command) for command in commands], make_error)
        self.assertEqual((self.outcomes.failed, self.left(), made), (3, (0, 0), []))
        self.outcomes.fire()
        self.assertEqual(made, commands)
        [line] = self.log.lines("error")
        self.assertIn(f"the message has {len(commands[0])} bytes", line)

    def test_fail_all(self) -> None:
        """One log line, and an exception for each message. An unserialised command has no bytes."""
        messages = [
            self.hold_message(b"PUB b r 1\r\nx\r\n"),
            self.hold_message(Unserialised("a", lambda: b"")),
            self.hold_message(b"PUB b 0\r\n\r\n"),
        ]
        self.outcomes.fail_all([messages], lambda: PublisherStoppedError("the end"))
        self.outcomes.fire()
        self.assertEqual((self.outcomes.failed, self.left()), (3, (0, 0)))
        self.assertEqual(self.log.lines("error"), ["Not confirmed: 3 message(s) to a, b: the end"])
        errors = [self.failureResultOf(confirmation, PublisherStoppedError).value for confirmation, _ in messages]
        self.assertEqual(len(set(map(id, errors))), 3)
        messages.clear()
        gc.collect()
        self.assertEqual(len(self.log.lines("error")), 1, "failures that were logged are not logged again")

    def test_fail_all_names_ten_subjects(self) -> None:
        """However many there are, the log line stays short."""
        messages: list[Message] = [self.hold_message(b"PUB s%d 0\r\n\r\n" % number) for number in range(20)]
        self.outcomes.fail_all([messages], lambda: PublisherStoppedError("the end"))
        self.outcomes.fire()
        [line] = self.log.lines("error")
        self.assertEqual(line, f"Not confirmed: 20 message(s) to {', '.join(f's{n}' for n in range(10))}: the end")
        for confirmation, _ in messages:
            assert confirmation is not None
            self.failureResultOf(confirmation, PublisherStoppedError)

    def test_fail_none(self) -> None:
        self.outcomes.fail_all([[]], lambda: PublisherStoppedError("the end"))
        self.outcomes.fire()
        self.assertEqual((self.outcomes.failed, self.log.lines("error")), (0, []))

    def test_drop(self) -> None:
        confirmation, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.outcomes.drop(confirmation, command)
        self.failureResultOf(confirmation, PublishDroppedError)
        self.assertEqual((self.outcomes.dropped, self.outcomes.failed, self.left()), (1, 0, (0, 0)))

    def test_refuse(self) -> None:
        """The Deferred fails at once: publish() has not returned it yet."""
        confirmation, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.outcomes.refuse(confirmation, command, PayloadTooLargeError(2, 1))
        self.failureResultOf(confirmation, PayloadTooLargeError)
        self.assertEqual((self.outcomes.failed, self.left()), (1, (0, 0)))

    def test_cancelled(self) -> None:
        """It has failed already."""
        confirmation, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        self.outcomes.fail(confirmation, command, PayloadTooLargeError(2, 1))
        confirmation.cancel()
        self.outcomes.fire()
        self.failureResultOf(confirmation, CancelledError)


class ConfirmTests(OutcomesTestCase):
    """Confirmed messages are counted and released when their Deferreds fire."""

    def hold(self, count: int) -> list[Confirmation | None]:
        return [self.hold_message(b"PUB a 1\r\nx\r\n")[0] for _ in range(count)]

    def test_few(self) -> None:
        """They fire at once."""
        few = self.hold(3)
        self.outcomes.confirm(few, 3 * 12)
        for confirmation in few:
            assert confirmation is not None
            self.successResultOf(confirmation)
        self.assertEqual((self.outcomes.confirmed, self.left(), self.outcomes.unfired), (3, (0, 0), 0))

    def test_later(self) -> None:
        """Few fire with fire(), too, if the worker asks for that."""
        few = self.hold(2)
        self.outcomes.confirm_later(few, 2 * 12)
        self.assertEqual((self.outcomes.confirmed, self.left(), self.outcomes.unfired), (0, (2, 24), 2))
        self.outcomes.fire()
        self.assertEqual((self.outcomes.confirmed, self.left(), self.outcomes.unfired), (2, (0, 0), 0))

    def test_many(self) -> None:
        """They fire in order with fire(); all that were counted for them is released, to the last byte."""
        seen: list[int] = []
        many = self.hold(1001)
        for number, confirmation in enumerate(many):
            if number % 7:
                assert confirmation is not None
                confirmation.addCallback(lambda _, number=number: seen.append(number))
        many[3] = None
        self.buffer.bytes += 5
        self.outcomes.confirm(many, 1001 * 12 + 5)
        self.assertEqual((seen, self.outcomes.confirmed, self.outcomes.unfired), ([], 0, 1001))
        self.outcomes.fire()
        self.assertEqual(seen, [number for number in range(1001) if number % 7 and number != 3])
        self.assertEqual((self.outcomes.confirmed, self.outcomes.unfired, self.left()), (1001, 0, (0, 0)))
        self.assertEqual((self.turns, len(self.outcomes.pending)), (0, 0))

    def test_many_abandoned(self) -> None:
        """There is nothing to fire, so they are counted at once."""
        many = self.hold(1001)
        self.outcomes.confirm([None] * 1000 + many[1000:], 1001 * 12)
        assert many[1000] is not None
        self.successResultOf(many[1000])
        self.assertEqual((self.outcomes.confirmed, self.left(), self.outcomes.unfired), (1001, (0, 0), 0))

    def test_on_confirmed(self) -> None:
        """It is called at once, also for Deferreds that fire later, with the time since the publishing."""
        confirmed: list[tuple[float, int]] = []
        self.outcomes = Outcomes(
            self.clock,
            self.buffer,
            UnhandledFailureLog(self.clock),
            self.count_turn,
            lambda *one: confirmed.append(one),
        )
        self.clock.advance(5.0)
        self.outcomes.confirm(self.hold(3), 3 * 12, 1.0)
        self.outcomes.confirm(self.hold(1000), 1000 * 12, 2.0)
        self.outcomes.confirm_later(self.hold(2), 2 * 12, 3.0)
        self.assertEqual(confirmed, [(4.0, 3), (3.0, 1000), (2.0, 2)])
        self.outcomes.fire()
        self.assertEqual(len(confirmed), 3)

    def test_behind_a_failure(self) -> None:
        """A message that failed before is first, however few were confirmed."""
        seen: list[str] = []
        failing, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        failing.addErrback(lambda failure: seen.append("failed"))
        [confirmed] = self.hold(1)
        assert confirmed is not None
        confirmed.addCallback(lambda _: seen.append("confirmed"))
        self.outcomes.fail(failing, command, PayloadTooLargeError(2, 1))
        self.outcomes.confirm([confirmed], 12)
        self.outcomes.call(lambda: seen.append("called"))
        self.assertEqual(seen, [])
        self.outcomes.fire()
        self.assertEqual(seen, ["failed", "confirmed", "called"])

    def test_within_a_callback(self) -> None:
        """What a callback makes fire waits for the Deferreds before it."""
        seen: list[str] = []
        few = self.hold(2)
        later, command = self.hold_message(b"PUB a 1\r\nx\r\n")
        later.addErrback(lambda failure: seen.append("later"))

        def fail_later(_: None) -> None:
            self.outcomes.fail(later, command, PayloadTooLargeError(2, 1))
            self.outcomes.fire()
            seen.append("first")

        assert few[0] is not None
        assert few[1] is not None
        few[0].addCallback(fail_later)
        few[1].addCallback(lambda _: seen.append("second"))
        self.outcomes.confirm(few, 24)
        self.assertEqual(seen, ["first", "second"])
        self.outcomes.fire()
        self.assertEqual(seen, ["first", "second", "later"])

    def test_fired_by_somebody_else(self) -> None:
        """It does not fire again, and those behind it do."""
        many = self.hold(100)
        assert many[0] is not None
        assert many[99] is not None
        many[0].callback(None)
        self.outcomes.confirm(many, 1200)
        self.outcomes.fire()
        self.successResultOf(many[99])
        self.assertEqual((self.outcomes.unfired, self.left()), (0, (0, 0)))


class TurnTests(OutcomesTestCase):
    """Deferreds whose callbacks take long fire in several turns of the reactor."""

    def slow(self, count: int) -> list[tuple[Confirmation, Command]]:
        """Messages whose callbacks take a millisecond each."""

        def fired(_: object, number: int) -> None:
            self.clock.rightNow += 0.001
            self.seen.append(number)

        self.seen: list[int] = []
        messages = [self.hold_message(b"PUB a 1\r\nx\r\n") for _ in range(count)]
        for number, (confirmation, _) in enumerate(messages):
            confirmation.addBoth(fired, number)
        return messages

    def run_turns(self, count: int, longest: float) -> None:
        """Fire all, in order, and in turns that take no longer."""
        before = self.clock.seconds()
        self.outcomes.fire()
        self.assertLessEqual(self.clock.seconds() - before, longest)
        turns = 0
        while self.clock.getDelayedCalls():
            turns += 1
            before, seen = self.clock.seconds(), len(self.seen)
            self.outcomes.fire()  # the next turn does it
            self.assertEqual(len(self.seen), seen)
            run_one_call(self.clock)
            self.assertLessEqual(self.clock.seconds() - before, longest)
        self.assertEqual(self.seen, [*range(count)])
        self.assertGreater(turns, count * 0.001 // longest - 2)
        self.assertEqual((self.turns, len(self.outcomes.pending), self.left()), (turns, 0, (0, 0)))

    def test_confirmed(self) -> None:
        """The clock is looked at after each step of 16."""
        self.outcomes.confirm([confirmation for confirmation, _ in self.slow(100)], 1200)
        self.run_turns(100, MAX_TURN + 0.0165)

    def test_failed_together(self) -> None:
        self.outcomes.fail_all([self.slow(100)], lambda: PublisherStoppedError("the end"))
        self.assertEqual((self.outcomes.failed, self.left()), (100, (0, 0)))
        self.run_turns(100, MAX_TURN + 0.0015)

    def test_failed_one_by_one(self) -> None:
        for confirmation, command in self.slow(100):
            self.outcomes.fail(confirmation, command, PayloadTooLargeError(2, 1))
        self.run_turns(100, MAX_TURN + 0.0015)

    def test_added_meanwhile(self) -> None:
        """It fires after all others, also if it is a single message."""
        messages = self.slow(50)
        last, _ = messages.pop()
        self.outcomes.confirm([confirmation for confirmation, _ in messages], 49 * 12)
        self.outcomes.fire()
        self.assertLess(len(self.seen), 49)
        self.outcomes.confirm([last], 12)
        self.run_turns(50, MAX_TURN + 0.0165)

    def test_refused_in_another_thread(self) -> None:
        """Its Deferred has callbacks already, so it waits for its turn."""
        messages = self.slow(50)
        last, command = messages.pop()
        last.has_callbacks = True
        self.outcomes.confirm([confirmation for confirmation, _ in messages], 49 * 12)
        self.outcomes.refuse(last, command, PayloadTooLargeError(2, 1))
        self.assertNotIn(49, self.seen)
        self.run_turns(50, MAX_TURN + 0.0165)
