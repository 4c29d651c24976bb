"""Overview: how orders, holds, stock, channels and the proof stand."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.responses import Response

from argosy.finance.v1 import finance_service_pb2
from argosy.gateway.v1 import proofs_service_pb2, publications_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.ops.v1 import holds_service_pb2, ops_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import PermissionDenied
from chassis.runtime.settings import SERVICES
from gateway.app.proofs import record_of
from gateway.app.prove import CHECKS, prove
from gateway.console import show
from gateway.console.charts import bars
from gateway.console.pages.common import HOLDERS
from gateway.console.visit import Notice, Visit, action

BANDS = ("overdue", "within_hour", "within_four_hours", "later")
MOST_DEAD = 500
FLOW_DAYS = 7


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows the whole; what the person may not see is left out."""
    calls = visit.calls
    figures, flow, holds, stock, dead, proof, channels, margin = await asyncio.gather(
        visit.ask_if("orders.orders.read", calls.orders.GetFigures, orders_service_pb2.GetFiguresRequest()),
        visit.ask_if("orders.orders.read", calls.orders.GetFlowFigures, orders_service_pb2.GetFlowFiguresRequest(days=FLOW_DAYS)),
        _holds(visit),
        visit.ask_if("inventory.stock.read", calls.stock.GetStockFigures, stock_service_pb2.GetStockFiguresRequest()),
        _dead(visit),
        visit.ask_if("ops.proof.read", calls.proofs.GetLatestProof, proofs_service_pb2.GetLatestProofRequest()),
        visit.ask_if(
            "gateway.connections.read", calls.publications.GetPublicationFigures, publications_service_pb2.GetPublicationFiguresRequest()
        ),
        visit.ask_if("finance.journal.read", calls.finance.GetMargin, finance_service_pb2.GetMarginRequest()),
    )
    hours = [(_hour(one.begins_at.seconds), one.taken) for one in figures.hours] if figures is not None else []
    return visit.render(
        "overview.html", notice, status, states=_states(figures), holds=holds, bands=BANDS, stock=stock, dead=dead, proof=proof,
        checks=CHECKS, channels=channels.channels if channels is not None else None,
        margins=margin.channels if margin is not None else None, hours=bars(hours, "Orders taken in each of the last 24 hours, UTC"),
        taken=sum(count for _, count in hours), flow=flow,
    )  # fmt: skip


def _states(figures: Any) -> list[tuple[int, str, int]]:
    """Returns (status, name, count) in the order of an order's life."""
    if figures is None:
        return []
    return [(value, name, figures.by_status.get(name, 0)) for value, name in show.choices(order_pb2.OrderStatus)]


def _hour(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:00")


async def _holds(visit: Visit) -> dict[str, list[int]] | None:
    """Returns open holds by queue, in each band of how soon they are due, over all services."""
    if not visit.may("ops.holds.read"):
        return None
    request = holds_service_pb2.GetHoldFiguresRequest
    queues: dict[str, list[int]] = {}
    for _, answer in await visit.ask_each({one: (visit.calls.holds(one).GetHoldFigures, request(service=one)) for one in HOLDERS}):
        for queue in answer.queues:
            sums = queues.setdefault(queue.queue, [0] * len(BANDS))
            queues[queue.queue] = [before + getattr(queue, band) for before, band in zip(sums, BANDS, strict=True)]
    return dict(sorted(queues.items()))


async def _dead(visit: Visit) -> int | None:
    """Returns how many events were given up; at most so many of each service are counted."""
    if not visit.may("ops.events.read"):
        return None
    request = partial(ops_service_pb2.ListDeadEventsRequest, page_size=MOST_DEAD)
    answers = await visit.ask_each({one: (visit.calls.ops(one).ListDeadEvents, request(service=one)) for one in SERVICES})
    return sum(len(answer.events) for _, answer in answers)


async def _prove(visit: Visit) -> Response:
    if not visit.may("ops.proof.read"):
        raise PermissionDenied("NOT_PERMITTED", "the permission ops.proof.read is needed")
    await visit.calls.proofs.RecordProof(record_of(await prove(visit.calls.channels)))
    return visit.go("/console/", "proved")


prove_now = action(_prove, page)
