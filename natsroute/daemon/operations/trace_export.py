"""Exporting spans, as OpenTelemetry's own variables say. Everything that waits for a collector is in other threads."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from natsroute.daemon.operations.exporter_log import ExporterLog
from natsroute.errors import SettingError
from natsroute.log import Logger

_EXPORTERS = "OTEL_TRACES_EXPORTER"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class TraceExport(Service):
    """
    A ``TracerProvider`` whose spans are exported while the service runs.

    The variables are read by OpenTelemetry itself: ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_SERVICE_NAME``,
    ``OTEL_BSP_SCHEDULE_DELAY`` and so on. Here, only the exporter is chosen.

    :param environment: has ``OTEL_TRACES_EXPORTER``, which names exporters with commas between them.
    :param name: the name of the service, if the variables give none.
    :param ratio: how many of the messages without a parent are traced; their trace ids are such that other programs
        with ``traceidratio`` and this ratio trace them too.
    :param patience: seconds that a stop waits for the spans that are left.
    :raises SettingError: there is no such exporter, or it cannot be made.

    :ivar provider: makes the tracers.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, environment: Mapping[str, str], name: str, ratio: float, *, patience: float = 5.0
    ) -> None:
        self._reactor = reactor
        self._environment = environment
        self._patience = patience
        self._exporters = list(_new_exporters(environment))  # to know of an error now
        self._processor = _Processor()
        self._exporter_log = ExporterLog()
        self.provider = TracerProvider(
            sampler=ALWAYS_ON,  # whether a message is traced was decided before
            resource=_resource(environment, name),
            shutdown_on_exit=False,
            id_generator=_SampledIds(ratio),
        )
        self.provider.add_span_processor(self._processor)

    def startService(self) -> None:
        """Start the thread of each exporter."""
        super().startService()
        self._exporter_log.install()
        exporters, self._exporters = self._exporters or list(_new_exporters(self._environment)), []
        try:
            self._processor.begin([BatchSpanProcessor(exporter) for exporter in exporters])
        except ValueError as error:  # an OTEL_BSP_... variable
            self.log.error("Spans are not exported: {reason}", reason=error)

    def stopService(self) -> Deferred[None]:
        """
        Export the spans that are left, and stop.

        :return: fires in the reactor's thread when they are exported, or after ``patience`` seconds; it never fails.
        """
        super().stopService()
        stopped: Deferred[None] = Deferred()
        batches = self._processor.end()

        def shut_down() -> None:
            for batch in batches:
                batch.shutdown()
            self._reactor.callFromThread(finish, True)

        def finish(in_time: bool) -> None:
            if stopped.called:
                return
            if in_time:
                give_up.cancel()
            else:
                self.log.error("The last spans were not exported within {seconds:.3g} s", seconds=self._patience)
            self._exporter_log.remove()
            stopped.callback(None)

        give_up = self._reactor.callLater(self._patience, finish, False)
        try:
            threading.Thread(target=shut_down, name="natsroute trace export", daemon=True).start()
        except RuntimeError:  # the system starts no more threads
            give_up.cancel()
            finish(False)
        return stopped


class _Processor(SpanProcessor):
    """Passes spans to the exporters, between a start and a stop. A provider keeps its processors for good."""

    def __init__(self) -> None:
        self._batches: list[BatchSpanProcessor] = []

    def begin(self, batches: list[BatchSpanProcessor]) -> None:
        self._batches = batches

    def end(self) -> list[BatchSpanProcessor]:
        batches, self._batches = self._batches, []
        return batches

    def on_end(self, span: ReadableSpan) -> None:
        for batch in self._batches:
            batch.on_end(span)


class _SampledIds(RandomIdGenerator):
    """Trace ids that OpenTelemetry's ``traceidratio`` sampler takes with a given ratio."""

    def __init__(self, ratio: float) -> None:
        self._bound = max(round(ratio * (1 << 64)), 2)

    def generate_trace_id(self) -> int:
        return random.getrandbits(64) << 64 | random.randrange(1, self._bound)


def _resource(environment: Mapping[str, str], name: str) -> Resource:
    given = environment.get("OTEL_SERVICE_NAME") or f"{SERVICE_NAME}=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create() if given else Resource.create({SERVICE_NAME: name})


def _new_exporters(environment: Mapping[str, str]) -> Iterator[SpanExporter]:
    names = [name.strip() for name in environment.get(_EXPORTERS, "").split(",") if name.strip()] or ["otlp"]
    for name in names:
        if name != "none":
            yield _new_exporter(name, environment)


def _new_exporter(name: str, environment: Mapping[str, str]) -> SpanExporter:
    variable, value, registered = _EXPORTERS, name, name
    if name == "otlp":
        variable = next((one for one in _PROTOCOLS if environment.get(one)), _PROTOCOLS[-1])
        value = environment.get(variable) or "http/protobuf"
        registered = _OTLP.get(value, value)
    found = list(entry_points(group="opentelemetry_traces_exporter", name=registered))
    if not found:
        problem = "no exporter of this name is installed"
        remedy = "Use otlp, console or none, or install the package that has it"
        if name == "otlp":
            problem = "no OTLP exporter for this protocol is installed"
            remedy = "Use http/protobuf, or install opentelemetry-exporter-otlp-proto-grpc for grpc"
        raise SettingError(variable, value, problem, remedy)
    try:
        exporter: SpanExporter = found[0].load()()
    except Exception as error:
        problem = f"the exporter cannot be made: {type(error).__name__}: {error}"
        raise SettingError(variable, value, problem, "Correct OpenTelemetry's variables, OTEL_…") from error
    return exporter
