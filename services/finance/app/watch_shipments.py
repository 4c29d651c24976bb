"""A shipment has a sale, a cost and a freight entry; one that lacks a part after 15 minutes is a hold."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, update

from chassis.kernel.clock import MINUTE
from chassis.runtime.inbox import Received
from chassis.runtime.work import HoldKind, Work
from services.finance.store.tables import CHASSIS, SHIPMENT_PARTS

PARTS = {"LinesShipped": "sale", "StockIssued": "cost", "ShipmentShipped": "freight"}
WITHIN = 15 * MINUTE
INCOMPLETE = HoldKind("INCOMPLETE_SHIPMENT", "integration", 3600, "finance")


async def note_parts(work: Work, events: Sequence[Received]) -> None:
    """Notes which parts came."""
    rows: dict[str, dict[str, object]] = {}
    for event in events:
        part = PARTS.get(event.message.DESCRIPTOR.name)
        # What a till or a marketplace handed out has no shipment.
        if part is not None and event.message.shipment_id:
            row = rows.setdefault(
                event.message.shipment_id,
                {"shipment_id": event.message.shipment_id, "sale": 0, "cost": 0, "freight": 0, "first_at": work.now, "held": 0},
            )
            row[part] = 1
    sorted_rows = [rows[key] for key in sorted(rows)]
    await work.tx.merge(SHIPMENT_PARTS, ("shipment_id",), sorted_rows, add=tuple(PARTS.values()), keep=("first_at", "held"))


async def hold_incomplete(work: Work) -> None:
    """Raises a hold for each shipment that waited too long; releases those of which all parts have come since."""
    lacking = SHIPMENT_PARTS.c.sale + SHIPMENT_PARTS.c.cost + SHIPMENT_PARTS.c.freight < 3
    await _release(work, ~lacking)
    query = select(SHIPMENT_PARTS).where(lacking, SHIPMENT_PARTS.c.first_at < work.now - WITHIN, SHIPMENT_PARTS.c.held == 0)
    for row in await work.tx.read(query.limit(100)):
        missing = [name for name in PARTS.values() if not getattr(row, name)]
        work.hold(INCOMPLETE, "shipment", row.shipment_id, f"has no {', '.join(missing)} entry")
        change = update(SHIPMENT_PARTS).where(SHIPMENT_PARTS.c.shipment_id == row.shipment_id)
        await work.tx.write(change.values(held=1))


async def _release(work: Work, whole: ColumnElement[bool]) -> None:
    held = CHASSIS.holds
    query = select(held.c.subject_id).join(SHIPMENT_PARTS, SHIPMENT_PARTS.c.shipment_id == held.c.subject_id)
    rows = await work.tx.read(query.where(held.c.reason == INCOMPLETE.reason, *CHASSIS.open_holds, whole).limit(100))
    await work.release_holds([(row.subject_id, INCOMPLETE.reason) for row in rows], "all its entries have come")
