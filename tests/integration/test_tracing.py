"""Tracing between services over a real nats-server, and its export to a collector."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any
from unittest import mock

from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread
from twisted.web.resource import Resource
from twisted.web.server import Site

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.errors import PayloadTooLargeError
from tests.support.server_case import OneServerTestCase
from tests.support.spans import Spans, is_child, traceparent

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = SAMPLED[:-1] + "0"


class Collector(Resource):
    """OTLP over HTTP: decodes what it gets."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[bytes, ExportTraceServiceRequest]] = []

    def render_POST(self, request: Any) -> bytes:
        assert request.getHeader("content-type") == "application/x-protobuf"
        self.requests.append((request.path, ExportTraceServiceRequest.FromString(request.content.read())))
        return b""

    @property
    def spans(self) -> dict[str, Any]:
        """All spans by name."""
        return {
            span.name: span
            for _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


class TracingTests(OneServerTestCase):
    """Two services, the first of which publishes for the second."""

    def setUp(self) -> Deferred[None]:
        self.spans = Spans()
        self.received: list[Event] = []
        return super().setUp()

    async def traced_service(self, event_route: EventRoutes, *subjects: str, **settings: Any) -> NatsrouteService:
        service = NatsrouteService(
            Settings(nats_url=self.url, subject_queue_group=subjects, drain_timeout=1.0, **settings),
            event_route,
            tracer_provider=self.spans.provider,
        )
        service.startService()
        self.addCleanup(service.stopService)
        await self.until(lambda: service.connected)
        return service

    async def start(self, **route: Any) -> NatsrouteService:
        """The second service, and the first with a route to be decorated."""
        last = EventRoutes()
        last("nats:second.>")(self.received.append)
        await self.traced_service(last, "second.>:q")
        return await self.traced_service(self.event_route, "first.>:q", **route)

    async def test_two_services(self) -> None:
        """Program, first service, second service: one trace, each span a child of the one before."""
        self.event_route = EventRoutes()

        @self.event_route("nats:first.*")
        async def route(event: Event) -> None:
            await event.publish("second.x", event.data)

        service = await self.start()
        await service.publish("first.a", b"xyz")
        await self.until(lambda: len(self.spans.ended) == 4)
        chain = [self.spans.one(name) for name in ("publish first.a", "process first.*", "publish second.x")]
        chain.append(self.spans.one("process second.>"))
        for parent, child in pairwise(chain):
            self.assertTrue(is_child(child, parent), child.name)
        self.assertEqual(self.received[0].headers["traceparent"], traceparent(chain[2]))
        for span in chain:
            attributes = span.attributes or {}
            self.assertEqual((attributes["server.address"], attributes["server.port"]), ("127.0.0.1", self.server.port))

    async def test_kinds_of_routes(self) -> None:
        """Deferreds, coroutines, threads and keys: what is published is a child of its message's span."""
        self.event_route = event_route = EventRoutes()
        seen = []

        @event_route("nats:first.deferred", concurrency=10)
        def deferred(event: Event) -> Deferred[None]:
            return deferLater(self.reactor, 0.01).addCallback(lambda _: event.publish("second.deferred", event.data))

        @event_route("nats:first.coroutine", key=lambda event: event.data)
        async def coroutine(event: Event) -> None:
            await deferLater(self.reactor, 0.01)
            seen.append(trace.get_current_span() is event.span)
            await service.publish("second.coroutine", event.data)  # of the service: the current span is the parent

        @event_route("nats:first.thread", thread=True, concurrency=5)
        def thread(event: Event) -> None:
            seen.append(trace.get_current_span() is event.span)
            event.publish("second.thread", event.data)
            blockingCallFromThread(self.reactor, event.publish, "second.thread", event.data)

        service = await self.start()
        for number in range(5):
            for kind in ("deferred", "coroutine", "thread"):
                service.publish(f"first.{kind}", b"%d" % (number % 2))
        await self.until(lambda: len(self.received) == 20)
        await self.until(lambda: len(self.spans.ended) == 15 + 15 + 20 + 20)
        self.assertEqual(seen, [True] * 10)
        by_id = {span.context.span_id: span for span in self.spans.ended if span.context is not None}
        for span in self.spans.ended:
            if span.name.startswith("publish second."):
                assert span.parent is not None
                parent = by_id[span.parent.span_id]
                self.assertEqual(parent.name, span.name.replace("publish second", "process first"))
                self.assertTrue(is_child(span, parent))

    async def test_failures(self) -> None:
        """A publish that fails, and the call that waits for it."""
        self.event_route = EventRoutes()
        self.event_route("nats:first.a")(lambda event: event.publish("second.a", b"x" * 2_000_000))
        service = await self.start()
        await service.publish("first.a", b"")
        await self.until(lambda: len(self.spans.ended) == 3)
        for name in ("publish second.a", "process first.a"):
            attributes = self.spans.one(name).attributes or {}
            self.assertEqual(attributes["error.type"], "natsroute.errors.PayloadTooLargeError")
        self.flushLoggedErrors(PayloadTooLargeError)

    async def test_sampling(self) -> None:
        """With a ratio of 0, only what others sample is traced; an unsampled trace goes on; else there is no header."""
        self.event_route = EventRoutes()
        self.event_route("nats:first.a")(lambda event: event.publish("second.a", b"") and None)
        service = await self.start(tracing_sample_ratio="0")
        self.spans.clear()
        for headers in ({}, {"traceparent": UNSAMPLED}, {"traceparent": SAMPLED}):
            await service.publish("first.a", b"", headers=headers)
        await self.until(lambda: len(self.received) == 3)
        await self.until(lambda: len(self.spans.ended) == 4)  # the second service begins a trace for the first message
        first, second, third = (event.headers.get("traceparent") for event in self.received)
        self.assertEqual((first, second), (None, UNSAMPLED))
        self.assertEqual(third, traceparent(self.spans.one("publish second.a")))

    async def test_largest_message(self) -> None:
        """One that only just fits is published without a header."""
        self.event_route = EventRoutes()
        service = await self.start()
        await gatherResults([service.publish("second.a", b"x" * size) for size in (1_048_576, 1_048_000)])
        await self.until(lambda: len(self.received) == 2)
        self.assertEqual(["traceparent" in event.headers for event in self.received], [False, True])


class ExportTests(OneServerTestCase):
    """``--tracing``: the spans go to a collector."""

    async def test_collector(self) -> None:
        """It gets the spans of the message and of the publish, at the latest when the service stops."""
        collector = Collector()
        port = self.reactor.listenTCP(0, Site(collector), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        event_route = EventRoutes()
        event_route("nats:in")(lambda event: event.publish("out", b"secret"))
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port.getHost().port}",
            "OTEL_SERVICE_NAME": "edge",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "1.0",
        }
        with mock.patch.dict(os.environ, variables):
            service = await self.connect_service(event_route, subject_queue_group="in", tracing=True)
            for _ in range(2):  # a service may be started again
                await service.publish("in", b"secret")
                await self.until(lambda: service.ledger().routes and service.ledger().routes[0].succeeded)
                await service.stopService()
                self.assertEqual(set(collector.spans), {"publish in", "process in", "publish out"})
                collector.requests, requests = [], collector.requests
                service.startService()
                await self.until(lambda: service.connected)
        spans = {
            span.name: span
            for _, one in requests
            for r in one.resource_spans
            for s in r.scope_spans
            for span in s.spans
        }
        self.assertEqual({path for path, _ in requests}, {b"/v1/traces"})
        names = [
            attribute.value.string_value
            for attribute in requests[0][1].resource_spans[0].resource.attributes
            if attribute.key == "service.name"
        ]
        self.assertEqual(names, ["edge"])
        self.assertEqual(len({span.trace_id for span in spans.values()}), 1)
        self.assertEqual(spans["publish out"].parent_span_id, spans["process in"].span_id)
        self.assertNotIn(b"secret", b"".join(one.SerializeToString() for _, one in requests))
