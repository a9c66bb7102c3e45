"""natsroute.publishing.confirmation"""

from __future__ import annotations

import gc

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.publishing import confirmation as confirmation_module
from natsroute.publishing.confirmation import Confirmation, confirm_all, without_abandoned


class FailureTests(SynchronousTestCase):
    """A failure is found by whoever looks for it, and told once if nobody does."""

    def setUp(self) -> None:
        self.unheard: list[Failure] = []

    def failed(self) -> Confirmation:
        confirmation = Confirmation()
        confirmation.fail(ZeroDivisionError(), self.unheard.append)
        return confirmation

    def test_awaited(self) -> None:
        async def publish() -> None:
            await self.failed()

        self.failureResultOf(Deferred.fromCoroutine(publish()), ZeroDivisionError)
        gc.collect()
        self.assertEqual(self.unheard, [])

    def test_looked_at_later(self) -> None:
        self.failureResultOf(self.failed(), ZeroDivisionError)
        gc.collect()
        self.assertEqual(self.unheard, [])

    def test_nobody_looks(self) -> None:
        """Neither at once, nor behind a callback that is not for failures."""
        self.failed()
        self.failed().addCallback(lambda _: None)
        before = Confirmation()
        before.addCallback(lambda _: None)
        before.fail(ZeroDivisionError(), self.unheard.append)
        del before
        gc.collect()
        self.assertEqual([failure.type for failure in self.unheard], [ZeroDivisionError] * 3)


class WithoutAbandonedTests(SynchronousTestCase):
    """Deferreds that nobody has are not kept."""

    def test_who_stays(self) -> None:
        held, listened = Confirmation(), [Confirmation()]
        listened[0].addCallback(lambda _: None)
        kept = without_abandoned([Confirmation(), held, None, listened.pop()])
        self.assertEqual([confirmation is not None for confirmation in kept], [False, True, False, True])

    def test_a_python_that_does_not_count(self) -> None:
        """Then all are kept."""
        self.patch(confirmation_module, "_references", None)
        self.assertIsNot(without_abandoned([Confirmation()])[0], None)


class ConfirmationTests(SynchronousTestCase):
    """It is a Deferred like any other."""

    def test_this_twisted_is_known(self) -> None:
        # If this fails all works as before, but a publish costs half as much again: see the module.
        self.assertFalse(Confirmation.has_listeners)

    def test_nobody_listens(self) -> None:
        confirmation = Confirmation()
        confirm_all([confirmation])
        self.assertTrue(confirmation.called)
        self.assertIsNone(self.successResultOf(confirmation))

    def test_listener_before_and_after(self) -> None:
        confirmation = Confirmation()
        heard: list[object] = []
        confirmation.addCallback(heard.append)
        self.assertEqual(heard, [])
        confirm_all([confirmation])
        confirmation.addCallback(heard.append)
        self.assertEqual(heard, [None, None])

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
        confirm_all([confirmation])  # and the server had it all the same
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

    def test_each_has_its_own_listeners(self) -> None:
        one, other = Confirmation(), Confirmation()
        heard: list[str] = []
        one.addCallback(lambda _: heard.append("one"))
        other.addCallback(lambda _: heard.append("other"))
        confirm_all([other])
        self.assertEqual(heard, ["other"])

    def test_unknown_attribute(self) -> None:
        self.assertRaises(AttributeError, getattr, Confirmation(), "no_such_thing")
