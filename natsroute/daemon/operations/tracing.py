"""Joins tracing with the other parts of a service; or joins nothing, if the service is not traced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from twisted.application.service import IService, IServiceCollection, Service

from natsroute.client.connection import Connection
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import SettingError
from natsroute.monitoring.publish_target import Target
from natsroute.monitoring.sampling import Sampling
from natsroute.routes.outgoing import Publish, Requests
from natsroute.routes.runner import RunnerContext

if TYPE_CHECKING:
    from natsroute.monitoring.tracing import Tracing


class Worker(Protocol):
    """A publish worker, as far as tracing knows it."""

    @property
    def buffer(self) -> Any:
        """What it holds, and what its server takes: ``max_payload`` and ``takes_headers``."""


class Publisher(Protocol):
    """A publisher, as far as tracing knows it."""

    @property
    def workers(self) -> Sequence[Worker]:
        """Its workers, in the order of their connections."""

    def worker_for(self, subject: str) -> Worker:
        """The worker that publishes the messages to a subject."""


class ServiceTracing:
    """
    How a service is traced. Without tracing, it gives everything back as it was.

    :param provider: the ``TracerProvider`` of the program, or None.
    :param connections: those of the publisher's workers.
    :param environment: OpenTelemetry's variables.
    :raises SettingError: OpenTelemetry is not installed, or a variable is wrong.

    :ivar export: exports the spans; None if there is no tracing, or if the program does it.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        provider: Any,
        publisher: Publisher,
        connections: Iterable[Connection],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.export: IService | None = None
        self._tracing: Tracing | None = None
        is_disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        if provider is None and (not settings.tracing or is_disabled):
            return
        with settings.origins.in_errors():
            tracing, trace_export = _modules()
        ratio = float(settings.tracing_sample_ratio) if settings.tracing_sample_ratio else None
        if provider is None:
            sampling = Sampling.of(environment, ratio)
            export = trace_export.TraceExport(reactor, environment, settings.client_name, sampling.ratio)
            self.export, provider = export, export.provider
        else:  # its own sampler decides, unless a ratio is set
            sampling = Sampling() if ratio is None else Sampling(ratio)
        connection_of = {id(worker): connection for worker, connection in zip(publisher.workers, connections)}

        def target_of(subject: str) -> Target:
            worker = publisher.worker_for(subject)
            buffer = worker.buffer
            return Target(buffer.max_payload, buffer.takes_headers, _server_of(connection_of[id(worker)]))

        self._tracing = tracing.Tracing(
            provider, sampling, target_of, max_rate=settings.tracing_max_rate, clock=reactor
        )

    def export_with(self, operations: IServiceCollection) -> None:
        """
        Let the export be a part of these services, and so start before the others, and stop after them. Afterwards,
        nothing is left in the reactor.
        """
        if self.export is not None:
            operations.addService(self.export)
        if self._tracing is not None:
            operations.addService(_Stop(self._tracing.stop))

    def publish(self, publish: Publish) -> Publish:
        """What publishes for the program, traced."""
        return publish if self._tracing is None else self._tracing.publish(publish)

    def requests(self, requests: Requests) -> Requests:
        """What sends requests for the program, traced."""
        return requests if self._tracing is None else self._tracing.requests(requests)

    def publish_for(self, publish_for: Callable[[str], Publish]) -> Callable[[str], Publish]:
        """What publishes for the route of a given name, traced, where no message is handled."""
        if self._tracing is None:
            return publish_for
        return lambda route: self.publish(publish_for(route))

    def for_connections(self, context: RunnerContext) -> RunnerContext:
        """The context of runners of connection events: there is no span of a message that a publish could be in."""
        if self._tracing is None or context.publish_for is None:
            return context
        publish_for, requests = self.publish_for(context.publish_for), self.requests(context.requests)
        return attrs.evolve(context, publish_for=publish_for, requests=requests)

    def for_consumer(self, context: RunnerContext, connection: Connection) -> RunnerContext:
        """The context of a runner of messages that come over a connection."""
        if self._tracing is None:
            return context
        return attrs.evolve(context, tracing=self._tracing.for_messages(lambda: _server_of(connection)))


class _Stop(Service):
    """
    Calls something when it stops.

    :param stop: is called.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def stopService(self) -> None:
        """Call it."""
        super().stopService()
        self._stop()


def _server_of(connection: Connection) -> tuple[str, int] | None:
    server = connection.server
    return None if server is None else (server.host, server.port)


def _modules() -> tuple[Any, Any]:
    """The modules that need OpenTelemetry: those of spans, and of their export."""
    try:
        from natsroute.daemon.operations import trace_export
        from natsroute.monitoring import tracing
    except ImportError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        problem = f"OpenTelemetry is not installed: {error}"
        raise SettingError("tracing", 1, problem, "Install it with pip install 'natsroute[tracing]'") from None
    return tracing, trace_export
