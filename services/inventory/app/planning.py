"""StartPlanning, and the job it starts: forecasts for items at locations, and proposals of what to order.

The job first sums up by day what was issued since it ran last. Then it goes through items and locations, some hundreds at a
time: it reads their demand and what is there, lets a process of its own forecast, and writes forecasts and proposals.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from sqlalchemy import BigInteger, func, literal, select

from argosy.inventory.v1 import planning_service_pb2
from argosy.ops.v1 import jobs_service_pb2
from chassis.kernel.clock import DAY
from chassis.kernel.errors import NotFound
from chassis.runtime.jobs import Job, JobKind, Reading, Step, start_job
from chassis.runtime.statements import ONE
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.inventory.app.replenish import CHUNK, Replenishing, count_pairs
from services.inventory.domain.forecast import Forecast, Series, forecast_all
from services.inventory.store.stock_book import kits
from services.inventory.store.tables import DEMAND_DAYS, ISSUES, LOCATIONS

PERIOD_DAYS = 7
BY = ("item_id", "location_id", "day")
SUMMED = (DEMAND_DAYS.c.summed == ONE,)


class Planner:
    """Starts planning and does its steps, with a process beside the service's for the arithmetic."""

    def __init__(self) -> None:
        self.kind = JobKind("inventory.planning", "Forecasts, and what to order", self.step, self.rest)
        self._pool: ProcessPoolExecutor | None = None

    async def start_planning(self, work: Work, request: planning_service_pb2.StartPlanningRequest) -> jobs_service_pb2.Job:
        """Refusals: NO_SUCH_LOCATION."""
        known = select(LOCATIONS.c.location_id).where(LOCATIONS.c.location_id == request.location_id)
        if request.location_id and not await work.tx.read(known):
            raise NotFound("NO_SUCH_LOCATION", f"location_id: there is no {request.location_id}", field="location_id")
        period_days = request.period_days or PERIOD_DAYS
        state = {"today": work.now // DAY, "period_days": period_days, "location_id": request.location_id, "after": None}
        return await start_job(work, self.kind, state)

    async def step(self, read: Reading, job: Job) -> Step:
        """The first step sums up demand, the second counts, each other one plans some hundreds of items at locations."""
        state = job.state
        if "since" not in state:
            async with read() as tx:
                return await _sum_up(tx, job)
        async with read() as tx:
            if state["after"] is None:
                return Step({**state, "after": ["", ""]}, await count_pairs(tx, state["location_id"], state["today"]), 0)
            found = await Replenishing.read(tx, state)
        forecasts = await self._forecast(found.series)
        done, ended = job.done + len(found.pairs), len(found.pairs) < CHUNK
        return Step(
            {**state, "after": found.pairs[-1] if found.pairs else state["after"]}, job.total, done, ended=ended,
            write=lambda work: found.write(work, forecasts), message=f"{done} items at locations were planned" if ended else "",
        )  # fmt: skip

    async def _forecast(self, series: Sequence[Series]) -> list[Forecast]:
        if not series:
            return []
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        return await asyncio.get_running_loop().run_in_executor(self._pool, forecast_all, series)

    def rest(self) -> None:
        """Lets the process go."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


async def _sum_up(tx: Tx, job: Job) -> Step:
    """Sums up what was issued by item, location and day, from the last day that was summed up to yesterday.

    Of a kit, its components were asked for. Where kits were summed up as such before, all days are summed up anew.
    """
    last = (await tx.read(select(func.max(DEMAND_DAYS.c.day)).where(*SUMMED)))[0][0]
    made_of = await kits(tx)
    of_kits = await tx.find(DEMAND_DAYS, BY[:1], [(one,) for one in sorted(made_of)], only=BY, where=SUMMED)
    since, today = 0 if of_kits else last or 0, job.state["today"]
    day = ISSUES.c.issued_at // literal(DAY, BigInteger)
    query = (
        select(ISSUES.c.item_id, ISSUES.c.location_id, day.label("day"), func.sum(ISSUES.c.quantity).label("quantity"))
        .where(ISSUES.c.issued_at >= since * DAY, ISSUES.c.issued_at < today * DAY)
        .group_by(ISSUES.c.item_id, ISSUES.c.location_id, day)
    )
    sums = Counter[tuple[str, str, int]]()
    for row in await tx.read(query):
        for item_id, each in made_of.get(row.item_id, ((row.item_id, 1),)):
            sums[item_id, row.location_id, int(row.day)] += each * int(row.quantity)
    rows = [{**dict(zip(BY, key, strict=True)), "quantity": quantity, "summed": 1} for key, quantity in sums.items()]

    async def write(work: Work) -> None:
        await work.tx.remove(DEMAND_DAYS, BY, of_kits)
        await work.tx.merge(DEMAND_DAYS, BY, rows)

    return Step({**job.state, "since": since}, 0, 0, write=write)
