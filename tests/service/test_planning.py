"""Planning: demand is summed up, forecast in a job, and proposed as orders that somebody accepts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from argosy.inventory.v1 import planning_service_pb2, purchasing_service_pb2, stock_service_pb2
from argosy.ops.v1 import jobs_service_pb2
from chassis.kernel.clock import DAY
from chassis.kernel.ids import new_id
from services.inventory.app import replenish
from services.inventory.store.tables import DEMAND_DAYS, ISSUES
from tests.service.stockroom import Stockroom, refused

OPEN = planning_service_pb2.PROPOSAL_STATUS_OPEN


def ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()


@pytest.fixture
async def planned(room: Stockroom) -> AsyncIterator[Stockroom]:
    """A warehouse, a supplier, and an item that ten of were asked for in each of twenty weeks."""
    await room.item(
        "mug", supplier_id="ACME", lead_time_days=14, pack_multiple=12, reorder_policy=3, abc_class="B", standard_cost_minor=250
    )
    await room.calls.purchasing.SetSupplier(
        purchasing_service_pb2.SetSupplierRequest(request_id=new_id(), supplier_id="ACME", name="Acme", currency_code="EUR")
    )
    days = [planning_service_pb2.DemandDay(item_id="mug", location_id="BER", day=ago(7 * week + 3), quantity=10) for week in range(20)]
    await record(room, *days)
    yield room
    room.component.jobs.rest()


async def record(room: Stockroom, *days: planning_service_pb2.DemandDay) -> planning_service_pb2.RecordPastDemandResponse:
    return await room.calls.planning.RecordPastDemand(planning_service_pb2.RecordPastDemandRequest(request_id=new_id(), days=days))


async def plan(room: Stockroom) -> jobs_service_pb2.Job:
    started = await room.calls.planning.StartPlanning(planning_service_pb2.StartPlanningRequest(request_id=new_id()))
    assert started.status == jobs_service_pb2.JOB_STATUS_RUNNING
    while await room.component.jobs.do_one():
        pass
    return await room.calls.jobs("inventory").GetJob(jobs_service_pb2.GetJobRequest(service="inventory", job_id=started.job_id))


async def open_proposals(room: Stockroom) -> list[planning_service_pb2.ReorderProposal]:
    request = planning_service_pb2.ListReorderProposalsRequest(status=OPEN)
    return list((await room.calls.planning.ListReorderProposals(request)).proposals)


async def forecasts(room: Stockroom, item_id: str) -> list[planning_service_pb2.Forecast]:
    return list((await room.calls.planning.ListForecasts(planning_service_pb2.ListForecastsRequest(item_id=item_id))).forecasts)


async def accept(room: Stockroom, *proposals: planning_service_pb2.AcceptedProposal) -> planning_service_pb2.AcceptReorderProposalsResponse:
    request = planning_service_pb2.AcceptReorderProposalsRequest(request_id=new_id(), proposals=proposals)
    return await room.calls.planning.AcceptReorderProposals(request)


async def test_what_is_short_is_proposed_with_its_reason(planned: Stockroom) -> None:
    await planned.receive("mug", 5, 1250)
    job = await plan(planned)
    assert (job.status, job.total, job.done) == (jobs_service_pb2.JOB_STATUS_SUCCEEDED, 1, 1)
    [found] = await forecasts(planned, "mug")
    assert (found.per_period_thousandths, found.cover_days, found.over_cover_thousandths) == (10_000, 21, 30_000)
    assert found.reorder_point == 30 + found.safety_stock
    [proposal] = await open_proposals(planned)
    assert (proposal.available, proposal.on_order, proposal.supplier_id) == (5, 0, "ACME")
    assert proposal.quantity % 12 == 0
    assert 0 <= proposal.quantity - (found.reorder_point - 5) < 12
    assert proposal.unit_cost_millionths == 250_000_000
    assert "5 are there or coming" in proposal.reason
    figures = await planned.calls.planning.GetPlanningFigures(planning_service_pb2.GetPlanningFiguresRequest())
    assert (figures.forecasts, [one.count for one in figures.methods]) == (1, [1])


async def test_an_accepted_proposal_is_a_purchase_order_and_is_not_proposed_again(planned: Stockroom) -> None:
    await plan(planned)
    [proposal] = await open_proposals(planned)
    made = await accept(planned, planning_service_pb2.AcceptedProposal(proposal_id=proposal.proposal_id, quantity=120))
    [order_id] = made.purchase_order_ids
    order = await planned.calls.purchasing.GetPurchaseOrder(purchasing_service_pb2.GetPurchaseOrderRequest(purchase_order_id=order_id))
    assert (order.supplier_id, order.location_id, order.lines[0].ordered) == ("ACME", "BER", 120)
    assert made.proposals[0].purchase_order_id == order_id
    await plan(planned)
    assert await open_proposals(planned) == [], "a draft counts as on order"
    again = planning_service_pb2.AcceptedProposal(proposal_id=proposal.proposal_id)
    await refused("NOT_OPEN", accept(planned, again))


async def test_planning_again_replaces_what_is_open(planned: Stockroom) -> None:
    await plan(planned)
    [first] = await open_proposals(planned)
    await planned.receive("mug", 20)
    await plan(planned)
    [second] = await open_proposals(planned)
    assert second.quantity < first.quantity
    request = planning_service_pb2.DismissReorderProposalRequest(request_id=new_id(), proposal_id=second.proposal_id, reason="end of life")
    assert (await planned.calls.planning.DismissReorderProposal(request)).status == planning_service_pb2.PROPOSAL_STATUS_DISMISSED
    assert await open_proposals(planned) == []


async def test_what_was_issued_is_demand_and_is_summed_up_once(planned: Stockroom) -> None:
    await planned.place("SHOP", "STORE")
    await planned.item("cup", reorder_policy=2)
    await planned.receive("cup", 100, location_id="SHOP")
    for quantity in (3, 4):
        await planned.calls.stock.RecordSale(
            stock_service_pb2.RecordSaleRequest(
                request_id=new_id(), location_id="SHOP", channel_id="till", reference=new_id(),
                lines=[stock_service_pb2.SaleLine(item_id="cup", quantity=quantity)],
            )
        )  # fmt: skip
    async with planned.component.database.write() as tx:
        await tx.write(update(ISSUES).values(issued_at=ISSUES.c.issued_at - 3 * DAY))
    for _ in range(2):
        await plan(planned)
    days = (await planned.calls.planning.ListDemandDays(planning_service_pb2.ListDemandDaysRequest(item_id="cup"))).days
    assert [(one.day, one.quantity) for one in days] == [(ago(3), 7)]
    summed = planning_service_pb2.DemandDay(item_id="cup", location_id="SHOP", day=ago(3), quantity=1)
    await refused("SUMMED_UP", record(planned, summed))


async def test_what_is_sold_in_kits_is_demand_of_their_components(planned: Stockroom) -> None:
    await planned.place("SHOP", "STORE")
    for item_id in ("cup", "saucer"):
        await planned.item(item_id, reorder_policy=3, supplier_id="ACME")
        await planned.receive(item_id, 100, location_id="SHOP")
    await planned.item("set", kit='[["cup", 2], ["saucer", 1]]')
    lines = [stock_service_pb2.SaleLine(item_id=item_id, quantity=quantity) for item_id, quantity in (("cup", 3), ("set", 4))]
    sale = stock_service_pb2.RecordSaleRequest(request_id=new_id(), location_id="SHOP", channel_id="till", reference="r", lines=lines)
    await planned.calls.stock.RecordSale(sale)
    # An earlier version had summed up kits as such.
    async with planned.component.database.write() as tx:
        await tx.write(update(ISSUES).values(issued_at=ISSUES.c.issued_at - 3 * DAY))
        today = (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
        old = {"location_id": "SHOP", "day": today - 3, "summed": 1}
        await tx.insert(DEMAND_DAYS, [{**old, "item_id": item_id, "quantity": quantity} for item_id, quantity in (("cup", 3), ("set", 4))])
    for _ in range(2):
        await plan(planned)
    found = {}
    for item_id in ("cup", "saucer", "set"):
        request = planning_service_pb2.ListDemandDaysRequest(item_id=item_id)
        found[item_id] = [(one.day, one.quantity) for one in (await planned.calls.planning.ListDemandDays(request)).days]
    assert found == {"cup": [(ago(3), 11)], "saucer": [(ago(3), 4)], "set": []}
    of_kit = planning_service_pb2.DemandDay(item_id="set", location_id="SHOP", day=ago(9), quantity=1)
    assert (await refused("KIT", record(planned, of_kit))).field == "days[0].item_id"


async def test_a_policy_of_the_item_goes_before_its_class(planned: Stockroom) -> None:
    for values in ({"abc_class": "B", "service_level_permille": 900}, {"item_id": "mug", "service_level_permille": 999}):
        request = planning_service_pb2.SetPlanningPolicyRequest(request_id=new_id(), review_days=7, **values)  # type: ignore[arg-type]
        await planned.calls.planning.SetPlanningPolicy(request)
    await plan(planned)
    assert (await forecasts(planned, "mug"))[0].service_level_permille == 999
    listed = (await planned.calls.planning.ListPlanningPolicies(planning_service_pb2.ListPlanningPoliciesRequest())).policies
    assert [(one.abc_class, one.item_id) for one in listed] == [("B", ""), ("", "mug")]
    neither = planning_service_pb2.SetPlanningPolicyRequest(request_id=new_id(), service_level_permille=950, review_days=7)
    await refused("INVALID_FIELD", planned.calls.planning.SetPlanningPolicy(neither))


async def test_many_are_planned_in_steps_and_a_stopped_job_writes_nothing_more(planned: Stockroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replenish, "CHUNK", 2)
    monkeypatch.setattr("services.inventory.app.planning.CHUNK", 2)
    for number in range(5):
        await planned.item(f"part-{number}", reorder_policy=3)
        await record(planned, planning_service_pb2.DemandDay(item_id=f"part-{number}", location_id="BER", day=ago(9), quantity=2))
    job = await plan(planned)
    assert (job.total, job.done, job.status) == (6, 6, jobs_service_pb2.JOB_STATUS_SUCCEEDED)
    assert len(await open_proposals(planned)) == 6
    started = await planned.calls.planning.StartPlanning(planning_service_pb2.StartPlanningRequest(request_id=new_id()))
    for _ in range(3):
        await planned.component.jobs.do_one()
    cancel = jobs_service_pb2.CancelJobRequest(request_id=new_id(), service="inventory", job_id=started.job_id)
    stopped = await planned.calls.jobs("inventory").CancelJob(cancel)
    assert (stopped.status, stopped.done) == (jobs_service_pb2.JOB_STATUS_CANCELLED, 2)
    assert not await planned.component.jobs.do_one()


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("NO_SUCH_ITEM", {"item_id": "nothing"}),
        ("NO_SUCH_LOCATION", {"location_id": "MARS"}),
        ("INVALID_FIELD", {"day": "2026-02-30"}),
        ("INVALID_FIELD", {"day": "2999-01-01"}),
        ("INVALID_FIELD", {"quantity": -1}),
    ],
)
async def test_wrong_demand_is_refused_by_name(planned: Stockroom, reason: str, values: dict[str, object]) -> None:
    given = {"item_id": "mug", "location_id": "BER", "day": ago(400), "quantity": 1, **values}
    await refused(reason, record(planned, planning_service_pb2.DemandDay(**given)))  # type: ignore[arg-type]


async def test_without_a_supplier_nothing_is_ordered(planned: Stockroom) -> None:
    await planned.item("cup", reorder_policy=3)
    await record(
        planned, *(planning_service_pb2.DemandDay(item_id="cup", location_id="BER", day=ago(7 * w + 1), quantity=9) for w in range(9))
    )
    await plan(planned)
    proposal = next(one for one in await open_proposals(planned) if one.item_id == "cup")
    assert (await refused("NO_SUPPLIER", accept(planned, planning_service_pb2.AcceptedProposal(proposal_id=proposal.proposal_id)))).field
    made = await accept(planned, planning_service_pb2.AcceptedProposal(proposal_id=proposal.proposal_id, supplier_id="ACME"))
    assert made.proposals[0].supplier_id == "ACME"
