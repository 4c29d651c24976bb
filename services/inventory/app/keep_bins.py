"""KeepBins: from now on fulfillment is told of every change of what is on hand at a location, first of all that is."""

from sqlalchemy import func, select, update

from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from chassis.kernel.errors import NotFound
from chassis.runtime.work import Work
from services.inventory.app.views import to_location
from services.inventory.domain.stock import ON_HAND
from services.inventory.store.stock_book import on_hand_changed
from services.inventory.store.tables import BALANCES, LOCATIONS

MOST_LINES = 1000


async def keep_bins(work: Work, request: stock_service_pb2.KeepBinsRequest) -> stock_pb2.Location:
    """Asked again, changes nothing. Refusals: NO_SUCH_LOCATION."""
    location_id = request.location_id
    query = select(LOCATIONS).where(LOCATIONS.c.location_id == location_id)
    rows = await work.tx.read(query.with_for_update())
    if not rows:
        raise NotFound("NO_SUCH_LOCATION", f"there is no location {location_id}", field="location_id")
    if not rows[0].bins:
        await work.tx.write(update(LOCATIONS).where(LOCATIONS.c.location_id == location_id).values(bins=1))
        # Whoever books there holds the location until then, so that this is all, and what is booked from now on is told.
        there = BALANCES.c.location_id == location_id
        key = (BALANCES.c.item_id, BALANCES.c.lot)
        summed = select(*key, func.sum(BALANCES.c.quantity).label("quantity")).group_by(*key).order_by(*key)
        on_hand = await work.tx.read(summed.where(there, BALANCES.c.state.in_(ON_HAND), BALANCES.c.quantity > 0))
        for start in range(0, len(on_hand), MOST_LINES):
            lines = {(row.item_id, row.lot): int(row.quantity) for row in on_hand[start : start + MOST_LINES]}
            work.emit(on_hand_changed(location_id, f"bins-{start}", lines))
    return to_location((await work.tx.read(query))[0])
