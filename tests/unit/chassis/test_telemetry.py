"""Meters: a call is counted once, with how long it took, whenever somebody asks."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from chassis.runtime import telemetry


def seen(reader: InMemoryMetricReader) -> dict[str, int]:
    """Returns how many calls each instrument has, over all methods and outcomes."""
    data = reader.get_metrics_data()
    assert data is not None
    (scope,) = data.resource_metrics[0].scope_metrics
    return {
        one.name: sum(int(getattr(point, "count", 0) or getattr(point, "value", 0)) for point in one.data.data_points)
        for one in scope.metrics if one.name.startswith("argosy.rpc.")
    }  # fmt: skip


def test_calls_and_how_long_they_took_are_there_whenever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(telemetry.metrics, "get_meter", provider.get_meter)
    metrics = telemetry.Metrics()
    for number in range(3):
        metrics.answered("Reserve", "OK", 0.25 * number)
    assert seen(reader) == {"argosy.rpc.calls": 3, "argosy.rpc.duration": 3}
    for number in range(telemetry.MOST_KEPT * 2 + 5):
        metrics.answered("Reserve" if number % 2 else "GetOrder", "NOT_FOUND" if number % 3 else "OK", 0.01)
    assert seen(reader) == {"argosy.rpc.calls": telemetry.MOST_KEPT * 2 + 8, "argosy.rpc.duration": telemetry.MOST_KEPT * 2 + 8}
    provider.shutdown()
