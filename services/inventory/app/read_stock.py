"""The lists of inventory: locations, balances, movements, layers, policies, reservations."""

from sqlalchemy import select

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2, stock_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from services.inventory.app.views import to_layer, to_location, to_movement, to_reservation
from services.inventory.store.reservations import Held
from services.inventory.store.tables import BALANCES, LAYERS, LOCATIONS, MOVEMENTS, POLICIES, RESERVATIONS


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
    if asked.request.document_id:
        query = query.where(MOVEMENTS.c.document_id == asked.request.document_id)
    rows, token = await page(asked.tx, query, [MOVEMENTS.c.movement_id], asked.request, descending=True)
    return stock_service_pb2.ListMovementsResponse(movements=map(to_movement, rows), next_page_token=token)


async def list_cost_layers(asked: Asked) -> stock_service_pb2.ListCostLayersResponse:
    """Lists open layers, oldest first."""
    query = select(LAYERS).where(LAYERS.c.item_id == asked.request.item_id, LAYERS.c.quantity_left > 0)
    if asked.request.location_id:
        query = query.where(LAYERS.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [LAYERS.c.position], asked.request)
    return stock_service_pb2.ListCostLayersResponse(layers=map(to_layer, rows), next_page_token=token)


async def list_stock_policies(asked: Asked) -> stock_service_pb2.ListStockPoliciesResponse:
    """Lists by channel, item and location."""
    keys = [POLICIES.c.channel_id, POLICIES.c.item_id, POLICIES.c.location_id]
    rows, token = await page(asked.tx, select(POLICIES), keys, asked.request)
    policies = [
        stock_service_pb2.StockPolicy(
            channel_id=r.channel_id, item_id=r.item_id, location_id=r.location_id, quantity=r.quantity, share_percent=r.share_percent
        )
        for r in rows
    ]
    return stock_service_pb2.ListStockPoliciesResponse(policies=policies, next_page_token=token)


async def list_reservations(asked: Asked) -> reservations_service_pb2.ListReservationsResponse:
    """Lists by id."""
    query = select(RESERVATIONS)
    if asked.request.owner_id:
        query = query.where(RESERVATIONS.c.owner_id == asked.request.owner_id)
    rows, token = await page(asked.tx, query, [RESERVATIONS.c.reservation_id], asked.request)
    held = [to_reservation(Held(**row._mapping)) for row in rows]
    return reservations_service_pb2.ListReservationsResponse(reservations=held, next_page_token=token)
