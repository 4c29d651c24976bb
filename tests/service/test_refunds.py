"""Refunds of an order that was paid in several ways: each way gets back no more than it paid, and each part once."""

from collections.abc import Awaitable, Callable

import pytest

from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.kernel.process import HoldReleased
from chassis.runtime.component import Component
from chassis.runtime.work import Cause, Work
from gateway.calls import Calls
from services.orders.app.apply_changes import apply_changes
from services.orders.process import messages as m
from services.orders.process.pay_refund import Agreed, RefundTender, State, TenderFailed, TenderPaid, TenderPart, decide
from tests.builders import order
from tests.service.conftest import Bench

CAUSE = Cause("process:fulfil_order", "test", "test")
# Two at 10.00 and 5.00 shipping, not taxed yet.
PAID = {"giftcard": 1200, "card": 1300}


@pytest.fixture
async def paid(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> tuple[Component, Calls, order_pb2.Order]:
    """Orders, and an order of two units that was paid in two ways."""
    component, calls = await started("orders"), Calls(bench.channels)
    tenders = [
        orders_service_pb2.TenderInput(method=method, state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=amount)
        for method, amount in PAID.items()
    ]
    return component, calls, await calls.orders.CreateOrder(order("W-1", 2, tenders=tenders))


async def applied(component: Component, order_id: str, *changes: m.Struct) -> None:
    async def write(work: Work) -> None:
        work.causes[order_id] = CAUSE
        await apply_changes(work, [(order_id, change) for change in changes])

    await component.writer.run(write, CAUSE)


async def given_back(component: Component, calls: Calls, order_id: str) -> dict[str, int]:
    """Pays what was agreed, and returns what each way of paying got back."""
    while await component.executor.perform(RefundTender.__name__):
        pass
    async with component.database.read() as tx:
        waiting = await tx.read(component.executor._due, {"now": 1 << 62})
    assert RefundTender.__name__ not in {row.kind for row in waiting}, "a part is not paid"
    found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
    return {tender.method: tender.refunded_minor for tender in found.tenders}


async def test_two_refunds_agreed_together_come_from_both_ways_of_paying(paid: tuple[Component, Calls, order_pb2.Order]) -> None:
    component, calls, placed = paid
    (line,) = placed.lines
    counts = {line.line_id: m.Counts(0, 0, 0, 2, 0, 0)}
    await applied(component, placed.order_id, m.BookShipment("s-1", [m.LineCount(line.line_id, 2)]), m.KeepQuantities(counts))
    for number in range(2):
        request = orders_service_pb2.RefundOrderRequest(
            request_id=new_id(), order_id=placed.order_id, return_id=f"r-{number}", reason="broken",
            lines=[orders_service_pb2.LineQuantity(line_id=line.line_id, quantity=1)], include_shipping=True,
        )  # fmt: skip
        await calls.orders.RefundOrder(request)
    assert await given_back(component, calls, placed.order_id) == PAID


async def test_two_cancellations_at_once_come_from_both_ways_of_paying(paid: tuple[Component, Calls, order_pb2.Order]) -> None:
    component, calls, placed = paid
    (line,) = placed.lines
    await applied(component, placed.order_id, *(m.BookCancellation([m.LineCount(line.line_id, 1)], "not wanted") for _ in range(2)))
    assert await given_back(component, calls, placed.order_id) == PAID


def test_only_the_part_that_failed_is_paid_again() -> None:
    state = State("f", "o", [TenderPart("a", 5), TenderPart("b", 7)])
    begun = decide(state, Agreed(), 0)
    assert [do.effect.tender_id for do in begun.do] == ["a", "b"]
    held = decide(begun.state, TenderFailed("a", "the card is closed"), 0)
    assert len(held.changes) == 1
    # The provider has not said yet what became of the other part: under another key it would pay it twice.
    again = decide(held.state, HoldReleased("REFUND_FAILED", "olivia", "the card is open again"), 0)
    assert [do.effect.tender_id for do in again.do] == ["a"]
    assert not decide(again.state, HoldReleased("REFUND_FAILED", "olivia", "again"), 0).do
    first = decide(again.state, TenderPaid("b", "ref-b"), 0)
    assert not first.ended
    assert decide(first.state, TenderPaid("a", "ref-a"), 0).ended


def test_a_refund_held_before_parts_were_told_apart_is_paid_again() -> None:
    state = State("f", "o", [TenderPart("a", 5), TenderPart("b", 7)], ["b"], tries=1, failed=None)
    again = decide(state, HoldReleased("REFUND_FAILED", "olivia", ""), 0)
    assert [do.effect.tender_id for do in again.do] == ["a"]
