"""Holds: what waits for a person, in all services, by due time; to claim, and to release with how it was resolved."""

import asyncio

from starlette.responses import Response

from argosy.ops.v1 import holds_service_pb2
from chassis.kernel.errors import NotFound
from chassis.runtime.pages import token_after
from gateway.console.pages.common import HOLDERS
from gateway.console.visit import ROWS, Notice, Visit, action


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of open holds; the services' lists are in the same order, so that they merge, and one token serves all."""
    services = [visit.query("service")] if visit.query("service") in HOLDERS else HOLDERS
    asked = [
        visit.ask(
            visit.calls.holds(service).ListHolds,
            holds_service_pb2.ListHoldsRequest(
                service=service, queue=visit.query("queue"), page_size=ROWS, page_token=visit.query("page"),
                include_released=bool(visit.query("released")),
            ),
        )
        for service in services
    ]  # fmt: skip
    answers, queues = await asyncio.gather(asyncio.gather(*asked), _queues(visit))
    found = sorted(
        ((service, hold) for service, answer in zip(services, answers, strict=True) for hold in answer.holds),
        key=lambda one: (one[1].due_at.seconds, one[1].due_at.nanos, one[1].hold_id),
    )
    more = len(found) > ROWS or any(answer.next_page_token for answer in answers)
    shown = found[:ROWS]
    token = token_after([shown[-1][1].due_at.seconds * 10**6 + shown[-1][1].due_at.nanos // 1000, shown[-1][1].hold_id]) if more else ""
    return visit.render(
        "holds.html", notice, status, holds=shown, following=visit.following(token), queues=queues, services=HOLDERS
    )  # fmt: skip


async def _queues(visit: Visit) -> list[str]:
    """Returns the queues that hold something."""
    request = holds_service_pb2.GetHoldFiguresRequest
    asked = (visit.ask(visit.calls.holds(service).GetHoldFigures, request(service=service)) for service in HOLDERS)
    return sorted({queue.queue for answer in await asyncio.gather(*asked) for queue in answer.queues})


def _service(visit: Visit) -> str:
    service = visit.path["service"]
    if service not in HOLDERS:
        raise NotFound("NO_SUCH_SERVICE", f"there is no service {service}", field="service")
    return service


async def _claim(visit: Visit) -> Response:
    service = _service(visit)
    request = holds_service_pb2.ClaimHoldRequest(request_id=visit.request_id(), service=service, hold_id=visit.path["hold_id"])
    await visit.ask(visit.calls.holds(service).ClaimHold, request)
    return visit.go("/console/holds", "claimed")


async def _release(visit: Visit) -> Response:
    service = _service(visit)
    request = holds_service_pb2.ReleaseHoldRequest(
        request_id=visit.request_id(), service=service, hold_id=visit.path["hold_id"], resolution=visit.field("resolution")
    )
    await visit.ask(visit.calls.holds(service).ReleaseHold, request)
    return visit.go("/console/holds", "released")


claim = action(_claim, page)
release = action(_release, page)
