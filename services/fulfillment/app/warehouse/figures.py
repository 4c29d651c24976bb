"""GetWarehouseFigures: how fast and how right is picked, and what waits."""

from typing import Any

from sqlalchemy import case, func, select

from argosy.fulfillment.v1 import warehouse_service_pb2
from chassis.kernel.clock import DAY, SECOND
from chassis.runtime.host import wall_clock
from chassis.runtime.pipeline import Asked
from services.fulfillment.app.warehouse.waves import WAITING
from services.fulfillment.domain.bins import DOCK, LOST
from services.fulfillment.domain.waves import ListStatus
from services.fulfillment.store.tables import FULFILLMENT_ORDERS
from services.fulfillment.store.warehouse import BIN_STOCK, BINS, PICK_LISTS, PICKS

DAYS, HOUR_S = 7, 3600
Figures = warehouse_service_pb2.WarehouseFigures
Worker = warehouse_service_pb2.WorkerFigures


async def get_warehouse_figures(asked: Asked) -> Figures:
    """Counts lists that ended in the last days."""
    location_id, days = asked.request.location_id, asked.request.days or DAYS
    lists = (
        select(
            PICK_LISTS.c.worker, PICK_LISTS.c.list_id, (PICK_LISTS.c.ended_at - PICK_LISTS.c.started_at).label("took"),
            func.sum(case((PICKS.c.picked + PICKS.c.shorted > 0, 1), else_=0)).label("picks"),
            func.sum(PICKS.c.picked).label("units"), func.sum(PICKS.c.shorted).label("shorted"),
        )
        .join(PICKS, PICKS.c.list_id == PICK_LISTS.c.list_id)
        .where(PICK_LISTS.c.ended_at >= wall_clock() - days * DAY, PICK_LISTS.c.started_at.is_not(None))
        .group_by(PICK_LISTS.c.list_id, PICK_LISTS.c.worker, PICK_LISTS.c.ended_at, PICK_LISTS.c.started_at)
    )  # fmt: skip
    if location_id:
        lists = lists.where(PICK_LISTS.c.location_id == location_id)
    workers: dict[str, Worker] = {"": Worker()}
    for row in await asked.tx.read(lists):
        for name in (row.worker, ""):
            own = workers.setdefault(name, Worker(worker=name))
            own.lists, own.picks, own.units = own.lists + 1, own.picks + int(row.picks), own.units + int(row.units)
            own.shorted, own.seconds = own.shorted + int(row.shorted), own.seconds + int(row.took) // SECOND
    for own in workers.values():
        own.picks_per_hour = own.picks * HOUR_S // own.seconds if own.seconds else 0
        wanted = own.units + own.shorted
        own.accuracy_ppm = own.units * 1_000_000 // wanted if wanted else 1_000_000
    everybody = workers.pop("")
    return Figures(days=days, workers=[*(workers[name] for name in sorted(workers)), everybody], **await _waiting(asked, location_id))


async def _waiting(asked: Asked, location_id: str) -> dict[str, int]:
    def here(table: Any) -> Any:
        return table.c.location_id == location_id if location_id else table.c.location_id != ""

    opened = select(func.count()).select_from(PICK_LISTS).where(here(PICK_LISTS), PICK_LISTS.c.status == int(ListStatus.OPEN))
    columns = FULFILLMENT_ORDERS.c
    kept = select(BINS.c.location_id).where(BINS.c.bin == DOCK)
    orders = select(func.count()).select_from(FULFILLMENT_ORDERS).where(
        here(FULFILLMENT_ORDERS), columns.status.in_(WAITING), columns.wave_id.is_(None), columns.location_id.in_(kept)
    )  # fmt: skip
    found = {"open_lists": opened, "waiting_orders": orders}
    for name, bin_name in (("dock_units", DOCK), ("lost_units", LOST)):
        found[name] = select(func.coalesce(func.sum(BIN_STOCK.c.quantity), 0)).where(here(BIN_STOCK), BIN_STOCK.c.bin == bin_name)
    return {name: int((await asked.tx.read(query))[0][0]) for name, query in found.items()}
