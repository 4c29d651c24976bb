"""GetFlowFigures: how orders flowed, counted in an index over those that ended."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from argosy.orders.v1 import orders_service_pb2
from chassis.kernel.clock import DAY, HOUR, MINUTE, SECOND
from chassis.kernel.spread import at_most
from chassis.runtime.host import wall_clock
from chassis.runtime.pipeline import Asked
from services.orders.domain.status import Status
from services.orders.store.tables import ORDERS

DAYS = 28
COLUMNS = ORDERS.c
SHIPPED = COLUMNS.parcels > 0
# Of orders of which something is still to ship.
OPEN = [int(one) for one in Status if one < Status.SHIPPED]
Spreads = dict[str, Counter[int]]


async def get_flow_figures(asked: Asked) -> orders_service_pb2.FlowFigures:
    """Counts what ended in the last days, and what is still to ship."""
    now, days = wall_clock(), asked.request.days or DAYS
    ended = (COLUMNS.ended_at >= now - days * DAY, *_seen(asked))
    left_in = case((COLUMNS.parcels > 1, 2), else_=COLUMNS.parcels).label("left_in")
    kinds = (COLUMNS.channel_id, COLUMNS.was_held, COLUMNS.was_changed, left_in)
    flows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in await asked.tx.read(select(*kinds, func.count().label("orders")).where(*ended).group_by(*kinds)):
        for name in _counted(row):
            flows[row.channel_id][name] += row.orders
            flows[""][name] += row.orders
    waiting = select(COLUMNS.channel_id, func.count().label("waiting")).where(COLUMNS.status == int(Status.ON_HOLD), *_seen(asked))
    for row in await asked.tx.read(waiting.group_by(COLUMNS.channel_id)):
        flows[row.channel_id]["waiting"] += row.waiting
        flows[""]["waiting"] += row.waiting
    spreads = {
        "to_warehouse": await _spread(asked, COLUMNS.released_at - COLUMNS.created_at, *ended, SHIPPED),
        "to_shipped": await _spread(asked, COLUMNS.ended_at - COLUMNS.created_at, *ended, SHIPPED),
        "backlog": await _spread(asked, now - COLUMNS.created_at, COLUMNS.status.in_(OPEN), *_seen(asked)),
    }
    channels = sorted((flows.keys() | {channel for own in spreads.values() for channel in own}) - {""})
    return orders_service_pb2.FlowFigures(
        days=days, whole=_flow("", flows, spreads), channels=[_flow(channel_id, flows, spreads) for channel_id in channels]
    )


def _counted(row: Any) -> Iterator[str]:
    """Yields what orders of a kind count as."""
    yield "ended"
    if row.left_in:
        yield "shipped"
    else:
        yield "cancelled"
    if row.left_in and not (row.was_held or row.was_changed):
        yield "touchless"
    if row.left_in > 1:
        yield "split"
    if row.was_held:
        yield "held"
    if row.was_changed:
        yield "changed"


def _seen(asked: Asked) -> list[ColumnElement[bool]]:
    conditions = []
    if asked.request.channel_id:
        conditions.append(COLUMNS.channel_id == asked.request.channel_id)
    if asked.principal.channel_ids:
        conditions.append(COLUMNS.channel_id.in_(sorted(asked.principal.channel_ids)))
    return conditions


async def _spread(asked: Asked, took: ColumnElement[int], *which: ColumnElement[bool]) -> Spreads:
    """Counts by channel how long it took, in seconds that are rounded the more the longer it was; all channels stand under none."""
    rounded = case((took < 10 * MINUTE, _whole(took, SECOND)), (took < 10 * HOUR, _whole(took, MINUTE)), else_=_whole(took, HOUR))
    query = (
        select(COLUMNS.channel_id, rounded.label("took_s"), func.count().label("orders"))
        .where(*which)
        .group_by(COLUMNS.channel_id, "took_s")
    )
    spreads: Spreads = defaultdict(Counter)
    for row in await asked.tx.read(query):
        if row.took_s is not None:
            spreads[row.channel_id][int(row.took_s)] += row.orders
            spreads[""][int(row.took_s)] += row.orders
    return spreads


def _whole(took: ColumnElement[int], unit: int) -> ColumnElement[int]:
    return took // unit * (unit // SECOND)


def _flow(channel_id: str, flows: Mapping[str, Mapping[str, int]], spreads: Mapping[str, Spreads]) -> orders_service_pb2.OrderFlow:
    flow = orders_service_pb2.OrderFlow(channel_id=channel_id, **flows.get(channel_id, {}))  # type: ignore[arg-type]
    for name, own in spreads.items():
        getattr(flow, name).CopyFrom(_percentiles(own.get(channel_id, {})))
    return flow


def _percentiles(counts: Mapping[int, int]) -> orders_service_pb2.Spread:
    return orders_service_pb2.Spread(orders=sum(counts.values()), p50_s=at_most(counts, 50), p95_s=at_most(counts, 95))
