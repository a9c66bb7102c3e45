"""natsroute.daemon.operations.trace_export; tests.integration.test_tracing exports to a collector"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from unittest import mock

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.operations import trace_export
from natsroute.daemon.operations.trace_export import TraceExport
from natsroute.errors import SettingError
from tests.support.log_recorder import LogRecorder


class MemoryExporter(SpanExporter):
    """Keeps the names of spans. Its shutdown waits for the test."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.may_end = threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.may_end.wait(120)


class Reactor(Clock):
    """A clock, and calls from threads, which the test makes."""

    def __init__(self) -> None:
        super().__init__()
        self.called = threading.Event()
        self.from_threads: list[Any] = []

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        self.from_threads.append((function, arguments))
        self.called.set()

    def make_call(self) -> None:
        """Wait for a call of a thread, and make it."""
        assert self.called.wait(120)
        self.called.clear()
        function, arguments = self.from_threads.pop()
        function(*arguments)


class TraceExportTests(SynchronousTestCase):
    """Spans reach the exporters between start and stop."""

    def setUp(self) -> None:
        self.exporters: list[MemoryExporter] = []
        self.reactor = Reactor()

    def export(self, environment: Mapping[str, str] = {}, name: str = "natsroute", ratio: float = 1.0) -> TraceExport:
        return TraceExport(self.reactor, environment, name, ratio, patience=5.0)

    def new_exporter(self, name: str, environment: Mapping[str, str]) -> MemoryExporter:
        self.exporters.append(MemoryExporter())
        return self.exporters[-1]

    def in_memory(self) -> TraceExport:
        """One whose exporters are in memory."""
        self.patch(trace_export, "_new_exporter", self.new_exporter)
        return self.export()

    def test_start_and_stop(self) -> None:
        """What was traced until the stop is exported. After another start, a new exporter gets the spans."""
        export = self.in_memory()
        tracer = export.provider.get_tracer("test")
        for number in (0, 1):
            tracer.start_span("not started").end()
            export.startService()
            tracer.start_span(f"span {number}").end()
            stopped = export.stopService()
            tracer.start_span("stopped").end()
            self.assertNoResult(stopped)
            self.exporters[number].may_end.set()
            self.reactor.make_call()
            self.successResultOf(stopped)
            self.assertEqual(self.exporters[number].names, [f"span {number}"])
        self.assertEqual((len(self.exporters), self.reactor.getDelayedCalls()), (2, []))

    def test_collector_that_does_not_answer(self) -> None:
        """The stop waits for it for a while. Its answer afterwards changes nothing."""
        log = LogRecorder(self)
        export = self.in_memory()
        export.startService()
        stopped = export.stopService()
        self.reactor.advance(4.9)
        self.assertNoResult(stopped)
        self.reactor.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(log.lines("error"), ["The last spans were not exported within 5 s"])
        self.exporters[0].may_end.set()
        self.reactor.make_call()

    def test_no_more_threads(self) -> None:
        """The stop does not wait for a thread that there is not."""
        log = LogRecorder(self)
        export = self.in_memory()
        export.startService()
        with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
            self.successResultOf(export.stopService())
        self.assertEqual((len(log.lines("error")), self.reactor.getDelayedCalls()), (1, []))

    def test_name(self) -> None:
        """That of the variables, else that of the service."""
        cases = [({}, "edge"), ({"OTEL_SERVICE_NAME": "a"}, "a"), ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=b"}, "b")]
        for environment, expected in cases:
            with mock.patch.dict("os.environ", environment):
                provider = self.export({**environment, "OTEL_TRACES_EXPORTER": "none"}, "edge").provider
                self.assertEqual(provider.resource.attributes["service.name"], expected)

    def test_trace_ids(self) -> None:
        """Another program whose sampler goes by the trace id traces the same messages."""
        export = self.export({"OTEL_TRACES_EXPORTER": "none"}, ratio=0.1)
        sampler, tracer = TraceIdRatioBased(0.1), export.provider.get_tracer("test")
        ids = set()
        for _ in range(200):
            context = tracer.start_span("x").get_span_context()
            self.assertTrue(context.is_valid)
            self.assertTrue(sampler.should_sample(None, context.trace_id, "x").decision.is_sampled())
            ids.add(context.trace_id)
        self.assertEqual(len(ids), 200)
        for ratio in (0.0, 1.0):  # no message is sampled, or each: whatever the id is
            self.assertGreater(
                self.export({"OTEL_TRACES_EXPORTER": "none"}, ratio=ratio).provider.id_generator.generate_trace_id(), 0
            )


class ExporterTests(SynchronousTestCase):
    """Which exporter is made."""

    def exporters(self, **environment: str) -> list[str]:
        found = trace_export._new_exporters({f"OTEL_{name}": value for name, value in environment.items()})
        return [type(exporter).__name__ for exporter in found]

    def test_exporters(self) -> None:
        self.assertEqual(self.exporters(), ["OTLPSpanExporter"])
        self.assertEqual(self.exporters(TRACES_EXPORTER="otlp,none"), ["OTLPSpanExporter"])
        self.assertEqual(self.exporters(EXPORTER_OTLP_PROTOCOL="http/protobuf"), ["OTLPSpanExporter"])
        self.assertEqual(
            self.exporters(TRACES_EXPORTER=" console , otlp "), ["ConsoleSpanExporter", "OTLPSpanExporter"]
        )
        self.assertEqual(self.exporters(TRACES_EXPORTER="none"), [])

    def test_unknown(self) -> None:
        error = self.assertRaises(SettingError, self.exporters, TRACES_EXPORTER="zipkin-like")
        self.assertIn("OTEL_TRACES_EXPORTER = 'zipkin-like': no exporter of this name is installed", str(error))
        error = self.assertRaises(SettingError, self.exporters, EXPORTER_OTLP_TRACES_PROTOCOL="http/x")
        self.assertIn("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL = 'http/x': no OTLP exporter for this protocol", str(error))

    def test_exporter_that_cannot_be_made(self) -> None:
        """Its own error is told."""

        def load() -> Any:
            raise ValueError("no such collector")

        self.patch(trace_export, "entry_points", lambda **which: [mock.Mock(load=load)])
        error = self.assertRaises(SettingError, self.exporters)
        self.assertIn("the exporter cannot be made: ValueError: no such collector", str(error))

    def test_batches_that_cannot_be_made(self) -> None:
        """OpenTelemetry says so when the service starts, which goes on without an export."""
        log = LogRecorder(self)
        with mock.patch.dict("os.environ", {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000"}):
            reactor = Reactor()
            export = TraceExport(reactor, {}, "natsroute", 1.0)
            export.startService()
        export.provider.get_tracer("test").start_span("x").end()
        [line] = log.lines("error")
        self.assertIn("Spans are not exported: max_export_batch_size must be", line)
        stopped = export.stopService()  # which takes its handler from the log of OpenTelemetry
        reactor.make_call()
        self.successResultOf(stopped)
