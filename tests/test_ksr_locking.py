"""natsroute.kamailio.kemi.ksr.locking"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from natsroute.errors import PublisherStoppedError
from natsroute.kamailio.evaluation import ConsumerVariables, EventVariables
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.locking import LOCK_TIMEOUT, lock, try_lock, unlock
from tests.support.kemi_scripts import ScriptCase, new_event


class LockingTests(ScriptCase):
    """Locks that other events have, of native scripts and of others in KEMI."""

    def setUp(self) -> None:
        super().setUp()
        self.others = EventVariables(ConsumerVariables(self.service))
        self.meanwhile: Callable[[Clock], object] = lambda clock: None
        self.context = self.begin()

    def begin(self) -> ScriptContext:
        """A script that handles an event."""
        context = self.new_context()
        context.begin(new_event())
        return context

    def ask(self, request: Callable[[], Deferred[Any]]) -> Any:
        """The script waits, and this happens meanwhile."""
        outcomes: list[Any] = []
        request().addBoth(outcomes.append)
        clock = self.context.evaluation.event.clock
        assert isinstance(clock, Clock)
        self.meanwhile(clock)
        [outcome] = outcomes
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome

    def lock(self, context: ScriptContext | None = None) -> int:
        return lock(self.context if context is None else context, "a", "lock")

    def test_free(self) -> None:
        """The event gets it several times, and has to release it as often."""
        self.assertEqual([self.lock(), self.lock()], [1, 1])
        unlock(self.context, "a")
        self.assertFalse(self.service.locks.try_acquire("a", self.others))
        unlock(self.context, "a")
        self.assertTrue(self.service.locks.try_acquire("a", self.others))

    def test_end_of_the_call(self) -> None:
        """It is released."""
        self.lock()
        self.assertTrue(self.context.has_locked)
        self.context.release_locks()
        self.assertFalse(self.context.has_locked)
        self.assertEqual(len(self.service.locks), 0)

    def test_wait(self) -> None:
        """Until the other one releases it."""
        self.service.locks.acquire("a", self.others)
        self.meanwhile = lambda clock: self.service.locks.release("a", self.others)
        self.assertEqual(self.lock(), 1)
        self.assertEqual(self.failures, [])
        self.context.release_locks()
        self.assertEqual(len(self.service.locks), 0)

    def test_released_before_the_wait(self) -> None:
        """Between the look at it and the wait in the other thread."""
        self.service.locks.acquire("a", self.others)
        ask = self.ask

        def ask_late(request: Callable[[], Deferred[Any]]) -> Any:
            self.service.locks.release("a", self.others)
            return ask(request)

        self.patch(self, "ask", ask_late)
        self.assertEqual(self.lock(), 1)
        self.assertFalse(self.service.locks.try_acquire("a", self.others))

    def test_never_released(self) -> None:
        """An error instead of a wait for ever. The other one still has it, and nobody waits."""
        self.service.locks.acquire("a", self.others)
        self.meanwhile = lambda clock: clock.advance(LOCK_TIMEOUT)
        self.assertEqual(self.lock(), -1)
        self.assertEqual(self.failures, [("KSR.lock()", "another event still has the lock after 5 s")])
        self.context.release_locks()
        self.assertTrue(self.service.locks.release("a", self.others))
        self.assertEqual(len(self.service.locks), 0)

    def test_stop(self) -> None:
        """It ends the wait."""

        def ask(request: object) -> None:
            raise PublisherStoppedError("the service stops")

        self.service.locks.acquire("a", self.others)
        self.patch(self, "ask", ask)
        self.assertEqual(self.lock(), -1)
        self.assertEqual(self.failures, [("KSR.lock()", "the service stops")])

    def test_it_comes_too_late(self) -> None:
        """A lock that comes when the script has given up is not kept."""

        def ask(request: object) -> None:
            self.service.locks.release("a", self.others)
            self.service.locks.acquire("a", self.context.evaluation.own)
            raise PublisherStoppedError("the service stops")

        self.service.locks.acquire("a", self.others)
        self.patch(self, "ask", ask)
        self.assertEqual(self.lock(), -1)
        self.assertEqual(len(self.service.locks), 0)

    def test_try(self) -> None:
        """Without waiting; also if the event has it itself, as in Kamailio."""
        self.assertEqual(try_lock(self.context, "a"), 1)
        self.assertEqual(try_lock(self.context, "a"), -1)
        self.assertEqual(try_lock(self.begin(), "a"), -1)

    def test_unlock_of_another(self) -> None:
        """It has no effect."""
        self.service.locks.acquire("a", self.others)
        self.assertEqual(unlock(self.context, "a"), 1)
        self.assertTrue(self.service.locks.is_held("a"))
