"""Shopify's webhooks, from the raw body to the order, its cancellation and its refunds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, ship_all, until_status
from tests.suite.shopify import SECRET, deliver, shopify_order, shopify_refund

DONE = deliveries_service_pb2.DELIVERY_STATE_DONE


@asynccontextmanager
async def shop(settings: Settings) -> AsyncIterator[tuple[Calls, httpx.AsyncClient]]:
    """A suite with a connected channel; the proof must settle when the test is done."""
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 50})
        await connect(calls, SECRET)
        async with httpx.AsyncClient(base_url=f"http://{settings.host}:{settings.http_port}", timeout=20) as http:
            yield calls, http
        assert (await prove(suite.channels, settled=True)).breaks == []


async def connect(calls: Calls, secret: str) -> None:
    await calls.connections.SetConnection(
        connections_service_pb2.SetConnectionRequest(
            request_id=new_id(), channel_id="web", dialect=connections_service_pb2.DIALECT_SHOPIFY, entity="DE01", secret=secret
        )
    )


async def found(calls: Calls, number: int) -> order_pb2.Order:
    async def look() -> order_pb2.Order | None:
        try:
            request = orders_service_pb2.FindOrderRequest(channel_id="web", external_order_id=str(number))
            return await calls.orders.FindOrder(request)
        except NotFound:
            return None

    order: order_pb2.Order = await eventually(look)
    return order


async def all_read(calls: Calls) -> list[deliveries_service_pb2.Delivery]:
    async def look() -> list[deliveries_service_pb2.Delivery] | None:
        answer = await calls.deliveries.ListDeliveries(deliveries_service_pb2.ListDeliveriesRequest())
        waiting = (deliveries_service_pb2.DELIVERY_STATE_RECEIVED, deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD)
        return None if any(one.state in waiting for one in answer.deliveries) else list(answer.deliveries)

    deliveries: list[deliveries_service_pb2.Delivery] = await eventually(look)
    return deliveries


async def open_holds(calls: Calls, count: int) -> list[holds_service_pb2.Hold]:
    async def look() -> list[holds_service_pb2.Hold] | None:
        holds = (await calls.holds("gateway").ListHolds(holds_service_pb2.ListHoldsRequest(service="gateway"))).holds
        return list(holds) if len(holds) >= count else None

    holds: list[holds_service_pb2.Hold] = await eventually(look)
    assert len(holds) == count
    return holds


async def release(calls: Calls, hold: holds_service_pb2.Hold) -> None:
    request = holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="gateway", hold_id=hold.hold_id, resolution="looked at")
    await calls.holds("gateway").ReleaseHold(request)


async def test_an_order_comes_once_however_often_it_is_delivered(settings: Settings) -> None:
    async with shop(settings) as (calls, http):
        body = shopify_order(820982911946154508)
        answers = [await deliver(http, "orders/create", body, "w-1") for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["delivery_id"] for answer in answers}) == 1
        # Two subscriptions to a topic give two deliveries of the same order.
        await deliver(http, "orders/create", body, "w-2")
        await deliver(http, "orders/paid", {**body, "updated_at": "2026-03-01T10:00:05+01:00"}, "w-3")
        order = await found(calls, 820982911946154508)
        await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_OPEN)
        assert [one.state for one in await all_read(calls)] == [DONE] * 3
        assert (order.total_minor, order.lines[0].external_line_id) == (2975, "8209829119461545081")
        assert order.captured_minor == 2975
        assert len((await calls.orders.ListOrders(orders_service_pb2.ListOrdersRequest())).orders) == 1
        await ship_all(calls, order.order_id)
        await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_SHIPPED)


async def test_what_comes_out_of_order_is_taken_in_order(settings: Settings) -> None:
    async with shop(settings) as (calls, http):
        # Authorised at first; paid later, but that comes first.
        paid = shopify_order(2, updated_at="2026-03-01T12:00:00+01:00")
        created = shopify_order(2, financial_status="authorized")
        await deliver(http, "orders/updated", paid, "w-1")
        await all_read(calls)
        await deliver(http, "orders/create", created, "w-2")
        states = {one.provider_delivery_id: one.state for one in await all_read(calls)}
        assert states == {"w-1": DONE, "w-2": deliveries_service_pb2.DELIVERY_STATE_SUPERSEDED}
        assert (await found(calls, 2)).captured_minor == 2975
        # The other way round the payment is captured when it is told.
        await deliver(http, "orders/create", shopify_order(3, financial_status="authorized"), "w-3")
        assert (await found(calls, 3)).captured_minor == 0
        await all_read(calls)
        await deliver(http, "orders/paid", shopify_order(3, updated_at="2026-03-01T12:00:00+01:00"), "w-4")
        await all_read(calls)
        assert (await found(calls, 3)).captured_minor == 2975


async def test_a_cancelled_order_does_not_ship_and_a_refund_is_booked_once(settings: Settings) -> None:
    async with shop(settings) as (calls, http):
        await deliver(http, "orders/create", shopify_order(4), "w-1")
        order = await found(calls, 4)
        refund = shopify_refund(4, 91, 2, "29.75")
        refund["refund_line_items"][0]["restock_type"] = "cancel"
        cancelled = shopify_order(
            4, cancelled_at="2026-03-01T11:00:00+01:00", updated_at="2026-03-01T11:00:00+01:00", cancel_reason="customer", refunds=[refund]
        )
        await deliver(http, "orders/cancelled", cancelled, "w-2")
        await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_CANCELLED)

        await deliver(http, "orders/create", shopify_order(5, 3), "w-3")
        kept = await found(calls, 5)
        await ship_all(calls, kept.order_id)
        await until_status(calls, kept.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        # The refund comes by its own topic and again inside the order; it is one refund.
        one = shopify_refund(5, 92, 1, "11.90")
        await deliver(http, "refunds/create", one, "w-4")
        await deliver(http, "orders/updated", shopify_order(5, 3, updated_at="2026-03-03T10:00:00+01:00", refunds=[one]), "w-5")
        assert {d.state for d in await all_read(calls)} == {DONE}
        refunds = await calls.orders.ListRefunds(orders_service_pb2.ListRefundsRequest(order_id=kept.order_id))
        assert [r.amount_minor for r in refunds.refunds] == [1190]


async def test_a_refund_that_overtakes_its_order_waits_for_it(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as (calls, http):
        await deliver(http, "refunds/create", shopify_refund(6, 93, 1, "11.90"), "w-1")
        await deliver(http, "orders/create", shopify_order(6, 3), "w-2")
        order = await found(calls, 6)

        async def given_back() -> bool:
            read = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order.order_id))
            return read.lines[0].cancelled == 1

        await eventually(given_back, within_s=40)
        await ship_all(calls, order.order_id)
        await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_SHIPPED)


async def test_what_differs_waits_for_a_person(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as (calls, http):
        await deliver(http, "orders/create", shopify_order(7, total_price="99.99"), "w-1")
        await deliver(http, "orders/create", shopify_order(8, fulfillment_status="fulfilled"), "w-2")
        holds = await open_holds(calls, 2)
        assert {hold.reason for hold in holds} == {"ORDER_REVIEW"}
        assert not (await calls.orders.ListOrders(orders_service_pb2.ListOrdersRequest())).orders
        await release(calls, next(hold for hold in holds if "fulfilled elsewhere" in hold.detail))
        order = await found(calls, 8)
        # The channel edits the lines after we took them.
        await deliver(http, "orders/updated", shopify_order(8, 5, updated_at="2026-03-02T10:00:00+01:00"), "w-3")
        assert (await open_holds(calls, 2))[-1].reason in {"ORDER_CHANGED", "ORDER_REVIEW"}
        await ship_all(calls, order.order_id)
        await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        # Shopify paid more than the unit comes to.
        await deliver(http, "refunds/create", shopify_refund(8, 94, 1, "20.00"), "w-4")
        assert "REFUND_DIFFERS" in {hold.reason for hold in await open_holds(calls, 3)}


async def test_only_what_is_signed_is_kept(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as (calls, http):
        forged = await deliver(http, "orders/create", shopify_order(9), "w-1", secret="guessed")
        assert (forged.status_code, forged.json()["reason"]) == (401, "BAD_SIGNATURE")
        nobody = await deliver(http, "orders/create", shopify_order(9), "w-1", channel_id="elsewhere")
        assert (nobody.status_code, nobody.json()["reason"]) == (404, "NO_SUCH_CONNECTION")
        assert (await http.post("/webhooks/web", content=b"{}")).json()["reason"] == "NO_HEADER"
        assert not (await calls.deliveries.ListDeliveries(deliveries_service_pb2.ListDeliveriesRequest())).deliveries
        # While a secret is exchanged, both are taken; then only the new one.
        await connect(calls, "the-next-secret")
        assert (await deliver(http, "orders/create", shopify_order(9), "w-2")).status_code == 200
        assert (await deliver(http, "orders/create", shopify_order(10), "w-3", secret="the-next-secret")).status_code == 200
        await calls.connections.SetConnection(
            connections_service_pb2.SetConnectionRequest(
                request_id=new_id(), channel_id="web", dialect=connections_service_pb2.DIALECT_SHOPIFY, entity="DE01",
                end_previous_secret=True,
            )
        )  # fmt: skip
        assert (await deliver(http, "orders/create", shopify_order(11), "w-4")).status_code == 401
        await all_read(calls)


async def test_what_nobody_understands_is_kept_and_held(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as (calls, http):
        order = shopify_order(12)
        bad = [
            b"{", b"[1]", b'"' + b"x" * 10, {**order, "line_items": [{"id": 1}]}, {**order, "currency": "EUR", "total_price": "1.234"},
            {**order, "id": None}, {**order, "financial_status": "bartered"}, {**order, "updated_at": "yesterday"}, {},
        ]  # fmt: skip
        for index, body in enumerate(bad):
            assert (await deliver(http, "orders/create", body, f"bad-{index}")).status_code == 200
        assert (await deliver(http, "products/update", {"id": 1}, "other")).status_code == 200
        # The same id with another body is another delivery.
        assert (await deliver(http, "products/update", {"id": 2}, "other")).status_code == 200
        states = [one.state for one in await all_read(calls)]
        assert states.count(deliveries_service_pb2.DELIVERY_STATE_UNREADABLE) == len(bad)
        assert states.count(deliveries_service_pb2.DELIVERY_STATE_IGNORED) == 2
        holds = await open_holds(calls, len(bad) + 1)
        assert {hold.reason for hold in holds} == {"DELIVERY_UNREADABLE", "DELIVERY_CONFLICT", "UNMAPPED_STATUS"}
        assert {(hold.queue, hold.owner_role) for hold in holds} == {("integration", "integration"), ("data", "integration")}
        kept = await calls.deliveries.GetContent(deliveries_service_pb2.GetContentRequest(delivery_id=holds[0].subject_id))
        assert kept.content
