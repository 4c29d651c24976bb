"""Inventory's share of the proof: P1 by itself, P2 and P4 as numbers for others to agree with."""

from sqlalchemy import and_, case, func, literal, select, union_all

from argosy.inventory.v1 import stock_pb2
from argosy.ops.v1 import ops_pb2
from chassis.runtime.service import FoundFacts
from chassis.runtime.statements import ZERO
from chassis.runtime.tx import Tx
from services.inventory.domain.stock import HOLDING, ON_HAND, VALUED, State
from services.inventory.store.tables import BALANCES, INBOUND, LAYERS, LOCATIONS, MOVEMENTS, RESERVATIONS, VALUATIONS

KEY = ("item_id", "location_id", "lot", "state")


async def balances(tx: Tx, now: int) -> FoundFacts:
    """P1: every balance is the sum of its movements, none is negative; layers hold what is on hand or on its way between our
    locations, the running totals are theirs, and what is expected is what open documents expect.
    """  # fmt: skip
    sides = []
    for column, sign in ((MOVEMENTS.c.from_state, -1), (MOVEMENTS.c.to_state, 1)):
        sides.append(
            select(
                MOVEMENTS.c.item_id, MOVEMENTS.c.location_id, MOVEMENTS.c.lot, column.label("state"),
                (MOVEMENTS.c.quantity * sign).label("quantity"),
            ).where(column != 0)
        )  # fmt: skip
    sides.append(select(*(BALANCES.c[k] for k in KEY), (BALANCES.c.quantity * literal(-1)).label("quantity")))
    both = union_all(*sides).subquery("both")
    total = func.sum(both.c.quantity)
    wrong = select(*(both.c[k] for k in KEY), total.label("off")).group_by(*(both.c[k] for k in KEY)).having(total != 0)
    breaks = [
        _break(
            "P1", f"item {r.item_id} at {r.location_id}, {stock_pb2.StockState.Name(r.state)}", f"movements and balance differ by {r.off}"
        )
        for r in await tx.read(wrong.limit(100))
    ]
    negative = await tx.read(select(BALANCES).where(BALANCES.c.quantity < 0).limit(100))
    breaks += [_break("P1", f"item {r.item_id} at {r.location_id}", f"balance is {r.quantity}") for r in negative]
    return breaks + await _layers(tx) + await _totals(tx) + await _expected(tx), await _on_hand(tx)


async def _on_hand(tx: Tx) -> list[ops_pb2.Fact]:
    """What is on hand where bins are kept, for these to agree with."""
    keys, total = (BALANCES.c.location_id, BALANCES.c.item_id), func.sum(BALANCES.c.quantity)
    query = select(*keys, total).join(LOCATIONS, LOCATIONS.c.location_id == BALANCES.c.location_id)
    query = query.where(LOCATIONS.c.bins == 1, BALANCES.c.state.in_([int(s) for s in ON_HAND])).group_by(*keys).having(total != 0)
    return [
        ops_pb2.Fact(name="on_hand", key=f"{item_id}@{location_id}", value=int(held)) for location_id, item_id, held in await tx.read(query)
    ]


async def _layers(tx: Tx) -> list[ops_pb2.Break]:
    on_hand = case((BALANCES.c.state.in_([int(s) for s in VALUED]), BALANCES.c.quantity), else_=0)
    sides = [
        select(BALANCES.c.item_id, BALANCES.c.location_id, on_hand.label("quantity")),
        select(LAYERS.c.item_id, LAYERS.c.location_id, (LAYERS.c.quantity_left * literal(-1)).label("quantity")),
    ]
    both = union_all(*sides).subquery("both")
    total = func.sum(both.c.quantity)
    wrong = select(both.c.item_id, both.c.location_id, total.label("off")).group_by(both.c.item_id, both.c.location_id)
    rows = await tx.read(wrong.having(total != 0).limit(100))
    return [_break("P1", f"item {r.item_id} at {r.location_id}", f"on hand and cost layers differ by {r.off}") for r in rows]


async def _totals(tx: Tx) -> list[ops_pb2.Break]:
    sides = [
        select(VALUATIONS.c.item_id, VALUATIONS.c.location_id, VALUATIONS.c.quantity, VALUATIONS.c.value_minor),
        select(
            LAYERS.c.item_id, LAYERS.c.location_id, (LAYERS.c.quantity_left * literal(-1)).label("quantity"),
            (LAYERS.c.value_left_minor * literal(-1)).label("value_minor"),
        ).where(LAYERS.c.quantity_left > ZERO),
    ]  # fmt: skip
    both = union_all(*sides).subquery("both")
    quantity, value = func.sum(both.c.quantity), func.sum(both.c.value_minor)
    keys = (both.c.item_id, both.c.location_id)
    wrong = select(*keys, quantity.label("off"), value.label("value_off")).group_by(*keys).having((quantity != 0) | (value != 0))
    return [
        _break("P1", f"item {r.item_id} at {r.location_id}", f"totals and cost layers differ by {r.off} pieces and {r.value_off} in value")
        for r in await tx.read(wrong.limit(100))
    ]


async def _expected(tx: Tx) -> list[ops_pb2.Break]:
    coming = BALANCES.c.state.in_([int(State.INCOMING), int(State.IN_TRANSIT), int(State.RETURN_PENDING)])
    sides = [
        select(BALANCES.c.item_id, BALANCES.c.location_id, BALANCES.c.quantity).where(coming),
        select(INBOUND.c.item_id, INBOUND.c.location_id, (INBOUND.c.quantity * literal(-1)).label("quantity")),
    ]
    both = union_all(*sides).subquery("both")
    total, keys = func.sum(both.c.quantity), (both.c.item_id, both.c.location_id)
    rows = await tx.read(select(*keys, total.label("off")).group_by(*keys).having(total != 0).limit(100))
    return [_break("P1", f"item {r.item_id} at {r.location_id}", f"expected stock and open documents differ by {r.off}") for r in rows]


async def reservations(tx: Tx, now: int) -> FoundFacts:
    """P2: what each order's line has reserved, and that the reservations are the reserved stock."""
    opened = RESERVATIONS.c.reserved + RESERVATIONS.c.allocated
    order = and_(RESERVATIONS.c.kind == stock_pb2.RESERVATION_KIND_ORDER, opened > 0)
    keys = (RESERVATIONS.c.owner_id, RESERVATIONS.c.line_id, RESERVATIONS.c.item_id)
    held = select(*keys, func.max(RESERVATIONS.c.each), func.sum(opened)).where(order).group_by(*keys)
    units: dict[tuple[str, str], set[int]] = {}
    # A kit is reserved by its components, in their proportion.
    for owner_id, line_id, _, each, total in await tx.read(held):
        units.setdefault((owner_id, line_id), set()).add(int(total) // each)
    facts = [ops_pb2.Fact(name="reserved", key=line_id, value=min(counts)) for (_, line_id), counts in units.items()]
    cart = RESERVATIONS.c.kind.in_(sorted(HOLDING))
    states = {
        "SOFT_RESERVED": (2, case((cart, RESERVATIONS.c.reserved), else_=0)),
        "RESERVED": (3, case((cart, 0), else_=RESERVATIONS.c.reserved)),
        "ALLOCATED": (4, RESERVATIONS.c.allocated),
    }
    uneven = [line_id for (_, line_id), counts in units.items() if len(counts) > 1]
    breaks = [_break("P2", f"line {line_id}", "more of one component than of another is reserved for its kits") for line_id in uneven]
    for name, (state, quantity) in states.items():
        sides = [
            select(RESERVATIONS.c.item_id, RESERVATIONS.c.location_id, quantity.label("quantity")),
            select(BALANCES.c.item_id, BALANCES.c.location_id, (BALANCES.c.quantity * literal(-1)).label("quantity")).where(
                BALANCES.c.state == state
            ),
        ]
        both = union_all(*sides).subquery("both")
        total = func.sum(both.c.quantity)
        wrong = select(both.c.item_id, both.c.location_id, total.label("off")).group_by(both.c.item_id, both.c.location_id)
        breaks += [
            _break("P2", f"item {r.item_id} at {r.location_id}", f"reservations and {name} stock differ by {r.off}")
            for r in await tx.read(wrong.having(total != 0).limit(100))
        ]
    return breaks, facts


async def value(tx: Tx, now: int) -> FoundFacts:
    """P4: what the owned stock of each location is worth."""
    total = func.coalesce(func.sum(LAYERS.c.value_left_minor), 0)
    query = select(LOCATIONS.c.location_id, LOCATIONS.c.currency_code, total).where(LOCATIONS.c.owned == 1)
    there = and_(LAYERS.c.location_id == LOCATIONS.c.location_id, LAYERS.c.quantity_left > ZERO)
    query = query.select_from(LOCATIONS).outerjoin(LAYERS, there)
    rows = await tx.read(query.group_by(LOCATIONS.c.location_id, LOCATIONS.c.currency_code))
    return [], [ops_pb2.Fact(name="inventory", key=f"{location}/{currency}", value=int(worth)) for location, currency, worth in rows]


def _break(check: str, subject: str, detail: str) -> ops_pb2.Break:
    return ops_pb2.Break(check=check, subject=subject, detail=detail)
