"""
Order and concurrency: how many messages of one subscription a route handles at once.

Without options a route handles one message after the other, as in Kamailio; that is
:class:`~natsroute.routes.calls.Calls` itself. The classes here start more calls before the first has ended. Their
``call()`` returns None while the next message may come, else a Deferred that fires when it may.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator

from twisted.internet.defer import Deferred

from natsroute.ledger import RouteCounters
from natsroute.routes.acknowledging import RouteAcknowledgement
from natsroute.routes.calls import Calls
from natsroute.routes.event import Event, EventContext, Middleware, RouteFunction
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.route import CallInThread, KeyFunction, Route
from natsroute.turns import MAX_TURN

#: Messages that may wait behind running keys, for each key that may run. Enough to keep all keys busy when traffic is
#: uneven; few enough that the backlog stays in the subscription, which counts and limits it.
BACKLOG_PER_KEY = 16


def unchanged(function: RouteFunction) -> RouteFunction:
    """A middleware that adds nothing."""
    return function


def calls_of(
    route: Route,
    call_in_thread: CallInThread,
    counters: RouteCounters,
    in_flight: CallsInFlight,
    outermost: Middleware = unchanged,
    acknowledgement: RouteAcknowledgement | None = None,
) -> Calls:
    """
    The calls of a route, with its middleware around them and with the concurrency that it asks for.

    :param call_in_thread: runs the route's function if it blocks.
    :param outermost: goes around all middleware. It may get a coroutine from the function, and return one. A route that
        takes messages itself has none.
    :param acknowledgement: for messages of a stream, acknowledges them. It goes around the middleware of the route.
    """
    if route.new_calls is not None:
        options = {} if acknowledgement is None else {"acknowledgement": acknowledgement}
        calls: Calls = route.new_calls(counters, in_flight, **options)
        return calls

    def around(function: RouteFunction) -> RouteFunction:
        return outermost(function if acknowledgement is None else acknowledgement.around(function))

    function = around(route.wrapped(call_in_thread))
    if route.key is not None:
        without_key = Calls(around(route.wrapped_with_key(call_in_thread)), counters, in_flight)
        return KeyedCalls(function, counters, in_flight, route.key, route.concurrency, without_key)
    if route.concurrency > 1:
        return ParallelCalls(function, counters, in_flight, route.concurrency)
    return Calls(function, counters, in_flight)


class _LimitedCalls(Calls):
    """What calls with a limit share: once the limit is reached, a Deferred holds up the next message."""

    is_plain = False

    def __init__(self, function: RouteFunction, counters: RouteCounters, in_flight: CallsInFlight) -> None:
        super().__init__(function, counters, in_flight)
        self._below_limit: Deferred[None] | None = None

    def _at_limit(self) -> bool:
        raise AssertionError("each subclass defines its limit")

    def _wait_if_at_limit(self) -> Deferred[None] | None:
        if not self._at_limit():
            return None
        self._below_limit = Deferred()
        return self._below_limit

    def must_end_before(self, route: Route) -> bool:
        """A route that handles one message after the other does not begin beside calls of its former version."""
        return self.is_busy and route.key is None and route.concurrency == 1

    def _fire_if_below_limit(self) -> None:
        if self._below_limit is not None and not self._at_limit():
            below_limit, self._below_limit = self._below_limit, None
            below_limit.callback(None)


class ParallelCalls(_LimitedCalls):
    """
    Up to N messages at once, in no particular order.

    :param concurrency: N.
    """

    def __init__(
        self, function: RouteFunction, counters: RouteCounters, in_flight: CallsInFlight, concurrency: int
    ) -> None:
        super().__init__(function, counters, in_flight)
        self._concurrency = concurrency
        self._running = 0

    @property
    def is_busy(self) -> bool:
        """Whether a call has not ended."""
        return self._running > 0

    def call(self, event: Event) -> Deferred[None] | None:
        """Call the function now."""
        ended = Calls.call(self, event)  # super() costs more, for each message
        if ended is None:
            return None
        self._running += 1
        ended.addCallback(self._call_ended)
        return self._wait_if_at_limit()

    def _call_ended(self, _: None) -> None:
        self._running -= 1
        self._fire_if_below_limit()

    def _at_limit(self) -> bool:
        return self._running >= self._concurrency


class KeyedCalls(_LimitedCalls):
    """
    Messages with the same key one after the other, up to N keys at once.

    :param key: returns the key of an event.
    :param concurrency: N.
    :param without_key: called with an event whose key cannot be had. It calls the key function again, inside the
        route's middleware, so that the error passes through retries and dead letter as an error of the route does.
    """

    def __init__(
        self,
        function: RouteFunction,
        counters: RouteCounters,
        in_flight: CallsInFlight,
        key: KeyFunction,
        concurrency: int,
        without_key: Calls,
    ) -> None:
        super().__init__(function, counters, in_flight)
        self._key = key
        self._concurrency = concurrency
        self._without_key = without_key
        self._queues: dict[Hashable, deque[Event]] = {}  # for each running key, the events that wait behind it
        self._before: dict[Hashable, int] = {}  # for each key, calls of former versions that have not ended
        in_flight.add_queue(self._queued)

    @property
    def is_busy(self) -> bool:
        """Whether a key is running."""
        return bool(self._queues)

    def take_over(self, old: Calls, context: EventContext) -> None:
        """
        Follow a former version of the route. Messages wait for the calls that run there if those have their key: the
        new key function is called for these, too. Messages that wait there run here. One that the new key function
        gives no key runs by itself.
        """
        for call in self._in_flight.running:
            if call.event.context.counters is self.counters:
                key = self._key_of(call.event)
                self._before[key] = self._before.get(key, 0) + 1
                self._queues.setdefault(key, deque())
                call.ending.addCallback(self._former_ended, key)
        if isinstance(old, KeyedCalls):
            for event in old.give_away():
                event.context = context
                self._queue(self._key_of(event), event)
        if isinstance(old, _LimitedCalls) and old._below_limit is not None:
            self._below_limit, old._below_limit = old._below_limit, None
            self._in_flight.next_turn().addCallback(lambda _: self._fire_if_below_limit())

    def give_away(self) -> list[Event]:
        """What waits here, and no longer does."""
        events = list(self._queued())
        for queue in self._queues.values():
            queue.clear()
        return events

    def take_waiting(self) -> list[Event]:
        """See :meth:`Calls.take_waiting`."""
        events = self.give_away()
        self.counters.waiting -= len(events)
        return events

    def forget(self) -> None:
        """Leave the queues of the calls in flight."""
        self._in_flight.remove_queue(self._queued)

    def _key_of(self, event: Event) -> Hashable:
        try:
            key = self._key(event)
            hash(key)
        except BaseException:  # as in call()
            return object()
        return key

    def _queue(self, key: Hashable, event: Event) -> None:
        """Let an event wait that is counted among those that wait; it runs in a later turn."""
        if key not in self._queues:
            self._queues[key] = deque()
            self._in_flight.next_turn().addCallback(self._call_ended, key)
        self._queues[key].append(event)

    def _former_ended(self, _: object, key: Hashable) -> None:
        self._before[key] -= 1
        if not self._before[key]:
            del self._before[key]
            self._call_ended(None, key)

    def call(self, event: Event) -> Deferred[None] | None:
        """Call the function now, or when the earlier events with the same key have been handled."""
        try:
            key = self._key(event)
            queue = self._queues.get(key)
        except BaseException:  # whatever it is, it is about this event
            ended = self._without_key.call(event)
            if ended is not None:
                self._follow(object(), ended)
            return self._wait_if_at_limit()
        if queue is None:
            self._run(key, event)
        else:
            queue.append(event)
            self.counters.waiting += 1
        return self._wait_if_at_limit()

    def _run(self, key: Hashable, event: Event) -> bool:
        """Call the function, and return whether the key is still running."""
        ended = Calls.call(self, event)  # as above
        if ended is None:
            return False
        self._follow(key, ended)
        return True

    def _follow(self, key: Hashable, ended: Deferred[None]) -> None:
        self._queues.setdefault(key, deque())
        ended.addCallback(self._call_ended, key)

    def _call_ended(self, _: None, key: Hashable) -> None:
        queue = self._queues[key]
        if queue:  # another call follows, and not in the context of whatever ended this one
            self._in_flight.context.copy().run(self._run_queued, key, queue)
        else:
            del self._queues[key]
        self._fire_if_below_limit()

    def _run_queued(self, key: Hashable, queue: deque[Event]) -> None:
        turn_ends: float | None = None
        while queue:
            event = queue.popleft()
            self.counters.waiting -= 1
            if self._run(key, event):
                break
            if not queue:
                continue
            now = self._in_flight.seconds()
            if turn_ends is None:
                turn_ends = now + MAX_TURN
            elif now >= turn_ends:
                self._in_flight.next_turn().addCallback(self._call_ended, key)
                break
        else:
            del self._queues[key]

    def _queued(self) -> Iterator[Event]:
        for queue in self._queues.values():
            yield from queue

    def _at_limit(self) -> bool:
        backlog = self.counters.waiting
        return len(self._queues) >= self._concurrency or backlog >= self._concurrency * BACKLOG_PER_KEY
