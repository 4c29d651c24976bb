"""Value: what stock is worth by location, how fast it turns, how old it is, and what of it stands still."""

import asyncio

from starlette.responses import Response

from argosy.inventory.v1 import valuation_service_pb2
from chassis.kernel.money import shown
from gateway.console import show
from gateway.console.charts import parts
from gateway.console.pages.common import location_ids
from gateway.console.visit import ROWS, Notice, Visit

PERIODS = (30, 90, 365)


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows every location, and a page of items."""
    location_id, days = visit.query("location"), show.choice(visit.query("days"), "days") or PERIODS[1]
    asked = valuation_service_pb2.ListStockTurnoverRequest(
        location_id=location_id, days=days, idle=bool(visit.query("idle")), page_size=ROWS, page_token=visit.query("page")
    )
    whole, answer, locations = await asyncio.gather(
        visit.ask(
            visit.calls.valuation.GetStockTurnover, valuation_service_pb2.GetStockTurnoverRequest(location_id=location_id, days=days)
        ),
        visit.ask(visit.calls.valuation.ListStockTurnover, asked),
        location_ids(visit),
    )
    return visit.render(
        "stock_value.html", notice, status, whole=whole, items=answer.turnovers, locations=locations, days=days,
        periods=[(one, f"{one} days") for one in PERIODS], charts={one.location_id: _ages(one) for one in whole.locations},
        following=visit.following(answer.next_page_token),
    )  # fmt: skip


def _ages(one: valuation_service_pb2.LocationTurnover) -> str:
    named = []
    for index, age in enumerate(one.ages):
        older = one.ages[index + 1].from_days if index + 1 < len(one.ages) else 0
        name = f"{age.from_days} to {older - 1} days" if older else f"{age.from_days} days and more"
        named.append((f"{name}: {shown(age.value_minor, one.currency_code)}", age.value_minor))
    return parts(named, f"Value of stock at {one.location_id} by its age")
