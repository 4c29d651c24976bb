"""Rows of returns as the contract shows them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.returns.domain.judgement import Counts, progress
from services.returns.store.tables import LINES, RETURNS


def to_return(row: Any, lines: Sequence[Any]) -> returns_service_pb2.Return:
    """Returns a return with its lines."""
    return returns_service_pb2.Return(
        return_id=row.return_id, order_id=row.order_id, channel_id=row.channel_id, location_id=row.location_id,
        status=row.status, refund_state=row.refund_state, refund_minor=row.refund_minor, currency_code=row.currency_code,
        lines=[
            returns_service_pb2.ReturnLine(
                line_id=line.line_id, item_id=line.item_id, sku=line.sku, units=line.units, quantity=line.quantity,
                received=line.received, restocked=line.restocked, damaged=line.damaged, scrapped=line.scrapped,
                reason=line.reason,
            )
            for line in lines
        ],
        declined_reason=row.declined_reason, etag=str(row.version), created_at=to_timestamp(row.created_at), reference=row.reference,
    )  # fmt: skip


def visible(asked: Asked | Work, row: Any) -> None:
    """What is foreign does not exist, neither to be read nor to be changed."""
    if asked.principal is not None and not asked.principal.sees(row.channel_id):
        raise NotFound("NO_SUCH_RETURN", f"there is no return {row.return_id}", field="return_id")


async def load(tx: Tx, return_id: str, *, lock: bool = False) -> tuple[Any, list[Any]]:
    """Returns a return's row and its lines; raises NotFound."""
    query = select(RETURNS).where(RETURNS.c.return_id == return_id)
    rows = await tx.read(query.with_for_update() if lock else query)
    if not rows:
        raise NotFound("NO_SUCH_RETURN", f"there is no return {return_id}", field="return_id")
    return rows[0], list(await tx.read(select(LINES).where(LINES.c.return_id == return_id).order_by(LINES.c.line_id)))


async def save(work: Work, row: Any, lines: Sequence[dict[str, Any]], reference: str = "") -> returns_service_pb2.Return:
    """Writes lines and the status that follows from them, and its reference where one is said; returns it as it is now."""
    names = ("return_id", "line_id", "received", "restocked", "damaged", "scrapped")
    await work.tx.change(LINES, names[:2], [{name: line[name] for name in names} for line in lines])
    counts = [Counts(line["quantity"], line["received"], line["restocked"] + line["damaged"] + line["scrapped"]) for line in lines]
    status = update(RETURNS).where(RETURNS.c.return_id == row.return_id)
    await work.tx.write(status.values(status=int(progress(counts)), version=row.version + 1, reference=reference or row.reference))
    return to_return(*await load(work.tx, row.return_id))
