"""natsroute.routes.in_progress: which messages are reported, and when."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.ledger import RouteCounters
from natsroute.routes.ack_policy import AckPolicy, DeliveryRules
from natsroute.routes.acknowledging import StreamConsumer
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.in_progress import InProgress
from tests.support.stream_events import MemoryAcks, ack_subject, stream_event


class InProgressTests(SynchronousTestCase):
    """A consumer with an ``ack_wait`` of 8 s: a look each 2 s."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.acks = MemoryAcks()
        self.in_flight = CallsInFlight(self.clock)
        self.rules = DeliveryRules(ack_wait=8.0)
        self.pending: list[bytes] = []
        self.consumer = self.new_consumer()
        self.in_progress = InProgress(self.consumer, self.clock, lambda: self.pending)

    def new_consumer(self) -> StreamConsumer:
        return StreamConsumer(self.acks, lambda: self.rules, self.in_flight, self.clock.callLater)

    def event(self, sequence: int, policy: AckPolicy = "after", consumer: StreamConsumer | None = None) -> Event:
        event = stream_event(sequence=sequence)
        acknowledgement = (consumer or self.consumer).for_route(policy)
        context = EventContext(lambda *message, **how: Deferred(), self.clock, RouteCounters("nats:a"))
        event.context = attrs.evolve(context, acknowledgement=acknowledgement)
        return event

    def reported(self) -> list[int]:
        written, self.acks.written = self.acks.written, []
        self.assertEqual({how for _, how in written} - {"in progress"}, set())
        return sorted(sequence for sequence, _ in written)

    def test_calls(self) -> None:
        """The first report comes before half of ``ack_wait``, the others follow until the call has ended."""
        self.in_progress.start()
        self.clock.advance(0.1)
        call = self.in_flight.new_call(self.event(1), Deferred())
        self.in_flight.add(call)
        self.clock.pump([0.1] * 39)
        self.assertEqual(self.reported(), [1])
        self.clock.pump([2.0] * 5)
        self.assertEqual(self.reported(), [1] * 5)
        self.in_flight.end(call)
        self.clock.pump([2.0] * 3)
        self.assertEqual(self.reported(), [])

    def test_a_route_that_has_given_its_message_back(self) -> None:
        """A report would end the delay of the NAK. The call may still run for long."""
        self.in_progress.start()
        event = self.event(1, "manual")
        self.in_flight.add(self.in_flight.new_call(event, Deferred()))
        event.nak(60.0)
        self.acks.written.clear()
        self.clock.pump([2.0] * 5)
        self.assertEqual(self.reported(), [])

    def test_a_message_that_is_handled_soon(self) -> None:
        self.in_progress.start()
        for sequence in range(5):
            call = self.in_flight.new_call(self.event(sequence), Deferred())
            self.in_flight.add(call)
            self.clock.advance(2.0)
            self.in_flight.end(call)
        self.assertEqual(self.reported(), [])

    def test_messages_that_wait(self) -> None:
        """In the subscription, or behind another one with their key."""
        self.in_progress.start()
        self.pending = [ack_subject(5), ack_subject(6)]
        waiting = [self.event(7)]
        self.in_flight.add_queue(lambda: waiting)
        self.clock.pump([2.0, 2.0])
        self.assertEqual(self.reported(), [5, 6, 7])

    def test_what_is_not_reported(self) -> None:
        """A message that is acknowledged already, one of another consumer, and one that comes from no stream."""
        self.in_progress.start()
        core = stream_event()
        core.context = EventContext(lambda *message, **how: Deferred(), self.clock, RouteCounters("nats:a"))
        for event in (self.event(1, "before"), self.event(2, consumer=self.new_consumer()), core):
            self.in_flight.add(self.in_flight.new_call(event, Deferred()))
        self.in_flight.add(self.in_flight.new_call(self.event(4, "manual"), Deferred()))
        self.clock.pump([2.0, 2.0])
        self.assertEqual(self.reported(), [4])

    def test_the_rules_change(self) -> None:
        """When the server has told them."""
        self.in_progress.start()
        self.rules = DeliveryRules(ack_wait=0.4)
        self.pending = [ack_subject(1)]
        self.clock.advance(2.0)
        self.clock.pump([0.1] * 3)
        self.assertEqual(self.reported(), [1, 1, 1])

    def test_stop(self) -> None:
        """What was seen before a new start was reported by then, or comes again anyway."""
        self.pending = [ack_subject(1)]
        self.in_progress.start()
        self.in_progress.start()
        self.clock.advance(2.0)
        self.in_progress.stop()
        self.in_progress.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.in_progress.start()
        self.clock.advance(2.0)
        self.assertEqual(self.reported(), [])
        self.clock.advance(2.0)
        self.assertEqual(self.reported(), [1])
        self.in_progress.stop()
