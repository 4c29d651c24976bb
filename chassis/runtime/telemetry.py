"""Traces and metrics. An unsampled call costs a string comparison; a sampled one makes real OpenTelemetry spans.

Spans and metrics leave over OTLP where OTEL_EXPORTER_OTLP_ENDPOINT is set; metrics are shown to Prometheus too.
"""

import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import start_http_server

from chassis.kernel.clock import SECOND

SAMPLED = "-01"
WELL_FORMED = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# So many durations of calls are recorded together at the latest, out of the way of those calls.
MOST_KEPT = 256
current_traceparent: ContextVar[str] = ContextVar("traceparent", default="")
_propagator = TraceContextTextMapPropagator()


class Telemetry:
    """The tracer and meter of one component."""

    def __init__(self, component: str, ratio: float, *, processor: SpanProcessor | None = None) -> None:
        self.component = component
        self._ratio = ratio
        self._random = random.Random()  # noqa: S311 - it only chooses which traces are kept
        resource = Resource.create({"service.name": f"argosy-{component}", "service.namespace": "argosy"})
        provider = TracerProvider(resource=resource)
        self._provider = provider
        if processor is not None:
            provider.add_span_processor(processor)
        elif os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = provider.get_tracer("argosy")

    def begin(self, traceparent: str) -> str:
        """Returns the traceparent of a call: the caller's, or a new one where it brought no sound one and the dice say so."""
        if WELL_FORMED.fullmatch(traceparent):
            return traceparent
        return "new" if self._ratio and self._random.random() < self._ratio else ""

    @contextmanager
    def span(self, name: str, kind: SpanKind, traceparent: str) -> Iterator[str]:
        """Opens a span below `traceparent` and yields its own; does nothing where that is not sampled."""
        if traceparent != "new" and not traceparent.endswith(SAMPLED):
            yield traceparent
            return
        parent = _propagator.extract({"traceparent": traceparent}) if traceparent != "new" else None
        with self._tracer.start_as_current_span(name, context=parent, kind=kind, attributes={"argosy.component": self.component}):
            carrier: dict[str, str] = {}
            _propagator.inject(carrier)
            token = current_traceparent.set(carrier["traceparent"])
            try:
                yield carrier["traceparent"]
            finally:
                current_traceparent.reset(token)

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()


class Metrics:
    """The instruments that every component has."""

    def __init__(self) -> None:
        meter = metrics.get_meter("argosy")
        # Kept here and shown when asked for: to add one to an instrument takes longer than to find who calls.
        self._calls: Counter[tuple[str, str]] = Counter()
        self._took: list[tuple[str, float]] = []
        meter.create_observable_counter("argosy.rpc.calls", [self._answered], description="Calls by method and outcome.")
        self._seconds = meter.create_histogram("argosy.rpc.duration", unit="s", description="How long calls took.")
        self.said = meter.create_counter("argosy.events.said", description="Events by type: orders placed, parcels shipped, refunds paid.")
        self.applied = meter.create_counter("argosy.events.applied", description="Events applied, by consumer and producer.")
        self._backlog: dict[tuple[str, str], tuple[int, float]] = {}
        meter.create_observable_gauge("argosy.backlog", [self._counts], description="What waits, by component and kind.")
        text = "For how long the oldest of what waits has, by component and kind; 0 where nothing does."
        meter.create_observable_gauge("argosy.oldest", [self._ages], unit="s", description=text)

    def answered(self, method: str, outcome: str, seconds: float) -> None:
        """Counts a call, and how long it took."""
        self._calls[method, outcome] += 1
        self._took.append((method, seconds))
        if len(self._took) >= MOST_KEPT:
            self._record()

    def _record(self) -> None:
        took, self._took = self._took, []
        for method, seconds in took:
            self._seconds.record(seconds, {"method": method})

    def _answered(self, _: CallbackOptions) -> Iterator[Observation]:
        self._record()
        for (method, outcome), count in list(self._calls.items()):
            yield Observation(count, {"method": method, "outcome": outcome})

    def waits(self, component: str, found: Mapping[str, tuple[int, int | None]], now: int) -> None:
        """Keeps how much of each kind waits in a component, and since when (microseconds), until it is asked for."""
        for key in [key for key in self._backlog if key[0] == component and key[1] not in found]:
            self._backlog[key] = (0, 0.0)
        for kind, (count, since) in found.items():
            self._backlog[component, kind] = (count, (now - since) / SECOND if since is not None else 0.0)

    def _counts(self, _: CallbackOptions) -> Iterator[Observation]:
        for (component, kind), (count, _age) in self._backlog.items():
            yield Observation(count, {"component": component, "kind": kind})

    def _ages(self, _: CallbackOptions) -> Iterator[Observation]:
        for (component, kind), (_count, age) in self._backlog.items():
            yield Observation(age, {"component": component, "kind": kind})


def set_up_metrics(port: int = 0, host: str = "127.0.0.1") -> None:
    """Installs the process' meter provider: Prometheus, on a port where one is given, and OTLP where an endpoint is set."""
    readers: list[MetricReader] = [PrometheusMetricReader()]
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    metrics.set_meter_provider(MeterProvider(metric_readers=readers))
    if port:
        start_http_server(port, host)
