"""natsroute.daemon.memory.stream, as a RouteTester has it"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, Reject
from natsroute.errors import SubjectError
from natsroute.testing import Acknowledged, RouteTester


class MemoryStreamTests(SynchronousTestCase):
    """Messages of a stream"""

    def setUp(self) -> None:
        self.events: list[Event] = []
        self.results: list[Any] = []

    def tester(self, **options: Any) -> RouteTester:
        event_route = EventRoutes()

        @event_route("nats:calls.*", **options)
        def route(event: Event) -> Any:
            self.events.append(event)
            result = self.results.pop(0) if self.results else "done"
            if isinstance(result, BaseException):
                raise result
            return result

        return RouteTester(event_route)

    def test_the_event(self) -> None:
        """Has what the stream says of it."""
        tester = self.tester()
        tester.clock.advance(60.0)
        ended = tester.deliver("calls.a", b"x", stream="CALLS", consumer="billing", sequence=7, delivered=3)
        self.assertEqual(self.successResultOf(ended), "done")
        [event] = self.events
        self.assertEqual((event.stream, event.consumer, event.sequence), ("CALLS", "billing", 7))
        self.assertEqual((event.delivered, event.attempts, event.reply), (3, 3, None))
        self.assertEqual(event.timestamp, datetime(1970, 1, 1, 0, 1, tzinfo=timezone.utc))
        self.assertEqual(tester.acknowledged, [Acknowledged("ack", 7)])

    def test_no_stream(self) -> None:
        tester = self.tester()
        tester.deliver("calls.a")
        self.assertEqual((self.events[0].stream, tester.acknowledged), (None, []))

    def test_failure(self) -> None:
        """The Deferred has the error of the route. The next delivery is the test's."""
        self.results = [ValueError("1"), ValueError("2")]
        tester = self.tester(retries=1, dead_letter="dead")
        self.failureResultOf(tester.deliver("calls.a", stream="CALLS"), ValueError)
        self.failureResultOf(tester.deliver("calls.a", stream="CALLS", delivered=2), ValueError)
        self.assertEqual(
            tester.acknowledged, [Acknowledged("nak", delay=0.1), Acknowledged("term", reason="ValueError: 2")]
        )
        self.assertEqual([one.subject for one in tester.published], ["dead"])

    def test_max_deliver(self) -> None:
        self.results = [ValueError("1")]
        tester = self.tester(dead_letter="dead")
        self.failureResultOf(tester.deliver("calls.a", stream="CALLS", delivered=2, max_deliver=2), ValueError)
        self.assertEqual(tester.acknowledged, [Acknowledged("term", reason="ValueError: 1")])

    def test_reject(self) -> None:
        self.results = [Reject("no such account")]
        tester = self.tester()
        self.failureResultOf(tester.deliver("calls.a", stream="CALLS"), Reject)
        self.assertEqual(tester.acknowledged, [Acknowledged("term", reason="no such account")])

    def test_policies(self) -> None:
        """The confirmation of ``double`` is there at once."""
        tester = self.tester(ack="double")
        self.assertTrue(tester.deliver("calls.a", stream="CALLS").called)
        self.assertEqual(tester.acknowledged, [Acknowledged("ack")])
        tester = self.tester(ack="manual")
        tester.deliver("calls.a", stream="CALLS")
        self.assertEqual(tester.acknowledged, [])
        self.events[-1].in_progress()
        self.events[-1].nak(2.0)
        self.assertEqual(tester.acknowledged, [Acknowledged("in_progress"), Acknowledged("nak", delay=2.0)])

    def test_cancelled(self) -> None:
        """As by the stop of a service: the message comes again at once."""
        self.results = [Deferred()]
        tester = self.tester(retries=3)
        ended = tester.deliver("calls.a", stream="CALLS")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assertEqual(tester.acknowledged, [Acknowledged("nak")])

    def test_names(self) -> None:
        """Those that a server would refuse."""
        tester = self.tester()
        self.assertRaises(SubjectError, tester.deliver, "calls.a", stream="a.b")
        self.assertRaises(SubjectError, tester.deliver, "calls.a", stream="CALLS", consumer="")
