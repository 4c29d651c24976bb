"""Locations that have more to ship today than they can: somebody adds hands, or has some of it shipped from elsewhere."""

from collections import Counter

from sqlalchemy import func, select

from chassis.kernel.clock import DAY
from chassis.kernel.words import counted
from chassis.runtime.work import HoldKind, Work
from services.fulfillment.app.nodes import kept_node
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, NODES, OPEN

OVER_CAPACITY = HoldKind("OVER_CAPACITY", "node", 3600, "operations")


async def find_overload(work: Work) -> None:
    """Holds each location of which more is to leave by today than it ships in a day, until that is so no more."""
    nodes = {row.location_id: kept_node(row.body) for row in await work.tx.read(select(NODES))}
    today = {place: node.calendar.day_of(work.now).toordinal() for place, node in nodes.items() if node.capacity_parcels}
    if not today:
        return
    columns, due = FULFILLMENT_ORDERS.c, Counter[str]()
    query = select(columns.location_id, columns.ship_day, func.count().label("parcels")).where(OPEN, columns.ship_by <= work.now + 2 * DAY)
    for row in await work.tx.read(query.group_by(columns.location_id, columns.ship_day)):
        if row.location_id in today and row.ship_day <= today[row.location_id]:
            due[row.location_id] += row.parcels
    over = {place: more for place in sorted(today) if (more := nodes[place].beyond(due[place]))}
    for place, more in over.items():
        late, capacity = counted(more, "parcel", "leaves", "leave"), nodes[place].capacity_parcels
        text = f"{counted(due[place], 'parcel')} must leave {place} today, and it ships {capacity} a day: {late} late unless somebody helps"
        await work.hold_once(OVER_CAPACITY, "location", place, text)
    await work.release_holds([(place, OVER_CAPACITY.reason) for place in sorted(today.keys() - over)], "it can ship all of today again")
