"""natsroute.confirmation"""

from __future__ import annotations

import gc

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.confirmation import (
    LOG_INTERVAL,
    Confirmation,
    UnhandledFailureLog,
    new_confirmation_class,
)
from natsroute.errors import PayloadError, SubjectError
from natsroute.hot import confirm_all, drop_abandoned, pure
from tests.support.log_recorder import LogRecorder


class FailureTests(SynchronousTestCase):
    """A failure is handled by an errback, or reported once if there is none."""

    def setUp(self) -> None:
        self.unhandled: list[Failure] = []

    def failed(self) -> Confirmation:
        confirmation = Confirmation()
        confirmation.fail(ZeroDivisionError(), self.unhandled.append)
        return confirmation

    def test_awaited(self) -> None:
        async def publish() -> None:
            await self.failed()

        self.failureResultOf(Deferred.fromCoroutine(publish()), ZeroDivisionError)
        gc.collect()
        self.assertEqual(self.unhandled, [])

    def test_handled_later(self) -> None:
        self.failureResultOf(self.failed(), ZeroDivisionError)
        gc.collect()
        self.assertEqual(self.unhandled, [])

    def test_not_handled(self) -> None:
        """A callback handles no failure, whether it was added before or after it."""
        self.failed()
        self.failed().addCallback(lambda _: None)
        before = Confirmation()
        before.addCallback(lambda _: None)
        before.fail(ZeroDivisionError(), self.unhandled.append)
        del before
        gc.collect()
        self.assertEqual([failure.type for failure in self.unhandled], [ZeroDivisionError] * 3)


class CancelTests(SynchronousTestCase):
    """The publisher learns that one of its Deferreds is cancelled."""

    def test_cancel(self) -> None:
        """Once, and before it fails; not when it has fired."""
        seen: list[bool] = []
        new = new_confirmation_class(lambda: seen.append(confirmation.called))
        confirmation = new()
        confirmation.cancel()
        confirmation.cancel()
        self.assertEqual(seen, [False])
        self.failureResultOf(confirmation, CancelledError)
        fired = new()
        confirm_all([fired])
        fired.cancel()
        self.assertEqual(seen, [False])
        self.assertIsInstance(fired, Confirmation)


class DropAbandonedTests(SynchronousTestCase):
    """Deferreds that nobody has are not kept."""

    def test_drop_abandoned(self) -> None:
        held, with_callback = Confirmation(), [Confirmation()]
        with_callback[0].addCallback(lambda _: None)
        kept = [Confirmation(), held, None, with_callback.pop()]
        drop_abandoned(kept)
        self.assertEqual([confirmation is not None for confirmation in kept], [False, True, False, True])

    def test_a_python_without_reference_counts(self) -> None:
        """All of them are kept."""
        self.patch(pure, "_count_references", None)
        kept = [Confirmation()]
        pure.drop_abandoned(kept)
        self.assertIsNot(kept[0], None)


class ConfirmationTests(SynchronousTestCase):
    """A Confirmation works like any Deferred."""

    def test_this_twisted_is_known(self) -> None:
        # If this fails, everything still works, but a publish is half as expensive again: see the module.
        self.assertFalse(Confirmation.has_callbacks)

    def test_without_callbacks(self) -> None:
        confirmation = Confirmation()
        confirm_all([confirmation])
        self.assertTrue(confirmation.called)
        self.assertIsNone(self.successResultOf(confirmation))

    def test_callback_before_and_after(self) -> None:
        confirmation = Confirmation()
        results: list[object] = []
        confirmation.addCallback(results.append)
        self.assertEqual(results, [])
        confirm_all([confirmation])
        confirmation.addCallback(results.append)
        self.assertEqual(results, [None, None])

    def test_awaited(self) -> None:
        async def publish() -> str:
            await confirmation
            return "sent"

        confirmation = Confirmation()
        result = Deferred.fromCoroutine(publish())
        self.assertNoResult(result)
        confirm_all([confirmation])
        self.assertEqual(self.successResultOf(result), "sent")

    def test_cancelled(self) -> None:
        confirmation = Confirmation()
        confirmation.cancel()
        confirm_all([confirmation])  # the message is sent nevertheless
        self.failureResultOf(confirmation, CancelledError)

    def test_timed_out(self) -> None:
        clock = Clock()
        confirmation = Confirmation()
        result = confirmation.addTimeout(1, clock)
        clock.advance(1)
        confirm_all([confirmation])
        self.failureResultOf(result)

    def test_failed(self) -> None:
        confirmation = Confirmation()
        confirmation.errback(Failure(ValueError("no")))
        self.failureResultOf(confirmation, ValueError)

    def test_chained(self) -> None:
        outer: Deferred[None] = Deferred()
        inner = Confirmation()
        outer.addCallback(lambda _: inner)
        outer.callback(None)
        self.assertNoResult(outer)
        confirm_all([inner])
        self.assertIsNone(self.successResultOf(outer))

    def test_returned_when_confirmed(self) -> None:
        inner = Confirmation()
        confirm_all([inner])
        outer: Deferred[None] = Deferred()
        outer.addCallback(lambda _: inner)
        outer.callback(None)
        self.assertIsNone(self.successResultOf(outer))

    def test_gathered(self) -> None:
        confirmations = [Confirmation() for _ in range(3)]
        all_of_them = gatherResults(confirmations)
        confirm_all(confirmations)
        self.assertEqual(self.successResultOf(all_of_them), [None] * 3)

    def test_each_has_its_own_callbacks(self) -> None:
        one, other = Confirmation(), Confirmation()
        results: list[str] = []
        one.addCallback(lambda _: results.append("one"))
        other.addCallback(lambda _: results.append("other"))
        confirm_all([other])
        self.assertEqual(results, ["other"])

    def test_unknown_attribute(self) -> None:
        self.assertRaises(AttributeError, getattr, Confirmation(), "no_such_thing")


class UnhandledFailureLogTests(SynchronousTestCase):
    """One line for each type of failure, not for each failure."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.unhandled = UnhandledFailureLog(self.clock)
        self.log = LogRecorder(self)

    def add(self, error: Exception, times: int = 1) -> None:
        for _ in range(times):
            self.unhandled.add(Failure(error), "a")

    def test_many(self) -> None:
        """The first is logged at once; the others are counted, and logged after the interval or at the end."""
        self.add(SubjectError("subject 'a b'"), 1000)
        self.add(PayloadError("no JSON"))
        self.assertEqual(
            self.log.lines("error"),
            ["Not published: message to a: subject 'a b'", "Not published: message to a: no JSON"],
        )
        self.clock.advance(LOG_INTERVAL)
        self.add(SubjectError("subject 'c d'"), 5)
        self.assertEqual(
            self.log.lines("error")[2:],
            ["Not published: message to a: subject 'c d' (999 more failures of this type since the last line)"],
        )
        self.unhandled.log_rest()
        self.unhandled.log_rest()
        self.assertEqual(self.log.lines("error")[3:], ["Not published: 4 more messages, SubjectError"])

    def test_the_routes_of_a_subject(self) -> None:
        """A line names the route that published, or all routes that publish to the subject."""
        for route, subject in (("nats:x", "a"), ("nats:y", "a"), ("nats:y", "a"), ("", "a"), ("nats:z", "b")):
            self.unhandled.publishes(route, subject)
        self.assertEqual(self.unhandled.describe("a"), "a from nats:x or nats:y")
        self.assertEqual(self.unhandled.describe("a", "nats:x"), "a from nats:x")
        self.assertEqual(self.unhandled.describe("c"), "c")
        self.assertEqual(self.unhandled.describe("a\n" + "b" * 500), f"a\\n{'b' * 197}... (502 characters)")
        self.unhandled.add(Failure(PayloadError("no JSON")), "b")
        self.assertEqual(self.log.lines("error"), ["Not published: message to b from nats:z: no JSON"])

    def test_the_routes_are_bounded(self) -> None:
        for number in range(8192):
            self.unhandled.publishes("nats:x", f"s{number}")
        self.assertEqual(self.unhandled.describe("s0"), "s0 from nats:x")
        self.unhandled.publishes("nats:x", "t")
        self.assertEqual((self.unhandled.describe("s0"), self.unhandled.describe("t")), ("s0", "t from nats:x"))

    def test_an_error_of_a_payload_function(self) -> None:
        """It is logged with its traceback, since the function has to be fixed."""
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            self.unhandled.add(Failure(), "a")
        [failure] = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIn("test_an_error_of_a_payload_function", failure.getTraceback())
