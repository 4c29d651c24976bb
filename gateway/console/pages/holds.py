"""Holds: what waits for a person, in all services, by urgency; to claim, to put aside, and to release, one or many together."""

import asyncio
from functools import partial

from starlette.responses import Response

from argosy.gateway.v1 import access_service_pb2
from argosy.ops.v1 import holds_service_pb2
from chassis.kernel.clock import HOUR, to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import token_after
from gateway.console import show
from gateway.console.pages.common import HOLDERS
from gateway.console.visit import ROWS, Notice, Visit, action

ROLES = sorted(name.removeprefix("ROLE_").lower() for name, number in access_service_pb2.Role.items() if number)


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of open holds; the services' lists are in the same order, so that they merge, and one token serves all."""
    services = [visit.query("service")] if visit.query("service") in HOLDERS else HOLDERS
    request = partial(
        holds_service_pb2.ListHoldsRequest, queue=visit.query("queue"), reason=visit.query("reason"), owner_role=visit.query("role"),
        owner=visit.person.account if visit.query("mine") else "", page_size=ROWS, page_token=visit.query("page"),
        include_released=bool(visit.query("released")), include_snoozed=bool(visit.query("snoozed")),
    )  # fmt: skip
    answers, figures, preview = await asyncio.gather(
        visit.ask_each({one: (visit.calls.holds(one).ListHolds, request(service=one)) for one in services}), _figures(visit),
        _preview(visit),
    )  # fmt: skip
    found = sorted(((service, hold) for service, answer in answers for hold in answer.holds), key=lambda one: (one[1].rank, one[1].hold_id))
    more = len(found) > ROWS or any(answer.next_page_token for _, answer in answers)
    shown = found[:ROWS]
    token = token_after([shown[-1][1].rank, shown[-1][1].hold_id]) if more else ""
    queues = sorted({queue.queue for _, queue in figures})
    return visit.render(
        "holds.html", notice, status, holds=shown, following=visit.following(token), queues=queues, services=HOLDERS, roles=ROLES,
        figures=figures, preview=preview,
    )  # fmt: skip


async def _figures(visit: Visit) -> list[tuple[str, holds_service_pb2.QueueFigures]]:
    """Returns (service, figures) of the queues that hold something or did within a day."""
    request = holds_service_pb2.GetHoldFiguresRequest
    answers = await visit.ask_each({one: (visit.calls.holds(one).GetHoldFigures, request(service=one)) for one in HOLDERS})
    return [(service, queue) for service, answer in answers for queue in answer.queues]


async def _preview(visit: Visit) -> holds_service_pb2.PreviewReleaseResponse | None:
    """Says what would be released together, where the filter names one service and what to release in it."""
    service, queue, reason = visit.query("service"), visit.query("queue"), visit.query("reason")
    if service not in HOLDERS or not (queue or reason) or not visit.may("ops.holds.release"):
        return None
    request = holds_service_pb2.PreviewReleaseRequest(service=service, queue=queue, reason=reason)
    return await visit.ask(visit.calls.holds(service).PreviewRelease, request)  # type: ignore[no-any-return]


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


async def _snooze(visit: Visit) -> Response:
    service = _service(visit)
    hours = show.whole(visit.field("hours"), "hours")
    request = holds_service_pb2.SnoozeHoldRequest(
        request_id=visit.request_id(), service=service, hold_id=visit.path["hold_id"], until=to_timestamp(wall_clock() + hours * HOUR),
        reason=f"put aside for {hours} hours",
    )  # fmt: skip
    await visit.ask(visit.calls.holds(service).SnoozeHold, request)
    return visit.go("/console/holds", "snoozed")


async def _release_together(visit: Visit) -> Response:
    service = _service(visit)
    request = holds_service_pb2.ReleaseHoldsRequest(
        request_id=visit.request_id(), service=service, queue=visit.field("queue"), reason=visit.field("reason"),
        resolution=visit.field("resolution"),
    )  # fmt: skip
    await visit.ask(visit.calls.holds(service).ReleaseHolds, request)
    return visit.go("/console/holds", "releasing")


claim = action(_claim, page)
snooze = action(_snooze, page)
release_together = action(_release_together, page)
release = action(_release, page)
