"""PlanOrder: decides which locations ship orders, over what inventory can promise, and keeps every decision."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToJson
from sqlalchemy import or_, select

from argosy.fulfillment.v1 import fulfillment_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.fulfillment.domain.sourcing import Outcome as Sourced
from services.fulfillment.domain.sourcing import Place, Policy, Rate, Want, source
from services.fulfillment.store.tables import DECISIONS, POLICIES, RATES


async def plan_orders(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its decision; what nothing can fill is `short`. Refusals: NO_POLICY."""
    policy = await _policy(work)
    rates = await _rates(work)
    outcomes: list[Outcome] = []
    rows = []
    for call in calls:
        if policy is None:
            outcomes.append(FailedPrecondition("NO_POLICY", "no sourcing policy is active"))
            continue
        decision = _decide(work, call, policy, rates)
        rows.append(
            {
                "decision_id": decision.decision_id, "order_id": decision.order_id, "policy_version": policy.version,
                "body": MessageToJson(decision, preserving_proto_field_name=True, indent=None), "decided_at": work.now,
            }
        )  # fmt: skip
        outcomes.append(decision)
    await work.tx.insert(DECISIONS, rows)
    return outcomes


async def _policy(work: Work) -> Policy | None:
    rows = await work.tx.read(select(POLICIES).where(POLICIES.c.active == 1).order_by(POLICIES.c.version.desc()).limit(1))
    return Policy(rows[0].version, rows[0].handling_minor, rows[0].split_penalty_minor, rows[0].most_locations) if rows else None


async def _rates(work: Work) -> dict[tuple[str, str], list[Rate]]:
    rates = defaultdict(list)
    for row in await work.tx.read(select(RATES)):
        rates[row.country_code, row.currency_code].append(Rate(row.carrier, row.service, row.base_minor, row.per_kg_minor))
    return rates


def rates_for(rates: dict[tuple[str, str], list[Rate]], country_code: str, currency_code: str) -> list[Rate]:
    """Returns the rates to a country, the general ones included."""
    return [*rates.get((country_code, currency_code), []), *rates.get(("", currency_code), [])]


async def load_rates(work: Work, country_code: str, currency_code: str) -> list[Rate]:
    """Reads the rates to a country, the general ones included."""
    where = or_(RATES.c.country_code == country_code, RATES.c.country_code == ""), RATES.c.currency_code == currency_code
    return [Rate(r.carrier, r.service, r.base_minor, r.per_kg_minor) for r in await work.tx.read(select(RATES).where(*where))]


def _decide(work: Work, call: Call, policy: Policy, rates: dict[tuple[str, str], list[Rate]]) -> fulfillment_pb2.Decision:
    request, picture = call.request, call.context
    wants = [Want(line.line_id, line.item_id, line.quantity, line.weight_g) for line in request.lines]
    places, eliminated = _places(request, picture)
    own = rates_for(rates, request.destination.country_code, request.currency_code)
    sourced = source(wants, places, own, policy, complete=request.ship_complete)
    _take_from(picture, sourced)
    decision = fulfillment_pb2.Decision(
        decision_id=new_id(),
        order_id=request.order_id,
        policy_version=policy.version,
        decided_at=to_timestamp(work.now),
        eliminated=eliminated,
    )
    for share in sourced.chosen.shares if sourced.chosen is not None else ():
        decision.assignments.add(line_id=share.line_id, item_id=share.item_id, location_id=share.location_id, quantity=share.quantity)
    for want in sourced.short:
        decision.short.add(line_id=want.line_id, item_id=want.item_id, quantity=want.quantity)
    for plan in sourced.candidates:
        decision.candidates.add(
            location_ids=plan.location_ids, filled=plan.filled, shipping_cost_minor=plan.shipping_minor,
            handling_cost_minor=plan.handling_minor, split_penalty_minor=plan.split_minor, total_cost_minor=plan.total_minor,
        )  # fmt: skip
    return decision


def _places(request: Any, picture: dict[str, list[Any]]) -> tuple[list[Place], list[fulfillment_pb2.Elimination]]:
    promisable: dict[str, dict[str, int]] = defaultdict(dict)
    countries, reasons = {}, {}
    for item_id in {line.item_id for line in request.lines}:
        for location in picture.get(item_id, []):
            if location.location_id in request.excluded_location_ids:
                reasons[location.location_id] = "EXCLUDED"
            elif request.entity and location.entity != request.entity:
                reasons[location.location_id] = "ENTITY"
            elif location.available_to_promise <= 0:
                reasons.setdefault(location.location_id, "NO_STOCK")
            else:
                promisable[location.location_id][item_id] = location.available_to_promise
                countries[location.location_id] = location.country_code
    places = [Place(location_id, countries[location_id], items) for location_id, items in sorted(promisable.items())]
    gone = sorted((where, why) for where, why in reasons.items() if where not in promisable)
    return places, [fulfillment_pb2.Elimination(location_id=where, reason=why) for where, why in gone]


def _take_from(picture: dict[str, list[Any]], sourced: Sourced) -> None:
    """What this plan takes is not promised to the next order of the batch."""
    for share in sourced.chosen.shares if sourced.chosen is not None else ():
        for location in picture[share.item_id]:
            if location.location_id == share.location_id:
                location.available_to_promise -= share.quantity
