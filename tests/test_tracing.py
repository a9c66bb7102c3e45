"""natsroute.monitoring.tracing"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import DecodeError, PublishDroppedError
from natsroute.middleware import RouteFunction
from natsroute.monitoring.publish_target import Target
from natsroute.monitoring.sampling import Sampling
from natsroute.monitoring.tracing import MAX_SUBJECT, MAX_TRACEBACK, Tracing
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import ConnectionRunner, Runner, RunnerContext
from natsroute.routes.table import RouteTable
from natsroute.routes.traced_runner import TracedRunner
from natsroute.wire.frames import Address
from natsroute.wire.headers import HeaderValues, encode_headers
from tests.support.log_recorder import LogRecorder
from tests.support.spans import Spans, is_child, traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


class TracingTestCase(SynchronousTestCase):
    """Routes whose messages are traced; what they publish is confirmed by the test."""

    sampling = Sampling()

    def setUp(self) -> None:
        self.spans = Spans()
        self.clock = Clock()
        self.target = Target(server=("nats.example", 4222))
        self.event_route = EventRoutes()
        self.published: list[tuple[Any, ...]] = []
        self.confirmations: list[Deferred[None]] = []
        self.in_flight = CallsInFlight(self.clock)
        self.log = LogRecorder(self)
        self.addCleanup(self.flushLoggedErrors)
        self.tracing = Tracing(self.spans.provider, self.sampling, lambda subject: self.target)

    def publish(
        self, subject: str, payload: object, reply: Any = None, headers: Any = None, **options: Any
    ) -> Deferred[None]:
        self.published.append((subject, payload, reply, headers, *sorted(options.items())))
        self.confirmations.append(Deferred())
        return self.confirmations[-1]

    def context(self, **others: Any) -> RunnerContext:
        messages = self.tracing.for_messages(lambda: ("127.0.0.1", 4223))
        return RunnerContext(self.publish, self.clock, self.call_in_thread, self.in_flight, tracing=messages, **others)

    def call_in_thread(self, function: RouteFunction, event: Event) -> Deferred[object]:
        return succeed(function(event))

    def runner(self, queue_group: str | None = "g") -> Runner:
        return TracedRunner(RouteTable(self.event_route).find, self.context(), subject=">", queue_group=queue_group)

    def send(self, subject: str = "a.b", data: bytes = b"xyz", headers: HeaderValues | None = None) -> Any:
        block = b"" if headers is None else encode_headers(headers)
        return self.runner().on_msg(Event(Address(subject, 1), data, block))

    def headers(self, index: int = 0) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.published[index][3]
        return found


class CallTests(TracingTestCase):
    """The span of a message."""

    def test_attributes(self) -> None:
        """The semantic conventions for messaging; no payload."""
        self.event_route("nats:a.*")(lambda event: None)
        self.send()
        [span] = self.spans.ended
        self.assertEqual((span.name, span.kind, span.parent), ("process a.*", SpanKind.CONSUMER, None))
        self.assertEqual(
            dict(span.attributes or {}),
            {
                "messaging.system": "nats",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": "a.b",
                "messaging.destination.template": "a.*",
                "messaging.consumer.group.name": "g",
                "messaging.message.body.size": 3,
                "server.address": "127.0.0.1",
                "server.port": 4223,
            },
        )
        assert span.instrumentation_scope is not None
        self.assertEqual(span.instrumentation_scope.name, "natsroute")
        self.assertEqual(span.status.status_code, StatusCode.UNSET)

    def test_exact_subject(self) -> None:
        """Without a pattern, a queue group and a known server, there is nothing to say of them."""
        self.event_route("nats:a.b")(self.tracing.middleware()(lambda event: None))
        self.tracing = Tracing(self.spans.provider, Sampling(0.0))
        self.runner(None).on_msg(Event(Address("a.b", 1), b""))
        attributes = self.spans.one("process a.b").attributes or {}
        self.assertEqual(attributes["messaging.message.body.size"], 0)
        for name in ("messaging.destination.template", "messaging.consumer.group.name", "server.address"):
            self.assertNotIn(name, attributes)

    def test_long_subject(self) -> None:
        """It is bounded, and escaped."""
        self.event_route("nats:>")(lambda event: None)
        self.send("a\x1b[2J\u202e" + "b" * 10_000)
        shown = (self.spans.ended[0].attributes or {})["messaging.destination.name"]
        assert isinstance(shown, str)
        self.assertTrue(shown.startswith("a\\x1b[2J\\u202ebbb"), shown)
        self.assertLess(len(shown), MAX_SUBJECT + 30)
        self.assertTrue(shown.isprintable())

    def test_parent(self) -> None:
        """The span is a child of the message's traceparent; its tracestate goes on."""
        self.event_route("nats:a.b")(lambda event: event.publish("c", b""))
        self.send(headers={"Traceparent": SAMPLED, "tracestate": "vendor=x,other=Y"})
        self.confirmations[0].callback(None)
        call = self.spans.one("process a.b")
        assert call.parent is not None
        context = call.get_span_context()
        assert context is not None
        self.assertEqual((f"{context.trace_id:032x}", f"{call.parent.span_id:016x}"), (TRACE, SPAN))
        self.assertTrue(call.parent.is_remote)
        self.assertEqual(self.headers()["tracestate"], "vendor=x,other=Y")

    def test_malformed_tracestate(self) -> None:
        """It is left out."""
        self.event_route("nats:a.b")(lambda event: event.publish("c", b""))
        self.send(headers={"traceparent": SAMPLED, "tracestate": "=x,y"})
        self.confirmations[0].callback(None)
        self.assertEqual(list(self.headers()), ["traceparent"])
        self.assertTrue(self.headers()["traceparent"].startswith(f"00-{TRACE}-"))

    def test_span_of_the_event(self) -> None:
        """It is the route's to add to; the context of the next message is not touched."""
        spans = []

        @self.event_route("nats:a.*")
        def route(event: Event) -> None:
            event.span.set_attribute("own", 1)
            spans.append(event.span)

        runner = self.runner()
        for _ in range(2):
            runner.on_msg(Event(Address("a.b", 1), b""))
        self.assertEqual([(span.attributes or {})["own"] for span in self.spans.ended], [1, 1])
        self.assertIsNot(*spans)

    def test_current_span(self) -> None:
        """In a function, a coroutine, behind an await in it, and in a thread; not after the call."""
        seen = []
        waiting: Deferred[None] = Deferred()

        def see(event: Event) -> None:
            seen.append(trace.get_current_span() is event.span)

        async def coroutine(event: Event) -> None:
            see(event)
            await waiting
            see(event)

        self.event_route("nats:a")(see)
        self.event_route("nats:b")(coroutine)
        self.event_route("nats:c", thread=True)(see)
        self.event_route("nats:d", retries=1)(coroutine)
        for subject in "abcd":
            self.send(subject)
            self.assertFalse(trace.get_current_span().get_span_context().is_valid)
        waiting.callback(None)
        self.assertEqual(seen, [True] * 6)
        self.assertFalse(trace.get_current_span().get_span_context().is_valid)

    def test_end(self) -> None:
        """The span ends when the call has ended: at once, or when its Deferred fires."""
        waiting: Deferred[str] = Deferred()
        results: dict[str, Any] = {"a": None, "b": [1], "c": waiting, "d": succeed("x"), "e": object()}
        for name, result in results.items():
            self.event_route(f"nats:{name}")(lambda event, result=result: result)
            self.send(name)
        self.assertEqual(self.spans.names, [f"process {name}" for name in "abde"])
        waiting.callback("result")
        self.assertEqual(self.spans.names[-1], "process c")
        self.assertEqual(self.successResultOf(waiting), None)  # the result is consumed by the call, as without tracing

    def test_counters(self) -> None:
        """Calls are counted as without tracing."""
        runner_results = []

        @self.event_route("nats:a")
        def route(event: Event) -> object:
            if event.data == b"exit":
                raise SystemExit
            if event.data == b"fail":
                raise ValueError("x")
            return None

        runner = self.runner()
        for data in (b"", b"exit", b"fail"):
            runner_results.append(runner.on_msg(Event(Address("a", 1), data)))
        [counters] = runner.route_counters
        self.assertEqual((counters.routed, counters.succeeded, counters.failed), (3, 2, 1))
        self.assertEqual(runner_results, [None] * 3)
        self.assertEqual(
            [span.status.status_code for span in self.spans.ended],
            [StatusCode.UNSET, StatusCode.UNSET, StatusCode.ERROR],
        )

    def test_connection_event(self) -> None:
        """It is no message, and has no span."""
        event_route = EventRoutes(middleware=[self.tracing.middleware()])
        called = []
        event_route("nats:connected")(called.append)
        runner = ConnectionRunner(RouteTable(event_route).get, self.context())
        runner.fire("nats:connected", "nats://127.0.0.1")
        self.assertEqual((len(called), self.spans.ended), (1, []))

    def test_sampler_of_the_provider(self) -> None:
        """If it does not want a message, that is as if it had not been sampled."""
        self.spans = Spans(ALWAYS_OFF)
        self.tracing = Tracing(self.spans.provider)
        spans = []

        @self.event_route("nats:a.b")
        def route(event: Event) -> None:
            spans.append(event.span)
            event.publish("c", b"")

        self.send()
        self.send(headers={"traceparent": SAMPLED})
        self.assertEqual((spans, self.spans.ended), ([None, None], []))
        self.assertEqual([message[3] for message in self.published], [None, {"traceparent": SAMPLED}])


class FailureTests(TracingTestCase):
    """Calls that fail."""

    def fails_with(self, error: BaseException, call: Callable[[BaseException], object]) -> Any:
        self.spans.clear()
        self.event_route = EventRoutes()
        self.event_route("nats:a.b")(lambda event: call(error))
        self.send()
        [span] = self.spans.ended
        return span

    def test_errors(self) -> None:
        """The exception is an event of the span, and its status; however the call fails."""

        def throw(error: BaseException) -> None:
            raise error

        async def coroutine(error: BaseException) -> None:
            await succeed(None)
            raise error

        for call in (throw, fail, coroutine):
            span = self.fails_with(DecodeError("not JSON"), call)
            self.assertEqual(span.status.status_code, StatusCode.ERROR)
            self.assertEqual(span.status.description, "DecodeError: not JSON")
            self.assertEqual(span.attributes["error.type"], "natsroute.errors.DecodeError")
            [event] = span.events
            self.assertEqual(event.name, "exception")
            self.assertEqual(event.attributes["exception.type"], "natsroute.errors.DecodeError")
            self.assertEqual(event.attributes["exception.message"], "DecodeError: not JSON")
            self.assertIn("DecodeError: not JSON", event.attributes["exception.stacktrace"])
        self.assertEqual(self.fails_with(KeyError("x"), throw).attributes["error.type"], "KeyError")
        self.assertEqual({error.type for error in self.flushLoggedErrors()}, {KeyError})

    def test_what_an_error_quotes(self) -> None:
        """It is escaped and bounded, as in the log."""
        span = self.fails_with(ValueError("\x1b[2J" + "x" * 100_000), fail)
        [event] = span.events
        for text in (span.status.description, event.attributes["exception.message"]):
            self.assertTrue(text.startswith("ValueError: \\x1b[2Jxxx"), text)
            self.assertLess(len(text), 600)
        self.assertLessEqual(len(event.attributes["exception.stacktrace"]), MAX_TRACEBACK)
        self.assertNotIn("\x1b", event.attributes["exception.stacktrace"])

    def test_what_is_not_awaitable(self) -> None:
        """A route that returns a generator fails, and so does its span."""
        self.event_route("nats:a.b")(lambda event: (number for number in range(3)))
        self.send()
        [span] = self.spans.ended
        self.assertEqual((span.attributes or {})["error.type"], "natsroute.errors.RouteError")

    def test_cancelled(self) -> None:
        """As when the service stops."""
        self.event_route("nats:a.b")(lambda event: Deferred())
        self.send()
        self.in_flight.stop()
        [span] = self.spans.ended
        self.assertEqual((span.attributes or {})["error.type"], "twisted.internet.defer.CancelledError")

    def test_retries_and_dead_letter(self) -> None:
        """They are events of the span of the message, which ends after the last of them."""

        @self.event_route("nats:a.b", retries=2, dead_letter="dead")
        def route(event: Event) -> None:
            raise ValueError(f"number {event.attempts}")

        self.send(headers={"traceparent": SAMPLED})
        self.clock.advance(0.1)
        self.clock.advance(0.2)
        self.assertEqual(self.spans.ended, [])
        self.confirmations[0].callback(None)
        call, dead = self.spans.one("process a.b"), self.spans.one("publish dead")
        self.assertEqual([event.name for event in call.events], ["retry", "retry", "dead letter", "exception"])
        self.assertEqual(
            [dict(event.attributes or {}) for event in call.events[:3]],
            [
                {"natsroute.attempt": 1, "natsroute.wait": 0.1, "natsroute.reason": "ValueError: number 1"},
                {"natsroute.attempt": 2, "natsroute.wait": 0.2, "natsroute.reason": "ValueError: number 2"},
                {"messaging.destination.name": "dead"},
            ],
        )
        self.assertTrue(is_child(dead, call))
        self.assertEqual(self.headers()["traceparent"], traceparent(dead))  # and not the one of the failed message

    def test_key(self) -> None:
        """A key function that fails is an error of the message's span."""

        def key(event: Event) -> str:
            raise ValueError("no key")

        self.event_route("nats:a.b", key=key)(lambda event: None)
        self.send()
        [span] = self.spans.ended
        self.assertEqual((span.attributes or {})["error.type"], "ValueError")


class PublishTests(TracingTestCase):
    """The spans of what is published for a message."""

    def test_child(self) -> None:
        self.event_route("nats:a.b")(
            lambda event: event.publish("c", {"n": 1}, "r", {"X": "y"}, policy="fail", msg_id="7")
        )
        self.send()
        [message] = self.published
        self.assertEqual(self.spans.ended, [])
        self.confirmations[0].callback(None)
        call, publish = self.spans.one("process a.b"), self.spans.one("publish c")
        self.assertTrue(is_child(publish, call))
        self.assertEqual(publish.kind, SpanKind.PRODUCER)
        self.assertEqual(
            dict(publish.attributes or {}),
            {
                "messaging.system": "nats",
                "messaging.operation.name": "publish",
                "messaging.operation.type": "send",
                "messaging.destination.name": "c",
                "messaging.message.body.size": 7,
                "server.address": "nats.example",
                "server.port": 4222,
            },
        )
        headers = {"X": "y", "traceparent": traceparent(publish)}
        self.assertEqual(message, ("c", b'{"n":1}', "r", headers, ("msg_id", "7"), ("policy", "fail")))

    def test_from_a_callback(self) -> None:
        """Although no context follows the callbacks of a Deferred, and after the call too."""
        waiting: Deferred[None] = Deferred()
        events = []

        @self.event_route("nats:a.b")
        def route(event: Event) -> Deferred[None]:
            events.append(event)
            return waiting.addCallback(lambda _: event.publish("c", b""))

        self.send()
        waiting.callback(None)
        self.confirmations[0].callback(None)
        events[0].publish("d", b"").callback(None)
        call = self.spans.one("process a.b")
        for name in ("publish c", "publish d"):
            self.assertTrue(is_child(self.spans.one(name), call))

    def test_within_a_span_of_the_route(self) -> None:
        """What a route publishes in a span of its own is a child of that."""
        tracer = self.spans.provider.get_tracer("test")

        @self.event_route("nats:a.b")
        def route(event: Event) -> Deferred[None]:
            with tracer.start_as_current_span("work"):
                return event.publish("c", b"")

        self.send()
        self.confirmations[0].callback(None)
        self.assertTrue(is_child(self.spans.one("publish c"), self.spans.one("work")))
        self.assertTrue(is_child(self.spans.one("work"), self.spans.one("process a.b")))

    def test_in_the_context_of_another_message(self) -> None:
        """A callback that runs in the context of another message is still its event's."""
        waiting: Deferred[None] = Deferred()
        self.event_route("nats:a.b")(lambda event: waiting.addCallback(lambda _: event.publish("c", b"")))
        self.event_route("nats:fire")(lambda event: waiting.callback(None))
        self.send()
        self.send("fire")
        self.confirmations[0].callback(None)
        self.assertTrue(is_child(self.spans.one("publish c"), self.spans.one("process a.b")))

    def test_reply(self) -> None:
        """An inbox is temporary: it does not name the span."""
        self.event_route("nats:a.b")(lambda event: event.respond(b"x"))
        event = Event(Address("a.b", 1), b"", b"", b"_INBOX.x.1")
        self.runner().on_msg(event)
        self.confirmations[0].callback(None)
        attributes = self.spans.one("publish").attributes or {}
        self.assertIs(attributes["messaging.destination.temporary"], True)
        self.assertEqual(attributes["messaging.destination.name"], "_INBOX.x.1")

    def test_callable_payload(self) -> None:
        """It is not called for tracing; its size is not known."""
        self.event_route("nats:a.b")(lambda event: event.publish("c", lambda: 1 / 0))
        self.send()
        self.assertTrue(callable(self.published[0][1]))
        self.confirmations[0].callback(None)
        self.assertNotIn("messaging.message.body.size", self.spans.one("publish c").attributes or {})

    def test_failure(self) -> None:
        """It is in the span, and still the program's to handle."""
        self.event_route("nats:a.b")(lambda event: event.publish("c", b""))
        self.send()
        self.confirmations[0].errback(PublishDroppedError("no space"))
        for name in ("publish c", "process a.b"):
            attributes = self.spans.one(name).attributes or {}
            self.assertEqual(attributes["error.type"], "natsroute.errors.PublishDroppedError")

    def test_publish_that_raises(self) -> None:
        """Natsroute's does not; a program's may."""

        def publish(*message: Any, **options: Any) -> Deferred[None]:
            raise ValueError("x")

        self.assertRaises(ValueError, self.tracing.publish(publish), "c", b"")
        self.assertEqual((self.spans.one("publish c").attributes or {})["error.type"], "ValueError")

    def test_cancelled(self) -> None:
        confirmed = self.tracing.publish(self.publish)("c", b"")
        confirmed.cancel()
        self.failureResultOf(confirmed, CancelledError)
        attributes = self.spans.one("publish c").attributes or {}
        self.assertEqual(attributes["error.type"], "twisted.internet.defer.CancelledError")

    def test_own_parent(self) -> None:
        """A traceparent that the route has chosen is kept, and the span has a link to it."""
        own = SAMPLED.replace("b7", "c8")
        self.event_route("nats:a.b")(lambda event: event.publish("c", b"", headers={"Traceparent": own}))
        self.send(headers={"traceparent": SAMPLED})
        self.confirmations[0].callback(None)
        publish = self.spans.one("publish c")
        self.assertEqual(self.headers(), {"Traceparent": own})
        self.assertEqual([f"{link.context.span_id:016x}" for link in publish.links], [SPAN.replace("b7", "c8")])
        self.assertTrue(is_child(publish, self.spans.one("process a.b")))

    def test_headers_of_the_message(self) -> None:
        """A route that publishes the headers of its message again does not choose a parent."""
        self.event_route("nats:a.b")(lambda event: event.publish("c", b"", headers=dict(event.headers)))
        self.send(headers={"Traceparent": SAMPLED, "Tracestate": "a=1", "X": "y"})
        self.confirmations[0].callback(None)
        parent = traceparent(self.spans.one("publish c"))
        self.assertEqual(self.headers(), {"X": "y", "traceparent": parent, "tracestate": "a=1"})

    def test_message_as_large_as_the_server_takes(self) -> None:
        """Tracing does not make it too large."""
        self.target = Target(max_payload=1000)
        self.event_route("nats:a.b")(lambda event: event.publish("c", event.data, headers={"X": "y"}))
        for size in (700, 990):
            self.send(data=b"x" * size)
        self.assertEqual([set(message[3]) for message in self.published], [{"X", "traceparent"}, {"X"}])

    def test_server_without_headers(self) -> None:
        """Tracing adds none."""
        self.target = Target(headers=False)
        self.event_route("nats:a.b")(lambda event: event.publish("c", b""))
        self.send()
        self.confirmations[0].callback(None)
        self.assertEqual((self.headers(), len(self.spans.ended)), (None, 2))

    def test_malformed_arguments(self) -> None:
        """They go to ``publish()`` as they are, which says what is wrong with them."""
        lone = "\ud800"
        cases: list[tuple[Any, ...]] = [
            (None, b""),
            ([], b""),
            ("c", object()),
            ("c", lone),
            ("c", b"", None, {"a b": "c"}),
            ("c", b"", None, {"a": 1}),
            ("c", b"", None, {"traceparent": 5}),
            ("c", b"", None, [("a", "b")]),
            ("c", b"", None, 7),
        ]
        for arguments in cases:
            self.event_route = EventRoutes()
            self.event_route("nats:a.b")(lambda event, arguments=arguments: event.publish(*arguments) and None)
            for headers in (None, {"traceparent": UNSAMPLED}):
                self.published.clear()
                self.send(headers=headers)
                [message] = self.published
                self.assertEqual(message[: len(arguments)], arguments)


class UnsampledTests(TracingTestCase):
    """Messages that are not traced."""

    sampling = Sampling(0.0)

    def route(self, event: Event) -> None:
        self.span = event.span
        event.publish("c", b"", headers={"X": "y"})

    def test_without_a_parent(self) -> None:
        """Nothing happens: no span, no header."""
        self.event_route("nats:a.b")(self.route)
        self.send(headers={"a": "b"})
        self.send()
        self.assertEqual([message[3] for message in self.published], [{"X": "y"}] * 2)
        self.assertEqual((self.spans.ended, self.span), ([], None))

    def test_with_a_parent(self) -> None:
        """Its headers are passed on unchanged."""
        self.event_route("nats:a.b")(self.route)
        self.send(headers={"Traceparent": UNSAMPLED, "tracestate": "a=1"})
        self.assertEqual(self.headers(), {"X": "y", "traceparent": UNSAMPLED, "tracestate": "a=1"})
        self.assertEqual((self.spans.ended, self.span), ([], None))

    def test_with_a_parent_and_one_of_the_route(self) -> None:
        own = {"TraceParent": SAMPLED}
        self.event_route("nats:a.b")(lambda event: event.publish("c", b"", headers=own) and None)
        self.send(headers={"traceparent": UNSAMPLED})
        self.assertEqual(self.headers(), own)

    def test_with_a_sampled_parent(self) -> None:
        """It is traced, whatever the ratio."""
        self.event_route("nats:a.b")(self.route)
        self.send(headers={"traceparent": SAMPLED})
        self.confirmations[0].callback(None)
        self.assertEqual(sorted(self.spans.names), ["process a.b", "publish c"])

    def test_result(self) -> None:
        """What the function returns is untouched: coroutines run as without tracing."""
        ended = []

        async def coroutine(event: Event) -> None:
            ended.append(event.subject)

        self.event_route("nats:a.b")(coroutine)
        self.send()
        self.send(headers={"traceparent": UNSAMPLED})
        self.assertEqual(ended, ["a.b"] * 2)


class ProgramTests(TracingTestCase):
    """Publishes that belong to no event."""

    def test_root(self) -> None:
        self.tracing.publish(self.publish)("c", b"", None, {"X": "y"}, policy="drop").callback(None)
        [span] = self.spans.ended
        self.assertIsNone(span.parent)
        self.assertEqual(
            self.published, [("c", b"", None, {"X": "y", "traceparent": traceparent(span)}, ("policy", "drop"))]
        )

    def test_current_span(self) -> None:
        """It is the parent, whatever the ratio."""
        publish = Tracing(self.spans.provider, Sampling(0.0)).publish(self.publish)
        with self.spans.provider.get_tracer("test").start_as_current_span("work"):
            publish("c", b"").callback(None)
        self.assertTrue(is_child(self.spans.one("publish c"), self.spans.one("work")))

    def test_unsampled_current_span(self) -> None:
        """Its trace goes on, unsampled."""
        publish = self.tracing.publish(self.publish)
        with Spans(ALWAYS_OFF).provider.get_tracer("test").start_as_current_span("work"):
            publish("c", b"")
        self.assertRegex(self.headers()["traceparent"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[02]$")
        self.assertEqual(self.spans.ended, [])

    def test_unsampled(self) -> None:
        publish = Tracing(self.spans.provider, Sampling(0.0)).publish(self.publish)
        publish("c", b"", "r")
        token = attach(set_value("baggage", "x"))  # a context without a span
        publish("d", b"", None, {"X": "y"})
        detach(token)
        self.assertEqual(self.published, [("c", b"", "r", None), ("d", b"", None, {"X": "y"})])

    def test_max_rate(self) -> None:
        """Traces begin so often at most, those of messages and publishes together. One that goes on is not counted."""
        self.tracing = Tracing(self.spans.provider, max_rate=2)
        publish = self.tracing.publish(self.publish)
        self.event_route("nats:a.b")(lambda event: None)
        runner = self.runner()
        sampled = encode_headers({"traceparent": SAMPLED})
        for block in (b"", sampled, b"", sampled, b"", sampled):
            runner.on_msg(Event(Address("a.b", 1), b"", block))
        publish("c", b"")
        self.assertEqual(len(self.spans.ended), 5)
