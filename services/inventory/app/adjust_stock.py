"""AdjustStock and ChangeState: corrections by hand, with a reason."""

from argosy.inventory.v1 import inventory_events_pb2, stock_service_pb2
from chassis.kernel.errors import Aborted, FailedPrecondition, InvalidArgument
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known
from services.inventory.domain.stock import State, by_hand
from services.inventory.store.stock_book import Document, StockBook


async def adjust_stock(work: Work, request: stock_service_pb2.AdjustStockRequest) -> stock_service_pb2.StockDocument:
    """Refusals: INVALID_STATE, NO_SUCH_LOCATION, NO_SUCH_ITEM, BALANCE_CHANGED, INSUFFICIENT_STOCK."""
    state = by_hand(request.state, "state")
    book = await StockBook.open(work, [(request.item_id, request.location_id)], costs=True)
    need_known(book, request.item_id, request.location_id)
    _need_unchanged(book, request, state)
    document = Document("adjustment", new_id(), request.reason)
    location = book.locations[request.location_id]
    event = inventory_events_pb2.StockAdjusted(
        document_id=document.id, location_id=request.location_id, entity=location.entity, item_id=request.item_id,
        currency_code=location.currency_code, quantity=request.quantity, reason=request.reason, cost_basis="LAYER",
    )  # fmt: skip
    if request.quantity > 0:
        value, event.cost_basis = book.estimate(request.item_id, request.location_id, request.quantity) if location.owned else (0, "NONE")
        book.move(request.item_id, request.location_id, request.lot, (State.OUTSIDE, state), request.quantity, document, value)
        book.add_layer(request.item_id, request.location_id, request.quantity, value, document.id)
        event.gain_minor = value
    else:
        _need(book, request, state, -request.quantity)
        value = book.issue(request.item_id, request.location_id, -request.quantity, document.id)
        book.move(request.item_id, request.location_id, request.lot, (state, State.OUTSIDE), -request.quantity, document, value)
        event.loss_minor = value
    await book.write()
    work.emit(event)
    return stock_service_pb2.StockDocument(document_id=document.id)


async def change_state(work: Work, request: stock_service_pb2.ChangeStateRequest) -> stock_service_pb2.StockDocument:
    """Refusals: INVALID_STATE, SAME_STATE, NO_SUCH_LOCATION, NO_SUCH_ITEM, INSUFFICIENT_STOCK."""
    source, target = by_hand(request.from_state, "from_state"), by_hand(request.to_state, "to_state")
    if source is target:
        raise InvalidArgument("SAME_STATE", "to_state: must differ from from_state", field="to_state")
    book = await StockBook.open(work, [(request.item_id, request.location_id)])
    need_known(book, request.item_id, request.location_id)
    _need(book, request, source, request.quantity)
    document = Document("state_change", new_id(), request.reason)
    book.move(request.item_id, request.location_id, request.lot, (source, target), request.quantity, document)
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
