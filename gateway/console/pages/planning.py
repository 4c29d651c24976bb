"""Planning: how good the forecasts are, what is proposed to be ordered and why; to plan anew, to accept, to dismiss."""

import asyncio

from starlette.responses import Response

from argosy.inventory.v1 import planning_service_pb2
from argosy.ops.v1 import jobs_service_pb2
from chassis.kernel.errors import InvalidArgument
from gateway.console import show
from gateway.console.pages.common import location_ids
from gateway.console.visit import ROWS, Notice, Visit, action

OPEN = planning_service_pb2.PROPOSAL_STATUS_OPEN
RUNNING = jobs_service_pb2.JOB_STATUS_RUNNING
KIND = "inventory.planning"


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows the figures, the last planning, and a page of proposals, newest first."""
    shown = planning_service_pb2.PROPOSAL_STATUS_UNSPECIFIED if visit.query("all") else OPEN
    asked = planning_service_pb2.ListReorderProposalsRequest(
        status=shown, location_id=visit.query("location"), page_size=ROWS, page_token=visit.query("page")
    )
    jobs = jobs_service_pb2.ListJobsRequest(service="inventory", kind=KIND, page_size=1)
    answer, figures, last, locations = await asyncio.gather(
        visit.ask(visit.calls.planning.ListReorderProposals, asked),
        visit.ask(visit.calls.planning.GetPlanningFigures, planning_service_pb2.GetPlanningFiguresRequest()),
        visit.ask_if("ops.jobs.read", visit.calls.jobs("inventory").ListJobs, jobs),
        location_ids(visit),
    )
    return visit.render(
        "planning.html", notice, status, proposals=answer.proposals, figures=figures, job=last.jobs[0] if last and last.jobs else None,
        locations=locations, following=visit.following(answer.next_page_token), open=OPEN, running=RUNNING,
        statuses=planning_service_pb2.ProposalStatus, methods=planning_service_pb2.ForecastMethod, jobs=jobs_service_pb2.JobStatus,
    )  # fmt: skip


async def _run(visit: Visit) -> Response:
    request = planning_service_pb2.StartPlanningRequest(request_id=visit.request_id())
    await visit.ask(visit.calls.planning.StartPlanning, request)
    return visit.go("/console/planning", "planning")


async def _accept(visit: Visit) -> Response:
    chosen = [one for one in visit.form.getlist("proposal") if isinstance(one, str)]
    if not chosen:
        raise InvalidArgument("INVALID_FIELD", "tick the proposals that shall be ordered", field="proposal")
    request = planning_service_pb2.AcceptReorderProposalsRequest(request_id=visit.request_id())
    for proposal_id in chosen:
        quantity = show.whole(visit.field(f"quantity-{proposal_id}"), "quantity")
        request.proposals.add(proposal_id=proposal_id, quantity=quantity)
    await visit.ask(visit.calls.planning.AcceptReorderProposals, request)
    return visit.go("/console/planning", "ordered")


async def _dismiss(visit: Visit) -> Response:
    request = planning_service_pb2.DismissReorderProposalRequest(
        request_id=visit.request_id(), proposal_id=visit.path["proposal_id"], reason=visit.field("reason")
    )
    await visit.ask(visit.calls.planning.DismissReorderProposal, request)
    return visit.go("/console/planning", "dismissed")


run = action(_run, page)
accept = action(_accept, page)
dismiss = action(_dismiss, page)
