"""MoveReservation: what an order's line has reserved goes from one location to another, as one."""

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known
from services.inventory.app.reserve_stock import Line, Owner, need_available, take_lines
from services.inventory.app.supply import fill, give_back
from services.inventory.app.views import with_reservations
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
        and request.item_id in ("", one.kit_item_id or one.item_id)
    ]  # fmt: skip
    if reservations.units_of(held) < request.quantity:
        raise FailedPrecondition("NOTHING_RESERVED", "the line has not that much reserved there", field="quantity")
    item_id = held[0].kit_item_id or held[0].item_id
    line = Line(request.line_id, (item_id, request.to_location_id), request.quantity)
    keys = [one.key for one in held]
    book = await StockBook.open(work, [*keys, *((item_id, request.to_location_id) for item_id, _ in keys), line.key])
    need_known(book, *line.key, "to")
    need_available(book, [line], ())
    document = Document("reservation", request.owner_id, "moved")
    for one, part in reservations.shares(held, request.quantity):
        give_back(book, one, part, document)
    owner = Owner(request.owner_id, stock_pb2.RESERVATION_KIND_ORDER, State.RESERVED, priority=held[0].priority)
    made = take_lines(work, book, [line], owner)
    await fill(work, book, keys)
    await book.write()
    await reservations.save(work, held)
    await reservations.insert(work, made)
    return with_reservations(reservations_service_pb2.ReserveResponse(), made)
