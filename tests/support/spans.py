"""Spans in memory: a ``TracerProvider`` whose spans a test can look at."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON


class Spans:
    """
    The spans that have ended.

    :ivar provider: makes them.
    """

    def __init__(self, sampler: Any = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def ended(self) -> list[ReadableSpan]:
        """All of them, in the order of their ends."""
        return list(self._exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [span.name for span in self.ended]

    def one(self, name: str) -> ReadableSpan:
        """The only one of this name."""
        [found] = [span for span in self.ended if span.name == name]
        return found

    def clear(self) -> None:
        """Forget them."""
        self._exporter.clear()


def traceparent(span: ReadableSpan) -> str:
    """The header of what is published in a span."""
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def is_child(child: ReadableSpan, parent: ReadableSpan) -> bool:
    """Whether one span is a child of the other one, in its trace."""
    context, above, of = child.get_span_context(), child.parent, parent.get_span_context()
    assert context is not None
    assert of is not None
    return above is not None and (above.span_id, context.trace_id) == (of.span_id, of.trace_id)
