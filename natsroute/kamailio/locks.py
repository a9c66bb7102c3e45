"""
What scripts lock: names, and entries of hash tables.

A script without functions that wait runs to its end before any other runs, so that a lock is always free for it. One
that waits while it holds a lock keeps others from it.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred


class Locks:
    """
    Locks by their keys. They may be used in the reactor's thread only.

    An owner is any object that can be weakly referred to, such as the variables of an event. One that has a lock gets
    it again, and has to release it as often. A lock whose owner no longer exists is released.
    """

    def __init__(self) -> None:
        self._held: dict[Hashable, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def acquire(self, key: Hashable, owner: object) -> Deferred[None] | None:
        """
        Get a lock.

        :return: None if the owner has it now, else a Deferred that fires when it has. Cancelling that gives up waiting.
        """
        if self.try_acquire(key, owner):
            return None
        held = self._held[key]
        waiting: Deferred[None] = Deferred(lambda waiting: held.forget(waiting))
        held.waiting.append((weakref.ref(owner), waiting))
        return waiting

    def is_held(self, key: Hashable) -> bool:
        """True if somebody has this lock."""
        return key in self._held

    def try_acquire(self, key: Hashable, owner: object) -> bool:
        """Get a lock if it is free, or has this owner already."""
        held = self._held.get(key)
        if held is None:
            self._held[key] = _Held(owner, lambda: self._release(key))
            return True
        if held.owner() is owner:
            held.times += 1
            return True
        return False

    def release(self, key: Hashable, owner: object) -> bool:
        """Release a lock; False if the owner does not have it."""
        held = self._held.get(key)
        if held is None or held.owner() is not owner:
            return False
        held.times -= 1
        if not held.times:
            self._release(key)
        return True

    def release_all(self, owner: object) -> None:
        """Release all locks of an owner, however often it has them."""
        for key in [key for key, held in self._held.items() if held.owner() is owner]:
            self._release(key)

    def _release(self, key: Hashable) -> None:
        """Give a lock to the next that waits for it."""
        held = self._held.pop(key, None)
        while held is not None and held.waiting:
            owner_of, waiting = held.waiting.popleft()
            owner = owner_of()
            if owner is None:
                continue
            following = _Held(owner, lambda: self._release(key))
            following.waiting = held.waiting
            self._held[key] = following
            waiting.callback(None)
            return


class _Held:
    """
    A lock that somebody has.

    :ivar owner: gives the owner; None if it no longer exists.
    :ivar times: how often the owner has it.
    :ivar waiting: who waits for it, in order.
    """

    def __init__(self, owner: object, on_gone: Callable[[], None]) -> None:
        """:param on_gone: called when the owner no longer exists, unless the lock was released."""
        self.owner = weakref.ref(owner, lambda _: on_gone())
        self.times = 1
        self.waiting: deque[tuple[weakref.ref[object], Deferred[None]]] = deque()

    def forget(self, waiting: Deferred[None]) -> None:
        """Somebody waits no longer."""
        for entry in list(self.waiting):
            if entry[1] is waiting:
                self.waiting.remove(entry)
