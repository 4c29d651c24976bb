"""SetContact: where the customer of an order is told and called. What was packed goes where it goes."""

import json

from sqlalchemy import update

from argosy.orders.v1 import orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.orders.app.read_orders import ship_to_of
from services.orders.app.views import load, visible
from services.orders.store.tables import HISTORY, ORDERS


async def set_contact(work: Work, request: orders_service_pb2.SetContactRequest) -> orders_service_pb2.ShipTo:
    """Refusals: NO_SUCH_ORDER."""
    row = await load(work.tx, request.order_id, lock=True)
    visible(work, row.channel_id)
    ship_to = {name: value for name, value in json.loads(row.ship_to).items() if name not in ("email", "phone")}
    ship_to |= {name: value for name, value in (("email", request.email), ("phone", request.phone)) if value}
    changed = {"ship_to": json.dumps(ship_to), "version": row.version + 1}
    await work.tx.write(update(ORDERS).where(ORDERS.c.order_id == row.order_id).values(**changed))
    # What it says is personal, so that it was said is all that history keeps.
    entry = {"entry_id": new_id(), "order_id": row.order_id, "at": work.now, "actor": work.cause.actor}
    await work.tx.insert(HISTORY, [{**entry, "kind": "CONTACT_CHANGED", "detail": ""}])
    return await ship_to_of(work.tx, await load(work.tx, request.order_id))
