"""
natsroute with tracing, else as in :mod:`~benchmarks.peers.natsroute_peer`. The sampler wants one message in a hundred.
Its spans are batched and serialised as for a collector, and then dropped.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from benchmarks.peers import Peer, natsroute_peer

RATIO = 0.01


def _missing() -> str:
    needed = "opentelemetry.exporter.otlp.proto"
    has = find_spec("opentelemetry") is not None and find_spec("opentelemetry.exporter") is not None
    return "" if has and find_spec(needed) else "OpenTelemetry is not installed (pip install 'natsroute[tracing]')"


PEER = Peer(
    f"natsroute with OpenTelemetry, {RATIO:.0%} of the messages sampled",
    roles=natsroute_peer.PEER.roles,
    missing=_missing,
    by_default=False,
)


def _provider() -> Any:
    """A ``TracerProvider`` that does all that an export costs this process, but the request."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class Serialise(SpanExporter):
        """Serialises spans, and drops them."""

        def export(self, spans: Any) -> SpanExportResult:
            encode_spans(spans).SerializeToString()
            return SpanExportResult.SUCCESS

    provider = TracerProvider(ALWAYS_ON)
    provider.add_span_processor(BatchSpanProcessor(Serialise()))
    return provider


if __name__ == "__main__":
    natsroute_peer.SETTINGS["tracing_sample_ratio"] = RATIO
    natsroute_peer.ARGUMENTS["tracer_provider"] = _provider()
    natsroute_peer.main()
