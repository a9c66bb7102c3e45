"""
The calls in flight: what all event routes of a service are busy with.

A call that ends at once never appears here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.log import Logger
from natsroute.routes.event import Event
from natsroute.routes.failure_log import FailureLog
from natsroute.routes.handling_times import HandlingTimes
from natsroute.routes.running_route import RouteCode
from natsroute.turns import MAX_TURN


@attrs.define(eq=False)
class Call:
    """
    A call that had not ended when the route's function returned.

    :ivar event: what the function was called with.
    :ivar ending: fires when the call ends. Cancelling it cancels the call.
    :ivar started: when the call began, in seconds on the reactor's clock.
    :ivar ended: whether it has ended.
    :ivar slow_logged: whether the log has said that it is slow.
    :ivar cancelled: whether :meth:`CallsInFlight.cancel` cancelled it.
    """

    event: Event
    ending: Deferred[object]
    started: float
    ended: bool = False
    slow_logged: bool = False
    cancelled: bool = False


class _AtStart(Deferred[None]):
    """
    Fires at the start of a service that was stopped.

    The Deferreds of calls wait for it. Cancelling those a second time must not begin what follows the calls.
    """

    def cancel(self) -> None:
        """Do nothing."""


class CallsInFlight:
    """
    Keeps the calls that have not ended, logs the slow ones, and cancels them all when the service stops.

    :param clock: the reactor.
    :param slow_after: seconds. A call that takes longer is logged once.
    :param handling_times: measures how long the calls take; None if nobody wants to know.

    :ivar handling_times: the same.
    :ivar running: the calls that have not ended, the oldest first; a dictionary because a set keeps no order.
    :ivar failures: logs the calls that failed.
    :ivar code: knows the functions of the routes that have been called.
    :ivar stopped: whether :meth:`stop` was called. No call should begin then.
    :ivar context: the context (contextvars) that this object was created in. Each coroutine runs in a copy of it. So
        does a call that follows another: otherwise it would run in the context of whatever ended that.
    """

    log = Logger()

    def __init__(
        self, clock: IReactorTime, *, slow_after: float = 30.0, handling_times: HandlingTimes | None = None
    ) -> None:
        self.handling_times = handling_times
        self.running: dict[Call, None] = {}
        self.failures = FailureLog(clock)
        self.code = RouteCode()
        self.stopped = False
        self.context = copy_context()
        self._queues: list[Callable[[], Iterable[Event]]] = []
        self._fire_at_start: deque[Deferred[None]] = deque()  # what would have followed after stop()
        self._clock = clock
        self._slow_after = slow_after
        self._slow_check: IDelayedCall | None = None

    def add_queue(self, queued: Callable[[], Iterable[Event]]) -> None:
        """
        Count the events of a queue among those that wait.

        :param queued: returns the events that wait in the queue now.
        """
        self._queues.append(queued)

    def remove_queue(self, queued: Callable[[], Iterable[Event]]) -> None:
        """Undo one :meth:`add_queue`."""
        self._queues.remove(queued)

    @property
    def waiting(self) -> list[Event]:
        """The events that wait because a call with the same key is running."""
        return [event for queued in self._queues for event in queued()]

    @property
    def idle(self) -> bool:
        """Whether no call is running and no event waits behind one."""
        return not self.running and not self.waiting

    @property
    def unfinished(self) -> list[str]:
        """
        What is running or waiting: the subject for a message, the name of the event route for a connection event.
        """
        return [event.subject or event.name for event in (*(call.event for call in self.running), *self.waiting)]

    def new_call(self, event: Event, ending: Deferred[object]) -> Call:
        """
        Describe a call that begins now. It counts as running once it is given to :meth:`add`.

        :param ending: fires when the call ends.
        """
        return Call(event, ending, self._clock.seconds())

    def add(self, call: Call) -> None:
        """Keep a call that has not ended."""
        self.running[call] = None
        if self._slow_check is None:
            self._slow_check = self._clock.callLater(self._slow_after, self._log_slow_calls)

    def end(self, call: Call) -> Deferred[None] | None:
        """
        Forget a call that has ended, well or not.

        :return: None if another call may follow it now; after :meth:`stop`, a Deferred that fires at the start, when
            another may.
        """
        call.ended = True
        if self.handling_times is not None and call in self.running:
            self.handling_times.ended(call.event.counters, call.started)
        if not self.stopped:
            self.running.pop(call, None)
            return None
        if call not in self.running:  # it ended at once
            return None
        self.running.pop(call, None)
        at_start = _AtStart()
        self._fire_at_start.append(at_start)
        return at_start

    def start(self) -> None:
        """Undo :meth:`stop`: what waits behind the calls that ended since then may begin, in the same order."""
        self.stopped = False
        self._fire_ended()

    def _fire_ended(self) -> None:
        turn_ends = self._clock.seconds() + MAX_TURN
        while self._fire_at_start and not self.stopped:
            self.context.copy().run(self._fire_at_start.popleft().callback, None)
            if self._clock.seconds() >= turn_ends:
                self._clock.callLater(0, self._fire_ended)
                break

    def seconds(self) -> float:
        """The time on the reactor's clock."""
        return self._clock.seconds()

    def next_turn(self) -> Deferred[None]:
        """
        Let other things have their turn.

        :return: fires in the next turn of the reactor; after :meth:`stop`, not before :meth:`start`.
        """
        waiting: Deferred[None] = Deferred()
        self._clock.callLater(0, self._fire_unless_stopped, waiting)
        return waiting

    def _fire_unless_stopped(self, waiting: Deferred[None]) -> None:
        if self.stopped:
            self._fire_at_start.append(waiting)
        else:
            waiting.callback(None)

    def stop(self) -> None:
        """
        Cancel all running calls, and let nothing follow them.

        A call that then ends with ``CancelledError`` is counted as failed, but not logged: the caller of this method
        logs what was unfinished (see :attr:`unfinished`).
        """
        self.stopped = True
        if self._slow_check is not None:
            self._slow_check.cancel()
            self._slow_check = None
        self.cancel(tuple(self.running))
        self.failures.flush()

    def cancel(self, calls: Iterable[Call]) -> None:
        """
        Cancel some of the running calls; those that were cancelled before are left alone. As with :meth:`stop`, the
        caller of this method logs what was unfinished.
        """
        for call in calls:
            if not call.cancelled:
                call.cancelled = True
                self._cancel(call)

    def _cancel(self, call: Call) -> None:
        try:
            call.ending.cancel()
        except BaseException:  # the canceller of a Deferred is the program's own code
            self.log.failure("Event route {route} could not be cancelled", route=call.event.name)

    def _log_slow_calls(self) -> None:
        self._slow_check = None
        now = self._clock.seconds()
        for call in self.running:
            # The same sum as for the delay below: rounded otherwise, the next check could come too early, for ever.
            if not call.slow_logged and call.started + self._slow_after <= now:
                call.slow_logged = True
                self.log.warn(
                    "Event route {route} is still running after {seconds:.0f} s on a message to {subject!r}",
                    route=call.event.name,
                    subject=call.event.subject,
                    seconds=now - call.started,
                )
        started = [call.started for call in self.running if not call.slow_logged]
        if started:
            self._slow_check = self._clock.callLater(min(started) + self._slow_after - now, self._log_slow_calls)
