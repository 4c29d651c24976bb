"""MoveReservation: what an order's line has reserved goes from one location to another, as one."""

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known
from services.inventory.app.reserve_stock import need_available, take_lines
from services.inventory.app.views import to_reservation
from services.inventory.domain.stock import State
from services.inventory.store import reservations
from services.inventory.store.stock_book import Document, StockBook


async def move_reservation(
    work: Work, request: reservations_service_pb2.MoveReservationRequest
) -> reservations_service_pb2.ReserveResponse:
    """Refusals: NOTHING_RESERVED, NO_SUCH_LOCATION, INSUFFICIENT_STOCK."""
    held = [
        one for one in await reservations.load(work, [request.owner_id])
        if one.line_id == request.line_id and one.location_id == request.from_location_id and one.reserved
    ]  # fmt: skip
    if sum(one.reserved for one in held) < request.quantity:
        raise FailedPrecondition("NOTHING_RESERVED", "the line has not that much reserved there", field="quantity")
    item_id = held[0].item_id
    book = await StockBook.open(work, [(item_id, request.from_location_id), (item_id, request.to_location_id)])
    need_known(book, item_id, request.to_location_id, "to")
    line = reservations_service_pb2.ReservationLine(
        line_id=request.line_id, item_id=item_id, location_id=request.to_location_id, quantity=request.quantity
    )
    need_available(book, [line], {})
    left = request.quantity
    for one in held:
        part = min(left, one.reserved)
        if part:
            book.move(*one.key, one.lot, (State.RESERVED, State.AVAILABLE), part, Document("reservation", request.owner_id, "moved"))
            one.reserved, one.cancelled, left = one.reserved - part, one.cancelled + part, left - part
    made = take_lines(work, book, [line], request.owner_id, State.RESERVED, stock_pb2.RESERVATION_KIND_ORDER, None)
    await book.write()
    await reservations.save(work, held)
    await reservations.insert(work, made)
    return reservations_service_pb2.ReserveResponse(reservations=[to_reservation(one) for one in made])
