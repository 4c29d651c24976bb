"""How well items shall be served, and what was asked for before stock was kept here."""

from datetime import date

from sqlalchemy import select

from argosy.inventory.v1 import planning_service_pb2
from chassis.kernel.clock import DAY, day_of
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.inventory.store.tables import DEMAND_DAYS, ITEMS, LOCATIONS, PLANNING_POLICIES

POLICY = ("abc_class", "item_id", "service_level_permille", "review_days", "order_cost_minor", "holding_permille")
EPOCH = date(1970, 1, 1)


async def set_planning_policy(work: Work, request: planning_service_pb2.SetPlanningPolicyRequest) -> planning_service_pb2.PlanningPolicy:
    """Refusals: INVALID_FIELD, NO_SUCH_ITEM."""
    if bool(request.abc_class) == bool(request.item_id):
        raise InvalidArgument("INVALID_FIELD", "item_id: name either a class or an item", field="item_id")
    if request.item_id and not await work.tx.find(ITEMS, ("item_id",), [(request.item_id,)]):
        raise NotFound("NO_SUCH_ITEM", f"item_id: there is no published item {request.item_id}", field="item_id")
    row = {name: getattr(request, name) for name in POLICY}
    await work.tx.merge(PLANNING_POLICIES, POLICY[:2], [row])
    return planning_service_pb2.PlanningPolicy(**row)


async def list_planning_policies(asked: Asked) -> planning_service_pb2.ListPlanningPoliciesResponse:
    """Lists by item and class, those of classes first."""
    keys = [PLANNING_POLICIES.c.item_id, PLANNING_POLICIES.c.abc_class]
    rows, token = await page(asked.tx, select(PLANNING_POLICIES), keys, asked.request)
    policies = [planning_service_pb2.PlanningPolicy(**{name: getattr(row, name) for name in POLICY}) for row in rows]
    return planning_service_pb2.ListPlanningPoliciesResponse(policies=policies, next_page_token=token)


async def record_past_demand(
    work: Work, request: planning_service_pb2.RecordPastDemandRequest
) -> planning_service_pb2.RecordPastDemandResponse:
    """Refusals: INVALID_FIELD, NO_SUCH_ITEM, KIT, NO_SUCH_LOCATION, DOUBLE_DAY, SUMMED_UP."""
    items = {row.item_id: row for row in await work.tx.find(ITEMS, ("item_id",), sorted({(one.item_id,) for one in request.days}))}
    places = {row.location_id for row in await work.tx.read(select(LOCATIONS.c.location_id))}
    rows: dict[tuple[str, str, int], int] = {}
    for index, one in enumerate(request.days):
        field = f"days[{index}]"
        if one.item_id not in items:
            raise NotFound("NO_SUCH_ITEM", f"{field}.item_id: there is no published item {one.item_id}", field=f"{field}.item_id")
        if items[one.item_id].kit:
            text = f"{field}.item_id: {items[one.item_id].sku} is a kit; say what was asked for of its components"
            raise FailedPrecondition("KIT", text, field=f"{field}.item_id")
        if one.location_id not in places:
            raise NotFound("NO_SUCH_LOCATION", f"{field}.location_id: there is no {one.location_id}", field=f"{field}.location_id")
        key = (one.item_id, one.location_id, _day(one.day, f"{field}.day", work.now))
        if key in rows:
            raise InvalidArgument("DOUBLE_DAY", f"{field}.day: the item has this day at this location twice here", field=f"{field}.day")
        rows[key] = one.quantity
    by = ("item_id", "location_id", "day")
    if any(row.summed for row in await work.tx.find(DEMAND_DAYS, by, sorted(rows))):
        raise InvalidArgument("SUMMED_UP", "days: some are known from what was issued here; leave them out", field="days")
    values = [dict(zip((*by, "quantity", "summed"), (*key, quantity, 0), strict=True)) for key, quantity in rows.items()]
    await work.tx.merge(DEMAND_DAYS, by, values)
    return planning_service_pb2.RecordPastDemandResponse(days=len(values))


def _day(text: str, field: str, now: int) -> int:
    try:
        day = (date.fromisoformat(text) - EPOCH).days
    except ValueError as error:
        raise InvalidArgument("INVALID_FIELD", f"{field}: {text} is no day of the calendar", field=field) from error
    if not 0 <= day < now // DAY:
        raise InvalidArgument("INVALID_FIELD", f"{field}: {text} is not past", field=field)
    return day


async def list_demand_days(asked: Asked) -> planning_service_pb2.ListDemandDaysResponse:
    """Lists by location and day."""
    query = select(DEMAND_DAYS).where(DEMAND_DAYS.c.item_id == asked.request.item_id)
    if asked.request.location_id:
        query = query.where(DEMAND_DAYS.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [DEMAND_DAYS.c.location_id, DEMAND_DAYS.c.day], asked.request)
    days = [
        planning_service_pb2.DemandDay(item_id=row.item_id, location_id=row.location_id, day=day_of(row.day * DAY), quantity=row.quantity)
        for row in rows
    ]
    return planning_service_pb2.ListDemandDaysResponse(days=days, next_page_token=token)
