"""Holds: how queues are worked on, what is urgent, who owns what nobody resolves, and many released together."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from argosy.ops.v1 import holds_service_pb2, jobs_service_pb2
from chassis.kernel.clock import HOUR, MINUTE, from_timestamp, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.host import wall_clock
from chassis.runtime.pipeline import Asked
from chassis.runtime.queues import rank_of
from chassis.runtime.work import Cause, HoldKind, Stake, Work
from chassis.runtime.writer import Call, Principal
from gateway.app.roles import holds_of
from gateway.calls import Calls
from tests.builders import OTHER
from tests.service.conftest import Bench
from tests.service.stockroom import refused

KIND = HoldKind("OUT_OF_STOCK", "stock", 7200, "purchasing")
RISK = HoldKind("HIGH_RISK", "fraud", 3600, "support")


class House:
    """Catalog alone, whose holds nothing acts on, and ways to work on them."""

    def __init__(self, component: Component, calls: Calls) -> None:
        self.component = component
        self.calls = calls
        self.holds = calls.holds("catalog")

    async def raise_hold(self, subject_id: str, kind: HoldKind = KIND, stake: Stake | None = None) -> None:
        async def work(work: Work) -> None:
            work.hold(kind, "thing", subject_id, "it waits", stake)

        await self.component.writer.run(work, Cause("somebody", "test", new_id()))

    async def listed(self, **values: Any) -> list[holds_service_pb2.Hold]:
        return list((await self.holds.ListHolds(holds_service_pb2.ListHoldsRequest(service="catalog", **values))).holds)

    async def one(self, subject_id: str) -> holds_service_pb2.Hold:
        return (await self.listed(subject_id=subject_id, include_released=True, include_snoozed=True))[0]

    async def later(self, subject_id: str, by: int) -> None:
        """Lets a hold's moments lie so much earlier."""
        table = self.component.service.tables.holds
        async with self.component.database.write() as tx:
            moved = {name: table.c[name] - by for name in ("raised_at", "due_at", "escalate_at")}
            await tx.write(update(table).where(table.c.subject_id == subject_id).values(**moved))

    async def escalate(self) -> None:
        async with self.component.database.read() as tx:
            due = await tx.read(self.component.holds.due_escalations(), {"now": wall_clock()})
        assert due
        await self.component.writer.run(self.component.holds.escalate, Cause("argosy", "test", new_id()))


@pytest.fixture
async def house(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> House:
    return House(await started("catalog"), Calls(bench.channels))


async def test_the_most_urgent_comes_first_then_the_most_valuable_then_the_oldest(house: House) -> None:
    now = wall_clock()
    await house.raise_hold("cheap", stake=Stake(100, "EUR"))
    await house.raise_hold("dear", stake=Stake(900_000, "EUR"))
    await house.raise_hold("cheap-too", stake=Stake(100, "EUR"))
    await house.raise_hold("leaving", stake=Stake(1, "EUR", now - HOUR))
    found = await house.listed()
    assert [one.subject_id for one in found] == ["leaving", "dear", "cheap", "cheap-too"]
    assert found[0].rank_parts[0].startswith("must leave by ")
    assert (found[1].rank_parts[0][:7], found[1].rank_parts[1]) == ("due by ", "900000 EUR at stake, in minor units")
    assert rank_of(5 * HOUR, None, 3) < rank_of(5 * HOUR, None, 2) < rank_of(6 * HOUR, None, 10**12)


async def test_a_queue_says_who_owns_its_holds_and_when_they_are_due(house: House) -> None:
    today = datetime.now(UTC)
    closed = [(today + timedelta(days=day)).date().isoformat() for day in range(-1, 3)]
    hours = [holds_service_pb2.WorkingHours(weekday=day, opens="00:00", closes="24:00") for day in range(1, 8)]
    await house.holds.SetQueue(
        holds_service_pb2.SetQueueRequest(
            request_id=new_id(), service="catalog", queue="stock", owner_role="warehouse", due_s=3600,
            calendar=holds_service_pb2.WorkingCalendar(time_zone="UTC", hours=hours, closed_days=closed),
        )
    )  # fmt: skip
    await house.raise_hold("waits")
    await house.raise_hold("urgent", RISK)
    waits, urgent = await house.one("waits"), await house.one("urgent")
    opens = datetime.combine((today + timedelta(days=3)).date(), datetime.min.time(), UTC)
    assert (waits.owner_role, waits.due_at.ToDatetime(UTC)) == ("warehouse", opens + timedelta(hours=1))
    assert (urgent.owner_role, from_timestamp(urgent.due_at) - from_timestamp(urgent.raised_at)) == ("support", HOUR)
    assert [one.queue for one in (await house.holds.ListQueues(holds_service_pb2.ListQueuesRequest(service="catalog"))).queues] == ["stock"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"time_zone": "Nowhere/Land"}, "calendar.time_zone"),
        ({"country_code": "ZZ"}, "calendar.country_code"),
        ({"closed_days": ["2026-13-01"]}, "calendar.closed_days[0]"),
        ({"hours": [holds_service_pb2.WorkingHours(weekday=1, opens="10:00", closes="09:00")]}, "calendar.hours[0].closes"),
    ],
)
async def test_a_calendar_that_is_none_is_refused(house: House, values: dict[str, Any], field: str) -> None:
    hours = [holds_service_pb2.WorkingHours(weekday=1, opens="09:00", closes="17:00")]
    calendar = holds_service_pb2.WorkingCalendar(**{"time_zone": "UTC", "hours": hours, **values})
    request = holds_service_pb2.SetQueueRequest(request_id=new_id(), service="catalog", queue="stock", calendar=calendar)
    assert (await refused("INVALID_FIELD", house.holds.SetQueue(request))).field == field


async def test_what_nobody_resolves_goes_to_others_step_by_step(house: House) -> None:
    steps = [holds_service_pb2.EscalationStep(after_due_s=0, owner_role="operations")]
    steps.append(holds_service_pb2.EscalationStep(after_due_s=600, owner_role="admin"))
    await house.holds.SetQueue(holds_service_pb2.SetQueueRequest(request_id=new_id(), service="catalog", queue="stock", escalation=steps))
    await house.raise_hold("late")
    await house.later("late", 2 * HOUR + MINUTE)
    await house.escalate()
    first = await house.one("late")
    assert (first.owner_role, first.escalated) == ("operations", 1)
    assert from_timestamp(first.escalates_at) == from_timestamp(first.due_at) + 10 * MINUTE
    await house.later("late", HOUR)
    await house.escalate()
    second = await house.one("late")
    assert (second.owner_role, second.escalated, second.HasField("escalates_at")) == ("admin", 2, False)
    rows = house.component.service.tables.audit_rows
    async with house.component.database.read() as tx:
        noted = await tx.read(select(rows.c.detail).where(rows.c.subject_type == "hold").order_by(rows.c.audit_id))
    assert [row.detail for row in noted] == ["step 1: operations owns it", "step 2: admin owns it"]


async def test_what_is_put_aside_comes_back(house: House) -> None:
    await house.raise_hold("later")
    hold = await house.one("later")

    def snooze(by: int) -> Any:
        request = holds_service_pb2.SnoozeHoldRequest(
            request_id=new_id(), service="catalog", hold_id=hold.hold_id, until=to_timestamp(wall_clock() + by), reason="they call back"
        )
        return house.holds.SnoozeHold(request)

    await refused("INVALID_FIELD", snooze(-MINUTE))
    await refused("INVALID_FIELD", snooze(31 * 24 * HOUR))
    assert (await snooze(HOUR)).HasField("snoozed_until")
    assert await house.listed() == []
    assert len(await house.listed(include_snoozed=True)) == 1
    table = house.component.service.tables.holds
    async with house.component.database.write() as tx:
        await tx.write(update(table).values(snoozed_until=wall_clock() - 1))
    assert [one.subject_id for one in await house.listed()] == ["later"]


async def test_many_are_released_together_but_not_what_somebody_else_works_on(house: House) -> None:
    for number in range(130):
        await house.raise_hold(f"s-{number}")
    await house.raise_hold("other", RISK)
    mine = await house.one("s-7")
    claim = holds_service_pb2.ClaimHoldRequest(request_id=new_id(), service="catalog", hold_id=mine.hold_id)
    await house.holds.ClaimHold(claim, metadata=OTHER)
    preview = await house.holds.PreviewRelease(holds_service_pb2.PreviewReleaseRequest(service="catalog", reason="OUT_OF_STOCK"))
    assert (preview.releasable, preview.ineligible, len(preview.examples)) == (129, 1, 20)
    assert preview.ineligible_examples[0].why == "somebody-else has claimed it"
    request = holds_service_pb2.ReleaseHoldsRequest(request_id=new_id(), service="catalog", resolution="stock came in")
    await refused("INVALID_FIELD", house.holds.ReleaseHolds(request))
    request.request_id, request.queue = new_id(), "stock"
    job = await house.holds.ReleaseHolds(request)
    while await house.component.jobs.do_one():
        pass
    done = await house.calls.jobs("catalog").GetJob(jobs_service_pb2.GetJobRequest(service="catalog", job_id=job.job_id))
    assert (done.status, done.total, done.done, done.failed) == (jobs_service_pb2.JOB_STATUS_SUCCEEDED, 130, 130, 1)
    results = jobs_service_pb2.ListJobResultsRequest(service="catalog", job_id=job.job_id, failed_only=True)
    failed = (await house.calls.jobs("catalog").ListJobResults(results)).results
    assert [one.message for one in failed] == ["OUT_OF_STOCK of thing s-7: somebody-else has claimed it"]
    assert sorted(one.subject_id for one in await house.listed()) == ["other", "s-7"]
    assert (await house.one("s-9")).resolution == "stock came in"


async def test_people_work_on_the_holds_of_their_roles_also_after_these_escalated(house: House) -> None:
    for subject_id, kind in (("buy", KIND), ("late", KIND), ("risk", RISK)):
        await house.raise_hold(subject_id, kind)
    await house.later("late", 2 * HOUR + MINUTE)
    await house.escalate()
    buyer = Principal("buyer", holds_of("purchasing"))

    async def ask(rpc: str, request: Any) -> Any:
        method = house.component.methods[f"/argosy.ops.v1.HoldsService/{rpc}"]
        asked = Call(method, request, buyer, Cause(buyer.account, method.path, new_id()))
        return (await house.component.writer.submit([asked]))[0]

    async def release(subject_id: str) -> Any:
        named = {"request_id": new_id(), "service": "catalog", "hold_id": (await house.one(subject_id)).hold_id}
        return await ask("ReleaseHold", holds_service_pb2.ReleaseHoldRequest(**named, resolution="bought"))

    late = await house.one("late")
    assert (late.owner_role, late.raised_for) == ("operations", "purchasing")
    assert (await release("late")).resolution == "bought"
    foreign = await release("risk")
    assert (foreign.reason, foreign.message[:17]) == ("NOT_YOURS", "it is for support")
    # Of many together, those of others are left.
    preview = holds_service_pb2.PreviewReleaseRequest(
        service="catalog", hold_ids=[(await house.one(one)).hold_id for one in ("buy", "risk")]
    )
    async with house.component.database.read() as tx:
        shown: Any = await house.component.holds.reads()["PreviewRelease"](Asked(preview, tx, buyer))
    assert (shown.releasable, shown.ineligible, shown.ineligible_examples[0].why) == (1, 1, "it is for support")
    job = await ask(
        "ReleaseHolds",
        holds_service_pb2.ReleaseHoldsRequest(request_id=new_id(), service="catalog", hold_ids=preview.hold_ids, resolution="bought"),
    )
    while await house.component.jobs.do_one():
        pass
    done = await house.calls.jobs("catalog").GetJob(jobs_service_pb2.GetJobRequest(service="catalog", job_id=job.job_id))
    assert (done.done, done.failed) == (2, 1)
    assert [one.subject_id for one in await house.listed()] == ["risk"]
    claim = holds_service_pb2.ClaimHoldRequest(request_id=new_id(), service="catalog", hold_id=(await house.one("risk")).hold_id)
    await house.holds.ClaimHold(claim, metadata=OTHER)
    assert [one.subject_id for one in await house.listed(owner="somebody-else")] == ["risk"]
    assert not await house.listed(owner="buyer")


async def test_figures_say_what_came_and_went(house: House) -> None:
    for subject in ("a", "b", "c"):
        await house.raise_hold(subject)
    await house.later("a", 3 * HOUR)
    await house.later("b", HOUR)
    for subject in ("a", "b"):
        hold = await house.one(subject)
        release = holds_service_pb2.ReleaseHoldRequest(
            request_id=new_id(), service="catalog", hold_id=hold.hold_id, resolution="as it should be"
        )
        await house.holds.ReleaseHold(release)
    figures = (await house.holds.GetHoldFigures(holds_service_pb2.GetHoldFiguresRequest(service="catalog"))).queues[0]
    assert (figures.queue, figures.raised_in_day, figures.released_in_day, figures.late_in_day) == ("stock", 3, 2, 1)
    assert (figures.within_four_hours, figures.overdue) == (1, 0)
    assert abs(figures.mean_age_s - 2 * 3600) < 60
