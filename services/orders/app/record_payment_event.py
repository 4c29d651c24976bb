"""RecordPaymentEvent: what a payment provider says by itself, twice and in any order. What we did ourselves is known already."""

from typing import Any

from sqlalchemy import func, select, update

from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.clock import from_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.kernel.money import shown
from chassis.runtime.work import Stake, Work
from services.orders.app.capture_tender import note_capture, tell_if_paid
from services.orders.app.hold_kinds import hold_kind
from services.orders.app.views import load
from services.orders.store.tables import HISTORY, LINES, PAYMENT_REFERENCES, TENDERS

PENDING, AUTHORISED, CAPTURED, VOIDED = (
    order_pb2.TENDER_STATE_PENDING, order_pb2.TENDER_STATE_AUTHORISED, order_pb2.TENDER_STATE_CAPTURED, order_pb2.TENDER_STATE_VOIDED,
)  # fmt: skip
NOTHING = "NOTHING"
Kind = orders_service_pb2
Request = orders_service_pb2.RecordPaymentEventRequest
Response = orders_service_pb2.RecordPaymentEventResponse


async def record_payment_event(work: Work, request: Request) -> Response:
    """Refusals: NO_SUCH_PAYMENT, WRONG_CURRENCY."""
    tender_id = await _find(work, request.reference)
    rows = await work.tx.find(TENDERS, ("tender_id",), [(tender_id,)])
    # The order is locked before its tenders, as everybody does.
    order = await load(work.tx, rows[0].order_id, lock=True)
    tender = (await work.tx.find(TENDERS, ("tender_id",), [(tender_id,)], order=("tender_id",), lock=True))[0]
    if request.currency_code != order.currency_code:
        text = f"the order is in {order.currency_code}, the payment in {request.currency_code}"
        raise FailedPrecondition("WRONG_CURRENCY", text, field="currency_code")
    did = await _follow(work, request, order, tender)
    return Response(order_id=order.order_id, tender_id=tender_id, did=did)


async def _find(work: Work, reference: str) -> str:
    rows = await work.tx.find(PAYMENT_REFERENCES, ("reference",), [(reference,)], order=("tender_id",))
    if not rows:
        raise NotFound("NO_SUCH_PAYMENT", f"no order is paid by {reference}", field="reference")
    return str(rows[-1].tender_id)


async def _follow(work: Work, request: Request, order: Any, tender: Any) -> str:
    # What was renewed lives on under another name: that the old one was let go says nothing, nor does it while that is asked.
    is_current = tender.reference == request.reference
    may_end = is_current and not tender.renewing and tender.state in (PENDING, AUTHORISED)
    match request.kind:
        case Kind.PAYMENT_EVENT_KIND_AUTHORISED if is_current and tender.state == PENDING:
            return await _authorised(work, request, order, tender)
        case Kind.PAYMENT_EVENT_KIND_CAPTURED if is_current:
            return await _captured(work, request, order, tender)
        case Kind.PAYMENT_EVENT_KIND_FAILED | Kind.PAYMENT_EVENT_KIND_CANCELLED if may_end:
            return await _let_go(work, request, order, tender)
        case Kind.PAYMENT_EVENT_KIND_REFUNDED:
            return await _refunded(work, request, order, tender)
        case Kind.PAYMENT_EVENT_KIND_DISPUTED:
            text = f"the customer disputes {shown(request.amount_minor, order.currency_code)}: {request.detail or 'no reason was given'}"
            return await _hold(work, order, "CHARGEBACK", text)
        case Kind.PAYMENT_EVENT_KIND_DISPUTE_WON:
            return await _won(work, order)
        case Kind.PAYMENT_EVENT_KIND_DISPUTE_LOST:
            text = f"the dispute over {shown(request.amount_minor, order.currency_code)} was lost: book what is gone"
            await work.release_holds([(order.order_id, "CHARGEBACK")], "the dispute was lost")
            return await _hold(work, order, "CHARGEBACK", text)
        case _:
            return NOTHING


async def _authorised(work: Work, request: Request, order: Any, tender: Any) -> str:
    expires_at = from_timestamp(request.expires_at) if request.HasField("expires_at") else None
    await _change(work, tender, state=AUTHORISED, expires_at=expires_at)
    await _note(work, order, "AUTHORISED_PAYMENT", str(request.amount_minor))
    if request.amount_minor < tender.amount_minor:
        given, wanted = (shown(amount, order.currency_code) for amount in (request.amount_minor, tender.amount_minor))
        return await _hold(work, order, "AMOUNT_MISMATCH", f"{given} are authorised, {wanted} were to be paid")
    await tell_if_paid(work, order)
    return "AUTHORISED"


async def _captured(work: Work, request: Request, order: Any, tender: Any) -> str:
    """What is being taken by us counts as taken: only what is beyond that is news."""
    news = min(request.amount_minor, tender.amount_minor) - tender.captured_minor - tender.capturing_minor
    if news <= 0:
        return NOTHING
    taken_in_all = tender.captured_minor + tender.capturing_minor + news
    await note_capture(work, order, tender, news, state=CAPTURED if taken_in_all == tender.amount_minor else AUTHORISED)
    await tell_if_paid(work, order)
    return "CAPTURED"


async def _let_go(work: Work, request: Request, order: Any, tender: Any) -> str:
    """What we let go ourselves is no news; what somebody else does while goods are to ship is a person's matter."""
    await _change(work, tender, state=CAPTURED if tender.captured_minor else VOIDED)
    await _note(work, order, "PAYMENT_GONE", request.detail or "the provider let it go")
    waits = select(func.count()).where(LINES.c.order_id == order.order_id, LINES.c.waiting + LINES.c.reserved > 0)
    if tender.state == AUTHORISED and (await work.tx.read(waits))[0][0]:
        await _hold(work, order, "AUTH_EXPIRED", f"its authorisation is gone: {request.detail or 'the provider let it go'}")
    return "VOIDED"


async def _refunded(work: Work, request: Request, order: Any, tender: Any) -> str:
    """What we are giving back and have no answer for counts as given."""
    beyond = request.amount_minor - tender.refunded_minor - tender.refunding_minor
    if beyond <= 0:
        return NOTHING
    text = f"the provider gave {shown(beyond, order.currency_code)} back that nobody asked for here: refund the units, or ask for it"
    return await _hold(work, order, "REFUND_MISMATCH", text)


async def _won(work: Work, order: Any) -> str:
    await work.release_holds([(order.order_id, "CHARGEBACK")], "the dispute was won")
    await _note(work, order, "LIFTED_CHARGEBACK", "the dispute was won")
    return "LIFTED"


async def _hold(work: Work, order: Any, reason: str, detail: str) -> str:
    stake = Stake(order.total_minor, order.currency_code, order.ship_by)
    if not await work.hold_once(hold_kind(reason), "order", order.order_id, detail, stake):
        return NOTHING
    await _note(work, order, f"HOLD_{reason}", detail)
    return "HELD"


async def _change(work: Work, tender: Any, **values: Any) -> None:
    await work.tx.write(update(TENDERS).where(TENDERS.c.tender_id == tender.tender_id).values(**values))


async def _note(work: Work, order: Any, kind: str, detail: str) -> None:
    entry = {"entry_id": new_id(), "order_id": order.order_id, "at": work.now, "actor": work.cause.actor}
    await work.tx.insert(HISTORY, [{**entry, "kind": kind, "detail": detail}])
