"""Returns: what comes back; to receive, to inspect and dispose of, and to call off."""

from starlette.responses import Response

from argosy.returns.v1 import returns_service_pb2
from gateway.console import show
from gateway.console.pages.common import holds_about
from gateway.console.visit import ROWS, Notice, Visit, action

OPEN = (
    returns_service_pb2.RETURN_STATUS_AUTHORIZED, returns_service_pb2.RETURN_STATUS_IN_TRANSIT,
    returns_service_pb2.RETURN_STATUS_RECEIVED, returns_service_pb2.RETURN_STATUS_DISPOSITIONED,
)  # fmt: skip


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of returns."""
    request = returns_service_pb2.ListReturnsRequest(
        status=show.choice(visit.query("status"), "status"),
        page_size=ROWS,
        page_token=visit.query("page"),
    )
    answer = await visit.ask(visit.calls.returns.ListReturns, request)
    return visit.render(
        "returns.html", notice, status, returns=answer.returns, following=visit.following(answer.next_page_token),
        statuses=show.choices(returns_service_pb2.ReturnStatus), Status=returns_service_pb2.ReturnStatus,
        Refund=returns_service_pb2.RefundState,
    )  # fmt: skip


async def one(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a return with what was received and judged of each line."""
    return_id = visit.path["return_id"]
    found = await visit.ask(visit.calls.returns.GetReturn, returns_service_pb2.GetReturnRequest(return_id=return_id))
    return visit.render(
        "return.html", notice, status, found=found, holds=await holds_about(visit, return_id), Status=returns_service_pb2.ReturnStatus,
        Refund=returns_service_pb2.RefundState, dispositions=show.choices(returns_service_pb2.Disposition),
        open=found.status in OPEN,
    )  # fmt: skip


async def _receive(visit: Visit) -> Response:
    return_id = visit.path["return_id"]
    lines = [
        returns_service_pb2.ReceivedLine(line_id=name.removeprefix("quantity-"), quantity=quantity)
        for name in visit.form
        if name.startswith("quantity-") and (quantity := show.whole(visit.field(name), "quantity"))
    ]
    request = returns_service_pb2.ReceiveReturnRequest(
        request_id=visit.request_id(), return_id=return_id, lines=lines, etag=visit.field("etag")
    )
    await visit.ask(visit.calls.returns.ReceiveReturn, request)
    return visit.go(f"/console/returns/{return_id}", "received")


async def _inspect(visit: Visit) -> Response:
    return_id = visit.path["return_id"]
    lines = []
    for name in visit.form:
        line_id = name.removeprefix("quantity-")
        if name.startswith("quantity-") and (quantity := show.whole(visit.field(name), "quantity")):
            disposition = show.choice(visit.field(f"disposition-{line_id}"), "disposition")
            lines.append(returns_service_pb2.InspectedLine(line_id=line_id, quantity=quantity, disposition=disposition))
    request = returns_service_pb2.InspectReturnRequest(
        request_id=visit.request_id(), return_id=return_id, lines=lines, etag=visit.field("etag")
    )
    await visit.ask(visit.calls.returns.InspectReturn, request)
    return visit.go(f"/console/returns/{return_id}", "inspected")


async def _cancel(visit: Visit) -> Response:
    return_id = visit.path["return_id"]
    request = returns_service_pb2.CancelReturnRequest(
        request_id=visit.request_id(), return_id=return_id, reason=visit.field("reason"), etag=visit.field("etag")
    )
    await visit.ask(visit.calls.returns.CancelReturn, request)
    return visit.go(f"/console/returns/{return_id}", "called-off")


receive = action(_receive, one)
inspect = action(_inspect, one)
cancel = action(_cancel, one)
