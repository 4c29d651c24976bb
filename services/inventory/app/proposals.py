"""Forecasts and proposals: how good the ones are, and what becomes of the others."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select, update

from argosy.inventory.v1 import planning_service_pb2, purchasing_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.inventory.app.purchase_orders import create_purchase_order
from services.inventory.app.replenish import DISMISSED, OPEN, ORDERED
from services.inventory.domain.forecast import UNKNOWN
from services.inventory.store.tables import FORECASTS, PROPOSALS

FORECAST = tuple(column.name for column in FORECASTS.c if column.name != "forecast_at")
PROPOSAL = tuple(column.name for column in PROPOSALS.c if column.name not in ("proposed_at", "decided_at", "note"))


async def list_forecasts(asked: Asked) -> planning_service_pb2.ListForecastsResponse:
    """Lists by item and location."""
    query = select(FORECASTS)
    for name in ("item_id", "location_id"):
        if wanted := getattr(asked.request, name):
            query = query.where(FORECASTS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [FORECASTS.c.item_id, FORECASTS.c.location_id], asked.request)
    forecasts = [
        planning_service_pb2.Forecast(**{name: getattr(row, name) for name in FORECAST}, forecast_at=to_timestamp(row.forecast_at))
        for row in rows
    ]
    return planning_service_pb2.ListForecastsResponse(forecasts=forecasts, next_page_token=token)


async def get_planning_figures(asked: Asked) -> planning_service_pb2.PlanningFigures:
    """Counts and averages over the last forecasts."""
    there = (FORECASTS.c.location_id == asked.request.location_id,) if asked.request.location_id else ()
    measured = (FORECASTS.c.mase_thousandths >= 0, FORECASTS.c.naive_mase_thousandths >= 0)
    better = case((FORECASTS.c.mase_thousandths < FORECASTS.c.naive_mase_thousandths, 1), else_=0)
    sums = select(
        func.count(), func.coalesce(func.sum(FORECASTS.c.mase_thousandths), 0),
        func.coalesce(func.sum(FORECASTS.c.naive_mase_thousandths), 0), func.coalesce(func.sum(better), 0),
    ).where(*there, *measured)  # fmt: skip
    count, mase, naive, won = (int(one) for one in (await asked.tx.read(sums))[0])
    methods = select(FORECASTS.c.method, func.count().label("times")).where(*there).group_by(FORECASTS.c.method)
    counts = [
        planning_service_pb2.MethodCount(method=row.method, count=row.times)
        for row in await asked.tx.read(methods.order_by(FORECASTS.c.method))
    ]
    return planning_service_pb2.PlanningFigures(
        forecasts=sum(one.count for one in counts), measured=count, mase_thousandths=mase // count if count else UNKNOWN,
        naive_mase_thousandths=naive // count if count else UNKNOWN, better_than_naive=won, methods=counts,
    )  # fmt: skip


async def list_reorder_proposals(asked: Asked) -> planning_service_pb2.ListReorderProposalsResponse:
    """Lists newest first."""
    query = select(PROPOSALS)
    for name in ("status", "location_id", "supplier_id"):
        if wanted := getattr(asked.request, name):
            query = query.where(PROPOSALS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [PROPOSALS.c.proposal_id], asked.request, descending=True)
    return planning_service_pb2.ListReorderProposalsResponse(proposals=map(_shown, rows), next_page_token=token)


async def accept_reorder_proposals(
    work: Work, request: planning_service_pb2.AcceptReorderProposalsRequest
) -> planning_service_pb2.AcceptReorderProposalsResponse:
    """Refusals: NO_SUCH_PROPOSAL, NOT_OPEN, DOUBLE_PROPOSAL, NO_SUPPLIER, and those of CreatePurchaseOrder."""
    rows = await _open(work, [one.proposal_id for one in request.proposals])
    orders: defaultdict[tuple[str, str], list[purchasing_service_pb2.PurchaseLineInput]] = defaultdict(list)
    members: dict[str, tuple[str, str]] = {}
    for index, one in enumerate(request.proposals):
        row = rows[one.proposal_id]
        supplier_id = one.supplier_id or row.supplier_id
        if not supplier_id:
            text = f"proposals[{index}].supplier_id: {row.sku} names no supplier; say from whom to order it"
            raise FailedPrecondition("NO_SUPPLIER", text, field=f"proposals[{index}].supplier_id")
        if one.proposal_id in members:
            text = f"proposals[{index}].proposal_id: is there twice"
            raise InvalidArgument("DOUBLE_PROPOSAL", text, field=f"proposals[{index}].proposal_id")
        members[one.proposal_id] = (supplier_id, row.location_id)
        line = purchasing_service_pb2.PurchaseLineInput(
            item_id=row.item_id, quantity=one.quantity or row.quantity, unit_cost_millionths=row.unit_cost_millionths
        )
        orders[supplier_id, row.location_id].append(line)
    made: dict[tuple[str, str], str] = {}
    for (supplier_id, location_id), lines in sorted(orders.items()):
        order = purchasing_service_pb2.CreatePurchaseOrderRequest(
            request_id=new_id(), supplier_id=supplier_id, location_id=location_id, lines=lines, note="proposed by planning"
        )
        made[supplier_id, location_id] = (await create_purchase_order(work, order)).purchase_order_id
    changes = [
        {
            "proposal_id": proposal_id, "status": ORDERED, "decided_by": work.cause.actor, "decided_at": work.now,
            "purchase_order_id": made[key], "supplier_id": key[0],
        }
        for proposal_id, key in members.items()
    ]  # fmt: skip
    await work.tx.change(PROPOSALS, ("proposal_id",), changes)
    return planning_service_pb2.AcceptReorderProposalsResponse(
        purchase_order_ids=[made[key] for key in sorted(made)], proposals=await _shown_again(work.tx, list(members))
    )


async def dismiss_reorder_proposal(
    work: Work, request: planning_service_pb2.DismissReorderProposalRequest
) -> planning_service_pb2.ReorderProposal:
    """Refusals: NO_SUCH_PROPOSAL, NOT_OPEN."""
    await _open(work, [request.proposal_id])
    change = update(PROPOSALS).where(PROPOSALS.c.proposal_id == request.proposal_id)
    await work.tx.write(change.values(status=DISMISSED, decided_by=work.cause.actor, decided_at=work.now, note=request.reason))
    return (await _shown_again(work.tx, [request.proposal_id]))[0]


async def _open(work: Work, proposal_ids: Sequence[str]) -> dict[str, Any]:
    keys = [(one,) for one in sorted(set(proposal_ids))]
    rows = {row.proposal_id: row for row in await work.tx.find(PROPOSALS, ("proposal_id",), keys, order=("proposal_id",), lock=True)}
    for proposal_id in proposal_ids:
        if proposal_id not in rows:
            raise NotFound("NO_SUCH_PROPOSAL", f"there is no proposal {proposal_id}", field="proposal_id")
        if rows[proposal_id].status != OPEN:
            text = f"the proposal of {rows[proposal_id].sku} was decided or replaced already"
            raise FailedPrecondition("NOT_OPEN", text, field="proposal_id")
    return rows


async def _shown_again(tx: Tx, proposal_ids: Sequence[str]) -> list[planning_service_pb2.ReorderProposal]:
    rows = {row.proposal_id: row for row in await tx.find(PROPOSALS, ("proposal_id",), [(one,) for one in proposal_ids])}
    return [_shown(rows[one]) for one in proposal_ids]


def _shown(row: Any) -> planning_service_pb2.ReorderProposal:
    return planning_service_pb2.ReorderProposal(
        **{name: getattr(row, name) for name in PROPOSAL}, proposed_at=to_timestamp(row.proposed_at)
    )
