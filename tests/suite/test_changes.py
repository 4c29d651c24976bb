"""Changes after placement in the whole suite: previewed, taxed and judged again, asked back from where it is, approved where dear."""

from typing import Any

import pytest

from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.ops.v1 import approvals_service_pb2, holds_service_pb2
from argosy.orders.v1 import changes_service_pb2, order_pb2, orders_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import OTHER, eventually, open_shop, order, ship_all, until_released, until_status

VIENNA = address_pb2.Address(name="A. Customer", lines=["Ring 1"], locality="Wien", postal_code="1010", country_code="AT")
PENDING, APPLIED = changes_service_pb2.CHANGE_STATUS_PENDING, changes_service_pb2.CHANGE_STATUS_APPLIED


async def change(calls: Calls, order_id: str, **values: Any) -> changes_service_pb2.OrderChange:
    request = changes_service_pb2.ChangeOrderRequest(request_id=new_id(), order_id=order_id, reason="the customer moved", **values)
    return await calls.changes.ChangeOrder(request)


async def settled(calls: Calls, order_id: str) -> changes_service_pb2.OrderChange:
    async def look() -> changes_service_pb2.OrderChange | None:
        found = (await calls.changes.ListChanges(changes_service_pb2.ListChangesRequest(order_id=order_id))).changes
        return found[0] if found and found[0].status != PENDING else None

    return await eventually(look)  # type: ignore[no-any-return]


async def get(calls: Calls, order_id: str) -> order_pb2.Order:
    return await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))


async def ship_left(calls: Calls, order_id: str) -> None:
    """Ships what is with locations; what was called back before is over."""
    for one in await until_released(calls, order_id):
        if one.status == fulfillment_pb2.FULFILLMENT_STATUS_RELEASED:
            ship = fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id)
            await calls.fulfillment.ConfirmShipment(ship)
    await until_status(calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)


async def test_an_order_that_is_with_a_location_goes_elsewhere(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        await calls.finance.SetTaxRate(
            finance_service_pb2.SetTaxRateRequest(request_id=new_id(), country_code="AT", rate_ppm=200_000, valid_from="2020-01-01")
        )
        placed = await calls.orders.CreateOrder(order("W-1", quantity=2))
        (first,) = await until_released(calls, placed.order_id)

        async def told() -> bool:
            return (await get(calls, placed.order_id)).lines[0].released == 2

        await eventually(told)
        preview = changes_service_pb2.PreviewChangeRequest(order_id=placed.order_id, ship_to=VIENNA)
        impact = await calls.changes.PreviewChange(preview)
        assert (impact.total_before_minor, impact.total_after_minor) == (2975, 3000)
        assert (impact.tax_before_minor, impact.tax_after_minor, impact.recalled_units) == (475, 500, 2)
        assert not impact.address_problems

        assert (await change(calls, placed.order_id, ship_to=VIENNA)).status == PENDING
        done = await settled(calls, placed.order_id)
        assert (done.status, done.address_changed, done.shipping_method) == (APPLIED, True, "")

        async def again() -> fulfillment_pb2.FulfillmentOrder | None:
            own = await until_released(calls, placed.order_id)
            return next((one for one in own if one.fulfillment_order_id != first.fulfillment_order_id), None)

        # What is due is not what was paid any more: a person looks at it, and then it goes to Vienna.
        held = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        assert held.total_minor == 3000
        for hold in (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds:
            release = holds_service_pb2.ReleaseHoldRequest(
                request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="25 cents are a present"
            )
            await calls.holds("orders").ReleaseHold(release)
        assert (await eventually(again)).destination.country_code == "AT"
        gone = fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=first.fulfillment_order_id)
        assert (await calls.fulfillment.GetFulfillmentOrder(gone)).status == fulfillment_pb2.FULFILLMENT_STATUS_CANCELLED
        shown = await calls.orders.GetShipTo(orders_service_pb2.GetShipToRequest(order_id=placed.order_id))
        assert shown.address.locality == "Wien"
        await ship_left(calls, placed.order_id)
        with pytest.raises(Refusal) as late:
            await change(calls, placed.order_id, shipping_method="express")
        assert late.value.reason == "TOO_LATE"
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks


async def test_what_changes_the_price_by_much_needs_another_person(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1000})
        await calls.finance.SetTaxRate(
            finance_service_pb2.SetTaxRateRequest(request_id=new_id(), country_code="AT", rate_ppm=10_000, valid_from="2020-01-01")
        )
        placed = await calls.orders.CreateOrder(order("W-1", quantity=50, paid=False))
        held = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        with pytest.raises(Refusal) as nothing:
            await change(calls, placed.order_id)
        assert nothing.value.reason == "NOTHING_CHANGES"
        waiting = await change(calls, placed.order_id, ship_to=VIENNA, shipping_method="express")
        assert waiting.status == changes_service_pb2.CHANGE_STATUS_WAITING
        listed = await calls.approvals("orders").ListApprovals(approvals_service_pb2.ListApprovalsRequest(service="orders"))
        assert [(one.approval_id, one.request) for one in listed.approvals] == [(waiting.approval_id, b"")]
        decide = approvals_service_pb2.DecideApprovalRequest(
            request_id=new_id(), service="orders", approval_id=waiting.approval_id, approve=True, note="seen"
        )
        await calls.approvals("orders").DecideApproval(decide, metadata=OTHER)
        done = await settled(calls, placed.order_id)
        assert (done.status, done.shipping_method) == (APPLIED, "express")

        async def taxed() -> order_pb2.Order | None:
            found = await get(calls, placed.order_id)
            return found if found.total_minor != held.total_minor else None

        changed = await eventually(taxed)
        assert (changed.total_minor, changed.shipping_method) == (50_500 + 505, "express")
        assert changed.destination.country_code == "AT"


async def test_what_left_meanwhile_is_too_late(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        placed = await calls.orders.CreateOrder(order("W-1"))
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        with pytest.raises(Refusal) as late:
            await change(calls, placed.order_id, ship_to=VIENNA)
        assert late.value.reason == "TOO_LATE"
