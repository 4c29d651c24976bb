"""OfferSubstitute, AnswerOffer, WithdrawOffer, GetOffer, ListOffers: something else in place of what is short, if the customer wants it.

An offer is a change of the order that waits for the customer's word. It never costs them more, so that nobody has to pay again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from argosy.orders.v1 import changes_service_pb2, offers_service_pb2, orders_events_pb2
from chassis.kernel.clock import DAY, SECOND, to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, Refusal
from chassis.kernel.ids import new_id
from chassis.kernel.money import proportion, shown
from chassis.kernel.words import counted
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Looking
from chassis.runtime.statements import NOW
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import Call
from services.orders.app.changes import LIMIT_MINOR, carry_out, wish_of
from services.orders.app.views import load, visible
from services.orders.clients.impact import Impacts
from services.orders.clients.substitutes import Substitutes
from services.orders.domain.amounts import open_worth
from services.orders.domain.line_changes import open_units
from services.orders.process import fulfil_order
from services.orders.process.messages import CancelRequested, LineCount
from services.orders.store.tables import CUSTOMERS, HISTORY, LINES, OFFERS

Offer = offers_service_pb2.Offer
OPEN, ACCEPTED, DECLINED, EXPIRED, WITHDRAWN = (
    offers_service_pb2.OFFER_STATUS_OPEN, offers_service_pb2.OFFER_STATUS_ACCEPTED, offers_service_pb2.OFFER_STATUS_DECLINED,
    offers_service_pb2.OFFER_STATUS_EXPIRED, offers_service_pb2.OFFER_STATUS_WITHDRAWN,
)  # fmt: skip
NAMES: dict[int, str] = {number: name.removeprefix("OFFER_STATUS_") for name, number in offers_service_pb2.OfferStatus.items()}
CANCELS = offers_service_pb2.OFFER_OTHERWISE_CANCEL
WITHIN_US = 2 * DAY
AT_ONCE = 200
UNANSWERED = select(OFFERS.c.offer_id).where(OFFERS.c.ended_at.is_(None), OFFERS.c.answer_by < NOW)
MOVED_ON = "what was ordered is reserved, changed, cancelled or under way by now"


class Judged(NamedTuple):
    """An offer as the others see it: the item, and what the customer gets back."""

    item_id: str
    saving_minor: int


class Offers:
    """Offers, with what others say of them."""

    def __init__(self, channels: Channels) -> None:
        self._impacts = Impacts(channels)
        self._substitutes = Substitutes(channels)

    async def find_substitutes(self, asked: Looking) -> offers_service_pb2.FindSubstitutesResponse:
        """Refusals: NO_SUCH_ORDER, NO_SUCH_LINE, UNKNOWN_SKU."""
        request = asked.request
        async with asked.database.read() as tx:
            order, line = await _load_line(tx, request.order_id, request.line_id)
            visible(asked, order.channel_id)
            customers = await tx.find(CUSTOMERS, ("customer_id",), [(order.customer_id,)]) if order.customer_id else ()
        if not line.item_id:
            raise FailedPrecondition("UNKNOWN_SKU", f"it is not known what {line.channel_sku} is; list it first", field="line_id")
        return await self._substitutes.of(order, line, customers[0].customer_group if customers else "")

    async def prepare(self, requests: Sequence[Any], database: Database) -> Sequence[Judged | Refusal]:
        """Returns what each offer means, or why it cannot be made."""
        found: list[Judged | Refusal] = []
        for request in requests:
            try:
                found.append(await self._judge(request, database))
            except Refusal as refusal:
                found.append(refusal)
        return found

    async def _judge(self, request: offers_service_pb2.OfferSubstituteRequest, database: Database) -> Judged:
        async with database.read() as tx:
            order, line = await _load_waiting(tx, request.order_id, request.line_id)
            wish = await wish_of(
                tx, changes_service_pb2.PreviewChangeRequest(order_id=order.order_id, lines=[_change(order, line, request)])
            )
        item_id, short = await self._impacts.offered(wish)
        if short:
            text = f"of {request.channel_sku} {counted(short, 'unit', 'is', 'are')} short as well; offer something that is there"
            raise FailedPrecondition("SUBSTITUTE_SHORT", text, field="channel_sku")
        impact = await self._impacts.of(wish)
        saving = impact.total_before_minor - impact.total_after_minor
        if saving < 0:
            text = (
                f"the customer would pay {shown(-saving, order.currency_code)} more; offer it for less, or change the order with a payment"
            )
            raise InvalidArgument("INVALID_FIELD", f"amount_minor: {text}", field="amount_minor")
        if saving > LIMIT_MINOR:
            text = f"{shown(saving, order.currency_code)} would go back, which another person decides; change the order instead"
            raise FailedPrecondition("OFFER_TOO_CHEAP", text, field="amount_minor")
        return Judged(item_id, saving)


def _change(order: Any, line: Any, offer: offers_service_pb2.OfferSubstituteRequest) -> changes_service_pb2.LineChange:
    """Returns the change of the order that is offered."""
    before, worth = open_units(line), open_worth(line._mapping)
    net = worth.product_minor - worth.discount_minor
    amount = offer.amount_minor if offer.HasField("amount_minor") else net
    change = changes_service_pb2.LineChange(
        line_id=line.line_id, channel_sku=offer.channel_sku, quantity=offer.quantity or before, amount_minor=amount
    )
    if order.tax_charged:
        # What the channel charged stays what it is in proportion.
        change.tax_minor = proportion(worth.tax_minor, amount, net) if net else worth.tax_minor
    return change


async def offer_substitute(work: Work, call: Call) -> Offer:
    """Refusals: NO_SUCH_ORDER, NO_SUCH_LINE, NOTHING_WAITS, OFFERED_ALREADY, SUBSTITUTE_SHORT, OFFER_TOO_CHEAP, and those of a change."""
    request, judged = call.request, call.context
    if isinstance(judged, Refusal):
        raise judged
    order, line = await _load_waiting(work.tx, request.order_id, request.line_id, lock=True)
    visible(work, order.channel_id)
    open_ = select(OFFERS.c.offer_id).where(OFFERS.c.line_id == line.line_id, OFFERS.c.ended_at.is_(None))
    if await work.tx.read(open_):
        raise FailedPrecondition("OFFERED_ALREADY", "the customer is asked about this line already; withdraw that first", field="line_id")
    change, worth = _change(order, line, request), open_worth(line._mapping)
    row = {
        "offer_id": new_id(), "order_id": order.order_id, "line_id": line.line_id, "channel_sku_before": line.channel_sku,
        "quantity_before": open_units(line), "amount_before_minor": worth.product_minor - worth.discount_minor,
        "channel_sku": change.channel_sku, "item_id": judged.item_id, "quantity": change.quantity, "amount_minor": change.amount_minor,
        "tax_minor": change.tax_minor if change.HasField("tax_minor") else -1, "status": OPEN, "otherwise": request.otherwise,
        "answer_by": work.now + (request.answer_within_s * SECOND or WITHIN_US), "offered_by": work.cause.actor, "offered_at": work.now,
        "ended_at": None, "ended_by": "", "outcome": "",
    }  # fmt: skip
    await work.tx.insert(OFFERS, [row])
    await _note(work, order.order_id, "SUBSTITUTE_OFFERED", f"{change.quantity} × {change.channel_sku} for {line.channel_sku}")
    work.emit(
        orders_events_pb2.SubstituteOffered(
            order_id=order.order_id, channel_id=order.channel_id, offer_id=row["offer_id"], line_id=line.line_id,
            channel_sku=change.channel_sku, item_id=judged.item_id, quantity=change.quantity, saving_minor=judged.saving_minor,
            currency_code=order.currency_code, answer_by=to_timestamp(row["answer_by"]), cancels_otherwise=request.otherwise == CANCELS,
        )
    )  # fmt: skip
    return await _whole(work.tx, row["offer_id"])


async def answer_offer(work: Work, request: offers_service_pb2.AnswerOfferRequest) -> Offer:
    """The same answer again changes nothing. Refusals: NO_SUCH_OFFER, OFFER_ENDED, and those of a change."""
    order, offer = await _locked(work.tx, request.offer_id)
    visible(work, order.channel_id)
    status = ACCEPTED if request.accepted else DECLINED
    if offer.status == status:
        return await _whole(work.tx, offer.offer_id)
    if offer.ended_at is not None:
        raise _ended(offer.status)
    line = await _waiting(work.tx, offer)
    if line is None:
        raise FailedPrecondition("OFFER_ENDED", MOVED_ON, field="offer_id")
    if request.accepted:
        change = changes_service_pb2.LineChange(
            line_id=line.line_id, channel_sku=offer.channel_sku, quantity=offer.quantity, amount_minor=offer.amount_minor
        )
        if offer.tax_minor >= 0:
            change.tax_minor = offer.tax_minor
        reason = f"the customer takes {offer.channel_sku} in place of {offer.channel_sku_before}"
        await carry_out(work, changes_service_pb2.ChangeOrderRequest(order_id=order.order_id, lines=[change], reason=reason))
    await _end(work, order, line, offer, status)
    return await _whole(work.tx, offer.offer_id)


async def withdraw_offer(work: Work, request: offers_service_pb2.WithdrawOfferRequest) -> Offer:
    """Withdrawn again, it changes nothing. Refusals: NO_SUCH_OFFER, OFFER_ENDED."""
    order, offer = await _locked(work.tx, request.offer_id)
    visible(work, order.channel_id)
    if offer.status == WITHDRAWN:
        return await _whole(work.tx, offer.offer_id)
    if offer.ended_at is not None:
        raise _ended(offer.status)
    await _end(work, order, None, offer, WITHDRAWN, request.reason)
    return await _whole(work.tx, offer.offer_id)


async def expire_offers(work: Work) -> None:
    """Ends offers that nobody answered in time: what was agreed otherwise is done."""
    for row in await work.tx.read(UNANSWERED.order_by(OFFERS.c.answer_by).limit(AT_ONCE), {"now": work.now}):
        order, offer = await _locked(work.tx, row.offer_id)
        if offer.ended_at is not None:
            continue
        line = await _waiting(work.tx, offer)
        status, why = (EXPIRED, "") if line is not None else (WITHDRAWN, MOVED_ON)
        await _end(work, order, line, offer, status, why)


async def _end(work: Work, order: Any, line: Any, offer: Any, status: int, outcome: str = "") -> None:
    """Writes an offer's end, and does what was agreed otherwise with the line, where it still waits."""
    by = "the clock" if status == EXPIRED else work.cause.actor
    change = {"offer_id": offer.offer_id, "status": status, "ended_at": work.now, "ended_by": by, "outcome": outcome}
    await work.tx.change(OFFERS, ("offer_id",), [change])
    name = NAMES[status]
    what = f"{offer.quantity} × {offer.channel_sku} for {offer.channel_sku_before}"
    await _note(work, order.order_id, f"OFFER_{name}", f"{what}: {outcome}" if outcome else what)
    event = orders_events_pb2.SubstituteAnswered(
        order_id=order.order_id, channel_id=order.channel_id, offer_id=offer.offer_id, line_id=offer.line_id, outcome=name
    )
    work.emit(event)
    if line is not None and status in (DECLINED, EXPIRED) and offer.otherwise == CANCELS:
        reason = f"the customer did not take {offer.channel_sku} in place of {offer.channel_sku_before}"
        work.deliver(fulfil_order.NAME, order.order_id, CancelRequested([LineCount(line.line_id, line.waiting)], reason))


async def _waiting(tx: Tx, offer: Any) -> Any:
    """Returns the line that an offer is about; None where it does not wait as it did any more."""
    (line,) = await tx.find(LINES, ("line_id",), [(offer.line_id,)])
    still = line.waiting and open_units(line) == offer.quantity_before
    return line if still else None


async def _load_line(tx: Tx, order_id: str, line_id: str, *, lock: bool = False) -> tuple[Any, Any]:
    order = await load(tx, order_id, lock=lock)
    line = next((one for one in await tx.find(LINES, ("order_id",), [(order_id,)]) if one.line_id == line_id), None)
    if line is None:
        raise NotFound("NO_SUCH_LINE", f"the order has no line {line_id}", field="line_id")
    return order, line


async def _load_waiting(tx: Tx, order_id: str, line_id: str, *, lock: bool = False) -> tuple[Any, Any]:
    order, line = await _load_line(tx, order_id, line_id, lock=lock)
    if not line.waiting:
        raise FailedPrecondition("NOTHING_WAITS", "nothing of this line waits: it is reserved, shipped or cancelled", field="line_id")
    return order, line


async def _locked(tx: Tx, offer_id: str) -> tuple[Any, Any]:
    """Returns the order of an offer, locked, and the offer as it is then."""
    order = await load(tx, (await _load(tx, offer_id)).order_id, lock=True)
    return order, await _load(tx, offer_id)


async def _load(tx: Tx, offer_id: str) -> Any:
    rows = await tx.find(OFFERS, ("offer_id",), [(offer_id,)])
    if not rows:
        raise NotFound("NO_SUCH_OFFER", f"there is no offer {offer_id}", field="offer_id")
    return rows[0]


def _ended(status: int) -> FailedPrecondition:
    return FailedPrecondition("OFFER_ENDED", f"the offer was {NAMES[status].lower()} already", field="offer_id")


async def _note(work: Work, order_id: str, kind: str, detail: str) -> None:
    entry = {"entry_id": new_id(), "order_id": order_id, "at": work.now, "actor": work.cause.actor, "kind": kind, "detail": detail}
    await work.tx.insert(HISTORY, [entry])


async def get_offer(asked: Asked) -> Offer:
    """Refusals: NO_SUCH_OFFER."""
    offer = await _load(asked.tx, asked.request.offer_id)
    order = await load(asked.tx, offer.order_id)
    visible(asked, order.channel_id)
    return _to_offer(offer, order)


async def list_offers(asked: Asked) -> offers_service_pb2.ListOffersResponse:
    """Lists newest first. Refusals: NO_SUCH_ORDER."""
    order = await load(asked.tx, asked.request.order_id)
    visible(asked, order.channel_id)
    query = select(OFFERS).where(OFFERS.c.order_id == order.order_id)
    rows, token = await page(asked.tx, query, [OFFERS.c.offer_id], asked.request, descending=True)
    return offers_service_pb2.ListOffersResponse(offers=[_to_offer(row, order) for row in rows], next_page_token=token)


async def _whole(tx: Tx, offer_id: str) -> Offer:
    offer = await _load(tx, offer_id)
    return _to_offer(offer, await load(tx, offer.order_id))


def _to_offer(row: Any, order: Any) -> Offer:
    return Offer(
        offer_id=row.offer_id, order_id=row.order_id, channel_id=order.channel_id, line_id=row.line_id,
        channel_sku_before=row.channel_sku_before, quantity_before=row.quantity_before, amount_before_minor=row.amount_before_minor,
        channel_sku=row.channel_sku, item_id=row.item_id, quantity=row.quantity, amount_minor=row.amount_minor,
        currency_code=order.currency_code, status=row.status, otherwise=row.otherwise, answer_by=to_timestamp(row.answer_by),
        offered_by=row.offered_by, offered_at=to_timestamp(row.offered_at), ended_by=row.ended_by, outcome=row.outcome,
        ended_at=to_timestamp(row.ended_at) if row.ended_at is not None else None,
    )  # fmt: skip
