"""Lines that change after placement, in the whole suite: more, less, replaced, added; paid for, paid back, and booked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import changes_service_pb2, order_pb2, orders_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, receive, until_released, until_status
from tests.suite.test_changes import VIENNA, change, get, settled, ship_left

Line = changes_service_pb2.LineChange
ON_HOLD, SHIPPED = order_pb2.ORDER_STATUS_ON_HOLD, order_pb2.ORDER_STATUS_SHIPPED
APPLIED = changes_service_pb2.CHANGE_STATUS_APPLIED


@asynccontextmanager
async def shop(settings: Settings) -> AsyncIterator[Calls]:
    """A shop of mugs and of plates that cost 8.00, proven when it closes."""
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        await receive(calls, await publish_item(calls, "PLATE-1"), "BER", 10, 8000)
        yield calls
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks


async def with_location(calls: Calls, order_id: str, units: int) -> order_pb2.Order:
    """Waits until so many units are with locations."""

    async def look() -> order_pb2.Order | None:
        found = await get(calls, order_id)
        return found if sum(line.released for line in found.lines) == units else None

    return await eventually(look)  # type: ignore[no-any-return]


async def holds(calls: Calls) -> list[str]:
    found = await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))
    return sorted(hold.reason for hold in found.holds)


async def test_more_of_a_line_is_paid_for_and_ships(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as calls:
        placed = await calls.orders.CreateOrder(order("W-1", quantity=2))
        line_id = (await with_location(calls, placed.order_id, 2)).lines[0].line_id
        more = [Line(line_id=line_id, quantity=3)]
        impact = await calls.changes.PreviewChange(changes_service_pb2.PreviewChangeRequest(order_id=placed.order_id, lines=more))
        assert (impact.total_before_minor, impact.total_after_minor, impact.tax_after_minor) == (2975, 4165, 665)
        assert (impact.recalled_units, impact.short_units) == (2, 0)
        await change(calls, placed.order_id, lines=more)
        done = await settled(calls, placed.order_id)
        assert done.status == APPLIED
        assert [(one.quantity_before, one.quantity, one.amount_minor) for one in done.lines] == [(2, 3, 3000)]
        held = await until_status(calls, placed.order_id, ON_HOLD)
        assert (held.total_minor, held.lines[0].ordered, await holds(calls)) == (4165, 3, ["AWAITING_PAYMENT"])
        tender = orders_service_pb2.TenderInput(method="card", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=1190)
        paid = await calls.orders.AddTender(
            orders_service_pb2.AddTenderRequest(request_id=new_id(), order_id=placed.order_id, tender=tender)
        )
        assert paid.captured_minor == 4165
        await with_location(calls, placed.order_id, 3)
        assert await holds(calls) == []
        await ship_left(calls, placed.order_id)
        with pytest.raises(Refusal) as late:
            await calls.orders.AddTender(orders_service_pb2.AddTenderRequest(request_id=new_id(), order_id=placed.order_id, tender=tender))
        assert late.value.reason == "NOTHING_TO_PAY"


async def test_less_of_an_order_pays_back_what_is_not_needed(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as calls:
        lines = [
            orders_service_pb2.OrderLineInput(channel_sku=sku, quantity=2, amount_minor=2000, discount_minor=200)
            for sku in ("MUG-1", "PLATE-1")
        ]
        total = 3600 * 119 // 100 + 595
        tender = orders_service_pb2.TenderInput(method="card", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=total)
        placed = await calls.orders.CreateOrder(order("W-1", lines=lines, tenders=[tender]))
        mug, plate = (line.line_id for line in (await with_location(calls, placed.order_id, 4)).lines)
        with pytest.raises(Refusal) as nothing:
            await change(calls, placed.order_id, lines=[Line(line_id=mug), Line(line_id=plate)])
        assert nothing.value.reason == "NOTHING_LEFT"
        await change(calls, placed.order_id, lines=[Line(line_id=mug), Line(line_id=plate, quantity=1)])
        assert (await settled(calls, placed.order_id)).status == APPLIED

        async def refunded() -> order_pb2.Order | None:
            found = await with_location(calls, placed.order_id, 1)
            return found if found.refunded_minor else None

        left = await eventually(refunded)
        assert left.total_minor == 900 + 171 + 595
        assert left.refunded_minor == total - left.total_minor
        assert [(line.ordered, line.cancelled, line.amount_minor) for line in left.lines] == [(0, 0, 0), (1, 0, 1000)]
        await ship_left(calls, placed.order_id)
        assert (await get(calls, placed.order_id)).captured_minor == total
        history = await calls.orders.ListHistory(orders_service_pb2.ListHistoryRequest(order_id=placed.order_id))
        (changed,) = [entry.detail for entry in history.entries if entry.kind == "CHANGED"]
        assert changed.endswith("the customer moved (2 × MUG-1 left; 1 × PLATE-1, was 2)")


async def test_what_is_left_of_an_order_that_has_shipped_in_part_goes_elsewhere_and_changes(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as calls:
        await calls.finance.SetTaxRate(
            finance_service_pb2.SetTaxRateRequest(request_id=new_id(), country_code="AT", rate_ppm=200_000, valid_from="2020-01-01")
        )
        lines = [
            orders_service_pb2.OrderLineInput(channel_sku=sku, quantity=quantity, amount_minor=quantity * 1000, external_line_id=sku)
            for sku, quantity in (("MUG-1", 6), ("PLATE-1", 3))
        ]
        total = 9000 * 119 // 100 + 595
        tender = orders_service_pb2.TenderInput(method="card", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=total)
        placed = await calls.orders.CreateOrder(order("W-1", lines=lines, tenders=[tender]))
        mug, plate = (line.line_id for line in (await with_location(calls, placed.order_id, 9)).lines)
        # Two mugs and all plates leave, one mug is cancelled.
        (released,) = await until_released(calls, placed.order_id)
        sent = [fulfillment_pb2.ParcelLine(line_id=mug, quantity=2), fulfillment_pb2.ParcelLine(line_id=plate, quantity=3)]
        ship = fulfillment_service_pb2.ConfirmShipmentRequest(
            request_id=new_id(), fulfillment_order_id=released.fulfillment_order_id, lines=sent
        )
        await calls.fulfillment.ConfirmShipment(ship)
        await with_location(calls, placed.order_id, 4)
        one = [orders_service_pb2.LineQuantity(line_id=mug, quantity=1)]
        await calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=placed.order_id, lines=one, reason="one fewer")
        )
        before = await with_location(calls, placed.order_id, 3)
        given_back = before.refunded_minor
        assert given_back == 1190 + 56 + 11

        # What has shipped cannot change any more; the three mugs that are left become two, and go to Vienna.
        with pytest.raises(Refusal) as refused:
            await change(calls, placed.order_id, lines=[Line(line_id=plate, quantity=1)])
        assert refused.value.field == "lines[0].line_id"
        with pytest.raises(Refusal) as charged:
            await change(calls, placed.order_id, shipping_minor=100)
        assert (charged.value.reason, charged.value.field) == ("INVALID_FIELD", "shipping_minor")
        wish = {"lines": [Line(line_id=mug, quantity=2)], "ship_to": VIENNA}
        impact = await calls.changes.PreviewChange(changes_service_pb2.PreviewChangeRequest(order_id=placed.order_id, **wish))
        assert impact.total_before_minor == total - given_back
        assert impact.recalled_units == 3
        await change(calls, placed.order_id, **wish)
        assert (await settled(calls, placed.order_id)).status == APPLIED

        async def again() -> order_pb2.Order | None:
            found = await get(calls, placed.order_id)
            return found if sum(line.released for line in found.lines) == 2 else None

        left = await eventually(again)
        shown = [(line.channel_sku, line.ordered, line.shipped, line.cancelled, line.amount_minor, line.tax_minor) for line in left.lines]
        assert shown == [("MUG-1", 3, 2, 1, 2000, 380), ("PLATE-1", 3, 3, 0, 3000, 570), ("MUG-1", 2, 0, 0, 2000, 400)]
        assert left.total_minor == impact.total_after_minor
        assert {line.external_line_id for line in left.lines} == {"MUG-1", "PLATE-1"}
        # 10.00 of a mug and its tax of 1.90 go back, less 10 cents that the other two are taxed more in Austria.
        assert left.captured_minor - left.refunded_minor == left.total_minor
        await ship_left(calls, placed.order_id)
        # All of it may come back: two at German tax, two at Austrian.
        back = [orders_service_pb2.LineQuantity(line_id=line.line_id, quantity=line.ordered - line.cancelled) for line in left.lines]
        await calls.orders.RefundOrder(
            orders_service_pb2.RefundOrderRequest(
                request_id=new_id(), order_id=placed.order_id, lines=back, include_shipping=True, reason="all of it"
            )
        )

        async def refunded() -> bool:
            return (await get(calls, placed.order_id)).refunded_minor == total

        await eventually(refunded)


async def test_another_article_answers_for_one_that_is_unknown_or_sold_out(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as calls:
        unknown = await calls.orders.CreateOrder(order("W-1", sku="NOBODY-KNOWS"))
        scarce = await calls.orders.CreateOrder(order("W-2", quantity=20, sku="MUG-1", shortage_policy=order_pb2.SHORTAGE_POLICY_HOLD))

        async def both() -> bool:
            return await holds(calls) == ["OUT_OF_STOCK", "UNKNOWN_SKU"]

        await eventually(both)
        for placed, quantity in ((unknown, 1), (scarce, 5)):
            line_id = (await get(calls, placed.order_id)).lines[0].line_id
            with pytest.raises(Refusal) as refused:
                await change(calls, placed.order_id, lines=[Line(line_id=line_id, quantity=1, channel_sku="NOBODY-EITHER")])
            assert (refused.value.reason, refused.value.field) == ("UNKNOWN_SKU", "lines")
            price = quantity * 1000
            other = Line(line_id=line_id, quantity=quantity, channel_sku="PLATE-1", amount_minor=price)
            asked = changes_service_pb2.PreviewChangeRequest(order_id=placed.order_id, lines=[other])
            impact = await calls.changes.PreviewChange(asked)
            assert (impact.total_after_minor, impact.short_units) == (price * 119 // 100 + 595, 0)
            if quantity == 1:
                await change(calls, placed.order_id, lines=[other])
                assert (await settled(calls, placed.order_id)).status == APPLIED
                found = await with_location(calls, placed.order_id, 1)
                old, new = found.lines
                assert (old.ordered, new.sku, new.ordered, new.external_line_id) == (0, "PLATE-1", 1, old.external_line_id)
            else:
                # Fifteen fewer at 10.00 are more than the limit.
                waiting = await change(calls, placed.order_id, lines=[other])
                assert waiting.approval_id
                cheap = Line(line_id=line_id, quantity=20, channel_sku="PLATE-1")
                short = changes_service_pb2.PreviewChangeRequest(order_id=placed.order_id, lines=[cheap])
                assert (await calls.changes.PreviewChange(short)).short_units > 0
        await ship_left(calls, unknown.order_id)


async def test_what_a_channel_charges_follows_its_lines(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as calls:
        line = orders_service_pb2.OrderLineInput(channel_sku="MUG-1", quantity=2, amount_minor=2000, tax_minor=380, external_line_id="e")
        placed = await calls.orders.CreateOrder(order("W-1", lines=[line], tax_charged=True, shipping_tax_minor=95, quantity=2))
        line_id = (await with_location(calls, placed.order_id, 2)).lines[0].line_id
        plate = Line(channel_sku="PLATE-1", quantity=1, amount_minor=800, tax_minor=152, external_line_id="f")
        less = Line(line_id=line_id, quantity=1)
        asked = changes_service_pb2.PreviewChangeRequest(order_id=placed.order_id, lines=[less, plate], shipping_minor=400)
        impact = await calls.changes.PreviewChange(asked)
        expected = 1000 + 190 + 800 + 152 + 400 + 76
        assert (impact.total_after_minor, impact.tax_after_minor) == (expected, 190 + 152 + 76)
        await change(calls, placed.order_id, lines=[less, plate], shipping_minor=400)
        assert (await settled(calls, placed.order_id)).status == APPLIED
        found = await with_location(calls, placed.order_id, 2)
        assert [(one.external_line_id, one.ordered, one.tax_minor) for one in found.lines] == [("e", 1, 190), ("f", 1, 152)]
        assert (found.total_minor, found.shipping_minor, found.shipping_tax_minor) == (expected, 400, 76)
        assert found.refunded_minor == 2975 - expected
        await ship_left(calls, placed.order_id)


async def test_a_wrong_wish_changes_nothing(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as calls:
        placed = await calls.orders.CreateOrder(order("W-1", quantity=2))
        found = await with_location(calls, placed.order_id, 2)
        for wish, field in (
            (Line(line_id="x", quantity=1), "lines[0].line_id"),
            (Line(channel_sku="PLATE-1", quantity=1), "lines[0].amount_minor"),
        ):
            with pytest.raises(Refusal) as refused:
                await change(calls, placed.order_id, lines=[wish])
            assert refused.value.field == field
        assert (await get(calls, placed.order_id)).etag == found.etag
        await ship_left(calls, placed.order_id)


async def test_what_was_to_go_together_is_split_where_somebody_says_so(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as calls:
        placed = await calls.orders.CreateOrder(order("W-1", quantity=12, shortage_policy=order_pb2.SHORTAGE_POLICY_HOLD))
        await until_status(calls, placed.order_id, ON_HOLD)
        asked = {"shortage_policy": order_pb2.SHORTAGE_POLICY_CANCEL_SHORT, "order_id": placed.order_id}
        impact = await calls.changes.PreviewChange(changes_service_pb2.PreviewChangeRequest(**asked))
        assert (impact.total_after_minor, impact.short_units) == (14875, 2)
        await change(calls, **asked)
        done = await settled(calls, placed.order_id)
        assert (done.status, done.shortage_policy) == (APPLIED, order_pb2.SHORTAGE_POLICY_CANCEL_SHORT)
        found = await with_location(calls, placed.order_id, 10)
        assert (found.lines[0].cancelled, found.shortage_policy) == (2, order_pb2.SHORTAGE_POLICY_CANCEL_SHORT)
        assert found.refunded_minor == 2 * 1190 + 595 * 2 // 12
        await ship_left(calls, placed.order_id)
