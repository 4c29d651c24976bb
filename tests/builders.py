"""A small shop to test with: one channel, two warehouses, one article; and orders for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from argosy.catalog.v1 import channels_service_pb2, item_pb2, items_service_pb2
from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import new_id
from gateway.calls import Calls

OTHER = (("argosy-actor", "somebody-else"),)


def address(house: str) -> address_pb2.Address:
    """Returns an address; each house is a buyer of its own."""
    lines = [f"Main Street 1, {house}"]
    return address_pb2.Address(name="A. Customer", lines=lines, locality="Berlin", postal_code="10115", country_code="DE")


async def eventually(look: Callable[[], Awaitable[Any]], within_s: float = 60.0) -> Any:
    """Looks until there is something; fails with the last look otherwise."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while True:
        found = await look()
        if found:
            return found
        assert loop.time() < end, f"still nothing after {within_s} s"
        await asyncio.sleep(0.03)


async def publish_item(calls: Calls, sku: str = "MUG-1", **values: Any) -> str:
    """Takes an article through its governed life and returns its id."""
    given = {
        "sku": sku, "name": f"Thing {sku}", "brand": "Harbour", "tax_class": "standard", "weight_g": 500, "hs_code": "691200",
        "origin_country_code": "PT", "standard_cost_minor": 400, "cost_currency_code": "EUR", **values,
    }  # fmt: skip
    item = await calls.items.CreateItem(items_service_pb2.CreateItemRequest(request_id=new_id(), item=item_pb2.ItemInput(**given)))
    await calls.items.SubmitItem(items_service_pb2.SubmitItemRequest(request_id=new_id(), item_id=item.item_id))
    await calls.items.ApproveItem(items_service_pb2.ApproveItemRequest(request_id=new_id(), item_id=item.item_id), metadata=OTHER)
    await calls.items.PublishItem(items_service_pb2.PublishItemRequest(request_id=new_id(), item_id=item.item_id))
    return str(item.item_id)


async def receive(calls: Calls, item_id: str, location_id: str, quantity: int, value_minor: int, **said: Any) -> None:
    """Takes opening stock in, waiting for inventory to know the article."""

    async def attempt() -> bool:
        line = stock_service_pb2.ReceiptLine(item_id=item_id, quantity=quantity, value_minor=value_minor, **said)
        request = stock_service_pb2.ReceiveStockRequest(
            request_id=new_id(), location_id=location_id, kind=stock_service_pb2.RECEIPT_KIND_OPENING, lines=[line]
        )
        try:
            await calls.stock.ReceiveStock(request)
        except NotFound:
            return False
        return True

    await eventually(attempt)


async def open_shop(calls: Calls, stock: dict[str, int], *, sku: str = "MUG-1") -> str:
    """Sets up a channel, the locations of `stock`, tax, a rate and an article at 4.00 each; returns the article's id."""
    await calls.sales_channels.CreateChannel(
        channels_service_pb2.CreateChannelRequest(request_id=new_id(), channel_id="web", name="Web", currency_code="EUR", entity="DE01")
    )
    for location_id in stock:
        await calls.stock.CreateLocation(
            stock_service_pb2.CreateLocationRequest(
                request_id=new_id(), location_id=location_id, name=location_id, kind=stock_pb2.LOCATION_KIND_WAREHOUSE, entity="DE01",
                country_code="DE", currency_code="EUR",
            )
        )  # fmt: skip
    await calls.finance.SetTaxRate(
        finance_service_pb2.SetTaxRateRequest(request_id=new_id(), country_code="DE", rate_ppm=190_000, valid_from="2020-01-01")
    )
    await calls.fulfillment.SetRate(
        fulfillment_service_pb2.SetRateRequest(
            request_id=new_id(), carrier="PARCELCO", service="standard", base_minor=300, per_kg_minor=100, currency_code="EUR"
        )
    )
    item_id = await publish_item(calls, sku)
    for location_id, quantity in stock.items():
        await receive(calls, item_id, location_id, quantity, quantity * 400)
    return item_id


def order(number: str, quantity: int = 1, *, paid: bool = True, sku: str = "MUG-1", **values: Any) -> orders_service_pb2.CreateOrderRequest:
    """Returns an order of one line at 10.00 each, 19 % tax computed, shipping 5.00."""
    net = 1000 * quantity
    total = net + net * 19 // 100 + 595
    tender = orders_service_pb2.TenderInput(method="card", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=total)
    given: dict[str, Any] = {
        "request_id": new_id(), "channel_id": "web", "external_order_id": number, "currency_code": "EUR", "entity": "DE01",
        "ship_to": address(number), "lines": [orders_service_pb2.OrderLineInput(channel_sku=sku, quantity=quantity, amount_minor=net)],
        "tenders": [tender] if paid else [], "shipping_minor": 500, **values,
    }  # fmt: skip
    return orders_service_pb2.CreateOrderRequest(**given)


async def until_status(calls: Calls, order_id: str, *statuses: int) -> order_pb2.Order:
    """Waits until an order has one of the statuses and returns it."""

    async def look() -> order_pb2.Order | None:
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        return found if found.status in statuses else None

    return await eventually(look)  # type: ignore[no-any-return]


async def until_released(calls: Calls, order_id: str) -> list[fulfillment_pb2.FulfillmentOrder]:
    """Waits until an order is with its locations and returns its fulfilment orders."""

    async def look() -> list[fulfillment_pb2.FulfillmentOrder]:
        request = fulfillment_service_pb2.ListFulfillmentOrdersRequest(order_id=order_id)
        return list((await calls.fulfillment.ListFulfillmentOrders(request)).fulfillment_orders)

    return await eventually(look)  # type: ignore[no-any-return]


async def ship_all(calls: Calls, order_id: str, tracking_number: str = "") -> None:
    """Ships all that is released of an order."""
    for one in await until_released(calls, order_id):
        await calls.fulfillment.ConfirmShipment(
            fulfillment_service_pb2.ConfirmShipmentRequest(
                request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id, tracking_number=tracking_number
            )
        )
