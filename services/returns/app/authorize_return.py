"""AuthorizeReturn: judges a wish to return by the channel's policy."""

from typing import Any

from sqlalchemy import func, select

from argosy.returns.v1 import returns_events_pb2, returns_service_pb2
from chassis.kernel.clock import from_timestamp
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.tx import gate
from chassis.runtime.work import Work
from chassis.runtime.writer import Call
from services.returns.app.views import load, to_return
from services.returns.domain.judgement import DEFAULT_WINDOW_DAYS, RefundState, Status, Wish, judge
from services.returns.process import settle_return
from services.returns.store.tables import LINES, POLICIES, RETURNS


async def authorize_return(work: Work, call: Call) -> returns_service_pb2.Return:
    """Answers AUTHORIZED or DECLINED with the reason. Refusals: NO_SUCH_ORDER, NO_SUCH_LINE, INVALID_FIELD."""
    request, order = call.request, call.context
    if not order.order_id or (work.principal is not None and not work.principal.sees(order.channel_id)):
        raise NotFound("NO_SUCH_ORDER", f"there is no order {request.order_id}", field="order_id")
    lines = {line.line_id: line for line in order.lines}
    asked: dict[str, Any] = {}
    for index, wanted in enumerate(request.lines):
        if wanted.line_id not in lines:
            raise NotFound("NO_SUCH_LINE", f"the order has no line {wanted.line_id}", field=f"lines[{index}].line_id")
        if wanted.line_id in asked:
            raise InvalidArgument("INVALID_FIELD", f"lines[{index}].line_id: stands there twice", field=f"lines[{index}].line_id")
        asked[wanted.line_id] = wanted
    # Another replica may be at a return of the same order: what it authorises counts.
    await work.tx.close(gate("returns", order.order_id))
    returning = await _returning(work, sorted(asked))
    window_days, refund_shipping = await _policy(work, order.channel_id)
    wishes = [
        Wish(
            line_id, wanted.quantity, lines[line_id].shipped, returning.get(line_id, 0),
            from_timestamp(lines[line_id].shipped_at) if lines[line_id].HasField("shipped_at") else None,
        )
        for line_id, wanted in asked.items()
    ]  # fmt: skip
    declined = judge(wishes, window_days, work.now)
    row = {
        "return_id": new_id(), "order_id": order.order_id, "channel_id": order.channel_id, "location_id": request.location_id,
        "currency_code": order.currency_code, "status": int(Status.DECLINED if declined else Status.AUTHORIZED),
        "refund_state": int(RefundState.NONE), "refund_minor": 0, "refund_shipping": int(refund_shipping),
        "declined_reason": declined, "reference": request.reference, "version": 1, "created_at": work.now,
    }  # fmt: skip
    await work.tx.insert(RETURNS, [row])
    rows = [
        {
            "return_id": row["return_id"], "line_id": line_id, "item_id": lines[line_id].item_id, "sku": lines[line_id].sku,
            "units": lines[line_id].units, "quantity": wanted.quantity, "received": 0, "restocked": 0, "damaged": 0,
            "scrapped": 0, "reason": wanted.reason,
        }
        for line_id, wanted in asked.items()
    ]  # fmt: skip
    await work.tx.insert(LINES, rows)
    if not declined:
        state = settle_return.State(
            str(row["return_id"]), order.order_id, refund_shipping, {line_id: wanted.quantity for line_id, wanted in asked.items()}
        )
        work.start(settle_return.NAME, str(row["return_id"]), state, settle_return.Authorised())
        names = ("return_id", "order_id", "channel_id", "location_id")
        event = returns_events_pb2.ReturnAuthorized(**{name: str(row[name]) for name in names})  # type: ignore[arg-type]
        for one in rows:
            stock_quantity = one["quantity"] * one["units"]
            event.lines.add(line_id=one["line_id"], item_id=one["item_id"], quantity=one["quantity"], stock_quantity=stock_quantity)
        work.emit(event)
    return to_return(*await load(work.tx, str(row["return_id"])))


async def _returning(work: Work, line_ids: list[str]) -> dict[str, int]:
    """What of the lines is on its way back already, or came."""
    dead = (int(Status.DECLINED), int(Status.CANCELLED), int(Status.EXPIRED))
    query = select(LINES.c.line_id, func.sum(LINES.c.quantity)).join(RETURNS, RETURNS.c.return_id == LINES.c.return_id)
    query = query.where(LINES.c.line_id.in_(line_ids), RETURNS.c.status.not_in(dead)).group_by(LINES.c.line_id)
    return {line_id: int(total) for line_id, total in await work.tx.read(query)}


async def _policy(work: Work, channel_id: str) -> tuple[int, bool]:
    rows = await work.tx.read(select(POLICIES).where(POLICIES.c.channel_id.in_(("", channel_id))))
    best = max(rows, key=lambda row: len(row.channel_id), default=None)
    return (best.window_days, bool(best.refund_shipping)) if best is not None else (DEFAULT_WINDOW_DAYS, False)
