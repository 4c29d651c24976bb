"""The queries of returns."""

from collections import defaultdict
from typing import Any

from sqlalchemy import select

from argosy.returns.v1 import returns_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from services.returns.app.views import load, to_return, visible
from services.returns.store.tables import LINES, POLICIES, RETURNS


async def get_return(asked: Asked) -> returns_service_pb2.Return:
    """Refusals: NO_SUCH_RETURN."""
    row, lines = await load(asked.tx, asked.request.return_id)
    visible(asked, row)
    return to_return(row, lines)


async def list_returns(asked: Asked) -> returns_service_pb2.ListReturnsResponse:
    """Lists newest first, with lines."""
    query = select(RETURNS)
    for name, wanted in (("order_id", asked.request.order_id), ("status", asked.request.status)):
        if wanted:
            query = query.where(RETURNS.c[name] == wanted)
    if asked.principal.channel_ids:
        query = query.where(RETURNS.c.channel_id.in_(sorted(asked.principal.channel_ids)))
    rows, token = await page(asked.tx, query, [RETURNS.c.return_id], asked.request, descending=True)
    lines: dict[str, list[Any]] = defaultdict(list)
    for line in await asked.tx.read(select(LINES).where(LINES.c.return_id.in_([row.return_id for row in rows]))):
        lines[line.return_id].append(line)
    found = [to_return(row, lines[row.return_id]) for row in rows]
    return returns_service_pb2.ListReturnsResponse(returns=found, next_page_token=token)


async def list_policies(asked: Asked) -> returns_service_pb2.ListPoliciesResponse:
    """Lists by channel."""
    rows, token = await page(asked.tx, select(POLICIES), [POLICIES.c.channel_id], asked.request)
    policies = [
        returns_service_pb2.Policy(channel_id=r.channel_id, window_days=r.window_days, refund_shipping=bool(r.refund_shipping))
        for r in rows
    ]
    return returns_service_pb2.ListPoliciesResponse(policies=policies, next_page_token=token)
