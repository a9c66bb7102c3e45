"""natsroute.routes.acknowledging: what the server hears of a message, however the call of its route ends."""

from __future__ import annotations

import asyncio
import sys
from threading import Thread
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, Reject
from natsroute.errors import (
    DecodeError,
    MisuseError,
    NoReplySubjectError,
    PayloadTooLargeError,
    PublisherStoppedError,
    RequestTimeoutError,
    RouteError,
)
from natsroute.ledger import RouteCounters
from natsroute.middleware import deduplicate
from natsroute.routes.ack_policy import DeliveryRules
from natsroute.routes.acknowledging import CONFIRM_ATTEMPTS, StreamConsumer
from natsroute.routes.event import RouteFunction
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import Runner, RunnerContext
from natsroute.routes.table import RouteTable
from tests.support.garbage import left_in_cycles
from tests.support.log_recorder import LogRecorder
from tests.support.stream_events import MemoryAcks, stream_event


class AcknowledgingTestCase(SynchronousTestCase):
    """
    Routes for the messages of a stream, with a runner as in the service.

    :ivar results: what the function of :meth:`route` returns or raises, one after the other; then None.
    :ivar letters: what was published.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.acks = MemoryAcks()
        self.in_flight = CallsInFlight(self.clock)
        self.rules = DeliveryRules()
        self.later: list[tuple[Any, ...]] = []
        stream = StreamConsumer(self.acks, lambda: self.rules, self.in_flight, lambda *call: self.later.append(call))
        self.context = RunnerContext(
            self.publish, self.clock, lambda function, event: succeed(function(event)), self.in_flight, stream=stream
        )
        self.event_route = EventRoutes()
        self.results: list[Any] = []
        self.events: list[Event] = []
        self.letters: list[tuple[str, bytes, dict[str, str]]] = []
        self.published: list[Deferred[None]] = []

    def publish(self, subject: str, payload: Any, reply: Any = None, headers: Any = None, **how: Any) -> Deferred[None]:
        self.letters.append((subject, payload, headers))
        return self.published.pop(0) if self.published else succeed(None)

    def route(self, event: Event) -> Any:
        self.events.append(event)
        result = self.results.pop(0) if self.results else None
        if isinstance(result, BaseException):
            raise result
        return result

    def make(self, function: RouteFunction | None = None, **options: Any) -> Runner:
        """A runner for one route with these options."""
        self.event_route("nats:calls.*", **options)(function or self.route)
        return Runner(RouteTable(self.event_route).find, self.context, subject="CALLS:billing", queue_group=None)

    def counts(self, runner: Runner) -> dict[str, int]:
        """What is counted and not 0."""
        total = RouteCounters.total("", runner.route_counters)
        counts = {name: getattr(total, name) for name in total.NAMES if getattr(total, name)}
        return {**counts, "in_progress": total.in_progress} if total.in_progress else counts


class CycleTests(AcknowledgingTestCase):
    """The error of a call goes when nobody has it, and with it the event."""

    def left(self, kind: type = BaseException, **options: Any) -> list[str]:
        """The errors, or other objects, that are left after a call that failed."""
        LogRecorder(self)
        self.event_route = EventRoutes()
        runner = self.make(lambda event: 1 // 0, **options)

        def fail() -> None:
            runner.on_msg(stream_event(delivered=2))
            self.flushLoggedErrors(ZeroDivisionError)

        return left_in_cycles(fail, kind)

    def test_failure(self) -> None:
        for mode in ("after", "before", "double", "manual"):
            self.assertEqual((mode, self.left(ack=mode)), (mode, []))

    def test_dead_letter(self) -> None:
        self.assertEqual(self.left(retries=1, dead_letter="dead"), [])

    def test_a_dead_letter_that_cannot_be_published(self) -> None:
        """Twisted makes a cycle of the errors of Deferreds that are awaited. Nothing else is left with them."""
        self.published = [fail(PayloadTooLargeError(9, 8)) for _ in range(4)]
        self.assertEqual(self.left(Event, retries=1, dead_letter="dead"), [])


class AfterTests(AcknowledgingTestCase):
    """``ack="after"``, which is the default."""

    def test_success(self) -> None:
        """Whatever the function returns; when it has ended."""
        running: Deferred[int] = Deferred()

        async def coroutine() -> int:
            return await running

        self.results = [None, 5, {"a": 1}, object(), succeed(3), running, coroutine()]
        runner = self.make(concurrency=10)
        for sequence in range(7):
            runner.on_msg(stream_event(sequence=sequence))
        self.assertEqual(self.acks.written, [(n, "ack") for n in range(5)])
        running.callback(5)
        self.assertEqual(self.acks.written[5:], [(5, "ack"), (6, "ack")])
        self.assertEqual(self.counts(runner), {"routed": 7, "succeeded": 7})

    def test_exit_is_success(self) -> None:
        """As in Kamailio's KEMI."""
        self.results = [SystemExit(), fail(SystemExit(0))]
        runner = self.make()
        runner.on_msg(stream_event(sequence=1))
        runner.on_msg(stream_event(sequence=2))
        self.assertEqual(self.acks.written, [(1, "ack"), (2, "ack")])
        self.assertEqual(self.counts(runner), {"routed": 2, "succeeded": 2})

    def test_failure(self) -> None:
        """The message comes again, with a longer wait each time, and for as long as the consumer delivers it."""
        log = LogRecorder(self)
        self.results = [ValueError("1"), fail(ValueError("2")), KeyboardInterrupt(), ValueError("30")]
        runner = self.make()
        for delivered in (1, 2, 3, 30):
            self.assertIsNone(runner.on_msg(stream_event(delivered=delivered)))
        self.assertEqual(self.acks.written, [(1, "nak", 0.1), (1, "nak", 0.2), (1, "nak", 0.4), (1, "nak", 10.0)])
        self.assertEqual(self.counts(runner), {"routed": 4, "handed_back": 4, "retried": 4})
        self.assertIn("Event route nats:calls.* failed on a message to 'calls.a'", log.lines()[0])
        self.flushLoggedErrors(ValueError, KeyboardInterrupt)

    def test_the_backoff_of_the_consumer(self) -> None:
        self.rules = DeliveryRules(ack_wait=1.0, backoff=(1.0, 30.0))
        self.results = [ValueError()] * 3
        runner = self.make()
        for delivered in (1, 2, 3):
            runner.on_msg(stream_event(delivered=delivered))
        self.assertEqual([wait for _, _, wait in self.acks.written], [1.0, 1.0, 1.0])  # the server adds 29 s
        self.flushLoggedErrors(ValueError)

    def test_the_last_delivery_of_the_consumer(self) -> None:
        """Nobody else will have the message: the call has failed, and the server need not keep it."""
        self.rules = DeliveryRules(max_deliver=2)
        self.results = [ValueError("one"), ValueError("two")]
        runner = self.make()
        runner.on_msg(stream_event(delivered=1))
        runner.on_msg(stream_event(delivered=2))
        self.assertEqual(self.acks.written, [(1, "nak", 0.1), (1, "term", "ValueError: two")])
        self.assertEqual(self.counts(runner), {"routed": 2, "handed_back": 1, "retried": 1, "failed": 1})
        self.flushLoggedErrors(ValueError)

    def test_reject(self) -> None:
        """The message does not come again."""
        log = LogRecorder(self)
        self.results = [Reject("no such account")]
        runner = self.make()
        runner.on_msg(stream_event())
        self.assertEqual(self.acks.written, [(1, "term", "no such account")])
        self.assertEqual(self.counts(runner), {"routed": 1, "failed": 1})
        self.assertEqual(log.lines(), ["Event route nats:calls.* failed on a message to 'calls.a': no such account"])

    def test_timeout(self) -> None:
        """Is a failure."""
        self.results = [Deferred()]
        runner = self.make(timeout=2.0)
        runner.on_msg(stream_event())
        self.clock.advance(2.0)
        self.assertEqual(self.acks.written, [(1, "nak", 0.1)])

    def test_keys(self) -> None:
        """An error of the key function is one of the call, and what waits is not acknowledged."""
        first: Deferred[None] = Deferred()
        self.results = [first]
        runner = self.make(key=lambda event: event.json()["key"])
        for sequence, data in enumerate([b'{"key": 1}', b'{"key": 1}', b"{}"]):
            runner.on_msg(stream_event(sequence=sequence, data=data))
        self.assertEqual(self.acks.written, [(2, "nak", 0.1)])
        first.callback(None)
        self.assertEqual(self.acks.written[1:], [(0, "ack"), (1, "ack")])
        self.flushLoggedErrors(KeyError)

    def test_no_route(self) -> None:
        """The message is not lost, and does not come again at once."""
        log = LogRecorder(self)
        runner = self.make()
        self.assertIsNone(runner.on_msg(stream_event("other.subject")))
        self.assertEqual(self.acks.written, [(1, "nak", 30.0)])
        self.assertEqual(runner.unrouted, 1)
        self.assertIn("jetstream_consumer 'CALLS:billing'", log.lines("warn")[0])

    def test_rejected_with_an_exception(self) -> None:
        """``raise Reject(error)`` gives the text of the error as the reason, on the wire too."""
        self.results = [Reject(ValueError("no Call-ID"))]  # type: ignore[arg-type]
        self.make().on_msg(stream_event())
        self.assertEqual(self.acks.written, [(1, "term", "no Call-ID")])

    def test_invalid_delay(self) -> None:
        """The message can still be acknowledged."""
        self.make(ack="manual").on_msg(stream_event())
        for delay in ("1", -1.0, float("nan"), float("inf")):
            self.assertRaises(MisuseError, self.events[0].nak, delay)
        self.assertEqual((self.acks.written, self.events[0].acknowledged), ([], None))
        self.events[0].nak(0)
        self.assertEqual(self.acks.written, [(1, "nak", 0)])

    def test_delivered_again_while_the_first_call_runs(self) -> None:
        """With deduplicate(), the copy ends as the first call does: its acknowledgement is that of the message."""
        for outcome, written in (None, "ack"), (ValueError(), "nak"):
            self.setUp()
            running: Deferred[None] = Deferred()
            self.results = [running]
            runner = self.make(concurrency=2, middleware=[deduplicate()])
            runner.on_msg(stream_event(delivered=1))
            runner.on_msg(stream_event(delivered=2))
            self.assertEqual((self.acks.written, len(self.events)), ([], 1))
            if outcome is None:
                running.callback(None)
            else:
                running.errback(outcome)
            self.assertEqual([how for _, how, *_ in self.acks.written], [written, written])
            runner.on_msg(stream_event(delivered=3))
            self.assertEqual(len(self.events), 1 if outcome is None else 2)
        self.flushLoggedErrors(ValueError)

    def test_no_route_with_backoff(self) -> None:
        """The server counts the delay of a NAK otherwise then; the message comes again as soon as the log says."""
        self.rules = DeliveryRules(ack_wait=1.0, backoff=(1.0, 60.0, 3600.0))
        runner = self.make()
        for delivered in (1, 2, 9):
            runner.on_msg(stream_event("other.subject", delivered=delivered))
        self.assertEqual(self.acks.written, [(1, "nak", 30.0), (1, "nak", -29.0), (1, "nak", -3569.0)])

    def test_middleware_that_deals_with_a_failure(self) -> None:
        """Then the call has succeeded; what retry() inside has decided is forgotten."""

        def careless(function: RouteFunction) -> RouteFunction:
            def around(event: Event) -> object:
                try:
                    return function(event)
                except ValueError:
                    return None

            return around

        self.results = [ValueError()]
        runner = self.make(retries=3, middleware=[careless])
        event = stream_event()
        runner.on_msg(event)
        self.assertEqual(self.acks.written, [(1, "ack")])
        self.assertFalse(event.acknowledgement._decided)  # type: ignore[union-attr]

    def test_the_option_is_checked(self) -> None:
        error = self.assertRaises(RouteError, self.make, ack="never")
        self.assertIn("ack = 'never'; it must be one of: after, before, double, manual", str(error))


class RetryTests(AcknowledgingTestCase):
    """``retries=N`` and ``dead_letter``: the server waits."""

    def test_retries(self) -> None:
        """The deliveries count, whoever had them. The dead letter follows the last, and then the server forgets it."""
        log = LogRecorder(self)
        self.results = [ValueError("1"), fail(ValueError("2")), ValueError("3")]
        letter: Deferred[None] = Deferred()
        self.published = [letter]
        runner = self.make(retries=2, dead_letter="dead")
        for delivered in (1, 2, 3):
            runner.on_msg(stream_event(data=b"call", delivered=delivered))
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])  # none but that for slow calls
        self.assertEqual(self.acks.written, [(1, "nak", 0.1), (1, "nak", 0.2)])
        [(subject, payload, headers)] = self.letters
        self.assertEqual((subject, payload), ("dead", b"call"))
        self.assertEqual((headers["Natsroute-Error"], headers["Natsroute-Attempts"]), ("ValueError: 3", "3"))
        letter.callback(None)
        self.assertEqual(self.acks.written[2:], [(1, "term", "ValueError: 3")])
        self.assertEqual(
            self.counts(runner), {"routed": 3, "handed_back": 2, "retried": 2, "failed": 1, "dead_lettered": 1}
        )
        self.assertEqual(
            log.lines("warn"),
            [
                "Event route nats:calls.*: attempt 1 on a message to 'calls.a' failed: ValueError: 1; retrying in "
                "0.1 s",
                "Event route nats:calls.*: attempt 2 on a message to 'calls.a' failed: ValueError: 2; retrying in "
                "0.2 s",
            ],
        )
        self.assertEqual(len(log.lines("critical")), 1)  # the last failure in full
        self.flushLoggedErrors(ValueError)

    def test_after_a_restart(self) -> None:
        """A process that sees only the third delivery goes on from there."""
        self.results = [ValueError()]
        self.make(retries=5).on_msg(stream_event(delivered=3))
        self.assertEqual(self.acks.written, [(1, "nak", 0.4)])

    def test_success_after_a_retry(self) -> None:
        self.results = [ValueError(), "done"]
        runner = self.make(retries=2, dead_letter="dead")
        runner.on_msg(stream_event(delivered=1))
        runner.on_msg(stream_event(delivered=2))
        self.assertEqual(self.acks.written, [(1, "nak", 0.1), (1, "ack")])
        self.assertEqual([event.attempts for event in self.events], [1, 2])
        self.assertEqual(self.letters, [])

    def test_max_deliver_comes_first(self) -> None:
        """There is no retry if the server delivers no more."""
        self.rules = DeliveryRules(max_deliver=1)
        self.results = [ValueError("one")]
        runner = self.make(retries=5, dead_letter="dead")
        runner.on_msg(stream_event())
        self.assertEqual(self.acks.written, [(1, "term", "ValueError: one")])
        self.assertEqual(self.counts(runner), {"routed": 1, "failed": 1, "dead_lettered": 1})
        self.flushLoggedErrors(ValueError)

    def test_dead_letter_without_retries(self) -> None:
        """After the last delivery of the consumer only."""
        self.rules = DeliveryRules(max_deliver=2)
        self.results = [ValueError("1"), ValueError("2")]
        runner = self.make(dead_letter="dead")
        runner.on_msg(stream_event(delivered=1))
        self.assertEqual(self.letters, [])
        runner.on_msg(stream_event(delivered=2))
        self.assertEqual([subject for subject, _, _ in self.letters], ["dead"])
        self.flushLoggedErrors(ValueError)

    def test_what_is_final(self) -> None:
        """It has its dead letter at once."""
        errors = [Reject("r"), DecodeError("d"), NoReplySubjectError("m")]
        self.results = list(errors)
        runner = self.make(retries=5, dead_letter="dead")
        for sequence in range(3):
            runner.on_msg(stream_event(sequence=sequence))
        self.assertEqual(
            self.acks.written,
            [(0, "term", "r"), (1, "term", "DecodeError: d"), (2, "term", "NoReplySubjectError: m")],
        )
        self.assertEqual(self.counts(runner), {"routed": 3, "failed": 3, "dead_lettered": 3})

    def test_a_dead_letter_that_cannot_be_published(self) -> None:
        """The message is not terminated: it comes again, and so does its dead letter."""
        self.published = [fail(PublisherStoppedError("stopped"))]
        self.results = [ValueError()]
        runner = self.make(retries=1, dead_letter="dead")
        runner.on_msg(stream_event(delivered=2))
        self.assertEqual(self.acks.written, [(1, "nak", 30.0)])
        self.assertEqual(self.counts(runner), {"routed": 1, "handed_back": 1, "not_dead_lettered": 1})

    def test_nor_at_the_last_delivery(self) -> None:
        """Then the message stays in the stream; the call has failed."""
        self.rules = DeliveryRules(max_deliver=2)
        self.published = [fail(PayloadTooLargeError(9, 8)) for _ in range(4)]
        self.results = [ValueError()]
        runner = self.make(retries=1, dead_letter="dead")
        runner.on_msg(stream_event(delivered=2))
        self.assertEqual(self.acks.written, [(1, "nak", 30.0)])
        self.assertEqual(self.counts(runner), {"routed": 1, "failed": 1, "not_dead_lettered": 1})
        self.flushLoggedErrors(ValueError)

    def test_a_success_costs_no_coroutine(self) -> None:
        """As without the option: nothing waits here."""
        runner = self.make(retries=5)
        self.assertIsNone(runner.on_msg(stream_event()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timeout_inside(self) -> None:
        """Each attempt has its own."""
        self.results = [Deferred(), Deferred()]
        runner = self.make(retries=1, timeout=1.0, dead_letter="dead")
        for delivered in (1, 2):
            runner.on_msg(stream_event(delivered=delivered))
            self.clock.advance(1.0)
        self.assertEqual(self.acks.written[0], (1, "nak", 0.1))
        self.assertEqual(self.acks.written[1][:2], (1, "term"))
        self.assertEqual(
            self.counts(runner), {"routed": 2, "handed_back": 1, "retried": 1, "failed": 1, "dead_lettered": 1}
        )

    def test_an_error_of_its_own_that_looks_like_a_cancelled_call(self) -> None:
        """Something that the route waits for was cancelled, not the call."""
        self.results = [fail(CancelledError()), fail(CancelledError())]
        runner = self.make(retries=1)
        runner.on_msg(stream_event(delivered=1))
        runner.on_msg(stream_event(delivered=2))
        self.assertEqual([how for _, how, *_ in self.acks.written], ["nak", "term"])
        self.flushLoggedErrors(CancelledError)


class CutOffTests(AcknowledgingTestCase):
    """The service stops, or is loaded anew, and calls are cancelled."""

    def test_a_running_call(self) -> None:
        """Another process gets the message at once. That is no failure."""
        for options in ({}, {"retries": 3, "dead_letter": "dead"}, {"timeout": 60.0}, {"ack": "manual"}):
            with self.subTest(options=options):
                self.setUp()
                self.results = [Deferred()]
                runner = self.make(**options)
                runner.on_msg(stream_event())
                self.in_flight.stop()
                self.assertEqual(self.acks.written, [(1, "nak", None)])
                self.assertEqual(self.counts(runner), {"routed": 1, "handed_back": 1})
                self.assertEqual(self.letters, [])

    def test_by_a_reload(self) -> None:
        self.results = [Deferred(), Deferred()]
        runner = self.make(retries=3, concurrency=5)
        runner.on_msg(stream_event(sequence=1))
        runner.on_msg(stream_event(sequence=2))
        self.in_flight.cancel([call for call in self.in_flight.running if call.event is self.events[1]])
        self.assertEqual(self.acks.written, [(2, "nak", None)])
        self.assertEqual(self.counts(runner), {"routed": 2, "handed_back": 1, "in_progress": 1})

    def test_asyncio(self) -> None:
        """Its own exception."""
        running: Deferred[None] = Deferred(lambda cancelled: cancelled.errback(asyncio.CancelledError()))
        self.results = [running]
        runner = self.make()
        runner.on_msg(stream_event())
        self.in_flight.stop()
        self.assertEqual(self.acks.written, [(1, "nak", None)])

    def test_a_call_that_ends_well_although_cancelled(self) -> None:
        """Its message is handled."""
        running: Deferred[None] = Deferred(lambda cancelled: cancelled.callback(None))
        self.results = [running]
        self.make().on_msg(stream_event())
        self.in_flight.stop()
        self.assertEqual(self.acks.written, [(1, "ack")])

    def test_messages_behind_others_with_their_key(self) -> None:
        """They are given back as well; no call begins for them at the next start."""
        self.results = [Deferred()]
        runner = self.make(key=lambda event: 1)
        for sequence in range(3):
            runner.on_msg(stream_event(sequence=sequence))
        self.in_flight.stop()
        runner.hand_back()
        self.assertEqual(sorted(self.acks.written), [(n, "nak", None) for n in range(3)])
        self.assertEqual(self.counts(runner), {"routed": 3, "handed_back": 3})
        self.in_flight.start()
        self.assertEqual(len(self.events), 1)


class BeforeTests(AcknowledgingTestCase):
    """``ack="before"``: at most once, as without a stream."""

    def test_success_and_failure(self) -> None:
        self.results = [None, ValueError()]
        runner = self.make(lambda event: (self.acks.written.append(("called",)), self.route(event))[1], ack="before")
        runner.on_msg(stream_event(sequence=1))
        runner.on_msg(stream_event(sequence=2))
        self.assertEqual(self.acks.written, [(1, "ack"), ("called",), (2, "ack"), ("called",)])
        self.assertEqual(self.counts(runner), {"routed": 2, "succeeded": 1, "failed": 1})
        self.flushLoggedErrors(ValueError)

    def test_retries_are_ours(self) -> None:
        """The server has forgotten the message."""
        self.results = [ValueError(), ValueError()]
        runner = self.make(ack="before", retries=1, dead_letter="dead")
        runner.on_msg(stream_event())
        self.clock.advance(0.1)
        self.assertEqual([event.attempts for event in self.events], [2, 2])  # one event
        self.assertEqual(self.counts(runner), {"routed": 1, "failed": 1, "retried": 1, "dead_lettered": 1})
        self.assertEqual(self.acks.written, [(1, "ack")])
        self.flushLoggedErrors(ValueError)


class DoubleTests(AcknowledgingTestCase):
    """``ack="double"``: the server confirms the acknowledgement."""

    def test_success(self) -> None:
        """The call has ended when that is there."""
        confirmations: list[Deferred[None]] = [Deferred(), Deferred()]
        self.acks.confirmations = list(confirmations)
        self.results = [None, succeed(5)]
        runner = self.make(ack="double", concurrency=5)
        runner.on_msg(stream_event(sequence=1))
        runner.on_msg(stream_event(sequence=2))
        self.assertEqual(self.acks.written, [(1, "ack confirmed", 5.0), (2, "ack confirmed", 5.0)])
        self.assertEqual(self.counts(runner), {"routed": 2, "in_progress": 2})
        for confirmation in confirmations:
            confirmation.callback(None)
        self.assertEqual(self.counts(runner), {"routed": 2, "succeeded": 2})

    def test_failure(self) -> None:
        """As without it."""
        self.results = [ValueError()]
        self.make(ack="double").on_msg(stream_event())
        self.assertEqual(self.acks.written, [(1, "nak", 0.1)])
        self.flushLoggedErrors(ValueError)

    def test_no_confirmation(self) -> None:
        """It is asked for again, and then the call has failed. The message is not given back: it was handled."""
        error = RequestTimeoutError("$JS.ACK", 5.0)
        self.acks.confirmations = [fail(error)]
        runner = self.make(ack="double")
        runner.on_msg(stream_event(sequence=1))
        self.assertEqual(self.counts(runner), {"routed": 1, "succeeded": 1})
        self.acks.confirmations = [fail(error) for _ in range(CONFIRM_ATTEMPTS)]
        runner.on_msg(stream_event(sequence=2))
        self.assertEqual(self.counts(runner), {"routed": 2, "succeeded": 1, "failed": 1})
        self.assertEqual([how for _, how, _ in self.acks.written], ["ack confirmed"] * (2 + CONFIRM_ATTEMPTS))
        self.flushLoggedErrors(RequestTimeoutError)


class ManualTests(AcknowledgingTestCase):
    """``ack="manual"``: the route acknowledges."""

    def test_in_the_call_or_later(self) -> None:
        runner = self.make(ack="manual")
        for sequence in range(4):
            runner.on_msg(stream_event(sequence=sequence))
        self.assertEqual(self.acks.written, [])
        one, two, three, four = self.events
        one.in_progress()
        one.ack()
        two.nak(2.5)
        three.nak()
        four.term("why")
        self.assertEqual(
            self.acks.written,
            [(0, "in progress"), (0, "ack"), (1, "nak", 2.5), (2, "nak", None), (3, "term", "why")],
        )
        self.assertEqual(self.counts(runner), {"routed": 4, "succeeded": 4})

    def test_twice(self) -> None:
        """Is a mistake of the route: which of the two is meant?"""
        self.make(ack="manual").on_msg(stream_event())
        [event] = self.events
        event.ack()
        error = self.assertRaises(MisuseError, event.nak)
        self.assertEqual(str(error), "event.nak(): the message was acknowledged already, with event.ack()")
        self.assertEqual(self.acks.written, [(1, "ack")])

    def test_failure(self) -> None:
        """A message that the route has not acknowledged comes again."""
        self.results = [ValueError()]
        runner = self.make(ack="manual")
        runner.on_msg(stream_event())
        self.assertEqual(self.acks.written, [(1, "nak", 0.1)])
        self.assertEqual(self.counts(runner), {"routed": 1, "handed_back": 1, "retried": 1})
        self.flushLoggedErrors(ValueError)

    def test_failure_after_an_acknowledgement(self) -> None:
        """The route has decided. It has its dead letter if nobody will see the message again."""

        def fails(event: Event) -> None:
            getattr(event, event.text())()
            raise ValueError

        runner = self.make(fails, ack="manual", retries=3, dead_letter="dead")
        for sequence, how in enumerate(("ack", "nak", "term")):
            runner.on_msg(stream_event(sequence=sequence, data=how.encode()))
        self.assertEqual(self.acks.written, [(0, "ack"), (1, "nak", None), (2, "term", "")])
        self.assertEqual([payload for _, payload, _ in self.letters], [b"ack", b"term"])
        self.assertEqual(self.counts(runner), {"routed": 3, "failed": 2, "handed_back": 1, "dead_lettered": 2})
        self.flushLoggedErrors(ValueError)

    def test_exit(self) -> None:
        """Ends the call and acknowledges nothing."""
        self.results = [SystemExit()]
        runner = self.make(ack="manual")
        runner.on_msg(stream_event())
        self.assertEqual(self.acks.written, [])
        self.assertEqual(self.counts(runner), {"routed": 1, "succeeded": 1})

    def test_other_policies(self) -> None:
        """What natsroute acknowledges, the route does not."""
        self.make().on_msg(stream_event())
        [event] = self.events
        error = self.assertRaises(MisuseError, event.ack)
        self.assertIn("natsroute acknowledges the messages of this route. Give it ack='manual'", str(error))
        event.in_progress()
        self.assertEqual(self.acks.written, [(1, "ack"), (1, "in progress")])

    def test_another_thread(self) -> None:
        """It is written in the reactor's."""
        self.make(ack="manual").on_msg(stream_event())
        thread = Thread(target=self.events[0].nak, args=[1.0])
        thread.start()
        thread.join()
        self.assertEqual(self.acks.written, [])
        for function, *arguments in self.later:
            function(*arguments)
        self.assertEqual(self.acks.written, [(1, "nak", 1.0)])


class CostTests(AcknowledgingTestCase):
    """A success of a plain function."""

    def test_calls_for_a_message(self) -> None:
        """One call around the function, and the acknowledgement."""
        seen: list[str] = []
        runner = self.make(lambda event: None)
        runner.on_msg(stream_event())
        event = stream_event()

        def profile(frame: Any, what: str, argument: Any) -> None:
            if what == "call":
                seen.append(frame.f_code.co_name)

        sys.setprofile(profile)
        try:
            runner.on_msg(event)
        finally:
            sys.setprofile(None)
        self.assertEqual(seen[:5], ["on_msg", "call", "acknowledged", "<lambda>", "ack"])
