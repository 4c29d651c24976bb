"""The effects of `fulfil_order`: each asks another service about many orders in one call."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from argosy.catalog.v1 import items_service_pb2
from argosy.catalog.v1.items_service_pb2_grpc import ItemsServiceStub
from argosy.finance.v1 import finance_service_pb2
from argosy.finance.v1.finance_service_pb2_grpc import FinanceServiceStub
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.fulfillment.v1.fulfillment_service_pb2_grpc import FulfillmentServiceStub
from argosy.inventory.v1 import demands_service_pb2, reservations_service_pb2, stock_service_pb2
from argosy.inventory.v1.demands_service_pb2_grpc import DemandsServiceStub
from argosy.inventory.v1.reservations_service_pb2_grpc import ReservationsServiceStub
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import request_id
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect
from chassis.runtime.status import from_status
from services.orders.app.views import to_destination
from services.orders.process import messages as m
from services.orders.store.tables import CUSTOMERS, LINES, ORDERS

LONG_S = 30
MOST_ITEMS = 2000
BACKORDER, PREORDER = demands_service_pb2.DEMAND_KIND_BACKORDER, demands_service_pb2.DEMAND_KIND_PREORDER
Answers = Sequence[Struct | None]


class AskOthers:
    """Performs the effects; reads the orders' own rows where the question needs more than the effect says."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def _rows(self, database: Database, effects: Sequence[Effect]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        async with database.read() as tx:
            keys = {(effect.asked.order_id,) for effect in effects}
            orders = {r.order_id: r for r in await tx.find(ORDERS, ("order_id",), keys)}
            lines: dict[str, list[Any]] = {}
            for row in await tx.find(LINES, ("order_id",), keys, order=("order_id", "position")):
                if row.ordered != row.settled:
                    lines.setdefault(row.order_id, []).append(row)
        return orders, lines

    async def resolve_items(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks catalog what the SKUs mean."""
        lines, answer = await self._meanings(effects, database)
        found: list[Struct | None] = []
        for effect, resolved in zip(effects, answer.orders, strict=True):
            own = zip(lines[effect.asked.order_id], resolved.lines, strict=True)
            items = {
                line.line_id: m.Item(
                    one.item_id, one.sku, one.units, one.tax_class, one.weight_g, list(one.restricted_countries),
                    one.list_price_minor, one.price_includes_tax, one.hazmat_class, one.export_control_class, _sold_from(one),
                )
                for line, one in own if one.item_id
            }  # fmt: skip
            found.append(m.ItemsResolved(items))
        return found

    async def ask_sale(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks catalog from when lines are sold; what is not known any more is sold."""
        lines, answer = await self._meanings(effects, database)
        return [
            m.SaleDated({line.line_id: _sold_from(one) for line, one in zip(lines[effect.asked.order_id], resolved.lines, strict=True)})
            for effect, resolved in zip(effects, answer.orders, strict=True)
        ]

    async def _meanings(
        self, effects: Sequence[Effect], database: Database
    ) -> tuple[dict[str, list[Any]], items_service_pb2.ResolveLinesResponse]:
        orders, lines = await self._rows(database, effects)
        customers = await _customers(database, orders)
        request = items_service_pb2.ResolveLinesRequest()
        for effect in effects:
            order = orders[effect.asked.order_id]
            skus = [line.channel_sku for line in lines[order.order_id]]
            quantities = [(line.ordered - line.settled) // max(1, line.units) for line in lines[order.order_id]]
            request.orders.add(
                channel_id=order.channel_id, channel_skus=skus, quantities=quantities,
                placed_at=to_timestamp(order.placed_at), currency_code=order.currency_code,
                customer_group=customers[order.customer_id].customer_group if order.customer_id in customers else "",
            )  # fmt: skip
        answer = await ItemsServiceStub(self._channels.to("catalog")).ResolveLines(request, timeout=LONG_S)
        return lines, answer

    async def calculate_tax(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks finance for the tax, and inventory for the stock that rules may ask about.

        An order of an item of which inventory has not heard yet is asked about again: there is stock of it, or there is not.
        """
        orders, lines = await self._rows(database, effects)
        customers = await _customers(database, orders)
        request = finance_service_pb2.CalculateTaxRequest()
        for effect in effects:
            order = orders[effect.asked.order_id]
            asked = request.orders.add(
                destination=to_destination(order),
                placed_at=to_timestamp(order.placed_at),
                shipping_minor=order.shipping_minor - order.settled_shipping_minor,
                exempt=order.customer_id in customers and bool(customers[order.customer_id].tax_exemption),
            )
            for line in lines[order.order_id]:
                asked.lines.add(tax_class=line.tax_class, net_minor=line.amount_minor - line.discount_minor)
        items = {line.item_id for own in lines.values() for line in own if line.item_id}
        answer, promisable = await asyncio.gather(
            FinanceServiceStub(self._channels.to("finance")).CalculateTax(request, timeout=LONG_S), self._promisable(sorted(items))
        )
        found: list[Struct | None] = []
        for effect, taxed in zip(effects, answer.orders, strict=True):
            own = lines[effect.asked.order_id]
            stock = {line.item_id: promisable.get(line.item_id) for line in own if line.item_id}
            known = {item_id: units for item_id, units in stock.items() if units is not None}
            taxes = {line.line_id: tax for line, tax in zip(own, taxed.line_tax_minor, strict=True)}
            calculated = m.TaxCalculated(taxes, taxed.shipping_tax_minor, taxed.unknown, known)
            found.append(calculated if len(known) == len(stock) else None)
        return found

    async def _promisable(self, item_ids: Sequence[str]) -> dict[str, int]:
        """Returns how much of each item that it knows all locations together can promise, for the day from which it is sold."""
        stub, found = StockServiceStub(self._channels.to("inventory")), {}
        for start in range(0, len(item_ids), MOST_ITEMS):
            request = stock_service_pb2.GetAvailabilityRequest(item_ids=item_ids[start : start + MOST_ITEMS])
            answer = await stub.GetAvailability(request, timeout=LONG_S)
            found.update({item.item_id: item.available_to_sell for item in answer.items if not item.unknown})
        return found

    async def plan_order(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks fulfillment where to ship from."""
        orders, lines = await self._rows(database, effects)
        batch = fulfillment_service_pb2.BatchPlanOrderRequest()
        for effect in effects:
            order = orders[effect.asked.order_id]
            own = {line.line_id: line for line in lines[order.order_id]}
            request = batch.requests.add(
                request_id=effect.request_id, order_id=order.order_id, channel_id=order.channel_id, entity=order.entity,
                destination=to_destination(order), currency_code=order.currency_code,
                excluded_location_ids=effect.asked.excluded_location_ids, ship_complete=effect.asked.ship_complete,
                method=order.shipping_method, hints=order.hints.split(",") if order.hints else (),
                ship_by=to_timestamp(order.ship_by) if order.ship_by is not None else None,
                deliver_by=to_timestamp(order.promised_by) if order.promised_by is not None else None,
                pickup_location_id=order.pickup_location_id,
            )  # fmt: skip
            for count in effect.asked.lines:
                line = own[count.line_id]
                request.lines.add(line_id=line.line_id, item_id=line.item_id, quantity=count.quantity, weight_g=line.weight_g)
            for part in effect.asked.held:
                request.held.add(line_id=part.line_id, location_id=part.location_id, quantity=part.quantity)
        answer = await FulfillmentServiceStub(self._channels.to("fulfillment")).BatchPlanOrder(batch, timeout=LONG_S)
        return [_answer(result, "plan", _planned) for result in answer.results]

    async def reserve_stock(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks inventory to promise."""
        orders, lines = await self._rows(database, effects)
        batch = reservations_service_pb2.BatchReserveRequest()
        for effect in effects:
            order_id = effect.asked.order_id
            items = {line.line_id: line.item_id for line in lines[order_id]}
            request = batch.requests.add(request_id=effect.request_id, order_id=order_id, cart_id=orders[order_id].cart_id)
            for part in effect.asked.parts:
                request.lines.add(line_id=part.line_id, item_id=items[part.line_id], location_id=part.location_id, quantity=part.quantity)
        answer = await ReservationsServiceStub(self._channels.to("inventory")).BatchReserve(batch, timeout=LONG_S)
        return [
            _answer(result, "reserve", lambda _: m.Reserved(), lambda refusal: m.ReserveRefused(_why(refusal))) for result in answer.results
        ]

    async def move_reservations(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks inventory to keep elsewhere what ships better from there; what it cannot keep there stays."""
        del database
        stub = ReservationsServiceStub(self._channels.to("inventory"))

        async def move(effect: Effect, index: int, one: m.Move) -> bool | None:
            request = reservations_service_pb2.MoveReservationRequest(
                request_id=request_id("move", effect.request_id, index), owner_id=effect.asked.order_id, line_id=one.line_id,
                from_location_id=one.from_location_id, to_location_id=one.to_location_id, quantity=one.quantity,
            )  # fmt: skip
            try:
                await stub.MoveReservation(request, timeout=LONG_S)
            except Refusal as refusal:
                return None if refusal.transient else False
            return True

        async def each(effect: Effect) -> Struct | None:
            moves = effect.asked.moves
            done = await asyncio.gather(*(move(effect, index, one) for index, one in enumerate(moves)))
            return None if None in done else m.Moved([one for one, moved in zip(moves, done, strict=True) if moved])

        return await asyncio.gather(*map(each, effects))

    async def release_order(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Gives orders to their locations."""
        orders, lines = await self._rows(database, effects)
        batch = fulfillment_service_pb2.BatchReleaseOrderRequest()
        for effect in effects:
            order = orders[effect.asked.order_id]
            own = {line.line_id: line for line in lines[order.order_id]}
            request = batch.requests.add(
                request_id=effect.request_id, order_id=order.order_id, channel_id=order.channel_id, entity=order.entity,
                destination=to_destination(order), currency_code=order.currency_code, pickup=bool(order.pickup_location_id),
            )  # fmt: skip
            for part in effect.asked.parts:
                line = own[part.line_id]
                request.lines.add(
                    line_id=line.line_id, item_id=line.item_id, sku=line.sku, location_id=part.location_id,
                    quantity=part.quantity, weight_g=line.weight_g,
                )  # fmt: skip
        answer = await FulfillmentServiceStub(self._channels.to("fulfillment")).BatchReleaseOrder(batch, timeout=LONG_S)
        return [_answer(result, "release", lambda _: m.Released(), _not_released) for result in answer.results]

    async def recall_order(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks the locations to give back."""
        del database
        batch = fulfillment_service_pb2.BatchRecallOrderRequest()
        for effect in effects:
            lines = [fulfillment_pb2.ParcelLine(line_id=one.line_id, quantity=one.quantity) for one in effect.asked.lines]
            batch.requests.add(request_id=effect.request_id, order_id=effect.asked.order_id, lines=lines, reason=effect.asked.reason)
        answer = await FulfillmentServiceStub(self._channels.to("fulfillment")).BatchRecallOrder(batch, timeout=LONG_S)
        return [_answer(result, "recall", _recalled) for result in answer.results]

    async def cancel_reservation(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks inventory to take back."""
        del database
        return await self._take_back([(effect, effect.asked.lines, effect.asked.reason) for effect in effects])

    async def give_back(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks inventory to take back what came too late."""
        del database
        return await self._take_back([(effect, effect.asked.parts, "late") for effect in effects])

    async def _take_back(self, asked: Sequence[tuple[Effect, Sequence[m.Part | m.Taken], str]]) -> Answers:
        batch, line = reservations_service_pb2.BatchCancelReservationRequest(), reservations_service_pb2.CancelLine
        for effect, parts, reason in asked:
            lines = [line(line_id=one.line_id, quantity=one.quantity, location_id=one.location_id) for one in parts]
            batch.requests.add(request_id=effect.request_id, owner_id=effect.asked.order_id, lines=lines, reason=reason)
        answer = await ReservationsServiceStub(self._channels.to("inventory")).BatchCancelReservation(batch, timeout=LONG_S)
        return [_answer(result, "unreserve", lambda _: m.ReservationCancelled()) for result in answer.results]

    async def place_demand(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks inventory to let lines wait for supply."""
        orders, lines = await self._rows(database, effects)
        batch = demands_service_pb2.BatchPlaceDemandRequest()
        for effect in effects:
            asked, order = effect.asked, orders[effect.asked.order_id]
            item_id = next(line.item_id for line in lines[asked.order_id] if line.line_id == asked.line_id)
            batch.requests.add(
                request_id=effect.request_id, owner_id=asked.order_id, line_id=asked.line_id, item_id=item_id, quantity=asked.quantity,
                kind=PREORDER if asked.preorder else BACKORDER, entity=order.entity, wanted_at=to_timestamp(order.placed_at),
            )  # fmt: skip
        answer = await DemandsServiceStub(self._channels.to("inventory")).BatchPlaceDemand(batch, timeout=LONG_S)
        return [
            _answer(result, "demand", partial(_demanded, effect.asked), partial(_not_demanded, effect.asked.line_id))
            for effect, result in zip(effects, answer.results, strict=True)
        ]

    async def cancel_demand(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks inventory to let lines wait no more."""
        del database
        batch = demands_service_pb2.BatchCancelDemandRequest()
        for effect in effects:
            batch.requests.add(request_id=effect.request_id, owner_id=effect.asked.order_id, line_id=effect.asked.line_id)
        answer = await DemandsServiceStub(self._channels.to("inventory")).BatchCancelDemand(batch, timeout=LONG_S)
        return [
            _answer(result, "undemand", partial(_undemanded, effect.asked.line_id))
            for effect, result in zip(effects, answer.results, strict=True)
        ]


def _sold_from(line: items_service_pb2.ResolvedLine) -> int:
    return from_timestamp(line.sellable_from) if line.HasField("sellable_from") else 0


async def _customers(database: Database, orders: dict[str, Any]) -> dict[str, Any]:
    ids = sorted({order.customer_id for order in orders.values() if order.customer_id})
    if not ids:
        return {}
    async with database.read() as tx:
        return {row.customer_id: row for row in await tx.find(CUSTOMERS, ("customer_id",), [(one,) for one in ids])}


def _answer(result: Any, step: str, done: Callable[[Any], Struct], refused: Callable[[Refusal], Struct] | None = None) -> Struct | None:
    """Returns the message for the process: done, refused for good, or None to ask again."""
    if result.HasField("response"):
        return done(result.response)
    refusal: Refusal = from_status(result.error)
    if refusal.transient:
        return None
    return refused(refusal) if refused is not None else m.StepFailed(step, _why(refusal))


def _why(refusal: Refusal) -> str:
    return f"{refusal.reason}: {refusal.message}"


def _not_released(refusal: Refusal) -> Struct:
    """What customs would stop waits for who keeps the items; anything else for who keeps the suite."""
    missing = refusal.reason == "CUSTOMS_DATA_MISSING"
    return m.ReleaseRefused(_why(refusal)) if missing else m.StepFailed("release", _why(refusal))


def _parts(lines: Sequence[Any]) -> list[m.Part]:
    return [m.Part(line.line_id, line.location_id, line.quantity) for line in lines]


def _recalled(answer: fulfillment_service_pb2.RecallOrderResponse) -> m.Recalled:
    return m.Recalled(_parts(answer.lines), sum(line.quantity for line in answer.pending))


def _demanded(asked: m.PlaceDemand, answer: demands_service_pb2.PlaceDemandResponse) -> m.Demanded:
    promised_at = from_timestamp(answer.promised_at) if answer.HasField("promised_at") else None
    return m.Demanded(asked.line_id, asked.quantity, bool(answer.demands), promised_at)


def _not_demanded(line_id: str, refusal: Refusal) -> m.DemandRefused:
    return m.DemandRefused(line_id, _why(refusal))


def _undemanded(line_id: str, _: demands_service_pb2.PlaceDemandResponse) -> m.DemandCancelled:
    return m.DemandCancelled(line_id)


def _planned(decision: fulfillment_pb2.Decision) -> m.Planned:
    short = [m.LineCount(line.line_id, line.quantity) for line in decision.short]
    deliver_by = from_timestamp(decision.deliver_by) if decision.HasField("deliver_by") else None
    return m.Planned(_parts(decision.assignments), short, deliver_by)
