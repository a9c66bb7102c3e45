"""natsroute.kamailio.locks"""

from __future__ import annotations

import gc

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
