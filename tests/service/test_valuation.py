"""What stock is worth: by method, at any moment, after late costs, and after another person agreed."""

from typing import Any

import pytest

from argosy.catalog.v1 import catalog_events_pb2, item_pb2
from argosy.inventory.v1 import inventory_events_pb2, stock_pb2, stock_service_pb2, valuation_service_pb2
from argosy.ops.v1 import approvals_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from tests.service.stockroom import Stockroom

FIFO, AVERAGE, STANDARD = 1, 2, 3


async def worth(room: Stockroom, item_id: str, as_of: int | None = None) -> tuple[int, int]:
    """Returns quantity and value of an item over all locations."""
    request = valuation_service_pb2.ListStockValuesRequest(item_id=item_id, as_of=to_timestamp(as_of) if as_of is not None else None)
    values = (await room.calls.valuation.ListStockValues(request)).values
    return sum(one.quantity for one in values), sum(one.value_minor for one in values)


async def sell(room: Stockroom, item_id: str, quantity: int) -> int:
    """Ships what nobody reserved and returns what it cost."""
    said = await room.ship(new_id(), item_id, quantity)
    issued = next(one for one in said if isinstance(one, inventory_events_pb2.StockIssued))
    return issued.value_minor


async def decide(room: Stockroom, approval_id: str, **values: Any) -> approvals_service_pb2.Approval:
    request = approvals_service_pb2.DecideApprovalRequest(
        request_id=new_id(), service="inventory", approval_id=approval_id, **{"approve": True, **values}
    )
    return await room.calls.approvals("inventory").DecideApproval(request, metadata=room.other)


@pytest.mark.parametrize(("method", "costs"), [(FIFO, [200, 380, 420]), (AVERAGE, [250, 375, 375]), (STANDARD, [300, 450, 450])])
async def test_each_method_gives_what_leaves_its_own_cost_and_loses_nothing(room: Stockroom, method: int, costs: list[int]) -> None:
    await room.item("cup", valuation=method, standard_cost_minor=150)
    await room.receive("cup", 3, 300)
    await room.receive("cup", 5, 700)
    before = (await worth(room, "cup"))[1]
    sold = [await sell(room, "cup", 2), await sell(room, "cup", 3), await sell(room, "cup", 3)]
    assert before == (1200 if method == STANDARD else 1000)
    assert sold == costs
    assert sum(sold) == before
    assert await worth(room, "cup") == (0, 0)
    assert not await room.breaks()


async def test_what_was_paid_beside_the_standard_is_a_variance(room: Stockroom) -> None:
    await room.item("cup", valuation=STANDARD, standard_cost_minor=150)
    await room.receive("cup", 2, 340)
    said = await room.said(inventory_events_pb2.StockReceived)
    assert [(one.value_minor, one.variance_up_minor, one.variance_down_minor) for one in said] == [(300, 40, 0)]


async def test_deliver_return_deliver_again_keeps_the_cost_of_the_layers(room: Stockroom) -> None:
    await room.item("cup")
    await room.receive("cup", 2, 200)
    await room.receive("cup", 2, 500)
    assert await sell(room, "cup", 2) == 200
    await room.receive("cup", 2, 200)
    assert [await sell(room, "cup", 2), await sell(room, "cup", 2)] == [500, 200]


async def test_any_past_moment_is_answered(room: Stockroom) -> None:
    await room.item("cup")
    for quantity, value in ((3, 300), (1, 500)):
        await room.receive("cup", quantity, value)
    await sell(room, "cup", 2)
    entries = (await room.calls.valuation.ListValueEntries(valuation_service_pb2.ListValueEntriesRequest(item_id="cup"))).entries
    assert [(one.quantity, one.value_minor, one.quantity_after, one.value_after_minor) for one in entries] == [
        (-2, -200, 2, 600), (1, 500, 4, 800), (3, 300, 3, 300),
    ]  # fmt: skip
    moments = [from_timestamp(one.booked_at) for one in reversed(entries)]
    assert [await worth(room, "cup", moment) for moment in (moments[0] - 1, *moments)] == [(0, 0), (3, 300), (4, 800), (2, 600)]
    request = valuation_service_pb2.GetStockValueRequest(as_of=to_timestamp(moments[1]))
    totals = (await room.calls.valuation.GetStockValue(request)).totals
    assert [(one.location_id, one.quantity, one.value_minor, one.items) for one in totals] == [("BER", 4, 800, 1)]


async def test_a_landed_cost_is_borne_by_what_is_there_and_by_what_has_left(room: Stockroom) -> None:
    await room.item("cup", weight_g=100)
    await room.item("pot", weight_g=900)
    cups = await room.receive("cup", 10, 1000)
    pots = await room.receive("pot", 10, 3000)
    await sell(room, "cup", 4)
    answer = await room.calls.valuation.AddLandedCost(
        valuation_service_pb2.AddLandedCostRequest(
            request_id=new_id(),
            receipt_ids=[cups, pots],
            amount_minor=1000,
            basis=valuation_service_pb2.COST_BASIS_WEIGHT,
            reason="sea freight",
        )
    )
    assert sorted((one.item_id, one.inventory_minor, one.cost_minor) for one in answer.items) == [("cup", 60, 40), ("pot", 900, 0)]
    assert [await worth(room, "cup"), await worth(room, "pot")] == [(6, 660), (10, 3900)]
    assert not await room.breaks()


@pytest.mark.parametrize(("method", "inventory", "cost"), [(FIFO, 60, 40), (AVERAGE, 60, 40), (STANDARD, 0, 100)])
async def test_a_bill_that_differs_corrects_the_receipt(room: Stockroom, method: int, inventory: int, cost: int) -> None:
    await room.item("cup", valuation=method, standard_cost_minor=100)
    receipt = await room.receive("cup", 10, 1000)
    await sell(room, "cup", 4)
    answer = await room.calls.valuation.CorrectReceiptCost(
        valuation_service_pb2.CorrectReceiptCostRequest(
            request_id=new_id(), receipt_id=receipt, item_id="cup", value_minor=1100, reason="bill 77"
        )
    )
    assert [(one.inventory_minor, one.cost_minor) for one in answer.items] == [(inventory, cost)]
    assert not await room.breaks()


async def test_a_correction_takes_no_layer_below_nothing(room: Stockroom) -> None:
    await room.item("cup")
    receipt = await room.receive("cup", 10, 1000)
    await sell(room, "cup", 9)
    request = valuation_service_pb2.CorrectReceiptCostRequest(
        request_id=new_id(), receipt_id=receipt, item_id="cup", value_minor=0, reason="a gift"
    )
    answer = await room.calls.valuation.CorrectReceiptCost(request)
    assert [(one.inventory_minor, one.cost_minor) for one in answer.items] == [(-100, -900)]
    assert await worth(room, "cup") == (1, 0)


async def test_a_new_standard_values_the_stock_anew(room: Stockroom) -> None:
    await room.item("cup", valuation=STANDARD, standard_cost_minor=150)
    await room.receive("cup", 4, 600)
    event = catalog_events_pb2.ItemPublished(
        item_id="cup", sku="CUP", valuation=item_pb2.VALUATION_STANDARD, standard_cost_minor=120, cost_currency_code="EUR"
    )
    said = await room.hear(event)
    assert [(one.kind, one.inventory_down_minor) for one in said] == [("STANDARD_COST", 120)]  # type: ignore[attr-defined]
    assert await worth(room, "cup") == (4, 480)
    event.valuation = item_pb2.VALUATION_AVERAGE
    assert await room.hear(event) == []
    assert await sell(room, "cup", 3) == 360
    assert not await room.breaks()


async def test_stock_that_is_not_ours_has_no_value(room: Stockroom) -> None:
    await room.place("CONS", consigned=True)
    await room.item("cup")
    receipt = await room.receive("cup", 4, 600, "CONS")
    assert await worth(room, "cup") == (4, 0)
    with pytest.raises(Refusal, match="not ours"):
        await room.calls.valuation.AddLandedCost(
            valuation_service_pb2.AddLandedCostRequest(
                request_id=new_id(), receipt_ids=[receipt], amount_minor=1, basis=1, reason="freight"
            )
        )


async def test_a_write_down_waits_for_another_person(room: Stockroom) -> None:
    await room.item("cup")
    await room.receive("cup", 1000, 500_000)
    request = valuation_service_pb2.WriteDownStockRequest(
        request_id=new_id(), item_id="cup", location_id="BER", unit_value_minor=100, reason="out of fashion"
    )
    answer = await room.calls.valuation.WriteDownStock(request)
    assert answer.approval_id
    assert await worth(room, "cup") == (1000, 500_000)
    approval = await decide(room, answer.approval_id, note="agreed")
    assert (approval.status, approval.note) == (approvals_service_pb2.APPROVAL_STATUS_APPROVED, "agreed")
    assert await worth(room, "cup") == (1000, 100_000)


def adjustment(quantity: int, **values: Any) -> stock_service_pb2.AdjustStockRequest:
    given: dict[str, Any] = {
        "request_id": new_id(), "location_id": "BER", "item_id": "cup", "state": stock_pb2.STOCK_STATE_AVAILABLE, "quantity": quantity,
        "reason": "counted", **values,
    }  # fmt: skip
    return stock_service_pb2.AdjustStockRequest(**given)


async def test_who_proposes_cannot_decide_and_nothing_happens_before(room: Stockroom) -> None:
    await room.item("cup")
    await room.receive("cup", 100, 1_000_000)
    answer = await room.calls.stock.AdjustStock(adjustment(-20, expected_quantity=100))
    assert answer.approval_id
    assert await room.balances("cup") == {("", "AVAILABLE"): 100}
    request = approvals_service_pb2.DecideApprovalRequest(
        request_id=new_id(), service="inventory", approval_id=answer.approval_id, approve=True
    )
    with pytest.raises(Refusal, match="cannot decide"):
        await room.calls.approvals("inventory").DecideApproval(request)
    approval = await decide(room, answer.approval_id)
    assert approval.result_id
    assert await room.balances("cup") == {("", "AVAILABLE"): 80}
    with pytest.raises(Refusal, match="decided already"):
        await decide(room, answer.approval_id)


async def test_what_changed_meanwhile_is_told_to_who_decides(room: Stockroom) -> None:
    await room.item("cup")
    await room.receive("cup", 100, 1_000_000)
    answer = await room.calls.stock.AdjustStock(adjustment(-20, expected_quantity=100))
    await sell(room, "cup", 1)
    with pytest.raises(Refusal) as caught:
        await decide(room, answer.approval_id)
    assert caught.value.reason == "BALANCE_CHANGED"
    rejected = await decide(room, answer.approval_id, approve=False, note="count again")
    assert rejected.status == approvals_service_pb2.APPROVAL_STATUS_REJECTED
    assert await room.balances("cup") == {("", "AVAILABLE"): 99}


async def test_small_steps_to_one_subject_weigh_together(room: Stockroom) -> None:
    await room.item("cup")
    await room.receive("cup", 100, 1_000_000)
    answers = [await room.calls.stock.AdjustStock(adjustment(-6)) for _ in range(2)]
    assert [bool(one.approval_id) for one in answers] == [False, True]
    request = approvals_service_pb2.SetLimitRequest(
        request_id=new_id(), service="inventory", kind="inventory.adjustment", currency_code="EUR", limit_minor=500_000
    )
    await room.calls.approvals("inventory").SetLimit(request)
    assert not (await room.calls.stock.AdjustStock(adjustment(-6))).approval_id
    waiting = await room.calls.approvals("inventory").ListApprovals(
        approvals_service_pb2.ListApprovalsRequest(service="inventory", status=approvals_service_pb2.APPROVAL_STATUS_PENDING)
    )
    assert [one.amount_minor for one in waiting.approvals] == [120_000]
    withdraw = approvals_service_pb2.WithdrawApprovalRequest(
        request_id=new_id(), service="inventory", approval_id=waiting.approvals[0].approval_id
    )
    with pytest.raises(Refusal, match="only who proposed"):
        await room.calls.approvals("inventory").WithdrawApproval(withdraw, metadata=room.other)
    await room.calls.approvals("inventory").WithdrawApproval(withdraw)
    limits = (await room.calls.approvals("inventory").ListLimits(approvals_service_pb2.ListLimitsRequest(service="inventory"))).limits
    assert {(one.kind, one.currency_code): one.limit_minor for one in limits}["inventory.adjustment", "EUR"] == 500_000
