"""In-store pickup: sourced where the customer comes, ready, told, collected in parts; what nobody comes for goes back to stock."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_pb2, fulfillment_service_pb2, parcels_service_pb2, promise_service_pb2
from argosy.gateway.v1 import notices_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.clock import DAY, from_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.bus import Delivery
from chassis.runtime.component import Component
from chassis.runtime.contracts import event_type
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from chassis.runtime.work import Cause
from gateway.app.prove import prove
from gateway.calls import Calls
from services.fulfillment.app import pickup
from services.fulfillment.store.tables import FULFILLMENT_ORDERS
from suite.up import Suite, running_suite
from tests.builders import address, eventually, open_shop, order, until_released, until_status
from tests.mailbox import taking_mail
from tests.service.stockroom import refused
from tests.suite.test_notices import route, words

ALWAYS = [holds_service_pb2.WorkingHours(weekday=day, opens="00:00", closes="24:00") for day in range(1, 8)]


async def open_store(calls: Calls) -> None:
    """The store keeps what is collected for three days."""
    node = promise_service_pb2.SetNodeRequest(
        request_id=new_id(), location_id="STORE", calendar=holds_service_pb2.WorkingCalendar(time_zone="UTC", hours=ALWAYS),
        cut_off="24:00", pickup_days=3,
    )  # fmt: skip
    await calls.promises.SetNode(node)
    place = address_pb2.Address(company="Harbour Store", lines=["Quay 7"], postal_code="20457", locality="Hamburg", country_code="DE")
    await calls.parcels.SetOrigin(parcels_service_pb2.SetOriginRequest(request_id=new_id(), location_id="STORE", address=place))


async def check_quote(calls: Calls, item_id: str) -> None:
    """What is collected costs no parcel and is there when it is ready."""
    asked = promise_service_pb2.QuotePromiseRequest(
        channel_id="web", entity="DE01", currency_code="EUR", destination=address_pb2.Destination(country_code="DE"),
        lines=[fulfillment_service_pb2.PlanLine(line_id="1", item_id=item_id, quantity=3, weight_g=500)], methods=["pickup"],
        pickup_location_id="STORE",
    )  # fmt: skip
    (quote,) = (await calls.promises.QuotePromise(asked)).quotes
    assert (list(quote.location_ids), quote.shipping_cost_minor, quote.deliver_by) == (["STORE"], 0, quote.ship_by)


async def available(calls: Calls, item_id: str) -> int:
    request = stock_service_pb2.GetAvailabilityRequest(item_ids=[item_id], location_ids=["STORE"])
    return int((await calls.stock.GetAvailability(request)).items[0].available_to_sell)


async def until_available(calls: Calls, item_id: str, quantity: int) -> None:
    """Waits until so many are there."""

    async def back() -> bool:
        return await available(calls, item_id) == quantity

    await eventually(back)


async def not_late_before(suite: Suite, order_id: str, moment: int) -> None:
    """The order does not miss its parcel before the customer's days are over."""
    orders = suite.running["orders"].component

    async def waits() -> bool:
        async with orders.database.read() as tx:
            (timer,) = await tx.find(orders.service.tables.timers, ("process_id", "name"), [(order_id, "ship")])
        return bool(timer.due_at == moment)

    await eventually(waits)


async def test_a_customer_collects_some_and_the_rest_goes_back_after_its_days(settings: Settings) -> None:
    with taking_mail() as (mailbox, url):
        async with running_suite(settings.model_copy(update={"smtp_url": url})) as suite:
            calls = Calls(suite.channels)
            item_id = await open_shop(calls, {"BER": 50, "STORE": 5})
            await open_store(calls)
            await calls.notices.SetNoticeRoute(
                route(kinds=[notices_service_pb2.NOTICE_KIND_READY_FOR_PICKUP, notices_service_pb2.NOTICE_KIND_SHIPPED])
            )
            await check_quote(calls, item_id)
            ship_to = address("1")
            ship_to.email = "ada@example.com"
            placed = await calls.orders.CreateOrder(
                order("W-1", 3, ship_to=ship_to, pickup_location_id="STORE", shipping_method="pickup", language="en")
            )
            (work,) = await until_released(calls, placed.order_id)
            assert (work.location_id, work.pickup) == ("STORE", True)
            (decision,) = (
                await calls.fulfillment.ListDecisions(fulfillment_service_pb2.ListDecisionsRequest(order_id=placed.order_id))
            ).decisions
            assert [(one.location_id, one.reason) for one in decision.eliminated] == [("BER", "PICKUP")]

            def named() -> dict[str, Any]:
                return {"request_id": new_id(), "fulfillment_order_id": work.fulfillment_order_id}

            collect = calls.fulfillment.ConfirmCollection
            await refused("FOR_PICKUP", calls.fulfillment.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(**named())))
            await refused("NOT_READY", collect(fulfillment_service_pb2.ConfirmCollectionRequest(**named())))
            ready = await calls.fulfillment.MarkReadyForPickup(fulfillment_service_pb2.MarkReadyForPickupRequest(**named()))
            assert ready.status == fulfillment_pb2.FULFILLMENT_STATUS_READY_FOR_PICKUP
            assert ready.collect_by.seconds - ready.ready_at.seconds == 3 * 24 * 3600
            await not_late_before(suite, placed.order_id, from_timestamp(ready.collect_by) + DAY)
            await refused(
                "READY_ALREADY", calls.fulfillment.MarkReadyForPickup(fulfillment_service_pb2.MarkReadyForPickupRequest(**named()))
            )

            async def told() -> bool:
                return bool(mailbox.taken)

            await eventually(told)
            assert mailbox.taken[0]["Subject"] == "Your order W-1 is ready for you"
            assert "this waits for you at Harbour Store, Quay 7, 20457 Hamburg:\n\n- 3 × Thing MUG-1" in words(mailbox.taken[0]).replace(
                "\r", ""
            )

            two = [fulfillment_pb2.ParcelLine(line_id=ready.lines[0].line_id, quantity=2)]
            shipment = await collect(fulfillment_service_pb2.ConfirmCollectionRequest(**named(), lines=two))
            assert (shipment.tracking_status, shipment.freight_minor, shipment.carrier) == ("DELIVERED", 0, "")
            await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_PARTIALLY_SHIPPED)
            assert await available(calls, item_id) == 2

            # Nobody comes for the third.
            fulfillment = suite.running["fulfillment"].component
            async with fulfillment.database.write() as tx:
                late = {"fulfillment_order_id": work.fulfillment_order_id, "collect_by": wall_clock() - 1}
                await tx.change(FULFILLMENT_ORDERS, ("fulfillment_order_id",), [late])
            await fulfillment.writer.run(pickup.end_pickups, Cause("clock", "end_pickups", new_id()))
            found = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_DELIVERED)
            # Its share of the shipping goes back with it.
            assert (found.lines[0].shipped, found.lines[0].cancelled, found.refunded_minor) == (2, 1, 1190 + 199)

            await until_available(calls, item_id, 3)
            read = fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=work.fulfillment_order_id)
            assert (await calls.fulfillment.GetFulfillmentOrder(read)).status == fulfillment_pb2.FULFILLMENT_STATUS_COLLECTED
            timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=placed.order_id))
            text = " ".join(sentence.text for sentence in timeline.story)
            assert "It waited at STORE for the customer" in text
            assert "The customer collected 2 units at STORE" in text
            assert "it was not collected in time" in text
            assert (await prove(suite.channels, settled=True)).breaks == []
            # What was collected is not on its way: nobody is told so, now that all that was said is heard.
            notices = (await calls.notices.ListNotices(notices_service_pb2.ListNoticesRequest(order_id=placed.order_id))).notices
            assert [one.kind for one in notices] == [notices_service_pb2.NOTICE_KIND_READY_FOR_PICKUP]


def take_together(component: Component, last: type[Message]) -> None:
    """The service takes no event of a location before the last one is there, as after a while in which it was not there itself."""
    take, kept = component.inbox.take, list[Delivery]()

    async def later(producer: str, deliveries: Sequence[Delivery]) -> None:
        if producer != "fulfillment":
            await take(producer, deliveries)
            return
        kept.extend(deliveries)
        if any(one.record.type == event_type(last).name for one in kept):
            component.inbox.take = take  # type: ignore[method-assign]
            await take(producer, kept)

    component.inbox.take = later  # type: ignore[method-assign]


async def test_what_has_left_and_arrived_before_its_order_hears_of_either_is_delivered(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"STORE": 5})
        placed = await calls.orders.CreateOrder(order("W-1", 3, pickup_location_id="STORE", shipping_method="pickup"))
        (work,) = await until_released(calls, placed.order_id)
        named = {"fulfillment_order_id": work.fulfillment_order_id}
        take_together(suite.running["orders"].component, fulfillment_events_pb2.ShipmentDelivered)
        await calls.fulfillment.MarkReadyForPickup(fulfillment_service_pb2.MarkReadyForPickupRequest(request_id=new_id(), **named))
        await calls.fulfillment.ConfirmCollection(fulfillment_service_pb2.ConfirmCollectionRequest(request_id=new_id(), **named))
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_DELIVERED)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_a_store_that_has_it_not_is_a_persons_matter(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 50, "STORE": 1})
        placed = await calls.orders.CreateOrder(
            order("W-1", 2, pickup_location_id="STORE", shortage_policy=order_pb2.SHORTAGE_POLICY_SHIP_COMPLETE)
        )
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        (hold,) = (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds
        assert hold.reason == "OUT_OF_STOCK"
        assert (await prove(suite.channels, settled=True)).breaks == []
