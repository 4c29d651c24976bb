"""Backorders in the whole suite: what is short waits for the soonest supply, is told until when, and goes out when it comes."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from argosy.catalog.v1 import item_pb2
from argosy.fulfillment.v1 import fulfillment_service_pb2
from argosy.inventory.v1 import demands_service_pb2, purchasing_service_pb2, stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.bus import Delivery
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from services.catalog.store.tables import ITEMS
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, receive, ship_all, until_released, until_status

BACKORDER = order_pb2.SHORTAGE_POLICY_BACKORDER


async def buy(calls: Calls, item_id: str, quantity: int) -> purchasing_service_pb2.PurchaseOrder:
    """Orders some at 4.00 each from a supplier who takes three days."""
    await calls.purchasing.SetSupplier(
        purchasing_service_pb2.SetSupplierRequest(
            request_id=new_id(), supplier_id="KILN", name="Kiln", currency_code="EUR", lead_time_days=3
        )
    )

    async def known() -> bool:
        request = stock_service_pb2.GetAvailabilityRequest(item_ids=[item_id])
        return not (await calls.stock.GetAvailability(request)).items[0].unknown

    await eventually(known)
    line = purchasing_service_pb2.PurchaseLineInput(item_id=item_id, quantity=quantity, unit_cost_millionths=400_000_000)
    made = await calls.purchasing.CreatePurchaseOrder(
        purchasing_service_pb2.CreatePurchaseOrderRequest(request_id=new_id(), supplier_id="KILN", location_id="HAM", lines=[line])
    )
    named: dict[str, Any] = {"purchase_order_id": made.purchase_order_id}
    await calls.purchasing.ApprovePurchaseOrder(purchasing_service_pb2.ApprovePurchaseOrderRequest(request_id=new_id(), **named))
    return await calls.purchasing.SendPurchaseOrder(purchasing_service_pb2.SendPurchaseOrderRequest(request_id=new_id(), **named))


async def take_in(calls: Calls, purchase: purchasing_service_pb2.PurchaseOrder, quantity: int) -> None:
    received = [purchasing_service_pb2.ReceivedLine(line_id=line.line_id, quantity=quantity) for line in purchase.lines]
    request = purchasing_service_pb2.ReceivePurchaseOrderRequest(
        request_id=new_id(), purchase_order_id=purchase.purchase_order_id, boxes=[purchasing_service_pb2.ReceivedBox(lines=received)]
    )
    await calls.purchasing.ReceivePurchaseOrder(request)


async def backordered(calls: Calls, order_id: str, units: int) -> order_pb2.Order:
    async def look() -> order_pb2.Order | None:
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        return found if found.lines[0].backordered == units else None

    return await eventually(look)  # type: ignore[no-any-return]


async def test_what_is_short_waits_for_the_soonest_supply_and_goes_out_when_it_comes(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 2, "HAM": 1})
        purchase = await buy(calls, item_id, 10)

        # Three are there and go; two wait for what Hamburg expects.
        placed = await calls.orders.CreateOrder(order("W-1", quantity=5, shortage_policy=BACKORDER))
        waiting = await backordered(calls, placed.order_id, 2)
        assert waiting.lines[0].waiting == 2
        assert waiting.HasField("expected_by")
        assert sum(line.quantity for one in await until_released(calls, placed.order_id) for line in one.lines) == 3
        (demand,) = (await calls.demands.ListDemands(demands_service_pb2.ListDemandsRequest(owner_id=placed.order_id))).demands
        assert (demand.location_id, demand.quantity, demand.document_id) == ("HAM", 2, purchase.purchase_order_id)

        # Another wants four, then only one of them.
        other = await calls.orders.CreateOrder(order("W-2", quantity=4, shortage_policy=BACKORDER))
        line = (await backordered(calls, other.order_id, 4)).lines[0]
        part = orders_service_pb2.LineQuantity(line_id=line.line_id, quantity=3)
        await calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=other.order_id, lines=[part], reason="one will do")
        )
        assert (await backordered(calls, other.order_id, 1)).lines[0].cancelled == 3

        await take_in(calls, purchase, 10)
        for one in (placed, other):
            await backordered(calls, one.order_id, 0)
            await ship_all_that_comes(calls, one.order_id)
            await until_status(calls, one.order_id, order_pb2.ORDER_STATUS_SHIPPED)

        # Where no supply is in sight, somebody is asked.
        late = await calls.orders.CreateOrder(order("W-3", quantity=20, shortage_policy=BACKORDER))
        found = await until_status(calls, late.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        history = (await calls.orders.ListHistory(orders_service_pb2.ListHistoryRequest(order_id=found.order_id))).entries
        assert {"BACKORDERED", "HOLD_UNKNOWN_DATE"} <= {one.kind for one in history}
        await buy(calls, item_id, 30)
        (hold,) = (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds
        assert hold.reason == "UNKNOWN_DATE"
        release = holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="bought")
        await calls.holds("orders").ReleaseHold(release)
        await until_status(calls, late.order_id, order_pb2.ORDER_STATUS_OPEN)
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks


async def test_a_kit_waits_until_its_components_are_there_and_ships_as_one(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        cup = await open_shop(calls, {"BER": 1, "HAM": 3})
        pot = await publish_item(calls, "POT-1")
        parts = [item_pb2.Component(item_id=cup, quantity=2), item_pb2.Component(item_id=pot, quantity=1)]
        await publish_item(calls, "SET-1", components=parts)
        cups, pots = await buy(calls, cup, 10), await buy(calls, pot, 10)

        placed = await calls.orders.CreateOrder(order("K-1", quantity=3, sku="SET-1", shortage_policy=BACKORDER))
        waiting = await backordered(calls, placed.order_id, 3)
        assert waiting.HasField("expected_by")
        # The cups that Hamburg has are kept for it, and nobody else is promised them.
        held = (await calls.stock.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=[cup]))).items[0]
        assert held.available_to_sell == 1
        assert not (await prove(calls.channels, settled=True)).breaks

        # One set is given up, one pot makes one set.
        part = orders_service_pb2.LineQuantity(line_id=waiting.lines[0].line_id, quantity=1)
        await calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=placed.order_id, lines=[part], reason="two will do")
        )
        assert (await backordered(calls, placed.order_id, 2)).lines[0].cancelled == 1
        await take_in(calls, pots, 1)
        await backordered(calls, placed.order_id, 1)
        assert not (await prove(calls.channels, settled=True)).breaks
        await take_in(calls, cups, 10)
        await take_in(calls, pots, 9)
        await backordered(calls, placed.order_id, 0)
        await ship_all_that_comes(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert not (await prove(calls.channels, settled=True)).breaks


async def test_an_order_of_what_inventory_has_not_heard_of_waits_until_it_has(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls, inbox, heard = Calls(suite.channels), suite.running["inventory"].component.inbox, asyncio.Event()
        cup = await open_shop(calls, {"BER": 2})
        take = inbox.take

        async def late(producer: str, deliveries: Sequence[Delivery]) -> None:
            await heard.wait()
            await take(producer, deliveries)

        inbox.take = late  # type: ignore[method-assign]
        await publish_item(calls, "PAIR-1", components=[item_pb2.Component(item_id=cup, quantity=2)])
        placed = await calls.orders.CreateOrder(order("K-1", sku="PAIR-1"))
        effects = suite.running["orders"].component.service.tables.effects

        async def asked_again() -> bool:
            async with suite.running["orders"].component.database.read() as tx:
                return any(row.attempts >= 3 for row in await tx.read(select(effects)))

        await eventually(asked_again)
        assert (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds == []
        heard.set()
        (own,) = await until_released(calls, placed.order_id)
        assert (own.location_id, own.lines[0].quantity) == ("BER", 1)


async def test_a_kit_that_wants_what_another_line_wants_too_keeps_neither_back(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        cup = await open_shop(calls, {"BER": 2})
        await publish_item(calls, "PAIR-1", components=[item_pb2.Component(item_id=cup, quantity=2)])
        lines = [orders_service_pb2.OrderLineInput(channel_sku=sku, quantity=1, amount_minor=500) for sku in ("PAIR-1", "MUG-1")]
        placed = await calls.orders.CreateOrder(order("P-1", lines=lines))
        held = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        assert [(line.reserved, line.waiting) for line in held.lines] == [(1, 0), (0, 1)]
        await ship_all(calls, placed.order_id)

        async def gone() -> bool:
            found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))
            return [line.shipped for line in found.lines] == [1, 0]

        await eventually(gone)
        assert not (await prove(calls.channels, settled=True)).breaks


async def test_a_kit_and_its_component_ship_complete_from_the_two_places_that_have_them(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        cup = await open_shop(calls, {"BER": 2, "HAM": 1})
        await publish_item(calls, "PAIR-1", components=[item_pb2.Component(item_id=cup, quantity=2)])
        lines = [orders_service_pb2.OrderLineInput(channel_sku=sku, quantity=1, amount_minor=500) for sku in ("MUG-1", "PAIR-1")]
        complete = order_pb2.SHORTAGE_POLICY_SHIP_COMPLETE
        placed = await calls.orders.CreateOrder(order("K-1", lines=lines, shortage_policy=complete))
        found = sorted((one.location_id, one.lines[0].quantity) for one in await until_released(calls, placed.order_id))
        assert found == [("BER", 1), ("HAM", 1)]
        assert not (await prove(calls.channels, settled=True)).breaks


async def ship_all_that_comes(calls: Calls, order_id: str) -> None:
    """Ships what is released until nothing of the order is open."""

    async def done() -> bool:
        for one in await until_released(calls, order_id):
            if one.status == 1:
                await ship_all_of(calls, one.fulfillment_order_id)
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        return all(line.ordered == line.shipped + line.cancelled for line in found.lines)

    await eventually(done)


async def ship_all_of(calls: Calls, fulfillment_order_id: str) -> None:
    await calls.fulfillment.ConfirmShipment(
        fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=fulfillment_order_id)
    )


async def held_back(calls: Calls, order_id: str) -> order_pb2.Order:
    """Waits until all of an order's units are reserved or wait for supply, and returns it."""

    async def look() -> order_pb2.Order | None:
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        settled = all(line.reserved + line.backordered == line.ordered for line in found.lines)
        return found if settled and found.lines[0].item_id else None

    return await eventually(look)  # type: ignore[no-any-return]


async def test_what_is_ordered_before_it_is_sold_is_kept_and_leaves_on_its_day(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 5, "HAM": 1})
        day = wall_clock() + 3 * DAY
        item_id = await publish_item(calls, "GAME-1", sellable_from=to_timestamp(day))
        await receive(calls, item_id, "BER", 2, 800)
        purchase = await buy(calls, item_id, 10)

        # What is there is reserved, what is not waits for supply, though this customer would cancel what is sold out.
        first = await calls.orders.CreateOrder(
            order("W-1", quantity=3, sku="GAME-1", shortage_policy=order_pb2.SHORTAGE_POLICY_CANCEL_SHORT)
        )
        found = await held_back(calls, first.order_id)
        assert (found.lines[0].reserved, found.lines[0].backordered, found.lines[0].released) == (2, 1, 0)
        assert found.lines[0].sellable_from.ToMicroseconds() == found.promised_by.ToMicroseconds() == day
        demands = (await calls.demands.ListDemands(demands_service_pb2.ListDemandsRequest(owner_id=first.order_id))).demands
        assert [(one.kind, one.quantity) for one in demands] == [(demands_service_pb2.DEMAND_KIND_PREORDER, 1)]
        await take_in(calls, purchase, 10)

        async def all_there() -> bool:
            return (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=first.order_id))).lines[0].reserved == 3

        await eventually(all_there)
        assert not (await calls.fulfillment.ListFulfillmentOrders(
            fulfillment_service_pb2.ListFulfillmentOrdersRequest(order_id=first.order_id)
        )).fulfillment_orders  # fmt: skip

        # The day is moved to today.
        catalog, orders = (suite.running[name].component for name in ("catalog", "orders"))
        async with catalog.database.write() as tx:
            await tx.change(ITEMS, ("item_id",), [{"item_id": item_id, "sellable_from": wall_clock() - 1}])
        timers = orders.service.tables.timers
        async with orders.database.write() as tx:
            await tx.write(timers.update().where(timers.c.name == "sale").values(due_at=wall_clock() - 1))
        assert len(await until_released(calls, first.order_id)) == 2
        await ship_all(calls, first.order_id)
        found = await until_status(calls, first.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert not found.lines[0].HasField("sellable_from")
        timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=first.order_id))
        text = " ".join(sentence.text for sentence in timeline.story)
        assert "it was ordered before it is sold: 1 line is sold from" in text
        assert "1 line is sold from now on" in text
        assert (await prove(suite.channels, settled=True)).breaks == []
