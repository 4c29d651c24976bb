"""ConvertStock: items are made of other items in the same place, at cost; nothing is gained or lost."""

from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.kernel.money import allocate
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known, need_sellable
from services.inventory.app.supply import fill
from services.inventory.domain.stock import State, by_hand
from services.inventory.store.stock_book import Document, StockBook


async def convert_stock(work: Work, request: stock_service_pb2.ConvertStockRequest) -> stock_service_pb2.StockDocument:
    """Refusals: NO_SUCH_LOCATION, NO_SUCH_ITEM, INVALID_STATE, KIT, SAME_ITEM, INSUFFICIENT_STOCK, LOT_RECALLED, EXPIRED_LOT."""
    location_id = request.location_id
    keys = [(line.item_id, location_id) for line in (*request.inputs, *request.outputs)]
    book = await StockBook.open(work, keys, costs=True, lots=[(line.item_id, line.lot) for line in request.outputs])
    for name, lines in (("inputs", request.inputs), ("outputs", request.outputs)):
        for index, line in enumerate(lines):
            need_known(book, line.item_id, location_id, f"{name}[{index}]")
            if book.items[line.item_id].kit:
                text = f"{name}[{index}].item_id: a kit without stock of its own cannot be converted; use an item for built kits"
                raise FailedPrecondition("KIT", text, field=f"{name}[{index}].item_id")
    if same := {line.item_id for line in request.inputs} & {line.item_id for line in request.outputs}:
        raise FailedPrecondition("SAME_ITEM", f"{min(same)} is used up and made; leave it out", field="outputs")
    document = Document("conversion", new_id(), request.reason)
    value = 0
    for index, line in enumerate(request.inputs):
        state = _state(line, f"inputs[{index}].state")
        there = book.lot_quantity(line.item_id, location_id, line.lot, state)
        if there < line.quantity:
            text = f"inputs[{index}].quantity: only {there} are {state.name} there"
            raise FailedPrecondition("INSUFFICIENT_STOCK", text, field=f"inputs[{index}].quantity", available=there)
        cost = book.issue(line.item_id, location_id, line.quantity, document, lot=line.lot)
        book.move(line.item_id, location_id, line.lot, (state, State.OUTSIDE), line.quantity, document, cost)
        value += cost
    costs = allocate(value, [line.cost_weight for line in request.outputs])
    for index, (line, cost) in enumerate(zip(request.outputs, costs, strict=True)):
        state = _state(line, f"outputs[{index}].state")
        if state is State.AVAILABLE:
            need_sellable(book, line.item_id, line.lot, f"outputs[{index}].state")
        if line.lot:
            book.learn_lot(line.item_id, line.lot, None)
        booked = book.put(line.item_id, location_id, line.quantity, cost, document, lot=line.lot)
        if booked != cost:
            text = (
                f"outputs[{index}].item_id: an item at standard cost would be worth {booked}, not {cost}; convert into one valued by FIFO"
            )
            raise FailedPrecondition("STANDARD_COST", text, field=f"outputs[{index}].item_id")
        book.move(line.item_id, location_id, line.lot, (State.OUTSIDE, state), line.quantity, document, cost)
    await fill(work, book, [(line.item_id, location_id) for line in request.outputs])
    await book.write()
    return stock_service_pb2.StockDocument(document_id=document.id)


def _state(line: stock_service_pb2.ConversionLine, field: str) -> State:
    return by_hand(line.state or State.AVAILABLE, field)
