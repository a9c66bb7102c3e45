"""natsroute.daemon.operations.tracing"""

from __future__ import annotations

import sys
from typing import Any
from unittest import mock

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.daemon.operations.tracing import ServiceTracing
from natsroute.daemon.settings.sources import Origins
from natsroute.errors import SettingError
from natsroute.routes.concurrency import unchanged
from natsroute.routes.event import Event
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder
from tests.support.memory_reactor import Reactor
from tests.support.spans import Spans


class ServiceTracingTests(SynchronousTestCase):
    """How a service is joined with tracing."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.event_route = EventRoutes()

    def service(self, provider: Any = None, **settings: Any) -> NatsrouteService:
        self.event_route("nats:a")(lambda event: event.publish("b", b"x"))
        self.event_route("nats:connected")(lambda event: event.publish("c", b""))
        return NatsrouteService(
            Settings(subject_queue_group="a:q", **settings),
            self.event_route,
            reactor=self.reactor,
            tracer_provider=provider,
        )

    def test_off(self) -> None:
        """Nothing is between a message and its route, and between a route and the publisher."""
        service = self.service()
        self.assertEqual(service.publish, service.publisher.publish)
        self.assertIs(service._runner_context.outermost, unchanged)
        [consumer] = service.consumers
        expected = attrs.evolve(service._runner_context, answer=consumer.runner._context.answer)
        self.assertEqual(consumer.runner._context, expected)
        self.assertEqual(service._runner_context.publish_for, service.publisher.publish_for)
        self.assertIsNone(service._tracing.export)

    def test_disabled(self) -> None:
        """OpenTelemetry's own switch is stronger than the setting."""
        service = self.service()
        tracing = ServiceTracing(
            self.reactor, Settings(tracing=True), None, service.publisher, [], {"OTEL_SDK_DISABLED": "True"}
        )
        self.assertIsNone(tracing.export)
        publish = service.publish
        self.assertEqual(tracing.publish(publish), publish)

    def test_setting(self) -> None:
        """The service exports; the exporter is a part of its operations."""
        with mock.patch.dict("os.environ", {"OTEL_TRACES_EXPORTER": "none", "OTEL_TRACES_SAMPLER": "always_off"}):
            service = self.service(tracing=True)
        export = service._tracing.export
        assert export is not None
        self.assertIn(export, list(service._operations))
        self.assertNotEqual(service.publish, service.publisher.publish)

    def test_variables(self) -> None:
        """A wrong one is an error when the service is made."""
        with mock.patch.dict("os.environ", {"OTEL_TRACES_SAMPLER": "sometimes"}):
            self.assertRaises(SettingError, self.service, tracing=True)
        for ratio in ("x", 2, -0.1, "nan"):
            error = self.assertRaises(SettingError, Settings, tracing_sample_ratio=ratio)
            self.assertIn("it is not a number from 0 to 1. Give a number such as 0.01", str(error))
        for given, expected in [("0.5", "0.5"), ("0", "0.0"), ("1", "1.0"), ("", "")]:
            self.assertEqual(Settings(tracing_sample_ratio=given).tracing_sample_ratio, expected)

    def test_not_installed(self) -> None:
        """The error says what to install."""
        modules = dict.fromkeys(
            ["opentelemetry", "natsroute.monitoring.tracing", "natsroute.daemon.operations.trace_export"]
        )
        with mock.patch.dict(sys.modules, modules):
            for name in ("monitoring.tracing", "daemon.operations.trace_export"):
                del sys.modules[f"natsroute.{name}"]
            # The packages still have the modules as attributes, which the import would find.
            import natsroute.daemon.operations
            import natsroute.monitoring

            with mock.patch.dict(vars(natsroute.daemon.operations)), mock.patch.dict(vars(natsroute.monitoring)):
                vars(natsroute.daemon.operations).pop("trace_export", None)
                vars(natsroute.monitoring).pop("tracing", None)
                origins = Origins({"tracing": "--tracing"})
                error = self.assertRaises(SettingError, self.service, tracing=True, origins=origins)
        self.assertIn("tracing = 1 (from --tracing): OpenTelemetry is not installed", str(error))
        self.assertIn("pip install 'natsroute[tracing]'", str(error))

    def test_provider(self) -> None:
        """A program's provider traces messages, what their routes publish, and the publishes of connection events."""
        spans = Spans()
        service = self.service(spans.provider)
        service.publisher.start()
        [consumer] = service.consumers
        consumer.runner.on_msg(Event(Address("a", 1), b"xyz"))
        service._versions.events[-1]._runner.fire("nats:connected", "nats://127.0.0.1")
        service.publisher.stop(0)
        self.reactor.advance(1)
        self.assertEqual(sorted(spans.names), ["process a", "publish b", "publish c"])
        self.assertNotIn("server.address", spans.one("process a").attributes or {})  # there is no connection
        self.assertIsNone(spans.one("publish c").parent)
        self.flushLoggedErrors()

    def test_ratio_of_a_provider(self) -> None:
        spans = Spans()
        service = self.service(spans.provider, tracing_sample_ratio="0")
        service.publisher.start()
        [consumer] = service.consumers
        consumer.runner.on_msg(Event(Address("a", 1), b"xyz"))
        self.assertEqual(spans.names, [])

    def test_rest(self) -> None:
        """While no trace may begin, messages go another way; when one may, they are traced again."""
        spans = Spans()
        LogRecorder(self)
        self.event_route("nats:b")(lambda event: None)
        service = self.service(spans.provider, tracing_max_rate=1)
        [consumer] = service.consumers
        for expected in (1, 1, 1):
            consumer.source.deliver(Event(Address("b", 1), b"xyz"))
            self.assertEqual(spans.names.count("process b"), expected)
        self.assertIn("b", consumer.source.ways)
        self.reactor.advance(1)
        for expected in (2, 2):
            consumer.source.deliver(Event(Address("b", 1), b"xyz"))
            self.assertEqual(spans.names.count("process b"), expected)
        self.assertIn("b", consumer.source.ways)
        service._operations.startService()
        service._operations.stopService()
        self.assertNotIn("b", consumer.source.ways)
        self.flushLoggedErrors()
