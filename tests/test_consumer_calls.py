"""natsroute.kamailio.kemi.consumer_calls"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.kamailio.kemi.consumer_calls import ConsumerCalls
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.route import Route
from tests.support.log_recorder import LogRecorder
from tests.support.route_cases import an_event


class MemoryThread:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def call(self, event: Event) -> Deferred[None]:
        raise AssertionError("that is for connection events")

    def hand_over(self, event: Event) -> None:
        self.events.append(event)

    def unfinished(self) -> list[Event]:
        return self.events

    def take_rest(self) -> list[Event]:
        rest, self.events = self.events, []
        return rest


class ConsumerCallsTests(SynchronousTestCase):
    """Messages for a script."""

    def setUp(self) -> None:
        self.thread = MemoryThread()
        self.counters = RouteCounters("nats:a")
        self.in_flight = CallsInFlight(Clock())
        self.calls = ConsumerCalls(self.thread, self.counters, self.in_flight)

    def test_messages(self) -> None:
        event = an_event()
        self.assertFalse(self.calls.is_busy)
        self.assertIsNone(self.calls.call(event))
        self.assertEqual(self.thread.events, [event])
        self.assertTrue(self.calls.is_busy)

    def test_failures(self) -> None:
        log = LogRecorder(self)
        self.calls.failed(an_event(), Failure(KeyError("x")))
        self.assertEqual((self.counters.failed, len(log.lines())), (1, 1))
        self.flushLoggedErrors(KeyError)

    def test_take_over(self) -> None:
        """What the former script has not begun runs here, with the new context. Nothing overtakes what it has begun."""
        event = an_event()
        self.calls.call(event)
        self.assertTrue(self.calls.must_end_before(Route("nats:a", print)))
        other = MemoryThread()
        context = EventContext(lambda *message, **how: Deferred(), Clock(), self.counters)
        ConsumerCalls(other, self.counters, self.in_flight).take_over(self.calls, context)
        self.assertEqual((self.thread.events, other.events), ([], [event]))
        self.assertIs(event.context, context)
        self.assertFalse(self.calls.must_end_before(Route("nats:a", print)))
