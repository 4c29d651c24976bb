"""MoveReservation: what an order's line has reserved goes from one location to another, as one."""

from collections import Counter
from collections.abc import Sequence

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known
from services.inventory.app.reserve_stock import Owner, need_available, take_lines
from services.inventory.app.views import to_reservation
from services.inventory.domain.stock import State
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import Document, StockBook, components_of
from services.inventory.store.tables import ITEMS


async def move_reservation(
    work: Work, request: reservations_service_pb2.MoveReservationRequest
) -> reservations_service_pb2.ReserveResponse:
    """Refusals: NOTHING_RESERVED, NO_SUCH_LOCATION, INSUFFICIENT_STOCK."""
    held = [
        one for one in await reservations.load(work, [request.owner_id])
        if one.line_id == request.line_id and one.location_id == request.from_location_id and one.reserved
    ]  # fmt: skip
    wanted = await _wanted(work, held, request)
    places = (request.from_location_id, request.to_location_id)
    book = await StockBook.open(work, [(item_id, place) for item_id in wanted for place in places])
    lines = []
    for item_id, quantity in wanted.items():
        need_known(book, item_id, request.to_location_id, "to")
        lines.append(
            reservations_service_pb2.ReservationLine(
                line_id=request.line_id, item_id=item_id, location_id=request.to_location_id, quantity=quantity
            )
        )
    need_available(book, lines, ())
    document = Document("reservation", request.owner_id, "moved")
    for one in held:
        part = min(wanted[one.item_id], one.reserved)
        if part:
            book.move(*one.key, one.lot, (State.RESERVED, State.AVAILABLE), part, document)
            one.reserved, one.cancelled = one.reserved - part, one.cancelled + part
            wanted[one.item_id] -= part
    owner = Owner(request.owner_id, stock_pb2.RESERVATION_KIND_ORDER, State.RESERVED, priority=held[0].priority)
    made = take_lines(work, book, lines, owner)
    await book.write()
    await reservations.save(work, held)
    await reservations.insert(work, made)
    return reservations_service_pb2.ReserveResponse(reservations=[to_reservation(one) for one in made])


async def _wanted(work: Work, held: Sequence[Held], request: reservations_service_pb2.MoveReservationRequest) -> dict[str, int]:
    """Returns what moves of each item that the line has reserved: one, or the components of a kit in their proportion."""
    reserved = Counter[str]()
    for one in held:
        reserved[one.item_id] += one.reserved
    kits = await work.tx.find(ITEMS, ("item_id",), [(request.item_id,)], only=("kit",)) if request.item_id else ()
    parts = components_of(kits[0].kit) if kits else ()
    wanted = {item_id: each * request.quantity for item_id, each in parts} or dict.fromkeys(list(reserved)[:1], request.quantity)
    if not wanted or len(reserved) != len(wanted) or any(reserved[item_id] < quantity for item_id, quantity in wanted.items()):
        raise FailedPrecondition("NOTHING_RESERVED", "the line has not that much reserved there", field="quantity")
    return wanted
