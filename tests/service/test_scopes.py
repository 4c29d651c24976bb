"""Who may see one channel alone: what is of another does not exist, neither to be read nor to be changed."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from argosy.orders.v1 import changes_service_pb2, offers_service_pb2, order_pb2, orders_service_pb2, rules_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.host import wall_clock
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Cause
from chassis.runtime.writer import Call, Principal
from gateway.calls import Calls
from services.orders.store.tables import OFFERS
from tests.builders import order
from tests.service.conftest import Bench, call
from tests.service.stockroom import refused

ORDERS, RETURNS = "/argosy.orders.v1.", "/argosy.returns.v1.ReturnsService/"
SAM = Principal("user:sam", ("*",), frozenset({"b2b"}))


async def change(component: Component, path: str, request: Any, context: Any = None) -> Any:
    """Asks for a change as somebody who sees one channel alone."""
    asked = Call(component.methods[path], request, SAM, Cause(SAM.account, path, new_id()), context)
    return (await component.writer.submit([asked]))[0]


async def read(component: Component, name: str, request: Any) -> Any:
    async with component.database.read() as tx:
        return await component.service.reads[name](Asked(request, tx, SAM))


async def test_an_order_of_another_channel_is_not_there(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> None:
    component, calls = await started("orders"), Calls(bench.channels)
    placed = await calls.orders.CreateOrder(order("W-1", 2))
    line_id, tender_id, s = placed.lines[0].line_id, placed.tenders[0].tender_id, orders_service_pb2
    offer = {
        "offer_id": "f-1", "order_id": placed.order_id, "line_id": line_id, "channel_sku_before": "MUG-1", "quantity_before": 2,
        "amount_before_minor": 2000, "channel_sku": "MUG-2", "item_id": "mug-2", "quantity": 2, "amount_minor": 2000, "tax_minor": -1,
        "status": offers_service_pb2.OFFER_STATUS_OPEN, "otherwise": offers_service_pb2.OFFER_OTHERWISE_WAIT,
        "answer_by": wall_clock() + 10**9, "offered_by": "test", "offered_at": 1, "ended_at": None, "ended_by": "", "outcome": "",
    }  # fmt: skip
    async with component.database.write() as tx:
        await tx.insert(OFFERS, [offer])
    named: dict[str, Any] = {"request_id": new_id(), "order_id": placed.order_id}
    line = s.LineQuantity(line_id=line_id, quantity=1)
    tender = s.TenderInput(method="card", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=1)
    changes: list[tuple[str, Any, Any]] = [
        ("OrdersService/CancelOrder", s.CancelOrderRequest(**named, reason="not mine"), None),
        ("OrdersService/CaptureTender", s.CaptureTenderRequest(**named, tender_id=tender_id), None),
        ("OrdersService/AddTender", s.AddTenderRequest(**named, tender=tender), None),
        ("OrdersService/SetContact", s.SetContactRequest(**named, email="x@example.com"), None),
        ("OrdersService/RefundOrder", s.RefundOrderRequest(**named, return_id="r", lines=[line], reason="not mine"), None),
        (
            "ChangesService/ChangeOrder", changes_service_pb2.ChangeOrderRequest(**named, shipping_method="express", reason="not mine"),
            changes_service_pb2.ChangeImpact(),
        ),
        ("OffersService/AnswerOffer", offers_service_pb2.AnswerOfferRequest(request_id=new_id(), offer_id="f-1", accepted=True), None),
        ("OffersService/WithdrawOffer", offers_service_pb2.WithdrawOfferRequest(request_id=new_id(), offer_id="f-1", reason="no"), None),
    ]  # fmt: skip
    for name, request, context in changes:
        request.request_id = new_id()
        outcome = await change(component, ORDERS + name, request, context)
        assert isinstance(outcome, NotFound) and outcome.reason == "NO_SUCH_ORDER", (name, outcome)
    outcome = await change(component, f"{ORDERS}OrdersService/CreateOrder", order("W-1", 2))
    assert isinstance(outcome, NotFound) and outcome.reason == "NO_SUCH_CHANNEL"
    for name, asks in (
        ("GetOrder", s.GetOrderRequest), ("ListHistory", s.ListHistoryRequest), ("ListRefunds", s.ListRefundsRequest),
        ("GetShipTo", s.GetShipToRequest), ("ListChanges", changes_service_pb2.ListChangesRequest),
        ("ListOffers", offers_service_pb2.ListOffersRequest), ("ListJudgements", rules_service_pb2.ListJudgementsRequest),
    ):  # fmt: skip
        await refused("NO_SUCH_ORDER", read(component, name, asks(order_id=placed.order_id)))
    lines = await read(component, "GetOrderLines", s.GetOrderLinesRequest(order_ids=[placed.order_id]))
    assert not lines.orders[0].order_id
    assert not (await read(component, "ListOrders", s.ListOrdersRequest())).orders
    found = await calls.orders.GetOrder(s.GetOrderRequest(order_id=placed.order_id))
    assert found == placed, "nothing of it was changed"


@pytest.mark.parametrize("channel_id", ["web", "b2b"])
async def test_a_return_of_another_channel_is_not_there(
    bench: Bench, started: Callable[[str], Awaitable[Component]], channel_id: str
) -> None:
    component, mine = await started("returns"), channel_id == "b2b"
    of = order_pb2.Order(
        order_id="o-1", channel_id=channel_id, currency_code="EUR",
        lines=[order_pb2.OrderLine(line_id="1", item_id="cup", sku="CUP", units=1, shipped=2, shipped_at=to_timestamp(wall_clock()))],
    )  # fmt: skip
    line = returns_service_pb2.ReturnLineInput(line_id="1", quantity=1, reason="NOT_AS_EXPECTED")

    def wish() -> returns_service_pb2.AuthorizeReturnRequest:
        return returns_service_pb2.AuthorizeReturnRequest(request_id=new_id(), order_id="o-1", location_id="BER", lines=[line])

    assert isinstance(await change(component, f"{RETURNS}AuthorizeReturn", wish(), of), NotFound) is not mine
    asked = call(component, f"{RETURNS}AuthorizeReturn", wish())
    asked.context = of
    made: Any = (await component.writer.submit([asked]))[0]
    named: dict[str, Any] = {"request_id": new_id(), "return_id": made.return_id}
    came = [returns_service_pb2.ReceivedLine(line_id="1", quantity=1)]
    outcome = await change(component, f"{RETURNS}ReceiveReturn", returns_service_pb2.ReceiveReturnRequest(**named, lines=came))
    listed = (await read(component, "ListReturns", returns_service_pb2.ListReturnsRequest())).returns
    assert (isinstance(outcome, NotFound), bool(listed)) == (not mine, mine)
    if not mine:
        request = returns_service_pb2.GetReturnRequest(return_id=made.return_id)
        await refused("NO_SUCH_RETURN", read(component, "GetReturn", request))
        cancel = returns_service_pb2.CancelReturnRequest(request_id=new_id(), return_id=made.return_id)
        assert isinstance(await change(component, f"{RETURNS}CancelReturn", cancel), NotFound)
