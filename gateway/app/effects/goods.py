"""Goods that warehouses of others took in: booked as received of their purchase orders, and as returns of their orders."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from argosy.catalog.v1 import items_service_pb2
from argosy.catalog.v1.items_service_pb2_grpc import ItemsServiceStub
from argosy.inventory.v1 import purchasing_service_pb2
from argosy.inventory.v1.purchasing_service_pb2_grpc import PurchasingServiceStub
from argosy.orders.v1 import orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from argosy.returns.v1 import returns_service_pb2
from argosy.returns.v1.returns_service_pb2_grpc import ReturnsServiceStub
from chassis.kernel.errors import FailedPrecondition, Refusal
from chassis.kernel.ids import request_id
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect
from gateway.app.effects.carry_out import Answers, each
from gateway.channels.commands import BackUnits, TakeBack
from gateway.process.take_order import Done, Refused

# SKUs asked for in one call, and told of in one sentence.
MOST_SKUS, MOST_TOLD = 500, 10
Return = returns_service_pb2.Return
# A return that can still take something in, and one that is done.
COMING = (
    returns_service_pb2.RETURN_STATUS_AUTHORIZED, returns_service_pb2.RETURN_STATUS_IN_TRANSIT, returns_service_pb2.RETURN_STATUS_RECEIVED,
    returns_service_pb2.RETURN_STATUS_DISPOSITIONED,
)  # fmt: skip
DONE = (returns_service_pb2.RETURN_STATUS_CLOSED,)


class Goods:
    """Performs the effects."""

    def __init__(self, channels: Channels) -> None:
        self._items = ItemsServiceStub(channels.to("catalog"))
        self._purchasing = PurchasingServiceStub(channels.to("inventory"))
        self._orders = OrdersServiceStub(channels.to("orders"))
        self._returns = ReturnsServiceStub(channels.to("returns"))

    async def take_in(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Receives what came of purchase orders."""
        del database
        return await each(effects, partial(_book, self._take_in))

    async def _take_in(self, effect: Effect) -> None:
        asked = effect.asked
        number = purchasing_service_pb2.ListPurchaseOrdersRequest(number=asked.number)
        orders = (await self._purchasing.ListPurchaseOrders(number)).purchase_orders
        if not orders or orders[0].location_id != asked.location_id:
            why = f"goes to {orders[0].location_id}" if orders else "is not known"
            raise FailedPrecondition(
                "NOT_ORDERED", f"{asked.document} came to {asked.location_id}, its purchase order {asked.number} {why}"
            )
        lines, strange = share_out(orders[0].lines, await self._find(sorted(asked.units)), asked.units)
        if strange and not asked.reviewed:
            told = [f"{count} of {sku}" for sku, count in strange.items()]
            more = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
            text = f"with {asked.document} came {', '.join(told[:MOST_TOLD])}{more}, which {asked.number} does not order"
            raise FailedPrecondition("NOT_ORDERED", text)
        if not lines:
            return
        request = purchasing_service_pb2.ReceivePurchaseOrderRequest(
            request_id=effect.request_id, purchase_order_id=orders[0].purchase_order_id, reference=asked.document
        )
        box = request.boxes.add()
        for line_id, quantity in lines.items():
            box.lines.add(line_id=line_id, quantity=quantity)
        try:
            await self._purchasing.ReceivePurchaseOrder(request)
        except Refusal as refusal:
            # Asked again after its answer was lost, it may be shared out otherwise: it is booked.
            if refusal.reason != "IDEMPOTENCY_KEY_REUSED":
                raise

    async def _find(self, skus: Sequence[str]) -> dict[str, str]:
        """Returns the items that SKUs name."""
        found: dict[str, str] = {}
        for start in range(0, len(skus), MOST_SKUS):
            page = await self._items.FindItems(items_service_pb2.FindItemsRequest(skus=skus[start : start + MOST_SKUS]))
            found |= {item.sku.upper(): item.item_id for item in page.items}
        return found

    async def take_back(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Lets returns stand as warehouses say: authorised, received, and back in stock where they say that it is good."""
        del database
        return await each(effects, partial(_book, self._take_back))

    async def _take_back(self, effect: Effect) -> None:
        asked = effect.asked
        order = await self._orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=asked.order_id))
        units = {line.line_id: line.units for line in order.lines}
        wanted = [_in_units(line, units[line.line_id]) for line in asked.lines]
        own = await self._returns_of(asked)
        missing = [line for line in wanted if line.expected > _sum(own, line.line_id, "quantity")]
        if missing:
            own.append(await self._authorise(asked, own, missing))
        for line in wanted:
            for index in range(len(own)):
                own[index] = await self._receive(asked, own, index, line)
                own[index] = await self._restock(own, index, line)

    async def _returns_of(self, asked: TakeBack) -> list[Return]:
        """Returns the returns that are meant: those with the warehouse's name, then those that nobody named yet."""
        request = returns_service_pb2.ListReturnsRequest(order_id=asked.order_id, page_size=500)
        found = [one for one in (await self._returns.ListReturns(request)).returns if one.location_id == asked.location_id]
        named = [one for one in found if one.reference == asked.number and one.status in (*COMING, *DONE)]
        return named + [one for one in found if not one.reference and one.status in COMING]

    async def _authorise(self, asked: TakeBack, own: Sequence[Return], missing: Sequence[BackUnits]) -> Return:
        """Lets the warehouse's return be one of ours, as far as nobody authorised it before."""
        standing = [_sum(own, line.line_id, "quantity") for line in missing]
        lines = [
            returns_service_pb2.ReturnLineInput(line_id=line.line_id, quantity=line.expected - there, reason=line.reason or "WAREHOUSE")
            for line, there in zip(missing, standing, strict=True)
        ]
        request = returns_service_pb2.AuthorizeReturnRequest(
            request_id=request_id("authorise", asked.order_id, asked.number, asked.reviewed, *standing, *(line.quantity for line in lines)),
            order_id=asked.order_id, location_id=asked.location_id, lines=lines, reference=asked.number,
        )  # fmt: skip
        answer = await self._returns.AuthorizeReturn(request)
        if answer.status == returns_service_pb2.RETURN_STATUS_DECLINED:
            raise FailedPrecondition("RETURN_DECLINED", f"the return {asked.number} is not allowed: {answer.declined_reason}")
        return answer

    async def _receive(self, asked: TakeBack, own: Sequence[Return], index: int, line: BackUnits) -> Return:
        one = own[index]
        room = next((each.quantity - each.received for each in one.lines if each.line_id == line.line_id), 0)
        part = min(room, line.received - _sum(own, line.line_id, "received")) if one.status in COMING else 0
        if part <= 0:
            return one
        request = returns_service_pb2.ReceiveReturnRequest(
            request_id=request_id("receive", one.return_id, one.etag, line.line_id, part), return_id=one.return_id, etag=one.etag,
            reference=asked.number, lines=[returns_service_pb2.ReceivedLine(line_id=line.line_id, quantity=part)],
        )  # fmt: skip
        return await self._returns.ReceiveReturn(request)

    async def _restock(self, own: Sequence[Return], index: int, line: BackUnits) -> Return:
        one = own[index]
        unjudged = next(
            (each.received - each.restocked - each.damaged - each.scrapped for each in one.lines if each.line_id == line.line_id), 0
        )
        part = min(unjudged, line.good - _sum(own, line.line_id, "restocked"))
        if part <= 0:
            return one
        good = returns_service_pb2.InspectedLine(line_id=line.line_id, quantity=part, disposition=returns_service_pb2.DISPOSITION_RESTOCK)
        request = returns_service_pb2.InspectReturnRequest(
            request_id=request_id("restock", one.return_id, one.etag, line.line_id, part),
            return_id=one.return_id,
            etag=one.etag,
            lines=[good],
        )
        return await self._returns.InspectReturn(request)


def share_out(lines: Sequence[Any], items: Mapping[str, str], units: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Shares what came among an order's lines, each as far as it is open, the rest to an article's last; returns what is of none too."""
    found: dict[str, int] = {}
    strange: dict[str, int] = {}
    for sku, count in sorted(units.items()):
        own = [line for line in lines if line.item_id == items.get(sku.upper())]
        if not own:
            strange[sku] = count
            continue
        left = count
        for line in own:
            part = left if line is own[-1] else min(left, max(0, line.confirmed - line.received))
            left -= part
            if part:
                found[line.line_id] = part
    return found, strange


async def _book(ask: Callable[[Effect], Awaitable[None]], effect: Effect) -> Struct | None:
    """Books what came; what is refused for good waits for a person, and after that is left to them."""
    try:
        await ask(effect)
    except Refusal as refusal:
        if refusal.transient or refusal.reason == "ETAG_MISMATCH":
            return None
        if not effect.asked.reviewed:
            return Refused(f"{refusal.reason}: {refusal.message}; set that right or book it by hand, and let it go")
    return Done()


def _sum(returns: Sequence[Any], line_id: str, name: str) -> int:
    return sum(getattr(line, name) for one in returns for line in one.lines if line.line_id == line_id)


def _in_units(line: BackUnits, units: int) -> BackUnits:
    """Returns what is said of a line in the channel's units."""
    counts = (line.expected, line.received, line.good)
    if any(count % units for count in counts):
        raise FailedPrecondition("NOT_WHOLE", f"{line.received} of {line.expected} pieces came back of what is sold by {units}")
    expected, received, good = (count // units for count in counts)
    return BackUnits(line.line_id, expected, received, good, line.reason)
