"""Value without movement: landed cost, corrected receipts, write-downs, new standards. History is never rewritten."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from argosy.inventory.v1 import inventory_events_pb2, valuation_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.inbox import Received
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known, need_no_kit
from services.inventory.app.trace_cost import Trace
from services.inventory.domain.cost import Method
from services.inventory.domain.revaluation import QUANTITY, ReceivedLine, follow, split, spread
from services.inventory.domain.stock import BY_HAND
from services.inventory.store.stock_book import Document, Key, StockBook
from services.inventory.store.tables import MOVEMENTS, VALUATIONS

RECEIVED = (MOVEMENTS.c.document_type == "receipt", MOVEMENTS.c.to_state.in_(sorted(BY_HAND)))
Effect = tuple[int, int]


async def add_landed_cost(work: Work, request: valuation_service_pb2.AddLandedCostRequest) -> valuation_service_pb2.Revaluation:
    """Refusals: NO_SUCH_RECEIPT, MIXED_CURRENCIES, NOT_OWNED."""
    lines = await _received(work, request.receipt_ids, "receipt_ids")
    trace = await Trace.of(work.tx, request.receipt_ids, {line.item_id for _, line in lines})
    book = await StockBook.open(work, trace.keys | {(line.item_id, line.location_id) for _, line in lines}, costs=True)
    _need_one_currency(book, [line for _, line in lines])
    weighed = [_weighed(book, line) for _, line in lines]
    booking = _Booking(work, book, "LANDED_COST", request.reason)
    for (receipt_id, line), part in zip(lines, spread(request.amount_minor, weighed, request.basis), strict=True):
        if part:
            _bear(booking, trace, receipt_id, line, part)
    return await booking.close()


async def correct_receipt_cost(work: Work, request: valuation_service_pb2.CorrectReceiptCostRequest) -> valuation_service_pb2.Revaluation:
    """Refusals: NO_SUCH_RECEIPT, NOT_OWNED."""
    lines = [line for _, line in await _received(work, [request.receipt_id], "receipt_id") if line.item_id == request.item_id]
    if not lines:
        raise NotFound("NO_SUCH_RECEIPT", "the receipt has no line of this item", field="item_id")
    trace = await Trace.of(work.tx, [request.receipt_id], {line.item_id for line in lines})
    book = await StockBook.open(work, trace.keys | {(line.item_id, line.location_id) for line in lines}, costs=True)
    _need_one_currency(book, lines)
    booking = _Booking(work, book, "RECEIPT_COST", request.reason)
    was = sum(line.value_minor for line in lines)
    for line, part in zip(lines, spread(abs(request.value_minor - was), lines, QUANTITY), strict=True):
        change = part if request.value_minor > was else -part
        if change:
            _bear(booking, trace, request.receipt_id, line, change)
    return await booking.close()


async def write_down_stock(work: Work, request: valuation_service_pb2.WriteDownStockRequest) -> valuation_service_pb2.Revaluation:
    """Over the limit it waits for an approval. Refusals: those of `carry_out`."""
    book = await _opened(work, request)
    loss = _loss(book, request)
    summary = f"write {book.items[request.item_id].sku} at {request.location_id} down to {request.unit_value_minor} each: {request.reason}"
    currency = book.locations[request.location_id].currency_code
    weight = Weight("stock", f"{request.item_id}@{request.location_id}", summary, loss, currency)
    if approval_id := await need_approval(work, WRITE_DOWN, request, weight):
        return valuation_service_pb2.Revaluation(approval_id=approval_id)
    return await _write_down(work, book, request)


async def carry_out(work: Work, request: valuation_service_pb2.WriteDownStockRequest) -> valuation_service_pb2.Revaluation:
    """Refusals: NO_SUCH_LOCATION, NO_SUCH_ITEM, KIT, NOT_OWNED, NOT_LESS, STANDARD_COST."""
    return await _write_down(work, await _opened(work, request), request)


WRITE_DOWN = ApprovalKind(
    "inventory.writedown", "Stock written down, by the value lost", "inventory.adjustment.approve",
    valuation_service_pb2.WriteDownStockRequest, carry_out, limit_minor=100_000,
)  # fmt: skip


async def value_anew(work: Work, events: Mapping[str, Received], before: Mapping[str, Any]) -> None:
    """Values the stock of items whose method or standard changed; what they are now stands in the items' rows already."""
    rows = await work.tx.find(VALUATIONS, ("item_id",), [(item_id,) for item_id in sorted(events)])
    book = await StockBook.open(work, [(row.item_id, row.location_id) for row in rows], costs=True)
    for row in rows:
        key = (row.item_id, row.location_id)
        work.cause = events[row.item_id].cause
        if book.items[row.item_id].valuation == Method.AVERAGE and before[row.item_id].valuation != Method.AVERAGE:
            book.merge_layers(*key)
        standard = book.standard_minor(*key)
        if standard is not None:
            booking = _Booking(work, book, "STANDARD_COST", f"standard cost of {book.items[row.item_id].sku} is now {standard}")
            change = sum(booking.change(key, layer, standard * layer.quantity - layer.value_minor) for layer in book.layers(*key))
            booking.add(key, (change, 0))
            booking.say()
    await book.write()


def _bear(booking: "_Booking", trace: Trace, receipt_id: str, line: ReceivedLine, amount_minor: int) -> None:
    """Lets what is left of a receipt's line bear its part, wherever transfers brought it; what has left for good bears the rest."""
    key = (line.item_id, line.location_id)
    book = booking.book
    method = book.items[line.item_id].valuation
    if method == Method.STANDARD:
        booking.add(key, (0, amount_minor), receipt_id)
        return
    sign = 1 if amount_minor > 0 else -1
    if method == Method.AVERAGE:
        # A pool forgets what came with which receipt.
        pool = [layer for layer in book.layers(*key) if not layer.held_for]
        there, _ = split(abs(amount_minor), sum(layer.quantity for layer in pool), line.quantity)
        parts = spread(there, [ReceivedLine(*key, layer.quantity, layer.value_minor) for layer in pool], QUANTITY) if pool else []
        shares = {layer.layer_id: part for layer, part in zip(pool, parts, strict=True)}
        places = {key}
    else:
        layers = trace.layers(receipt_id, *key)
        shares, _ = follow(abs(amount_minor), layers, trace.after(*key)) if layers else ({}, 0)
        places = {place for place in trace.keys if place[0] == line.item_id} | {key}
    borne = 0
    for place in sorted(places):
        # No layer falls below zero: what it cannot bear, what has left bears.
        booked = sum(
            booking.change(place, layer, max(sign * shares[layer.layer_id], -layer.value_minor))
            for layer in book.layers(*place)
            if layer.layer_id in shares and not layer.held_for
        )
        borne += booked
        booking.add(place, (booked, 0), receipt_id)
    booking.add(key, (0, amount_minor - borne), receipt_id)


async def _received(work: Work, receipt_ids: Sequence[str], field: str) -> list[tuple[str, ReceivedLine]]:
    rows = await work.tx.find(
        MOVEMENTS, ("document_id",), [(one,) for one in sorted(set(receipt_ids))], where=RECEIVED, order=("movement_id",)
    )
    if missing := set(receipt_ids) - {row.document_id for row in rows}:
        raise NotFound("NO_SUCH_RECEIPT", f"{field}: there is no receipt {min(missing)}", field=field)
    sums: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        total = sums[row.document_id, row.item_id, row.location_id]
        total[0], total[1] = total[0] + row.quantity, total[1] + row.value_minor
    return [(receipt_id, ReceivedLine(item_id, place, *total)) for (receipt_id, item_id, place), total in sums.items()]


def _weighed(book: StockBook, line: ReceivedLine) -> ReceivedLine:
    return ReceivedLine(line.item_id, line.location_id, line.quantity, line.value_minor, book.items[line.item_id].weight_g)


def _need_one_currency(book: StockBook, lines: Sequence[ReceivedLine]) -> None:
    places = {line.location_id for line in lines}
    for place in sorted(places):
        if not book.owned(place):
            raise FailedPrecondition("NOT_OWNED", f"stock at {place} is not ours and has no value here")
    if len({book.locations[place].currency_code for place in places}) > 1:
        raise FailedPrecondition("MIXED_CURRENCIES", "the receipts are valued in several currencies; spread the cost of each by itself")


async def _opened(work: Work, request: valuation_service_pb2.WriteDownStockRequest) -> StockBook:
    key = (request.item_id, request.location_id)
    book = await StockBook.open(work, [key], costs=True)
    need_known(book, *key)
    need_no_kit(book, request.item_id)
    if not book.owned(request.location_id):
        raise FailedPrecondition("NOT_OWNED", f"stock at {request.location_id} is not ours and has no value here", field="location_id")
    if book.standard_minor(*key) is not None:
        raise FailedPrecondition("STANDARD_COST", "the item is valued at standard cost; lower the standard", field="item_id")
    if _loss(book, request) <= 0:
        raise FailedPrecondition("NOT_LESS", "the stock is not worth more than that", field="unit_value_minor")
    return book


def _loss(book: StockBook, request: valuation_service_pb2.WriteDownStockRequest) -> int:
    layers = book.layers(request.item_id, request.location_id)
    return sum(max(0, layer.value_minor - request.unit_value_minor * layer.quantity) for layer in layers if not layer.held_for)


async def _write_down(
    work: Work, book: StockBook, request: valuation_service_pb2.WriteDownStockRequest
) -> valuation_service_pb2.Revaluation:
    key = (request.item_id, request.location_id)
    booking = _Booking(work, book, "WRITE_DOWN", request.reason)
    layers = [layer for layer in book.layers(*key) if not layer.held_for]
    lost = sum(booking.change(key, layer, min(0, request.unit_value_minor * layer.quantity - layer.value_minor)) for layer in layers)
    booking.add(key, (lost, 0))
    return await booking.close()


class _Booking:
    """One revaluation: what it does to each item at each location, said by one event for each."""

    def __init__(self, work: Work, book: StockBook, kind: str, reason: str) -> None:
        self.work = work
        self.book = book
        self.kind = kind
        self.reason = reason
        self._effects: dict[Key, list[int]] = {}
        self._documents: dict[Key, Document] = {}
        self._receipts: dict[Key, str] = {}

    def document(self, key: Key) -> Document:
        """Returns the document behind an item's revaluation at a location."""
        return self._documents.setdefault(key, Document("revaluation", new_id(), self.reason))

    def change(self, key: Key, layer: Any, value_minor: int) -> int:
        """Changes a layer's value and returns by how much."""
        if value_minor:
            self.book.revalue(*key, layer, value_minor, self.document(key))
        return value_minor

    def add(self, key: Key, effect: Effect, receipt_id: str = "") -> None:
        """Notes what became of an item's value: of what is there, and of what has left."""
        total = self._effects.setdefault(key, [0, 0])
        total[0], total[1] = total[0] + effect[0], total[1] + effect[1]
        self._receipts[key] = receipt_id

    def say(self) -> list[valuation_service_pb2.RevaluedItem]:
        """Says the events and returns them as the contract shows them."""
        shown = []
        for key, (inventory, cost) in self._effects.items():
            if not inventory and not cost:
                continue
            location = self.book.locations[key[1]]
            document = self.document(key)
            self.work.emit(
                inventory_events_pb2.StockRevalued(
                    document_id=document.id, kind=self.kind, location_id=key[1], entity=location.entity,
                    currency_code=location.currency_code, item_id=key[0], inventory_up_minor=max(0, inventory),
                    inventory_down_minor=max(0, -inventory), cost_up_minor=max(0, cost), cost_down_minor=max(0, -cost),
                    reason=self.reason, receipt_id=self._receipts[key],
                )
            )  # fmt: skip
            shown.append(
                valuation_service_pb2.RevaluedItem(
                    item_id=key[0], location_id=key[1], document_id=document.id, inventory_minor=inventory, cost_minor=cost
                )
            )
        return shown

    async def close(self) -> valuation_service_pb2.Revaluation:
        """Writes, says, and answers."""
        await self.book.write()
        return valuation_service_pb2.Revaluation(revaluation_id=new_id(), items=self.say())
