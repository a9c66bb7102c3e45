"""natsroute.routes.traced_runner: which events are called in a span, and that no other is."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.hot import Gate
from natsroute.middleware import RouteFunction
from natsroute.routes.ack_policy import DeliveryRules
from natsroute.routes.acknowledging import StreamConsumer
from natsroute.routes.handling_times import HandlingTimes
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.route_errors import HandedBackError
from natsroute.routes.runner import RunnerContext
from natsroute.routes.table import RouteTable
from natsroute.routes.traced_runner import TracedRunner
from natsroute.wire.frames import Address
from tests.support.stream_events import MemoryAcks, stream_event


class EveryThird:
    """Traces each third message without headers, and those whose header block begins with ``trace``."""

    def __init__(self) -> None:
        self.traced: list[bytes] = []
        self.allowed = True
        self.every: float = 3
        self.may_rest = False
        self.resting: list[Callable[[], None]] = []

    def wants(self, event: Event) -> bool:
        return event.header_block.startswith(b"trace")

    def gap(self) -> float:
        return self.every

    def may_begin(self) -> bool:
        return self.allowed

    def rests(self, on_end: Callable[[], None]) -> bool:
        if self.may_rest:
            self.resting.append(on_end)
        return self.may_rest

    def call(self, function: RouteFunction, event: Event) -> object:
        self.traced.append(event.data)
        return function(event)


def following_gate(runner: TracedRunner) -> Gate:
    """What hands messages to a runner, and takes the ways that it says."""
    gate = Gate(runner.on_msg)

    def hand_to(on_msg: Any, ways: Any, only_without_headers: bool = False) -> None:
        gate.on_msg, gate.ways, gate.only_without_headers = on_msg, ways, only_without_headers

    runner.receive_from(hand_to)
    return gate


class TracedRunnerTests(SynchronousTestCase):
    """Messages of one subscription."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.event_route = EventRoutes()
        self.tracing = EveryThird()
        self.in_flight = CallsInFlight(self.clock)
        self.seen: list[bytes] = []
        self.calls: list[Deferred[None]] = []

    def runner(self) -> TracedRunner:
        publish: Any = None
        context = RunnerContext(
            publish, self.clock, lambda function, event: succeed(function(event)), self.in_flight, tracing=self.tracing
        )
        return TracedRunner(RouteTable(self.event_route).find, context, subject=">", queue_group=None)

    def see(self, event: Event) -> None:
        self.seen.append(event.data)

    def wait(self, event: Event) -> Deferred[None]:
        self.see(event)
        self.calls.append(Deferred())
        return self.calls[-1]

    def send(self, runner: TracedRunner, *payloads: bytes, block: bytes = b"", subject: str = "a") -> None:
        for data in payloads:
            runner.on_msg(Event(Address(subject, 1), data, block))

    def send_to(self, gate: Gate, *payload: int, block: bytes = b"", subject: str = "a") -> None:
        for byte in payload:
            gate.deliver(Event(Address(subject, 1), bytes([byte]), block))

    def test_count(self) -> None:
        """Each third one; all run, in order. The counters are those of a runner."""
        self.event_route("nats:a")(self.see)
        runner = self.runner()
        payloads = [b"%d" % number for number in range(1, 10)]
        self.send(runner, *payloads)
        self.assertEqual((self.seen, self.tracing.traced), (payloads, [b"3", b"6", b"9"]))
        [counters] = runner.route_counters
        self.assertEqual((counters.routed, counters.succeeded), (9, 9))

    def test_a_stream(self) -> None:
        """The span is around the acknowledgement, too. A failure is one of the span if the message comes again, too."""
        acks, failures = MemoryAcks(), list[str]()
        call = self.tracing.call

        def traced(function: RouteFunction, event: Event) -> object:
            try:
                return call(function, event)
            except HandedBackError as error:
                failures.append(str(error))
                raise

        self.patch(self.tracing, "call", traced)
        stream = StreamConsumer(acks, DeliveryRules, self.in_flight, self.clock.callLater)
        self.event_route("nats:calls.a")(lambda event: 1 / 0 if event.data == b"6" else self.see(event))
        runner = self.runner()
        runner = TracedRunner(
            RouteTable(self.event_route).find,
            attrs.evolve(runner._context, stream=stream),
            subject="CALLS:billing",
            queue_group=None,
        )
        for sequence in range(1, 7):
            runner.on_msg(stream_event(data=b"%d" % sequence, sequence=sequence))
        self.assertEqual(acks.written, [*((n, "ack") for n in range(1, 6)), (6, "nak", 0.1)])
        self.assertEqual(self.tracing.traced, [b"3", b"6"])
        self.assertEqual(failures, ["the message is delivered again after ZeroDivisionError: division by zero"])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_headers(self) -> None:
        """They decide for their message, and do not count."""
        self.event_route("nats:a")(self.see)
        runner = self.runner()
        self.send(runner, b"1", b"2")
        self.send(runner, b"no", block=b"other")
        self.send(runner, b"yes", block=b"trace")
        self.send(runner, b"3")
        self.assertEqual(self.tracing.traced, [b"yes", b"3"])

    def test_limit(self) -> None:
        """One that may not begin is called without a span."""
        self.event_route("nats:a")(self.see)
        runner = self.runner()
        self.tracing.allowed = False
        self.send(runner, b"1", b"2", b"3")
        self.assertEqual((self.seen, self.tracing.traced), ([b"1", b"2", b"3"], []))

    def test_rest(self) -> None:
        """
        While none may begin, the messages go another way, and are not counted. Those with headers decide for
        themselves. Afterwards it goes on as it began. That is so for a subscription that always calls ``on_msg()``.
        """
        self.event_route("nats:a")(self.see)
        self.tracing.may_rest = True
        for follows in (True, False):
            self.tracing.traced.clear()
            self.tracing.allowed = False
            runner = self.runner()
            gate = following_gate(runner) if follows else Gate(runner.on_msg)
            self.send_to(gate, *b"123456789")
            self.assertEqual((len(self.tracing.resting), list(gate.ways)), (1, ["a"] if follows else []))
            self.send_to(gate, *b"xyz", block=b"trace")
            self.send_to(gate, *b"no", block=b"other")
            self.assertEqual(self.tracing.traced, [b"x", b"y", b"z"])
            self.send_to(gate, *b"-", subject="unrouted")
            self.assertEqual(runner.unrouted, 1)
            self.tracing.allowed = True
            self.tracing.resting.pop()()
            self.assertEqual(list(gate.ways), [])
            self.send_to(gate, *b"abcdefg")
            self.assertEqual(self.tracing.traced, [b"x", b"y", b"z", b"c", b"f"])
            [counters] = runner.route_counters
            self.assertEqual((counters.routed, counters.succeeded), (21, 21))

    def test_none(self) -> None:
        """With a ratio of 0, none is counted."""
        self.event_route("nats:a")(self.see)
        self.tracing.every = inf
        runner = self.runner()
        gate = following_gate(runner)
        self.send_to(gate, *b"12")
        self.assertEqual(list(gate.ways), ["a"])
        self.send_to(gate, *b"3", block=b"trace")
        self.send_to(gate, *b"4", block=b"other")
        self.assertEqual((self.seen, self.tracing.traced), ([b"1", b"2", b"3", b"4"], [b"3"]))

    def test_unrouted(self) -> None:
        """It is counted."""
        runner = self.runner()
        self.send(runner, b"1")
        self.assertEqual(runner.unrouted, 1)

    def test_within_a_call(self) -> None:
        """A message that comes while a traced one runs is not traced."""
        runner = self.runner()

        @self.event_route("nats:a")
        def nested(event: Event) -> None:
            self.see(event)
            if event.data == b"3":
                self.send(runner, b"nested")

        runner = self.runner()
        self.send(runner, b"1", b"2", b"3", b"4")
        self.assertEqual(self.seen, [b"1", b"2", b"3", b"nested", b"4"])
        self.assertEqual(self.tracing.traced, [b"3"])

    def test_failure(self) -> None:
        """The next call is not traced."""
        self.event_route("nats:a")(lambda event: 1 / 0)
        runner = self.runner()
        self.send(runner, *[b"x"] * 5)
        self.assertEqual(len(self.tracing.traced), 1)
        self.assertEqual(runner.route_counters[0].failed, 5)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_concurrent(self) -> None:
        """Calls that run at the same time."""
        self.event_route("nats:a", concurrency=10)(self.wait)
        self.send(self.runner(), b"1", b"2", b"3", b"4")
        self.assertEqual((len(self.calls), self.tracing.traced), (4, [b"3"]))

    def test_key(self) -> None:
        """A message that waits behind its key is traced when it runs."""
        self.event_route("nats:a", key=lambda event: 1)(self.wait)
        runner = self.runner()
        self.send(runner, b"1", b"2", b"3", b"4")
        self.assertEqual((self.seen, self.tracing.traced), ([b"1"], []))
        for _ in range(4):
            self.calls[-1].callback(None)
        self.assertEqual((self.seen, self.tracing.traced), ([b"1", b"2", b"3", b"4"], [b"3"]))
        self.assertEqual(runner._due, set())

    def test_thread(self) -> None:
        """The call in a thread is part of it."""
        self.event_route("nats:a", thread=True)(self.see)
        self.send(self.runner(), b"1", b"2", b"3")
        self.assertEqual((self.seen, self.tracing.traced), ([b"1", b"2", b"3"], [b"3"]))

    def test_measured(self) -> None:
        """Handling times are measured as without tracing."""
        measured: list[int] = []
        self.in_flight.handling_times = HandlingTimes(
            self.clock, lambda counters, seconds, count: measured.append(count)
        )
        self.addCleanup(self.in_flight.handling_times.stop)
        self.event_route("nats:a")(self.see)
        runner = self.runner()
        for _ in range(9):
            self.send(runner, b"x")
            self.clock.advance(1)
        self.assertEqual(len(self.tracing.traced), 3)
        self.assertEqual(sum(measured), 9)
