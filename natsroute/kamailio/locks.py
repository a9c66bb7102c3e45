"""
What scripts lock: names, and entries of hash tables.

A native script without functions that wait runs to its end before any other one runs, so that a lock is always free for
it. One that waits while it holds a lock keeps others from it, and so does a KEMI script, which runs in a thread.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from threading import RLock

from twisted.internet.defer import Deferred


def _at_once(call: Callable[[], object]) -> None:
    call()


class Locks:
    """
    Locks by their keys. All methods but :meth:`acquire` may be called in any thread.

    An owner is any object that can be weakly referred to, such as the variables of an event. One that has a lock gets
    it again, and has to release it as often. A lock whose owner no longer exists is released.

    :param in_reactor: is given what fires a Deferred, in any thread, and calls it in the reactor's thread.
    """

    def __init__(self, in_reactor: Callable[[Callable[[], object]], object] = _at_once) -> None:
        self._in_reactor = in_reactor
        self._held: dict[Hashable, _Held] = {}
        # The collector of garbage may release a lock of somebody who is gone in the middle of any of these methods.
        self._changing = RLock()

    def __len__(self) -> int:
        return len(self._held)

    def acquire(self, key: Hashable, owner: object) -> Deferred[None] | None:
        """
        Get a lock. To be called in the reactor's thread.

        :return: None if the owner has it now, else a Deferred that fires when it has. Cancelling that gives up waiting.
        """
        with self._changing:
            if self.try_acquire(key, owner):
                return None
            held = self._held[key]
            waiting: Deferred[None] = Deferred(lambda waiting: self._forget(held, waiting))
            held.waiting.append((weakref.ref(owner), waiting))
        return waiting

    def is_held(self, key: Hashable) -> bool:
        """True if somebody has this lock."""
        return key in self._held

    def try_acquire(self, key: Hashable, owner: object) -> bool:
        """Get a lock if it is free, or has this owner already."""
        with self._changing:
            held = self._held.get(key)
            if held is None:
                self._held[key] = self._new(key, owner)
                return True
            if held.owner() is owner:
                held.times += 1
                return True
            return False

    def release(self, key: Hashable, owner: object) -> bool:
        """Release a lock; False if the owner does not have it."""
        with self._changing:
            held = self._held.get(key)
            if held is None or held.owner() is not owner:
                return False
            held.times -= 1
            if not held.times:
                self._release(key)
            return True

    def release_all(self, owner: object) -> None:
        """Release all locks of an owner, however often it has them."""
        with self._changing:
            for key in [key for key, held in self._held.items() if held.owner() is owner]:
                self._release(key)

    def _forget(self, held: _Held, waiting: Deferred[None]) -> None:
        with self._changing:
            held.forget(waiting)

    def _release(self, key: Hashable) -> None:
        """Give a lock to the next that waits for it."""
        with self._changing:
            held = self._held.pop(key, None)
            while held is not None and held.waiting:
                owner_of, waiting = held.waiting.popleft()
                owner = owner_of()
                if owner is None:
                    continue
                following = self._new(key, owner)
                following.waiting = held.waiting
                self._held[key] = following
                self._in_reactor(partial(self._tell, waiting))
                return

    def _new(self, key: Hashable, owner: object) -> _Held:
        return _Held(weakref.ref(owner, partial(self._gone, key)))

    def _gone(self, key: Hashable, owner: weakref.ref[object]) -> None:
        """The owner no longer exists, which may have released the lock before."""
        with self._changing:
            held = self._held.get(key)
            if held is not None and held.owner is owner:
                self._release(key)

    def _tell(self, waiting: Deferred[None]) -> None:
        """Somebody has the lock now, unless it gave up before it could know."""
        if not waiting.called:
            waiting.callback(None)


class _Held:
    """
    A lock that somebody has.

    :ivar owner: gives the owner; None if it no longer exists.
    :ivar times: how often the owner has it.
    :ivar waiting: who waits for it, in order.
    """

    def __init__(self, owner: weakref.ref[object]) -> None:
        self.owner = owner
        self.times = 1
        self.waiting: deque[tuple[weakref.ref[object], Deferred[None]]] = deque()

    def forget(self, waiting: Deferred[None]) -> None:
        """Somebody waits no longer."""
        for entry in list(self.waiting):
            if entry[1] is waiting:
                self.waiting.remove(entry)
