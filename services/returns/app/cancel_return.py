"""CancelReturn: calls a return off of which nothing came in."""

from sqlalchemy import update

from argosy.returns.v1 import returns_events_pb2, returns_service_pb2
from chassis.kernel.errors import FailedPrecondition, need_unchanged
from chassis.runtime.work import Work
from services.returns.app.views import load, to_return, visible
from services.returns.domain.judgement import Status
from services.returns.process import settle_return
from services.returns.store.tables import RETURNS


async def cancel_return(work: Work, request: returns_service_pb2.CancelReturnRequest) -> returns_service_pb2.Return:
    """Refusals: NO_SUCH_RETURN, ETAG_MISMATCH, NOT_OPEN."""
    row, lines = await load(work.tx, request.return_id, lock=True)
    visible(work, row)
    need_unchanged(request.etag, row.version)
    if row.status != Status.AUTHORIZED or any(line.received for line in lines):
        raise FailedPrecondition("NOT_OPEN", f"the return is {Status(row.status).name}; only one of which nothing came can be cancelled")
    change = update(RETURNS).where(RETURNS.c.return_id == row.return_id)
    await work.tx.write(change.values(status=int(Status.CANCELLED), version=row.version + 1))
    work.deliver(settle_return.NAME, row.return_id, settle_return.Cancelled())
    work.emit(returns_events_pb2.ReturnClosed(return_id=row.return_id, order_id=row.order_id, status="CANCELLED"))
    return to_return(*await load(work.tx, row.return_id))
