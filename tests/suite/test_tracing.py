"""One trace covers an order from the HTTP request to the journal entry."""

import asyncio
from collections.abc import Sequence

import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from argosy.gateway.v1 import access_service_pb2
from argosy.orders.v1 import order_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import open_shop, ship_all, until_status

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ORDER = {
    "channel_id": "web", "external_order_id": "T-1", "currency_code": "EUR", "entity": "DE01", "shipping_minor": 500,
    "ship_to": {"name": "A", "lines": ["Street 1"], "locality": "Berlin", "postal_code": "10115", "country_code": "DE"},
    "lines": [{"channel_sku": "MUG-1", "quantity": 2, "amount_minor": 2000}],
    "tenders": [{"method": "card", "state": "TENDER_STATE_CAPTURED", "amount_minor": 2975}],
}  # fmt: skip


def path_to(spans: Sequence[ReadableSpan], name: str) -> list[str]:
    """Returns the names of the spans from the root to the span of a name."""
    by_id = {span.context.span_id: span for span in spans if span.context is not None}
    found = next(span for span in spans if span.name == name)
    names = [found.name]
    while found.parent is not None and found.parent.span_id in by_id:
        found = by_id[found.parent.span_id]
        names.append(found.name)
    return names[::-1]


async def test_one_trace_from_the_request_to_the_journal(sqlite_settings: Settings) -> None:
    exporter = InMemorySpanExporter()
    async with running_suite(sqlite_settings, processor=SimpleSpanProcessor(exporter)) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        key = await calls.access.CreateKey(access_service_pb2.CreateKeyRequest(request_id=new_id(), account="tester", permissions=["*"]))
        headers = {
            "Authorization": f"Bearer {key.secret}", "Idempotency-Key": new_id(), "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        }  # fmt: skip
        async with httpx.AsyncClient(base_url=f"http://{sqlite_settings.host}:{sqlite_settings.http_port}") as http:
            placed = (await http.post("/v1/orders", json=ORDER, headers=headers)).json()
            unsampled = {**headers, "Idempotency-Key": new_id(), "traceparent": "00-" + "a" * 300}
            assert (await http.post("/v1/orders", json={**ORDER, "external_order_id": "T-2"}, headers=unsampled)).status_code == 200
        await ship_all(calls, placed["order_id"])
        await until_status(calls, placed["order_id"], order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []
        await asyncio.sleep(0.2)
    spans = [span for span in exporter.get_finished_spans() if span.context is not None and span.context.trace_id == int(TRACE, 16)]
    create = ["HTTP POST", "/argosy.orders.v1.OrdersService/CreateOrder"]
    assert path_to(spans, create[1]) == create
    for effect, rpc in (
        ("ResolveItems", "/argosy.catalog.v1.ItemsService/ResolveLines"),
        ("CalculateTax", "/argosy.finance.v1.FinanceService/CalculateTax"),
        ("PlanOrder", "/argosy.fulfillment.v1.FulfillmentService/BatchPlanOrder"),
        ("ReserveStock", "/argosy.inventory.v1.ReservationsService/BatchReserve"),
        ("ReleaseOrder", "/argosy.fulfillment.v1.FulfillmentService/BatchReleaseOrder"),
    ):
        assert path_to(spans, rpc) == [*create, effect, rpc]
    # What shipped is invoiced and posted within the order's own trace.
    assert path_to(spans, "finance LinesShipped") == [*create, "finance LinesShipped"]
    assert {span.context.trace_id for span in exporter.get_finished_spans() if span.context is not None} == {int(TRACE, 16)}
