"""Reads what sourcing goes by: rates, lanes, transit times, nodes and their load, and the policy in force."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import func, select

from chassis.kernel.clock import DAY, day_of
from chassis.kernel.errors import FailedPrecondition
from chassis.runtime.tx import Tx
from chassis.runtime.versions import ACTIVE
from services.fulfillment.app.nodes import TRANSIT_KEY, kept_node, transit_of
from services.fulfillment.app.rates import LANE_KEY
from services.fulfillment.domain.planning import World
from services.fulfillment.domain.policy import Exclusion, Policy, Strategy
from services.fulfillment.domain.progress import Status
from services.fulfillment.domain.sourcing import Rate, Terms
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LANES, NODES, POLICY_VERSIONS, RATES, TRANSITS

WEIGHTS = ("handling_minor", "split_penalty_minor", "late_day_minor", "balance_minor", "capacity_minor")


async def load_world(tx: Tx, now: int, *, loads: bool = True) -> World:
    """Reads all that is kept; parcels that locations have on their days from today on, where `loads`."""
    world = await load_prices(tx)
    world.transits = {tuple(getattr(row, name) for name in TRANSIT_KEY): transit_of(row) for row in await tx.read(select(TRANSITS))}
    world.nodes = {row.location_id: kept_node(row.body) for row in await tx.read(select(NODES))}
    if loads and any(node.capacity_parcels for node in world.nodes.values()):
        world.load = await _load(tx, now)
    return world


async def load_prices(tx: Tx) -> World:
    """Reads what parcels cost, and nothing else."""
    return World(
        rates=by_destination([to_rate(row) for row in await tx.read(select(RATES))]),
        lanes={tuple(getattr(row, name) for name in LANE_KEY): row.surcharge_minor for row in await tx.read(select(LANES))},
    )


def to_rate(row: Any) -> tuple[tuple[str, str], Rate]:
    """Returns a rate with the destination and currency it holds for; a row or a message."""
    rate = Rate(row.carrier, row.service, row.base_minor, row.per_kg_minor, row.method)
    return (row.country_code, row.currency_code), rate


def by_destination(rates: Iterable[tuple[tuple[str, str], Rate]]) -> dict[tuple[str, str], Sequence[Rate]]:
    """Gathers rates by the destination and currency they hold for."""
    found: defaultdict[tuple[str, str], list[Rate]] = defaultdict(list)
    for key, rate in rates:
        found[key].append(rate)
    return dict(found)


async def _load(tx: Tx, now: int) -> defaultdict[str, Counter[date]]:
    """A fulfilment order is a parcel of its day until it is called back; days begin earlier in the east."""
    yesterday = date.fromisoformat(day_of(now - DAY)).toordinal()
    columns = FULFILLMENT_ORDERS.c
    query = select(columns.location_id, columns.ship_day, func.count()).where(
        columns.ship_day >= yesterday, columns.status != int(Status.CANCELLED)
    )
    load: defaultdict[str, Counter[date]] = defaultdict(Counter)
    for location_id, ship_day, parcels in await tx.read(query.group_by(columns.location_id, columns.ship_day)):
        load[location_id][date.fromordinal(ship_day)] = parcels
    return load


async def policy_in(tx: Tx, version: int = 0) -> Policy:
    """Returns a policy; the one in force where 0. Refusals: NO_POLICY."""
    table = POLICY_VERSIONS
    rows = await tx.read(select(table).where(table.c.version == version if version else table.c.status == ACTIVE))
    if not rows:
        raise FailedPrecondition("NO_POLICY", "no sourcing policy is in force")
    return to_policy(rows[0].version, json.loads(rows[0].body))


def to_policy(version: int, body: dict[str, Any]) -> Policy:
    """Returns a policy from its body."""
    weights = {name: body["weights"].get(name, 0) for name in WEIGHTS}
    strategies = [
        Strategy(
            one["name"], one.get("condition", ""), frozenset(one.get("location_ids", ())),
            Terms(most_locations=one["most_locations"], **weights), bool(one.get("ship_complete")),
        )
        for one in body["strategies"]
    ]  # fmt: skip
    return Policy(version, strategies, [Exclusion(one["name"], one["condition"]) for one in body.get("exclusions", ())])
