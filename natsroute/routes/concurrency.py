"""
Order and concurrency: how the messages of one subscription go through one route.

A lane is called with each event. It returns None when the next message may come, or a Deferred that fires when it may.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.routes.calls import ROUTE_ERRORS, Calls
from natsroute.routes.event import Event
from natsroute.routes.table import KeyFunction, Route

#: Messages that may wait behind running keys, for each key that may run: enough to keep all keys busy when traffic is
#: uneven, few enough not to hide a queue from the subscription, which does the counting.
BACKLOG_PER_KEY = 16


#: Runs the route for a message, now or later.
Lane = Callable[[Event], "Deferred[None] | None"]


def open_lane(route: Route, calls: Calls) -> Lane:
    """The lane that a route asks for."""
    if route.key is not None:
        return KeyedLane(calls, route.key, route.concurrency).take
    if route.concurrency > 1:
        return ParallelLane(calls, route.concurrency).take
    # One message after the other, as in Kamailio: the call itself says when the next may come.
    return calls.call


class _BoundedLane:
    """What the lanes with a limit share: a Deferred for "there is room again"."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._room: Deferred[None] | None = None

    def _is_full(self) -> bool:
        raise AssertionError("each bounded lane knows its bound")

    def _wait_for_room(self) -> Deferred[None] | None:
        if not self._is_full():
            return None
        self._room = Deferred()
        return self._room

    def _tell_room(self) -> None:
        if self._room is not None and not self._is_full():
            room, self._room = self._room, None
            room.callback(None)


class ParallelLane(_BoundedLane):
    """At most so many messages at once, in no particular order."""

    def __init__(self, calls: Calls, concurrency: int) -> None:
        super().__init__(calls)
        self._concurrency = concurrency
        self._running = 0

    def take(self, event: Event) -> Deferred[None] | None:
        """Run it now."""
        ended = self._calls.call(event)
        if ended is None:
            return None
        self._running += 1
        ended.addCallback(self._ended)
        return self._wait_for_room()

    def _ended(self, _: None) -> None:
        self._running -= 1
        self._tell_room()

    def _is_full(self) -> bool:
        return self._running >= self._concurrency


class KeyedLane(_BoundedLane):
    """In order for each key, at most so many keys at once."""

    def __init__(self, calls: Calls, key: KeyFunction, concurrency: int) -> None:
        super().__init__(calls)
        self._key = key
        self._concurrency = concurrency
        self._behind: dict[Hashable, deque[Event]] = {}  # for each running key, what waits behind it

    def take(self, event: Event) -> Deferred[None] | None:
        """Run it now, or when those of its key that came before have ended."""
        try:
            key = self._key(event)
            behind = self._behind.get(key)
        except ROUTE_ERRORS:
            self._calls.fail(event, Failure())
            return None
        if behind is None:
            self._run(key, event)
        else:
            behind.append(event)
            self._calls.in_flight.waiting.add(event)
            self._calls.counters.waiting += 1
        return self._wait_for_room()

    def _run(self, key: Hashable, event: Event) -> bool:
        """Whether the key is running now."""
        ended = self._calls.call(event)
        if ended is None:
            return False
        self._behind.setdefault(key, deque())
        ended.addCallback(self._ended, key)
        return True

    def _ended(self, _: None, key: Hashable) -> None:
        behind = self._behind[key]
        while behind:
            event = behind.popleft()
            self._calls.in_flight.waiting.discard(event)
            self._calls.counters.waiting -= 1
            if self._run(key, event):
                break
        else:
            del self._behind[key]
        self._tell_room()

    def _is_full(self) -> bool:
        backlog = self._calls.counters.waiting
        return len(self._behind) >= self._concurrency or backlog >= self._concurrency * BACKLOG_PER_KEY
