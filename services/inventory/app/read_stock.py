"""The lists of inventory: locations, balances, movements, layers, policies, reservations."""

from sqlalchemy import case, func, select

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2, stock_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import ZERO
from services.inventory.app.views import to_layer, to_location, to_movement, to_policy, with_reservations
from services.inventory.domain.stock import ON_HAND, SOURCED_KINDS, State
from services.inventory.store.reservations import Held
from services.inventory.store.tables import BALANCES, ITEMS, LAYERS, LOCATIONS, MOVEMENTS, POLICIES, RESERVATIONS

HELD = sorted(int(state) for state in ON_HAND)


async def list_locations(asked: Asked) -> stock_service_pb2.ListLocationsResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(LOCATIONS), [LOCATIONS.c.location_id], asked.request)
    return stock_service_pb2.ListLocationsResponse(locations=map(to_location, rows), next_page_token=token)


async def list_balances(asked: Asked) -> stock_service_pb2.ListBalancesResponse:
    """Lists balances that are not zero."""
    request = asked.request
    query = select(BALANCES).where(BALANCES.c.quantity > 0)
    for name, wanted in (("item_id", request.item_id), ("location_id", request.location_id), ("state", request.state)):
        if wanted:
            query = query.where(BALANCES.c[name] == wanted)
    if request.item_ids:
        query = query.where(BALANCES.c.item_id.in_(sorted(set(request.item_ids))))
    keys = [BALANCES.c.item_id, BALANCES.c.location_id, BALANCES.c.lot, BALANCES.c.state]
    rows, token = await page(asked.tx, query, keys, request)
    balances = [
        stock_pb2.Balance(item_id=r.item_id, location_id=r.location_id, lot=r.lot, state=r.state, quantity=r.quantity) for r in rows
    ]
    return stock_service_pb2.ListBalancesResponse(balances=balances, next_page_token=token)


async def list_movements(asked: Asked) -> stock_service_pb2.ListMovementsResponse:
    """Lists newest first."""
    query = select(MOVEMENTS)
    if asked.request.item_id:
        query = query.where(MOVEMENTS.c.item_id == asked.request.item_id)
    if asked.request.location_id:
        query = query.where(MOVEMENTS.c.location_id == asked.request.location_id)
    if asked.request.document_id:
        query = query.where(MOVEMENTS.c.document_id == asked.request.document_id)
    rows, token = await page(asked.tx, query, [MOVEMENTS.c.movement_id], asked.request, descending=True)
    movements = [to_movement(row) for row in rows]
    if movements and asked.request.item_id and not asked.request.document_id:
        on_hand = await _on_hand_after(asked, movements[0].movement_id)
        for movement in movements:
            movement.on_hand_after = on_hand
            on_hand -= movement.quantity * (int(movement.to_state in HELD) - int(movement.from_state in HELD))
    return stock_service_pb2.ListMovementsResponse(movements=movements, next_page_token=token)


async def _on_hand_after(asked: Asked, movement_id: str) -> int:
    """Returns what was on hand after a movement: what is there now, less what moved since."""
    request = asked.request
    there = select(func.coalesce(func.sum(BALANCES.c.quantity), 0)).where(BALANCES.c.item_id == request.item_id, BALANCES.c.state.in_(HELD))
    came, went = (case((column.in_(HELD), MOVEMENTS.c.quantity), else_=0) for column in (MOVEMENTS.c.to_state, MOVEMENTS.c.from_state))
    since = select(func.coalesce(func.sum(came - went), 0)).where(
        MOVEMENTS.c.item_id == request.item_id, MOVEMENTS.c.movement_id > movement_id
    )
    if request.location_id:
        there = there.where(BALANCES.c.location_id == request.location_id)
        since = since.where(MOVEMENTS.c.location_id == request.location_id)
    row = (await asked.tx.read(select(there.scalar_subquery().label("there"), since.scalar_subquery().label("since"))))[0]
    return int(row.there) - int(row.since)


async def get_stock_figures(asked: Asked) -> stock_service_pb2.StockFigures:
    """Counts items in trade, and those with nothing AVAILABLE where it is sourced from; safety stock is not weighed."""
    sourced = select(LOCATIONS.c.location_id).where(LOCATIONS.c.kind.in_(sorted(SOURCED_KINDS)))
    there = select(BALANCES.c.item_id).where(
        BALANCES.c.item_id == ITEMS.c.item_id, BALANCES.c.state == int(State.AVAILABLE), BALANCES.c.quantity > 0,
        BALANCES.c.location_id.in_(sourced),
    )  # fmt: skip
    sold_out = func.sum(case((there.exists(), 0), else_=1))
    row = (await asked.tx.read(select(func.count().label("items"), sold_out.label("sold_out")).where(ITEMS.c.retired == 0)))[0]
    return stock_service_pb2.StockFigures(items=row.items, sold_out=int(row.sold_out or 0))


async def list_cost_layers(asked: Asked) -> stock_service_pb2.ListCostLayersResponse:
    """Lists open layers, oldest first."""
    query = select(LAYERS).where(LAYERS.c.item_id == asked.request.item_id, LAYERS.c.quantity_left > ZERO)
    if asked.request.location_id:
        query = query.where(LAYERS.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [LAYERS.c.position], asked.request)
    return stock_service_pb2.ListCostLayersResponse(layers=map(to_layer, rows), next_page_token=token)


async def list_stock_policies(asked: Asked) -> stock_service_pb2.ListStockPoliciesResponse:
    """Lists by channel, item and location."""
    keys = [POLICIES.c.channel_id, POLICIES.c.item_id, POLICIES.c.location_id]
    rows, token = await page(asked.tx, select(POLICIES), keys, asked.request)
    return stock_service_pb2.ListStockPoliciesResponse(policies=map(to_policy, rows), next_page_token=token)


async def list_reservations(asked: Asked) -> reservations_service_pb2.ListReservationsResponse:
    """Lists by id."""
    query = select(RESERVATIONS)
    owners = [*asked.request.owner_ids, *filter(None, [asked.request.owner_id])]
    if owners:
        query = query.where(RESERVATIONS.c.owner_id.in_(owners))
    if asked.request.location_id:
        query = query.where(RESERVATIONS.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [RESERVATIONS.c.reservation_id], asked.request)
    response = reservations_service_pb2.ListReservationsResponse(next_page_token=token)
    return with_reservations(response, (Held(**row._mapping) for row in rows))
