"""The demo: carries a day of trade out on a running suite, through its contracts, as channels and warehouses would."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from argosy.catalog.v1 import channels_service_pb2, item_pb2, items_service_pb2
from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import request_id
from chassis.kernel.money import proportion
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.floor import Floor
from suite.trade import CITIES, ENTITY, LOCATIONS, Article, Day, Sale

BATCH = 64
# Of so many parcels one is not brought yet.
LATE_PARCEL = 5
MOST_LINES = 500
SETUP_ACTOR = (("argosy-actor", "merchandiser"),)
CHECK_ACTOR = (("argosy-actor", "merchandising-lead"),)
TRIES = 300
RELEASED, PICKED = fulfillment_pb2.FULFILLMENT_STATUS_RELEASED, fulfillment_pb2.FULFILLMENT_STATUS_PICKED
DISPOSITIONS = (
    returns_service_pb2.DISPOSITION_RESTOCK,
    returns_service_pb2.DISPOSITION_RESTOCK,
    returns_service_pb2.DISPOSITION_RESTOCK,
    returns_service_pb2.DISPOSITION_DAMAGED,
    returns_service_pb2.DISPOSITION_SCRAP,
)
Progress = Callable[[str, int, int], None]


@dataclass
class DemoDay:
    """The day under way: what was set up and what was taken."""

    calls: Calls
    day: Day
    progress: Progress
    items: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    # What is on its way to customers.
    parcels: list[str] = field(default_factory=list)
    dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        """The first location keeps bins."""
        dice = random.Random(self.day.seed + 2)  # noqa: S311 - the same seed must make the same day
        self.floor = Floor(self.calls, LOCATIONS[0][0], self.rid, dice)

    def rid(self, *parts: object) -> str:
        """Returns the request id of a step: the same day again sends the same ids."""
        return request_id("demo", self.day.seed, *parts)

    async def run(self) -> None:
        """Carries the day out."""
        self.dice = random.Random(self.day.seed + 1)  # noqa: S311 - the same seed must make the same day
        await self.set_up()
        half = len(self.day.sales) // 2
        await self.take_orders(self.day.sales[:half], "morning orders")
        await self.work_warehouses("morning waves")
        await self.deliver("morning parcels")
        await self.take_orders(self.day.sales[half:], "afternoon orders")
        await self.work_warehouses("afternoon waves")
        await self.take_returns()

    async def set_up(self) -> None:
        """Items through their governed life, channels, locations, taxes, rates, and opening stock, of which some lies in bins."""
        calls = self.calls
        for channel_id, name in self.day.channels.items():
            await calls.sales_channels.CreateChannel(
                channels_service_pb2.CreateChannelRequest(
                    request_id=self.rid("channel", channel_id),
                    channel_id=channel_id,
                    name=name,
                    currency_code=self.day.currency_code,
                    entity=ENTITY,
                )
            )
        for location_id, country, prefix, kind in LOCATIONS:
            await calls.stock.CreateLocation(
                stock_service_pb2.CreateLocationRequest(
                    request_id=self.rid("location", location_id), location_id=location_id, name=location_id, entity=ENTITY,
                    kind=kind, country_code=country, postal_prefix=prefix, currency_code=self.day.currency_code,
                )
            )  # fmt: skip
        for country, rate_ppm in self.day.rates_ppm.items():
            # Before any order, also those of files.
            request = finance_service_pb2.SetTaxRateRequest(
                request_id=self.rid("tax", country), country_code=country, rate_ppm=rate_ppm, valid_from="2000-01-01"
            )
            await calls.finance.SetTaxRate(request)
            for carrier, base, per_kg in (("PARCELCO", 390, 60), ("SWIFTSHIP", 350, 110)):
                await calls.fulfillment.SetRate(
                    fulfillment_service_pb2.SetRateRequest(
                        request_id=self.rid("rate", carrier, country), carrier=carrier, service="standard", country_code=country,
                        base_minor=base + (0 if country == "DE" else 400), per_kg_minor=per_kg, currency_code=self.day.currency_code,
                    )
                )  # fmt: skip
        await self._set_up_items()
        await self._receive_opening_stock()
        place = self.floor.location_id
        await self.floor.open({self.items[a.sku]: a.stock[place] for a in self.day.articles if a.stock.get(place)})

    async def _set_up_items(self) -> None:
        articles = self.day.articles
        for start in range(0, len(articles), BATCH):
            chunk = articles[start : start + BATCH]
            requests = [
                items_service_pb2.CreateItemRequest(
                    request_id=self.rid("item", article.sku), item=_item_input(article, self.day.currency_code)
                )
                for article in chunk
            ]
            answer = await self.calls.items.BatchCreateItem(items_service_pb2.BatchCreateItemRequest(requests=requests))
            for article, result in zip(chunk, answer.results, strict=True):
                self.items[article.sku] = result.response.item_id
        steps: tuple[tuple[str, Any, Any, Any], ...] = (
            ("submit", self.calls.items.SubmitItem, items_service_pb2.SubmitItemRequest, SETUP_ACTOR),
            ("approve", self.calls.items.ApproveItem, items_service_pb2.ApproveItemRequest, CHECK_ACTOR),
            ("publish", self.calls.items.PublishItem, items_service_pb2.PublishItemRequest, CHECK_ACTOR),
        )
        done = 0
        for name, call, message, actor in steps:
            requests = [message(request_id=self.rid(name, sku), item_id=item_id) for sku, item_id in self.items.items()]
            await _at_once([partial(call, request, metadata=actor) for request in requests])
            done += len(requests)
            self.progress("item set-up", done, len(self.items) * len(steps))
        prices = [
            channels_service_pb2.SetPriceRequest(
                request_id=self.rid("price", a.sku),
                item_id=self.items[a.sku],
                currency_code=self.day.currency_code,
                amount_minor=a.price_minor,
            )
            for a in articles
            if a.price_minor
        ]
        await _at_once([partial(self.calls.sales_channels.SetPrice, price) for price in prices])

    async def _receive_opening_stock(self) -> None:
        for location_id, *_ in LOCATIONS:
            lines = [
                stock_service_pb2.ReceiptLine(item_id=self.items[a.sku], quantity=units, value_minor=a.cost_minor * units)
                for a in self.day.articles
                if (units := a.stock.get(location_id, 0))
            ]
            for start in range(0, len(lines), MOST_LINES):
                await self._receive(location_id, start, lines[start : start + MOST_LINES])

    async def _receive(self, location_id: str, part: int, lines: Sequence[stock_service_pb2.ReceiptLine]) -> None:
        def request(attempt: int) -> stock_service_pb2.ReceiveStockRequest:
            return stock_service_pb2.ReceiveStockRequest(
                request_id=self.rid("opening", location_id, part, attempt), location_id=location_id, reference="opening", lines=lines,
                kind=stock_service_pb2.RECEIPT_KIND_OPENING,
            )  # fmt: skip

        await receive_when_known(self.calls, request)

    async def take_orders(self, sales: Sequence[Sale], label: str) -> None:
        """Takes orders in batches; some are sent twice, some are cancelled at once."""
        for start in range(0, len(sales), BATCH):
            chunk = sales[start : start + BATCH]
            requests = [self._order(sale) for sale in chunk]
            requests += [self._order(sale, again=True) for sale in chunk if sale.twice]
            answer = await self.calls.orders.BatchCreateOrder(orders_service_pb2.BatchCreateOrderRequest(requests=requests), timeout=30)
            for request, result in zip(requests, answer.results, strict=True):
                if result.HasField("response"):
                    self.orders[request.external_order_id] = result.response.order_id
            await _at_once([partial(self._cancel, sale) for sale in chunk if sale.cancelled])
            self.progress(label, start + len(chunk), len(sales))

    def _order(self, sale: Sale, *, again: bool = False) -> orders_service_pb2.CreateOrderRequest:
        prices = {article.sku: article.price_minor for article in self.day.articles}
        lines = [
            orders_service_pb2.OrderLineInput(
                channel_sku=sku, quantity=quantity, amount_minor=prices.get(sku, 1000) * quantity,
                discount_minor=prices.get(sku, 1000) * quantity * sale.discount_percent // 100,
            )
            for sku, quantity in sale.lines
        ]  # fmt: skip
        rate_ppm = self.day.rates_ppm[sale.country_code]
        shipping = 490
        total = sum(_gross(line.amount_minor - line.discount_minor, rate_ppm) for line in lines) + _gross(shipping, rate_ppm)
        states = {"captured": order_pb2.TENDER_STATE_CAPTURED, "authorised": order_pb2.TENDER_STATE_AUTHORISED}
        tenders = (
            [orders_service_pb2.TenderInput(method="card", state=states[sale.paid], amount_minor=total)] if sale.paid in states else []
        )
        city, postcode = CITIES[sale.country_code]
        address = address_pb2.Address(
            name="A. Customer", lines=[f"Main Street {sale.number}"] if sale.address_complete else [], locality=city, postal_code=postcode,
            country_code=sale.country_code,
        )  # fmt: skip
        return orders_service_pb2.CreateOrderRequest(
            request_id=self.rid("order", sale.number, again), channel_id=sale.channel_id, external_order_id=sale.number,
            currency_code=self.day.currency_code, entity=ENTITY, ship_to=address, lines=lines, tenders=tenders, shipping_minor=shipping,
            shortage_policy=sale.policy,
        )  # fmt: skip

    async def _cancel(self, sale: Sale) -> None:
        request = orders_service_pb2.CancelOrderRequest(
            request_id=self.rid("cancel", sale.number), order_id=self.orders[sale.number], reason="customer changed their mind"
        )
        try:
            await self.calls.orders.CancelOrder(request)
        except FailedPrecondition:
            return

    async def work_warehouses(self, label: str) -> None:
        """Picks and ships what is released until nothing is on its way; a little is not found."""
        done = 0
        while waiting := await self._waiting():
            await self.floor.walk()
            to_pick = [one for one in waiting if one.status == RELEASED and one.location_id != self.floor.location_id]
            await _at_once([partial(self._pick, order) for order in to_pick])
            # What was walked is found picked the next time.
            picked = [*to_pick, *(one for one in waiting if one.status == PICKED)]
            await self._ship([order.fulfillment_order_id for order in picked])
            done += len(picked)
            self.progress(label, done, done + 1)
        self.progress(label, max(done, 1), max(done, 1))

    async def _waiting(self) -> Sequence[fulfillment_pb2.FulfillmentOrder]:
        """Returns what waits in the warehouses; where nothing does, what does once nothing is on its way."""
        if found := await self._standing():
            return found
        await prove(self.calls.channels, settled=True)
        return await self._standing()

    async def _standing(self) -> list[fulfillment_pb2.FulfillmentOrder]:
        asked = [fulfillment_service_pb2.ListFulfillmentOrdersRequest(status=one, page_size=200) for one in (RELEASED, PICKED)]
        return [one for request in asked for one in (await self.calls.fulfillment.ListFulfillmentOrders(request)).fulfillment_orders]

    async def _pick(self, order: fulfillment_pb2.FulfillmentOrder) -> None:
        lines = []
        for line in order.lines:
            left = line.quantity - line.picked - line.shorted - line.cancelled
            short = left if self.dice.random() < 0.01 else 0
            lines.append(fulfillment_service_pb2.PickedLine(line_id=line.line_id, picked=left - short, shorted=short))
        request = fulfillment_service_pb2.ConfirmPickRequest(
            request_id=self.rid("pick", order.fulfillment_order_id), fulfillment_order_id=order.fulfillment_order_id, lines=lines
        )
        try:
            await self.calls.fulfillment.ConfirmPick(request)
        except FailedPrecondition:
            return

    async def _ship(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), BATCH):
            requests = [
                fulfillment_service_pb2.ConfirmShipmentRequest(
                    request_id=self.rid("ship", one), fulfillment_order_id=one, tracking_number=f"T{one[-12:]}"
                )
                for one in ids[start : start + BATCH]
            ]
            batch = fulfillment_service_pb2.BatchConfirmShipmentRequest(requests=requests)
            results = (await self.calls.fulfillment.BatchConfirmShipment(batch, timeout=30)).results
            self.parcels += [one.response.shipment_id for one in results if one.HasField("response")]

    async def deliver(self, label: str) -> None:
        """The carriers bring most of what is on its way."""
        brought = [one for index, one in enumerate(self.parcels) if index % LATE_PARCEL]
        await _at_once([partial(self._bring, shipment_id) for shipment_id in brought])
        self.parcels = self.parcels[::LATE_PARCEL]
        self.progress(label, len(brought), len(brought))

    async def _bring(self, shipment_id: str) -> None:
        await self.calls.fulfillment.RecordTracking(
            fulfillment_service_pb2.RecordTrackingRequest(
                request_id=self.rid("bring", shipment_id), shipment_id=shipment_id, status="DELIVERED"
            )
        )

    async def take_returns(self) -> None:
        """Some of what shipped comes back: received, judged, restocked or written off, refunded."""
        shipped: list[order_pb2.Order] = []
        for status in (order_pb2.ORDER_STATUS_DELIVERED, order_pb2.ORDER_STATUS_SHIPPED):
            shipped += (await self.calls.orders.ListOrders(orders_service_pb2.ListOrdersRequest(status=status, page_size=500))).orders
        chosen = [order for order in shipped if order.captured_minor and self.dice.random() < 0.08]
        for index, header in enumerate(chosen):
            await self._return(header.order_id)
            self.progress("returns", index + 1, len(chosen))

    async def _return(self, order_id: str) -> None:
        order = await self.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        line = self.dice.choice([one for one in order.lines if one.shipped])
        returns = self.calls.returns
        asked = await returns.AuthorizeReturn(
            returns_service_pb2.AuthorizeReturnRequest(
                request_id=self.rid("rma", order_id), order_id=order_id, location_id="BER",
                lines=[returns_service_pb2.ReturnLineInput(line_id=line.line_id, quantity=line.shipped, reason="NOT_AS_EXPECTED")],
            )
        )  # fmt: skip
        if asked.status != returns_service_pb2.RETURN_STATUS_AUTHORIZED:
            return
        await self.receive_and_judge(asked, self.dice.choice(DISPOSITIONS))

    async def receive_and_judge(self, asked: returns_service_pb2.Return, disposition: returns_service_pb2.Disposition.ValueType) -> None:
        """All of a return comes in and gets one disposition."""
        return_id = asked.return_id
        received = [returns_service_pb2.ReceivedLine(line_id=line.line_id, quantity=line.quantity) for line in asked.lines]
        await self.calls.returns.ReceiveReturn(
            returns_service_pb2.ReceiveReturnRequest(request_id=self.rid("receive", return_id), return_id=return_id, lines=received)
        )
        judged = [
            returns_service_pb2.InspectedLine(line_id=line.line_id, quantity=line.quantity, disposition=disposition) for line in asked.lines
        ]
        await self.calls.returns.InspectReturn(
            returns_service_pb2.InspectReturnRequest(request_id=self.rid("inspect", return_id), return_id=return_id, lines=judged)
        )


def _item_input(article: Article, currency_code: str) -> item_pb2.ItemInput:
    return item_pb2.ItemInput(
        sku=article.sku, name=article.name, brand="Harbour", tax_class="standard", weight_g=article.weight_g, hs_code="691200",
        origin_country_code="PT", standard_cost_minor=article.cost_minor, cost_currency_code=currency_code,
        restricted_countries=article.restricted,
    )  # fmt: skip


def _gross(net_minor: int, rate_ppm: int) -> int:
    return net_minor + proportion(net_minor * rate_ppm, 1, 1_000_000)


async def receive_when_known(calls: Calls, request: Callable[[int], stock_service_pb2.ReceiveStockRequest]) -> None:
    """Receives, again under another id while the items are still on their way from catalog to inventory."""
    for attempt in range(TRIES):
        try:
            await calls.stock.ReceiveStock(request(attempt))
        except NotFound:
            await asyncio.sleep(0.1)
        else:
            return
    raise RuntimeError(f"inventory does not know the items after {TRIES} tries")


async def _at_once(calls: Sequence[Callable[[], Awaitable[Any]]]) -> None:
    for start in range(0, len(calls), BATCH):
        await asyncio.gather(*(call() for call in calls[start : start + BATCH]))
