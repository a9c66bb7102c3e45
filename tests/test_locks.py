"""natsroute.kamailio.locks"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from threading import Thread

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.locks import Locks


class Owner:
    """Somebody who locks."""


class LocksTests(SynchronousTestCase):
    """One lock at a time; those who wait get it in order."""

    def setUp(self) -> None:
        self.locks = Locks()
        self.first, self.second, self.third = Owner(), Owner(), Owner()

    def test_free(self) -> None:
        """It is had at once."""
        self.assertIsNone(self.locks.acquire("a", self.first))
        self.assertIsNone(self.locks.acquire("b", self.second))
        self.assertTrue(self.locks.is_held("a"))
        self.assertTrue(self.locks.release("a", self.first))
        self.assertFalse(self.locks.is_held("a"))
        self.assertEqual(len(self.locks), 1)

    def test_again(self) -> None:
        """The owner releases it as often as it has it."""
        self.locks.acquire("a", self.first)
        self.assertIsNone(self.locks.acquire("a", self.first))
        self.assertTrue(self.locks.release("a", self.first))
        self.assertFalse(self.locks.try_acquire("a", self.second))
        self.assertTrue(self.locks.release("a", self.first))
        self.assertTrue(self.locks.try_acquire("a", self.second))

    def test_not_the_owner(self) -> None:
        """Nobody else can release it."""
        self.locks.acquire("a", self.first)
        self.assertFalse(self.locks.release("a", self.second))
        self.assertFalse(self.locks.release("b", self.second))
        self.assertTrue(self.locks.is_held("a"))

    def test_waiting(self) -> None:
        """In order."""
        self.locks.acquire("a", self.first)
        second, third = self.locks.acquire("a", self.second), self.locks.acquire("a", self.third)
        assert second is not None
        assert third is not None
        self.locks.release("a", self.first)
        self.assertIsNone(self.successResultOf(second))
        self.assertNoResult(third)
        self.assertFalse(self.locks.release("a", self.first))
        self.locks.release("a", self.second)
        self.assertIsNone(self.successResultOf(third))
        self.locks.release("a", self.third)
        self.assertEqual(len(self.locks), 0)

    def test_cancelled(self) -> None:
        """Who gives up does not get it, also when the lock has changed hands since."""
        self.locks.acquire("a", self.first)
        second, third = self.locks.acquire("a", self.second), self.locks.acquire("a", self.third)
        assert second is not None
        assert third is not None
        self.locks.release("a", self.first)
        third.cancel()
        self.failureResultOf(third, CancelledError)
        self.locks.release("a", self.second)
        self.assertFalse(self.locks.is_held("a"))

    def test_release_all(self) -> None:
        """Those of one owner, for those who wait for them."""
        for key in ("a", "a", "b"):
            self.locks.acquire(key, self.first)
        self.locks.acquire("c", self.second)
        waiting = self.locks.acquire("a", self.second)
        assert waiting is not None
        self.locks.release_all(self.first)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertEqual([self.locks.is_held(key) for key in ("a", "b", "c")], [True, False, True])
        self.locks.release_all(self.first)
        self.locks.release_all(self.second)
        self.assertEqual(len(self.locks), 0)

    def test_owner_is_gone(self) -> None:
        """Its locks are free, and those who are gone do not get one."""
        self.locks.acquire("a", self.first)
        self.locks.acquire("b", self.first)
        second, third = self.locks.acquire("a", self.second), self.locks.acquire("a", self.third)
        assert second is not None
        assert third is not None
        del self.second
        del self.first
        gc.collect()
        self.assertNoResult(second)
        self.assertIsNone(self.successResultOf(third))
        self.assertFalse(self.locks.is_held("b"))
        self.locks.release("a", self.third)
        self.assertEqual(len(self.locks), 0)

    def test_released_before_it_is_gone(self) -> None:
        """Nothing happens to the next owner's lock."""
        self.locks.acquire("a", self.first)
        self.locks.release("a", self.first)
        self.locks.acquire("a", self.second)
        del self.first
        gc.collect()
        self.assertTrue(self.locks.is_held("a"))

    def test_former_owner_is_gone(self) -> None:
        """The lock of the one that has waited stays, also while somebody else waits."""
        self.locks.acquire("a", self.first)
        second, third = self.locks.acquire("a", self.second), self.locks.acquire("a", self.third)
        assert second is not None
        assert third is not None
        self.locks.release("a", self.first)
        del self.first
        gc.collect()
        self.successResultOf(second)
        self.assertNoResult(third)
        self.assertTrue(self.locks.release("a", self.second))
        self.successResultOf(third)

    def test_in_the_reactor(self) -> None:
        """Who waits is told there. The lock is already theirs, also if they give up before they are told."""
        calls: list[Callable[[], object]] = []
        locks = Locks(calls.append)
        locks.acquire("a", self.first)
        second, third = locks.acquire("a", self.second), locks.acquire("a", self.third)
        assert second is not None
        assert third is not None
        locks.release("a", self.first)
        self.assertFalse(locks.try_acquire("a", self.first))
        self.assertNoResult(second)
        calls.pop()()
        self.assertIsNone(self.successResultOf(second))
        locks.release("a", self.second)
        third.cancel()
        self.failureResultOf(third, CancelledError)
        calls.pop()()
        self.assertEqual(calls, [])
        self.assertTrue(locks.release("a", self.third))
        self.assertEqual(len(locks), 0)

    def test_threads(self) -> None:
        """Only one of them has a lock at a time."""
        inside, most, rounds = 0, 0, 0

        def work() -> None:
            nonlocal inside, most, rounds
            owner = Owner()
            while rounds < 2000:
                if self.locks.try_acquire("a", owner):
                    inside += 1
                    most = max(most, inside)
                    rounds += 1
                    inside -= 1
                    self.locks.release("a", owner)

        threads = [Thread(target=work) for _ in range(4)]
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((inside, most, len(self.locks)), (0, 1, 0))
