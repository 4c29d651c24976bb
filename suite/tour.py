"""What a newcomer is offered after the day: people to sign in as, and four things to try in the console."""

import secrets
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from argosy.catalog.v1 import channels_service_pb2, item_pb2, items_service_pb2
from argosy.gateway.v1 import access_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from gateway.app.proofs import record_of
from gateway.app.prove import Proof
from gateway.calls import Calls
from suite.demo import CHECK_ACTOR, SETUP_ACTOR, receive_when_known

LAST_SKU = "LAST-1"
PEOPLE = {
    "wanda": access_service_pb2.ROLE_WAREHOUSE,
    "mara": access_service_pb2.ROLE_MERCHANDISING,
    "pavel": access_service_pb2.ROLE_PURCHASING,
    "fiona": access_service_pb2.ROLE_FINANCE,
    "sam": access_service_pb2.ROLE_SUPPORT,
    "olivia": access_service_pb2.ROLE_OPERATIONS,
    "ines": access_service_pb2.ROLE_INTEGRATION,
    "ada": access_service_pb2.ROLE_ADMIN,
}


@dataclass(frozen=True)
class Tour:
    """What was prepared. Orders are ids; empty where the day has none that fits."""

    password: str
    channel_id: str
    country_code: str
    shipped_order_id: str
    open_order_id: str


async def prepare(calls: Calls, proof: Proof) -> Tour:
    """Sets people up, an item of which there is one, and finds orders to look at."""
    password = secrets.token_urlsafe(9)
    for user_id, role in PEOPLE.items():
        await calls.access.SetUser(access_service_pb2.SetUserRequest(request_id=new_id(), user_id=user_id, role=role, password=password))
    await calls.proofs.RecordProof(record_of(proof))
    channels = (await calls.sales_channels.ListChannels(channels_service_pb2.ListChannelsRequest(page_size=1))).channels
    locations = (await calls.stock.ListLocations(stock_service_pb2.ListLocationsRequest(page_size=1))).locations
    await _last_one(calls, locations[0].location_id, channels[0].currency_code)
    request = orders_service_pb2.ListOrdersRequest(status=order_pb2.ORDER_STATUS_SHIPPED, page_size=100)
    shipped = (await calls.orders.ListOrders(request)).orders
    whole = [order for order in shipped if not order.refunded_minor]
    return Tour(
        password, channels[0].channel_id, locations[0].country_code, shipped[0].order_id if shipped else "",
        whole[-1].order_id if whole else "",
    )  # fmt: skip


async def _last_one(calls: Calls, location_id: str, currency_code: str) -> None:
    """Publishes an item and takes one unit of it in."""
    given = item_pb2.ItemInput(
        sku=LAST_SKU, name="The last one", brand="Harbour", tax_class="standard", weight_g=400, hs_code="691200", origin_country_code="PT",
        standard_cost_minor=500, cost_currency_code=currency_code,
    )  # fmt: skip
    item = await calls.items.CreateItem(items_service_pb2.CreateItemRequest(request_id=new_id(), item=given))
    await calls.items.SubmitItem(items_service_pb2.SubmitItemRequest(request_id=new_id(), item_id=item.item_id), metadata=SETUP_ACTOR)
    await calls.items.ApproveItem(items_service_pb2.ApproveItemRequest(request_id=new_id(), item_id=item.item_id), metadata=CHECK_ACTOR)
    await calls.items.PublishItem(items_service_pb2.PublishItemRequest(request_id=new_id(), item_id=item.item_id), metadata=CHECK_ACTOR)
    line = stock_service_pb2.ReceiptLine(item_id=item.item_id, quantity=1, value_minor=500)

    def request(_: int) -> stock_service_pb2.ReceiveStockRequest:
        return stock_service_pb2.ReceiveStockRequest(
            request_id=new_id(), location_id=location_id, kind=stock_service_pb2.RECEIPT_KIND_OPENING, lines=[line]
        )

    await receive_when_known(calls, request)


def show_tour(console: Console, tour: Tour, address: str) -> None:
    """Prints where to sign in, as whom, and what to try."""
    console.print(f"Sign in at {address}/console/ with the password {tour.password}", soft_wrap=True, highlight=False)
    table = Table()
    table.add_column("name")
    table.add_column("role")
    table.add_column("sees and does")
    does = {
        "wanda": "receives, picks, packs, takes returns in", "mara": "items, prices, listings", "pavel": "takes purchases in",
        "fiona": "the books", "sam": "orders, returns, holds of customers", "olivia": "everything that moves",
        "ines": "channels, deliveries, subscribers", "ada": "people and keys",
    }  # fmt: skip
    for user_id, role in PEOPLE.items():
        table.add_row(user_id, access_service_pb2.Role.Name(role).removeprefix("ROLE_").lower(), does[user_id])
    console.print(table)
    console.print("Four things to try as olivia:\n", highlight=False)
    steps = [
        f"buy the last unit twice: {address}/console/orders/new, two orders of one {LAST_SKU} on {tour.channel_id}, say numbers L-1 and "
        f"L-2, to {tour.country_code}; one is promised, the other waits with out of stock",
        f"resolve a hold: {address}/console/holds, say how, and see its order go on",
        f"follow an order to its journal entry: {address}/console/orders/{tour.shipped_order_id}, then Journal",
        f"return an item: {address}/console/orders/{tour.open_order_id}, open a return, receive it, inspect it, and find the refund booked",
    ]
    for number, step in enumerate(steps, 1):
        console.print(f"  {number}. {step}", soft_wrap=True, highlight=False)
