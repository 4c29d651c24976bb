"""QuotePromise, ListPromises, GetPromiseFigures: what can be promised, what was, and how it was kept."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select

from argosy.fulfillment.v1 import promise_service_pb2
from chassis.kernel.clock import DAY, SECOND, to_timestamp
from chassis.runtime.channels import Channels
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Looking
from services.fulfillment.app.plan_order import last_dates
from services.fulfillment.app.world import load_world, policy_in
from services.fulfillment.clients.availability import Availability
from services.fulfillment.domain.planning import Batch, Decided, Question, World
from services.fulfillment.domain.sourcing import Want
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, OPEN, PROMISES, SHIPMENTS

DAYS = 28
NEVER = 2**62
Quote = promise_service_pb2.Quote


class Quotes:
    """Quotes by the same decision that sources orders."""

    def __init__(self, channels: Channels) -> None:
        self._availability = Availability(channels)

    async def quote_promise(self, asked: Looking) -> promise_service_pb2.QuotePromiseResponse:
        """Keeps nothing. Refusals: NO_POLICY."""
        request = asked.request
        now = wall_clock()
        async with asked.database.read() as tx:
            policy, world = await policy_in(tx), await load_world(tx, now)
        methods = sorted(set(request.methods)) or _methods(world)
        picture = await self._availability.of([line.item_id for line in request.lines], methods)
        to = request.destination
        batch = Batch(policy, world, picture.locations, picture.stock, now, picture.kept_back)
        quotes = []
        for method in methods:
            wants = [Want(line.line_id, line.item_id, line.quantity, line.weight_g) for line in request.lines]
            question = Question(
                "",
                request.channel_id,
                request.entity,
                to.country_code,
                to.region,
                to.postal_prefix,
                method,
                request.currency_code,
                wants,
                pickup=request.pickup_location_id,
            ).with_kits(picture.kits)
            decided = batch.decide(question, picture.stock)
            batch.forget(decided)
            quotes.append(_quote(decided))
        quotes.sort(key=lambda one: (one.deliver_by.ToMicroseconds() or NEVER, one.shipping_cost_minor, one.method))
        return promise_service_pb2.QuotePromiseResponse(quotes=quotes)


def _methods(world: World) -> Sequence[str]:
    """Returns the methods that rates or transit times name; the one without a name where none does."""
    named = {rate.method for rates in world.rates.values() for rate in rates} | {method for *_, method in world.transits}
    return sorted(named - {""}) or [""]


def _quote(decided: Decided) -> Quote:
    plan = decided.outcome.chosen
    quote = Quote(method=decided.question.method)
    for want in decided.outcome.short:
        quote.short.add(line_id=want.line_id, item_id=want.item_id, quantity=want.quantity)
    if plan is None:
        return quote
    quote.location_ids.extend(plan.location_ids)
    quote.shipping_cost_minor = plan.shipping_minor
    ship_by, deliver_by = last_dates(decided)
    soonest = [one.deliver_from for one in decided.own_dates.values()]
    for name, moment in (
        ("ship_by", ship_by), ("deliver_by", deliver_by), ("deliver_from", max((m for m in soonest if m is not None), default=None)),
    ):  # fmt: skip
        if moment is not None and (name != "deliver_from" or None not in soonest):
            getattr(quote, name).CopyFrom(to_timestamp(moment))
    return quote


async def list_promises(asked: Asked) -> promise_service_pb2.ListPromisesResponse:
    """Lists by location."""
    query = select(PROMISES).where(PROMISES.c.order_id == asked.request.order_id)
    rows, token = await page(asked.tx, query, [PROMISES.c.location_id], asked.request)
    return promise_service_pb2.ListPromisesResponse(promises=map(_promise, rows), next_page_token=token)


def _promise(row: Any) -> promise_service_pb2.Promise:
    promise = promise_service_pb2.Promise(order_id=row.order_id, location_id=row.location_id, method=row.method)
    for name in ("ship_by", "deliver_by", "promised_at"):
        if getattr(row, name) is not None:
            getattr(promise, name).CopyFrom(to_timestamp(getattr(row, name)))
    return promise


async def get_promise_figures(asked: Asked) -> promise_service_pb2.PromiseFigures:
    """Counts parcels that had a date; what has none is no promise."""
    days, now = asked.request.days or DAYS, wall_clock()
    since = now - days * DAY
    found: dict[tuple[str, str], promise_service_pb2.KeptPromises] = {}

    def of(row: Any) -> promise_service_pb2.KeptPromises:
        key = (row.location_id, row.method)
        return found.setdefault(key, promise_service_pb2.KeptPromises(location_id=row.location_id, method=row.method))

    for row in await asked.tx.read(_shipped(since)):
        own = of(row)
        own.parcels, own.left_late, own.arrived, own.arrived_late = row.parcels, row.left_late, row.arrived, row.arrived_late
        own.late_s = int(row.late) // SECOND // row.arrived_late if row.arrived_late else 0
    columns = FULFILLMENT_ORDERS.c
    overdue = select(columns.location_id, columns.method, func.count().label("overdue")).where(columns.ship_by < now, OPEN)
    for row in await asked.tx.read(overdue.group_by(columns.location_id, columns.method)):
        of(row).overdue = row.overdue
    return promise_service_pb2.PromiseFigures(days=days, kept=[found[key] for key in sorted(found)])


def _shipped(since: int) -> Any:
    columns = SHIPMENTS.c
    arrived_late = columns.delivered_at > columns.deliver_by
    return (
        select(
            columns.location_id,
            columns.method,
            func.count().label("parcels"),
            func.sum(case((columns.shipped_at > columns.ship_by, 1), else_=0)).label("left_late"),
            func.sum(case(((columns.delivered_at.is_not(None)) & (columns.deliver_by.is_not(None)), 1), else_=0)).label("arrived"),
            func.sum(case((arrived_late, 1), else_=0)).label("arrived_late"),
            func.sum(case((arrived_late, columns.delivered_at - columns.deliver_by), else_=0)).label("late"),
        )
        .where(columns.shipped_at >= since, columns.ship_by.is_not(None))
        .group_by(columns.location_id, columns.method)
    )
