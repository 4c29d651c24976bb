"""The promise in the whole suite: told, kept with the order, moved where a location says no, and told anew where it is late."""

from typing import Any

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, promise_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, ship_all, until_released, until_status
from tests.service.stockroom import refused

RELEASED = fulfillment_pb2.FULFILLMENT_STATUS_RELEASED
ALWAYS = [holds_service_pb2.WorkingHours(weekday=day, opens="00:00", closes="24:00") for day in range(1, 8)]


async def node(calls: Calls, location_id: str, handling_days: int) -> None:
    calendar = holds_service_pb2.WorkingCalendar(time_zone="UTC", hours=ALWAYS)
    request = promise_service_pb2.SetNodeRequest(
        request_id=new_id(),
        location_id=location_id,
        calendar=calendar,
        cut_off="24:00",
        handling_days=handling_days,
        acknowledge_within_s=600,
    )
    await calls.promises.SetNode(request)


async def test_what_the_checkout_quotes_is_kept_and_a_location_that_says_no_makes_it_late(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10, "HAM": 5})
        await node(calls, "BER", 0)
        await node(calls, "HAM", 4)
        transit = promise_service_pb2.SetTransitRequest(request_id=new_id(), least_days=1, most_days=1, saturdays=True)
        await calls.promises.SetTransit(transit)
        asked = promise_service_pb2.QuotePromiseRequest(
            channel_id="web", entity="DE01", currency_code="EUR",
            destination=address_pb2.Destination(country_code="DE", postal_prefix="101"),
            lines=[fulfillment_service_pb2.PlanLine(line_id="1", item_id=item_id, quantity=2, weight_g=500)],
        )  # fmt: skip
        (quote,) = (await calls.promises.QuotePromise(asked)).quotes
        assert list(quote.location_ids) == ["BER"]

        placed = await calls.orders.CreateOrder(order("W-1", quantity=2, promised_by=quote.deliver_by))
        (first,) = await until_released(calls, placed.order_id)
        assert (first.location_id, first.handshake) == ("BER", fulfillment_pb2.HANDSHAKE_SUBMITTED)
        assert first.deliver_by == quote.deliver_by
        read = orders_service_pb2.GetOrderRequest(order_id=placed.order_id)
        found = await calls.orders.GetOrder(read)
        assert found.promised_by == found.expected_by == quote.deliver_by

        reject = fulfillment_service_pb2.RejectFulfillmentOrderRequest(
            request_id=new_id(), fulfillment_order_id=first.fulfillment_order_id, reason="the line is down"
        )
        await calls.fulfillment.RejectFulfillmentOrder(reject)

        async def moved() -> fulfillment_pb2.FulfillmentOrder | None:
            own = await until_released(calls, placed.order_id)
            return next((one for one in own if one.location_id == "HAM"), None)

        assert (await eventually(moved)).ship_by.ToMicroseconds() > first.ship_by.ToMicroseconds()

        async def late() -> order_pb2.Order | None:
            told = await calls.orders.GetOrder(read)
            return told if told.expected_by.ToMicroseconds() > told.promised_by.ToMicroseconds() else None

        assert (await eventually(late)).promised_by == quote.deliver_by
        history = (await calls.orders.ListHistory(orders_service_pb2.ListHistoryRequest(order_id=placed.order_id))).entries
        assert {"REJECTED", "DELAYED"} <= {one.kind for one in history}

        # What Berlin gave back can be sold again.
        async def free() -> bool:
            request = stock_service_pb2.GetAvailabilityRequest(item_ids=[item_id], location_ids=["BER"])
            return (await calls.stock.GetAvailability(request)).items[0].available_to_sell == 10

        await eventually(free)
        for one in await until_released(calls, placed.order_id):
            if one.status == fulfillment_pb2.FULFILLMENT_STATUS_RELEASED:
                accept = fulfillment_service_pb2.AcceptFulfillmentOrderRequest(
                    request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id
                )
                await calls.fulfillment.AcceptFulfillmentOrder(accept)
                ship = fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id)
                await calls.fulfillment.ConfirmShipment(ship)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)

        timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=placed.order_id))
        named = {entry.entry_id for entry in timeline.entries}
        assert all(set(sentence.entry_ids) <= named for sentence in timeline.story)
        assert {entry.service for entry in timeline.entries} == {"orders", "fulfillment"}
        text = " ".join(sentence.text for sentence in timeline.story)
        assert "a location would not ship it: BER: REJECTED: the line is down" in text
        assert "A parcel with 2 units left HAM" in text
        assert timeline.story[-1].text == "It is SHIPPED."

        # An order without a quote is promised what was planned first.
        other = await calls.orders.CreateOrder(order("W-2"))
        await ship_all(calls, other.order_id)
        assert (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=other.order_id))).HasField("promised_by")
        await until_status(calls, other.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks


async def handed(calls: Calls, order_id: str, location_id: str) -> fulfillment_pb2.FulfillmentOrder:
    """Returns what a location has to ship of an order, once it has it."""

    async def look() -> fulfillment_pb2.FulfillmentOrder | None:
        own = await until_released(calls, order_id)
        return next((one for one in own if one.location_id == location_id and one.status == RELEASED), None)

    return await eventually(look)  # type: ignore[no-any-return]


def named(one: fulfillment_pb2.FulfillmentOrder) -> dict[str, Any]:
    return {"request_id": new_id(), "fulfillment_order_id": one.fulfillment_order_id}


async def test_who_has_accepted_is_asked_before_an_order_is_cancelled(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        await node(calls, "BER", 0)
        placed = await calls.orders.CreateOrder(order("W-1", quantity=5))
        first = await handed(calls, placed.order_id, "BER")
        await calls.fulfillment.AcceptFulfillmentOrder(fulfillment_service_pb2.AcceptFulfillmentOrderRequest(**named(first)))
        early = fulfillment_service_pb2.RejectCancellationRequest(**named(first), reason="nobody asked")
        await refused("NOT_ASKED_BACK", calls.fulfillment.RejectCancellation(early))
        await calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=placed.order_id, reason="not wanted")
        )
        read = fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=first.fulfillment_order_id)

        async def asked() -> fulfillment_pb2.FulfillmentOrder | None:
            found = await calls.fulfillment.GetFulfillmentOrder(read)
            return found if found.handshake == fulfillment_pb2.HANDSHAKE_CANCELLATION_REQUESTED else None

        assert (await eventually(asked)).lines[0].recalling == 5
        # One leaves meanwhile; two come back, two it keeps.
        line_id = first.lines[0].line_id
        one = [fulfillment_pb2.ParcelLine(line_id=line_id, quantity=1)]
        await calls.fulfillment.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(**named(first), lines=one))
        five = [fulfillment_pb2.ParcelLine(line_id=line_id, quantity=5)]
        await refused(
            "NOT_ASKED_BACK",
            calls.fulfillment.AcceptCancellation(fulfillment_service_pb2.AcceptCancellationRequest(**named(first), lines=five)),
        )
        two = [fulfillment_pb2.ParcelLine(line_id=line_id, quantity=2)]
        found = await calls.fulfillment.AcceptCancellation(fulfillment_service_pb2.AcceptCancellationRequest(**named(first), lines=two))
        assert found.handshake == fulfillment_pb2.HANDSHAKE_CANCELLATION_ACCEPTED
        assert (found.lines[0].recalling, found.lines[0].cancelled, found.lines[0].shipped) == (0, 2, 1)

        async def told() -> order_pb2.OrderLine | None:
            line = (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))).lines[0]
            return line if line.cancelled == 2 else None

        assert (await eventually(told)).shipped == 1
        # It ships the rest, and nothing is left to do.
        await calls.fulfillment.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(**named(first)))
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await calls.fulfillment.GetFulfillmentOrder(read)).handshake == fulfillment_pb2.HANDSHAKE_CLOSED
        history = (await calls.orders.ListHistory(orders_service_pb2.ListHistoryRequest(order_id=placed.order_id))).entries
        assert {"CANCEL_ASKED", "CANCEL_DECLINED", "CANCEL_TOO_LATE", "CANCELLED"} <= {one.kind for one in history}
        assert not (await prove(calls.channels, settled=True)).breaks


async def test_what_a_location_ships_after_it_said_no_is_not_shipped_twice(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10, "HAM": 10})
        await node(calls, "BER", 0)
        await node(calls, "HAM", 0)
        placed = await calls.orders.CreateOrder(order("W-1", quantity=2))
        first = (await until_released(calls, placed.order_id))[0]
        other = {"BER": "HAM", "HAM": "BER"}[first.location_id]
        no = fulfillment_service_pb2.RejectFulfillmentOrderRequest(**named(first), reason="the line is down")
        await calls.fulfillment.RejectFulfillmentOrder(no)
        second = await handed(calls, placed.order_id, other)
        await calls.fulfillment.AcceptFulfillmentOrder(fulfillment_service_pb2.AcceptFulfillmentOrderRequest(**named(second)))
        # It ships nevertheless. What it does not say is what is in the parcel, so it is asked.
        silent = fulfillment_service_pb2.ConfirmShipmentRequest(**named(first))
        assert "name it in lines" in (await refused("NOTHING_LEFT", calls.fulfillment.ConfirmShipment(silent))).message
        lines = [fulfillment_pb2.ParcelLine(line_id=first.lines[0].line_id, quantity=2)]
        await calls.fulfillment.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(**named(first), lines=lines))
        read = fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=second.fulfillment_order_id)

        async def stopping() -> bool:
            return (await calls.fulfillment.GetFulfillmentOrder(read)).lines[0].recalling == 2

        await eventually(stopping)
        await calls.fulfillment.AcceptCancellation(fulfillment_service_pb2.AcceptCancellationRequest(**named(second)))
        found = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (found.lines[0].shipped, found.lines[0].cancelled) == (2, 0)
        # The same once more, after all: the customer has twice what was ordered, and a person knows.
        await calls.fulfillment.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(**named(second), lines=lines))
        request = holds_service_pb2.ListHoldsRequest(service="orders")

        async def held() -> holds_service_pb2.Hold | None:
            holds = (await calls.holds("orders").ListHolds(request)).holds
            return next((one for one in holds if one.reason == "SHIPPED_UNASKED"), None)

        assert "2 units left with" in (await eventually(held)).detail
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))
        assert (found.status, found.lines[0].shipped) == (order_pb2.ORDER_STATUS_SHIPPED, 2)
        timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=placed.order_id))
        text = " ".join(sentence.text for sentence in timeline.story)
        assert f"which {first.location_id} was not to ship any more, left nevertheless" in text
        assert not (await prove(calls.channels, settled=True)).breaks
