"""natsroute.routes.replaying"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import MisuseError, Reject
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.replaying import ReplayedStream
from natsroute.routes.runner import Runner, RunnerContext
from natsroute.routes.table import RouteTable
from tests.support.log_recorder import LogRecorder
from tests.support.stream_events import stream_event


class ReplayedTests(SynchronousTestCase):
    """Routes with the messages of a stream that is replayed."""

    def setUp(self) -> None:
        self.clock = Clock()
        in_flight = CallsInFlight(self.clock)
        self.published: list[tuple[Any, ...]] = []
        self.event_route = EventRoutes()
        self.context = RunnerContext(
            lambda *arguments: self.published.append(arguments),  # type: ignore[arg-type,return-value]
            self.clock,
            lambda function, *arguments: function(*arguments),
            in_flight,
            stream=ReplayedStream(in_flight, lambda function, *arguments: function(*arguments)),
        )

    def replay(self, *sequences: int) -> Runner:
        """Run the routes for messages of these sequences."""
        runner = Runner(RouteTable(self.event_route).find, self.context, subject="replay:CALLS", queue_group=None)
        for sequence in sequences:
            runner.on_msg(stream_event(sequence=sequence))
        return runner

    def test_what_the_stream_says(self) -> None:
        """An event has it, and there is no reply subject."""
        seen: list[Any] = []
        self.event_route("nats:>")(lambda event: seen.append((event.stream, event.sequence, event.reply)))
        self.replay(7, 8)
        self.assertEqual(seen, [("CALLS", 7, None), ("CALLS", 8, None)])

    def test_retries(self) -> None:
        """They are here, and not at the server; then the failure is one."""
        attempts: list[int] = []

        @self.event_route("nats:>", retries=2)
        def route(event: Event) -> None:
            attempts.append(event.sequence or 0)
            raise ValueError(event.sequence)

        runner = self.replay(7)
        self.clock.pump([10.0] * 3)
        self.assertEqual(attempts, [7, 7, 7])
        self.assertTrue(self.flushLoggedErrors(ValueError))
        (counters,) = runner.route_counters
        self.assertEqual((counters.failed, counters.handed_back), (1, 0))

    def test_reject(self) -> None:
        @self.event_route("nats:>", retries=2)
        def route(event: Event) -> None:
            raise Reject("no")

        (counters,) = self.replay(7).route_counters
        self.flushLoggedErrors(Reject)
        self.assertEqual((counters.failed, counters.retried), (1, 0))

    def test_manual(self) -> None:
        """A route that acknowledges itself may do so; others may not, as ever."""
        acknowledged: list[str | None] = []

        @self.event_route("nats:>", ack="manual")
        def route(event: Event) -> None:
            event.in_progress()
            event.nak(5.0)
            acknowledged.append(event.acknowledged)

        (counters,) = self.replay(7).route_counters
        self.assertEqual((acknowledged, counters.succeeded), (["nak"], 1))
        self.event_route = EventRoutes()
        self.event_route("nats:>")(lambda event: event.ack())
        self.replay(7)
        self.assertEqual(len(self.flushLoggedErrors(MisuseError)), 1)

    def test_double(self) -> None:
        """There is nothing to confirm."""
        called: list[Event] = []
        self.event_route("nats:>", ack="double")(called.append)
        (counters,) = self.replay(7).route_counters
        self.assertEqual((len(called), counters.succeeded), (1, 1))

    def test_no_route(self) -> None:
        """It is counted, and logged once."""
        recorder = LogRecorder(self)
        runner = self.replay(7, 8)
        self.assertEqual(runner.unrouted, 2)
        (line,) = recorder.lines()
        self.assertIn("(replay:CALLS). Add a route for it, or filter_subjects to the jetstream_replay", line)
