"""natsroute.kamailio.kemi.consumer_calls"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.kamailio.kemi.consumer_calls import ConsumerCalls
from natsroute.ledger import RouteCounters
from natsroute.routes.ack_policy import DeliveryRules
from natsroute.routes.acknowledging import StreamConsumer
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.route import Route
from tests.support.log_recorder import LogRecorder
from tests.support.route_cases import an_event
from tests.support.stream_events import MemoryAcks, stream_event


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


class StreamCallsTests(SynchronousTestCase):
    """Messages of a stream."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.thread = MemoryThread()
        self.counters = RouteCounters("nats:CALLS:billing")
        self.in_flight = CallsInFlight(self.clock)
        self.acks = MemoryAcks()
        consumer = StreamConsumer(self.acks, lambda: DeliveryRules(max_deliver=2), self.in_flight, self.clock.callLater)
        acknowledgement = consumer.for_route("after")
        self.calls = ConsumerCalls(self.thread, self.counters, self.in_flight, acknowledgement)
        context = EventContext(lambda *message, **how: Deferred(), self.clock, self.counters)
        self.context = attrs.evolve(context, acknowledgement=acknowledgement)

    def hand_over(self, *sequences: int, delivered: int = 1) -> list[Event]:
        events = [stream_event(sequence=sequence, delivered=delivered) for sequence in sequences]
        for event in events:
            event.context = self.context
            self.counters.routed += 1
            self.assertIsNone(self.calls.call(event))
        return events

    def test_ended(self) -> None:
        """Each message hears of its own call."""
        _, two, _ = self.hand_over(1, 2, 3)
        [last] = self.hand_over(4, delivered=2)
        self.hand_over(5)
        self.assertEqual(self.thread.events[3], last)
        failures = [(two, Failure(KeyError("two"))), (last, Failure(KeyError("last")))]
        self.calls.ended(2, failures[:1])
        self.calls.ended(2, failures[1:])
        self.assertEqual(self.acks.written, [(1, "ack"), (2, "nak", 0.1), (3, "ack"), (4, "term", "KeyError: 'last'")])
        counters = self.counters
        self.assertEqual(
            (counters.succeeded, counters.failed, counters.handed_back, counters.in_progress), (2, 1, 1, 1)
        )
        self.flushLoggedErrors(KeyError)

    def test_abandoned(self) -> None:
        """The script does not return from the oldest: its message is for others."""
        self.hand_over(1, 2)
        self.calls.abandoned(1)
        self.assertEqual(self.acks.written, [(1, "nak", None)])
        self.calls.ended(1, [])
        self.assertEqual(self.acks.written[1:], [(2, "ack")])
        self.assertEqual((self.counters.handed_back, self.counters.failed), (1, 0))

    def test_take_waiting(self) -> None:
        """What no call has begun for; what has begun is still acknowledged."""
        one, two, three = self.hand_over(1, 2, 3)
        self.thread.events = [two, three]
        self.assertEqual(self.calls.take_waiting(), [two, three])
        self.calls.ended(1, [])
        self.assertEqual(self.acks.written, [(1, "ack")])
        self.assertIs(one.context, self.context)

    def test_another_version(self) -> None:
        """It acknowledges what it takes over."""
        _, two = self.hand_over(1, 2)
        self.thread.events = [two]
        other = ConsumerCalls(MemoryThread(), self.counters, self.in_flight, self.context.acknowledgement)  # type: ignore[arg-type]
        other.take_over(self.calls, self.context)
        self.calls.ended(1, [])
        other.ended(1, [])
        self.assertEqual(self.acks.written, [(1, "ack"), (2, "ack")])
