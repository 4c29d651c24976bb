"""Approvals: what waits for a second person, in all services, newest first; to approve, to reject, or to take back."""

from functools import partial

from starlette.responses import Response

from argosy.ops.v1 import approvals_service_pb2
from chassis.kernel.errors import NotFound
from chassis.runtime.pages import token_after
from chassis.runtime.settings import SERVICES
from gateway.console.visit import ROWS, Notice, Visit, action

PENDING = approvals_service_pb2.APPROVAL_STATUS_PENDING


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of approvals; the services' lists are in the same order, so that they merge, and one token serves all."""
    request = partial(
        approvals_service_pb2.ListApprovalsRequest, page_size=ROWS, page_token=visit.query("page"),
        status=approvals_service_pb2.APPROVAL_STATUS_UNSPECIFIED if visit.query("all") else PENDING,
    )  # fmt: skip
    answers = await visit.ask_each({one: (visit.calls.approvals(one).ListApprovals, request(service=one)) for one in SERVICES})
    found = sorted(
        ((service, one) for service, answer in answers for one in answer.approvals), key=lambda each: each[1].approval_id, reverse=True
    )
    more = len(found) > ROWS or any(answer.next_page_token for _, answer in answers)
    shown = found[:ROWS]
    token = token_after([shown[-1][1].approval_id]) if more else ""
    return visit.render(
        "approvals.html", notice, status, approvals=shown, following=visit.following(token), pending=PENDING,
        statuses=approvals_service_pb2.ApprovalStatus,
    )  # fmt: skip


def _service(visit: Visit) -> str:
    service = visit.path["service"]
    if service not in SERVICES:
        raise NotFound("NO_SUCH_SERVICE", f"there is no service {service}", field="service")
    return service


async def _decide(visit: Visit) -> Response:
    service, approve = _service(visit), visit.field("decision") == "approve"
    request = approvals_service_pb2.DecideApprovalRequest(
        request_id=visit.request_id(), service=service, approval_id=visit.path["approval_id"], approve=approve, note=visit.field("note")
    )
    await visit.ask(visit.calls.approvals(service).DecideApproval, request)
    return visit.go("/console/approvals", "approved" if approve else "rejected")


async def _withdraw(visit: Visit) -> Response:
    service = _service(visit)
    request = approvals_service_pb2.WithdrawApprovalRequest(
        request_id=visit.request_id(), service=service, approval_id=visit.path["approval_id"]
    )
    await visit.ask(visit.calls.approvals(service).WithdrawApproval, request)
    return visit.go("/console/approvals", "withdrawn")


decide = action(_decide, page)
withdraw = action(_withdraw, page)
