"""The trace span in which a call is made, if the application uses OpenTelemetry or ddtrace.

Looked up only if the application itself has imported them.
"""

import sys
from typing import Any, NamedTuple, Optional


class SpanIds(NamedTuple):
    """In the form that DataKit receives from either tracer, so that Guance joins logs to traces by them."""

    trace_id: str
    span_id: str


def active_span() -> Optional[SpanIds]:
    """OpenTelemetry's span, else ddtrace's; None if neither is active."""
    return _of_opentelemetry() or _of_ddtrace()


def _of_opentelemetry() -> Optional[SpanIds]:
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return SpanIds(f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None


def _of_ddtrace() -> Optional[SpanIds]:
    module: Any = sys.modules.get("ddtrace.trace") or sys.modules.get("ddtrace")
    span = getattr(module, "tracer", None) and module.tracer.current_span()
    if not span:
        return None
    # DataKit's default for ddtrace: decimal, and of the trace's 128 bits the 64 that every tracer sends.
    return SpanIds(str(span.trace_id & (2**64 - 1)), str(span.span_id))
