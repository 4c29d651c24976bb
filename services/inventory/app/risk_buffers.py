"""Buffers that follow from risk: how fast items sell, how late channels hear of it, which chance of an oversell they may run."""

from fractions import Fraction

from sqlalchemy import func, select

from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.clock import DAY, SECOND
from chassis.runtime.work import Work
from services.inventory.domain.risk import risk_buffer
from services.inventory.store.stock_book import kits
from services.inventory.store.tables import ISSUES, POLICIES, RISK_BUFFERS, SYNC_LATENCIES

VELOCITY_DAYS = 28
NONE = Fraction(0)
RISKED = select(POLICIES.c.channel_id).where(POLICIES.c.risk_ppm > 0)


async def report_sync_latency(work: Work, request: stock_service_pb2.ReportSyncLatencyRequest) -> stock_service_pb2.SyncLatency:
    """Keeps how late a channel heard of the last changes."""
    row = {"channel_id": request.channel_id, "p95_ms": request.p95_ms, "reported_at": work.now}
    await work.tx.merge(SYNC_LATENCIES, ("channel_id",), [row])
    return stock_service_pb2.SyncLatency(channel_id=request.channel_id, p95_ms=request.p95_ms)


async def set_risk_buffers(work: Work) -> None:
    """Sets the buffers of all channels that run a risk; an item's own policy goes before the channel's."""
    policies = await work.tx.read(select(POLICIES).where(POLICIES.c.risk_ppm > 0))
    latencies = {row.channel_id: row.p95_ms * SECOND // 1000 for row in await work.tx.read(select(SYNC_LATENCIES))}
    velocity = await _velocity(work)
    chances = {(row.channel_id, row.item_id): row.risk_ppm for row in policies}
    wanted: dict[tuple[str, str], int] = {}
    for channel_id in sorted({row.channel_id for row in policies} & set(latencies)):
        for item_id, units_per_day in sorted(velocity.items()):
            chance = chances.get((channel_id, item_id), chances.get((channel_id, ""), 0))
            if chance:
                wanted[channel_id, item_id] = risk_buffer(units_per_day, latencies[channel_id] / SECOND, chance)
    known = {(row.channel_id, row.item_id): row.buffer for row in await work.tx.read(select(RISK_BUFFERS))}
    gone = sorted(key for key in known if key not in wanted and known[key])
    rows = [
        {"channel_id": channel_id, "item_id": item_id, "buffer": buffer, "changed_at": work.now}
        for (channel_id, item_id), buffer in [*wanted.items(), *((key, 0) for key in gone)]
        if known.get((channel_id, item_id), 0) != buffer
    ]
    await work.tx.merge(RISK_BUFFERS, ("channel_id", "item_id"), rows)


async def _velocity(work: Work) -> dict[str, Fraction]:
    """Returns how many units of items go a day, since they were first sold in the last weeks.

    What goes of a kit goes of its components, and a kit runs out as fast as the fastest of them, counted in kits.
    """
    sums = (func.sum(ISSUES.c.quantity).label("units"), func.min(ISSUES.c.issued_at).label("first"))
    sold = select(ISSUES.c.item_id, *sums).where(ISSUES.c.issued_at > work.now - VELOCITY_DAYS * DAY)
    rows = await work.tx.read(sold.group_by(ISSUES.c.item_id))
    velocity = {row.item_id: Fraction(int(row.units) * DAY, max(DAY, work.now - row.first)) for row in rows}
    made_of = await kits(work.tx)
    for item_id in made_of.keys() & velocity.keys():
        for part, each in made_of[item_id]:
            velocity[part] = velocity.get(part, NONE) + each * velocity[item_id]
    for item_id, components in made_of.items():
        if fastest := max((velocity.get(part, NONE) / each for part, each in components), default=NONE):
            velocity[item_id] = fastest
    return velocity
