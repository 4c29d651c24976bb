"""A suite with a day of trade behind it and something on every page of the console."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import delete, select

from argosy.catalog.v1 import item_pb2, items_service_pb2
from argosy.fulfillment.v1 import parcels_service_pb2, promise_service_pb2, warehouse_service_pb2
from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2, notices_service_pb2, subscriptions_service_pb2
from argosy.inventory.v1 import planning_service_pb2, purchasing_service_pb2, stock_pb2, stock_service_pb2
from argosy.ops.v1 import holds_service_pb2, jobs_service_pb2, ops_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.demo import DemoDay
from suite.tour import Tour, prepare
from suite.trade import make_day
from suite.up import Suite
from tests.builders import eventually, order, publish_item, receive, until_released
from tests.suite.shopify import SECRET, shopify_order, sign

ORDERS = 60
BURIED = "KeyError: 'a posting rule'"


async def live_a_day(suite: Suite, orders: int = ORDERS) -> Tour:
    """Trades a day, sets people up, and leaves a dead letter, deliveries and a subscriber who does not answer."""
    calls = Calls(suite.channels)
    await DemoDay(calls, make_day(1, orders), lambda label, done, total: None).run()
    tour = await prepare(calls, await prove(suite.channels, settled=True))
    await plan_ahead(calls)
    await work_the_floor(calls)
    await bury_event(suite)
    await deliver(calls)
    await calls.notices.SetNoticeRoute(
        notices_service_pb2.SetNoticeRouteRequest(
            request_id=new_id(),
            channel_id="web",
            via=notices_service_pb2.NOTICE_VIA_WEBHOOK,
            url="http://127.0.0.1:1/tell",
            sender_name="Harbour Goods",
            language="de",
        )
    )
    await calls.subscriptions.CreateSubscription(
        subscriptions_service_pb2.CreateSubscriptionRequest(request_id=new_id(), url="http://127.0.0.1:1/hook", description="nobody there")
    )
    await stock_up(calls, next(iter(make_day(1, 1).articles)).sku, 1)
    await eventually(partial(_tried_in_vain, calls))
    return tour


async def _tried_in_vain(calls: Calls) -> bool:
    """Whether the subscriber who does not answer was tried, so that every look at the page of a notification sees attempts."""
    found = await calls.subscriptions.ListNotifications(subscriptions_service_pb2.ListNotificationsRequest())
    return any(notification.attempts for notification in found.notifications)


async def bury_event(suite: Suite) -> str:
    """Puts a copy of the newest event that finance applied among its dead letters, and returns the event's id.

    Replayed, it is a duplicate; given up, nothing is lost: the books stay what they are.
    """
    orders, finance = (suite.running[name].component for name in ("orders", "finance"))
    outbox, parked = orders.service.tables.outbox, finance.service.tables.parked_events
    async with orders.database.read() as tx:
        said = (await tx.read(select(outbox).where(outbox.c.aggregate == "order").order_by(outbox.c.position.desc()).limit(1)))[0]
    async with finance.database.write() as tx:
        await tx.write(delete(parked).where(parked.c.event_id == said.event_id))
        await tx.insert(parked, [_dead(said)])
    return str(said.event_id)


async def exhume(suite: Suite) -> None:
    """Takes away what was buried and nobody found."""
    finance = suite.running["finance"].component
    parked = finance.service.tables.parked_events
    async with finance.database.write() as tx:
        await tx.write(delete(parked).where(parked.c.error == BURIED))


def _dead(said: Any) -> dict[str, Any]:
    now = wall_clock()
    record = ops_pb2.EventRecord(
        event_id=said.event_id, type=said.type, aggregate=said.aggregate, aggregate_id=said.aggregate_id, sequence=said.sequence,
        payload=said.payload, occurred_at=to_timestamp(said.occurred_at),
    )  # fmt: skip
    return {
        "event_id": said.event_id, "producer": "orders", "aggregate": said.aggregate, "aggregate_id": said.aggregate_id,
        "sequence": said.sequence, "record": record.SerializeToString(), "attempts": 8, "due_at": now,
        "error": BURIED, "parked_at": now, "dead_at": now,
    }  # fmt: skip


async def settled(suite: Suite) -> None:
    """Waits until nothing is on its way."""
    for _ in range(200):
        if not any((await prove(suite.channels)).in_flight.values()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("something is still on its way")


async def stock_up(calls: Calls, sku: str, quantity: int) -> None:
    """Takes units of an item in."""
    item = await calls.items.GetItem(items_service_pb2.GetItemRequest(item_id=sku))
    locations = (await calls.stock.ListLocations(stock_service_pb2.ListLocationsRequest(page_size=1))).locations
    await receive(calls, item.item_id, locations[0].location_id, quantity, quantity * 500)


async def plan_ahead(calls: Calls) -> None:
    """Sets three articles up that run low, each asked for in its own way for half a year, and plans."""
    await calls.purchasing.SetSupplier(
        purchasing_service_pb2.SetSupplierRequest(request_id=new_id(), supplier_id="ACME", name="Acme", currency_code="EUR")
    )
    locations = (await calls.stock.ListLocations(stock_service_pb2.ListLocationsRequest(page_size=1))).locations
    place, dice, days = locations[0].location_id, random.Random(3), []
    for sku, sizes in {"SOAP-1": [8, 10, 12], "TOWEL-2": [0, 0, 0, 6], "LAMP-9": [0, 1, 25, 2]}.items():
        item_id = await publish_item(
            calls, sku, supplier_id="ACME", lead_time_days=14, pack_multiple=6, reorder_policy=item_pb2.REORDER_POLICY_ORDER_UP_TO
        )
        await receive(calls, item_id, place, 5, 2500)
        for week in range(26):
            day = (datetime.now(UTC) - timedelta(days=7 * week + 2)).date().isoformat()
            days.append(planning_service_pb2.DemandDay(item_id=item_id, location_id=place, day=day, quantity=dice.choice(sizes)))
    await calls.planning.RecordPastDemand(planning_service_pb2.RecordPastDemandRequest(request_id=new_id(), days=days))
    await calls.planning.StartPlanning(planning_service_pb2.StartPlanningRequest(request_id=new_id()))
    await jobs_ended(calls, "inventory")


async def work_the_floor(calls: Calls) -> None:
    """Puts goods of one article away at the location that keeps bins, and makes a wave of an order for it."""
    locations = (await calls.stock.ListLocations(stock_service_pb2.ListLocationsRequest(page_size=1))).locations
    place = locations[0].location_id
    item_id = await publish_item(calls, "BIN-1", length_mm=90, width_mm=80, height_mm=100, weight_g=350)
    await receive(calls, item_id, place, 20, 9_000)
    for position, name in enumerate(("A-01", "A-02", "B-01"), 1):
        await calls.warehouse.SetBin(
            warehouse_service_pb2.SetBinRequest(request_id=new_id(), location_id=place, bin=name, zone=name[0], position=position)
        )
    await eventually(partial(_put_away, calls, place, item_id))
    for name, size in (("S", (200, 150, 100)), ("M", (400, 300, 200))):
        await calls.parcels.SetCarton(
            parcels_service_pb2.SetCartonRequest(
                request_id=new_id(), carton=name, length_mm=size[0], width_mm=size[1], height_mm=size[2], most_weight_g=9_000, tare_g=80
            )
        )
    for number, quantity in (("FLOOR-1", 2), ("FLOOR-2", 3)):
        placed = await calls.orders.CreateOrder(order(number, quantity, sku="BIN-1"))
        await until_released(calls, placed.order_id)
    wave = warehouse_service_pb2.CreateWaveRequest(request_id=new_id(), location_id=place)
    await calls.warehouse.CreateWave(wave)


async def order_from_a_provider(calls: Calls) -> tuple[str, str]:
    """Opens a logistics provider's house that must answer, and orders from it; returns the order and the fulfilment order."""
    place = stock_service_pb2.CreateLocationRequest(
        request_id=new_id(), location_id="3PL", name="Provider", kind=stock_pb2.LOCATION_KIND_THIRD_PARTY, entity="DE01", country_code="DE",
        currency_code="EUR",
    )  # fmt: skip
    await calls.stock.CreateLocation(place)
    always = [holds_service_pb2.WorkingHours(weekday=day, opens="00:00", closes="24:00") for day in range(1, 8)]
    calendar = holds_service_pb2.WorkingCalendar(time_zone="UTC", hours=always)
    await calls.promises.SetNode(
        promise_service_pb2.SetNodeRequest(
            request_id=new_id(), location_id="3PL", calendar=calendar, cut_off="24:00", acknowledge_within_s=3600
        )
    )
    await calls.connections.SetConnection(
        connections_service_pb2.SetConnectionRequest(
            request_id=new_id(), channel_id="provider", dialect=connections_service_pb2.DIALECT_X12_WAREHOUSE, entity="DE01",
            location_id="3PL", external_location_id="WH7", edi_own_id="ZZ:ARGOSY", edi_partner_id="01:123456789",
        )
    )  # fmt: skip
    await receive(calls, await publish_item(calls, "FAR-1"), "3PL", 10, 4_000)
    placed = await calls.orders.CreateOrder(order("FAR-1", 3, sku="FAR-1"))
    return placed.order_id, (await until_released(calls, placed.order_id))[0].fulfillment_order_id


async def order_to_collect(calls: Calls) -> str:
    """Orders an article that the customer collects in Berlin; returns the fulfilment order."""
    await receive(calls, await publish_item(calls, "NEAR-1"), "BER", 10, 4_000)
    placed = await calls.orders.CreateOrder(order("NEAR-1", 2, sku="NEAR-1", pickup_location_id="BER"))
    return (await until_released(calls, placed.order_id))[0].fulfillment_order_id


async def _put_away(calls: Calls, location_id: str, item_id: str) -> bool:
    """Says whether the goods are put away: they may not be known on the dock yet."""
    move = warehouse_service_pb2.MoveBinStockRequest(
        request_id=new_id(), location_id=location_id, item_id=item_id, quantity=15, to_bin="A-01"
    )
    try:
        await calls.warehouse.MoveBinStock(move)
    except FailedPrecondition:
        return False
    return True


async def jobs_ended(calls: Calls, service: str) -> None:
    """Waits until no job of a service runs."""
    request = jobs_service_pb2.ListJobsRequest(service=service, status=jobs_service_pb2.JOB_STATUS_RUNNING)

    async def look() -> bool:
        return not (await calls.jobs(service).ListJobs(request)).jobs

    await eventually(look, 60)


async def deliver(calls: Calls) -> None:
    """Connects Shopify, which sends an order that is understood and one that is not."""
    await calls.connections.SetConnection(
        connections_service_pb2.SetConnectionRequest(
            request_id=new_id(), channel_id="web", dialect=connections_service_pb2.DIALECT_SHOPIFY, entity="DE01", secret=SECRET
        )
    )
    for number, body in enumerate((shopify_order(700001), {"id": None})):
        content = json.dumps(body).encode()
        await calls.deliveries.TakeDelivery(
            deliveries_service_pb2.TakeDeliveryRequest(
                request_id=new_id(), channel_id="web", provider_delivery_id=f"console-{number}", topic="orders/create", content=content,
                signature=sign(content),
            )
        )  # fmt: skip
