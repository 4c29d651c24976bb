"""CancelReservation: gives back what owners hold and was not released, many owners in one set of statements.

What is with a warehouse comes back when fulfillment says so. An owner that is not known leaves a tombstone, so that
its late reserve is refused.
"""

from collections.abc import Sequence

from argosy.inventory.v1 import reservations_service_pb2
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.inventory.app.demands import forget
from services.inventory.app.supply import fill, give_back
from services.inventory.app.views import with_reservations
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import Document, StockBook


async def cancel_reservations(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with the reservations as they stand now; nothing left to give back is no error."""
    owners = {call.request.owner_id for call in calls}
    held = await reservations.load(work, owners)
    held += await reservations.bury(work, owners)
    await forget(work, sorted({call.request.owner_id for call in calls if not call.request.lines}))
    book = await StockBook.open(work, [one.key for one in held])
    outcomes: list[Outcome] = []
    for call in calls:
        work.cause = call.cause
        own = [one for one in held if one.owner_id == call.request.owner_id]
        _cancel(book, own, call.request)
        outcomes.append(with_reservations(reservations_service_pb2.CancelReservationResponse(), own))
    await fill(work, book, [one.key for one in held])
    await book.write()
    await reservations.save(work, held)
    return outcomes


def _cancel(book: StockBook, held: Sequence[Held], request: reservations_service_pb2.CancelReservationRequest) -> None:
    document = Document("reservation", request.owner_id, request.reason or "cancelled")
    if not request.lines:
        for one in held:
            give_back(book, one, one.reserved, document)
    for line in request.lines:
        left = line.quantity
        own = [one for one in held if one.line_id == line.line_id and line.location_id in ("", one.location_id)]
        for there in reservations.by_place(own):
            units = min(left, reservations.units_of(there))
            for one, part in reservations.shares(there, units):
                give_back(book, one, part, document)
            left -= units
