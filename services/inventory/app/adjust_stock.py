"""AdjustStock and ChangeState: corrections by hand, with a reason. What is worth much needs a second person."""

from argosy.inventory.v1 import inventory_events_pb2, stock_service_pb2
from chassis.kernel.errors import Aborted, FailedPrecondition, InvalidArgument
from chassis.kernel.ids import new_id
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known, need_no_kit, need_sellable
from services.inventory.app.supply import fill
from services.inventory.domain.stock import State, by_hand
from services.inventory.store.stock_book import Document, StockBook


async def adjust_stock(work: Work, request: stock_service_pb2.AdjustStockRequest) -> stock_service_pb2.StockDocument:
    """Over the limit it waits for an approval. Refusals: those of `carry_out`."""
    book, state = await _opened(work, request)
    value, _ = book.estimate(request.item_id, request.location_id, abs(request.quantity)) if book.owned(request.location_id) else (0, "")
    item = book.items[request.item_id]
    summary = f"{request.quantity:+d} {item.sku} ({state.name}) at {request.location_id}: {request.reason}"
    weight = Weight("stock", f"{request.item_id}@{request.location_id}", summary, value, book.locations[request.location_id].currency_code)
    if approval_id := await need_approval(work, ADJUSTMENT, request, weight):
        return stock_service_pb2.StockDocument(approval_id=approval_id)
    return await _book(work, book, state, request)


async def carry_out(work: Work, request: stock_service_pb2.AdjustStockRequest) -> stock_service_pb2.StockDocument:
    """Refusals: INVALID_STATE, NO_SUCH_LOCATION, NO_SUCH_ITEM, KIT, BALANCE_CHANGED, INSUFFICIENT_STOCK, LOT_RECALLED, EXPIRED_LOT."""
    book, state = await _opened(work, request)
    return await _book(work, book, state, request)


ADJUSTMENT = ApprovalKind(
    "inventory.adjustment", "Stock found or lost, by its value", "inventory.adjustment.approve", stock_service_pb2.AdjustStockRequest,
    carry_out, limit_minor=100_000,
)  # fmt: skip


async def _opened(work: Work, request: stock_service_pb2.AdjustStockRequest) -> tuple[StockBook, State]:
    state = by_hand(request.state, "state")
    named = [(request.item_id, request.lot)]
    book = await StockBook.open(work, [(request.item_id, request.location_id)], costs=True, lots=named)
    need_known(book, request.item_id, request.location_id)
    need_no_kit(book, request.item_id)
    _need_unchanged(book, request, state)
    if request.quantity < 0:
        _need(book, request, state, -request.quantity)
    elif state is State.AVAILABLE:
        need_sellable(book, request.item_id, request.lot, "state")
    return book, state


async def _book(
    work: Work, book: StockBook, state: State, request: stock_service_pb2.AdjustStockRequest
) -> stock_service_pb2.StockDocument:
    document = Document("adjustment", new_id(), request.reason)
    location = book.locations[request.location_id]
    event = inventory_events_pb2.StockAdjusted(
        document_id=document.id, location_id=request.location_id, entity=location.entity, item_id=request.item_id,
        currency_code=location.currency_code, quantity=request.quantity, reason=request.reason, cost_basis="LAYER",
    )  # fmt: skip
    if request.quantity > 0:
        value, event.cost_basis = book.estimate(request.item_id, request.location_id, request.quantity) if location.owned else (0, "NONE")
        value = book.put(request.item_id, request.location_id, request.quantity, value, document, lot=request.lot)
        if request.lot:
            book.learn_lot(request.item_id, request.lot, None)
        book.move(request.item_id, request.location_id, request.lot, (State.OUTSIDE, state), request.quantity, document, value)
        event.gain_minor = value
    else:
        value = book.issue(request.item_id, request.location_id, -request.quantity, document, lot=request.lot)
        book.move(request.item_id, request.location_id, request.lot, (state, State.OUTSIDE), -request.quantity, document, value)
        event.loss_minor = value
    await fill(work, book, [(request.item_id, request.location_id)])
    await book.write()
    work.emit(event)
    return stock_service_pb2.StockDocument(document_id=document.id)


async def change_state(work: Work, request: stock_service_pb2.ChangeStateRequest) -> stock_service_pb2.StockDocument:
    """Refusals: INVALID_STATE, SAME_STATE, NO_SUCH_LOCATION, NO_SUCH_ITEM, INSUFFICIENT_STOCK, LOT_RECALLED, EXPIRED_LOT."""
    source, target = by_hand(request.from_state, "from_state"), by_hand(request.to_state, "to_state")
    if source is target:
        raise InvalidArgument("SAME_STATE", "to_state: must differ from from_state", field="to_state")
    book = await StockBook.open(work, [(request.item_id, request.location_id)])
    need_known(book, request.item_id, request.location_id)
    _need(book, request, source, request.quantity)
    if target is State.AVAILABLE:
        need_sellable(book, request.item_id, request.lot, "to_state")
    document = Document("state_change", new_id(), request.reason)
    book.move(request.item_id, request.location_id, request.lot, (source, target), request.quantity, document)
    await fill(work, book, [(request.item_id, request.location_id)])
    await book.write()
    return stock_service_pb2.StockDocument(document_id=document.id)


def _need_unchanged(book: StockBook, request: stock_service_pb2.AdjustStockRequest, state: State) -> None:
    """Two people who saw the same balance: the second is told."""
    there = book.lot_quantity(request.item_id, request.location_id, request.lot, state)
    if request.HasField("expected_quantity") and request.expected_quantity != there:
        text = f"there are {there} by now, not {request.expected_quantity}; look again"
        raise Aborted("BALANCE_CHANGED", text, field="expected_quantity", there=there)


def _need(
    book: StockBook, request: stock_service_pb2.AdjustStockRequest | stock_service_pb2.ChangeStateRequest, state: State, quantity: int
) -> None:
    there = book.lot_quantity(request.item_id, request.location_id, request.lot, state)
    if there < quantity:
        raise FailedPrecondition("INSUFFICIENT_STOCK", f"only {there} are {state.name} there", field="quantity", available=there)
