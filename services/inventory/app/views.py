"""Rows of inventory as the contract shows them, and the events that stock documents say."""

import json
from typing import Any

from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from chassis.kernel.clock import to_timestamp
from services.inventory.domain.cost import unit_cost


def to_location(row: Any) -> stock_pb2.Location:
    """Returns a location's row as the contract shows it."""
    return stock_pb2.Location(
        location_id=row.location_id, name=row.name, kind=row.kind, entity=row.entity, owned=bool(row.owned),
        country_code=row.country_code, postal_prefix=row.postal_prefix, currency_code=row.currency_code,
        created_at=to_timestamp(row.created_at), keeps_bins=bool(row.bins),
    )  # fmt: skip


def to_movement(row: Any) -> stock_pb2.Movement:
    """Returns a movement's row as the contract shows it."""
    return stock_pb2.Movement(
        movement_id=row.movement_id, item_id=row.item_id, location_id=row.location_id, lot=row.lot, from_state=row.from_state,
        to_state=row.to_state, quantity=row.quantity, value_minor=row.value_minor, reason=row.reason, actor=row.actor,
        document_type=row.document_type, document_id=row.document_id, moved_at=to_timestamp(row.moved_at),
    )  # fmt: skip


def to_reservation(held: Any) -> stock_pb2.Reservation:
    """Returns a reservation as the contract shows it."""
    return stock_pb2.Reservation(
        reservation_id=held.reservation_id, kind=held.kind, owner_id=held.owner_id,
        line_id=held.line_id, item_id=held.item_id, location_id=held.location_id, reserved=held.reserved,
        allocated=held.allocated, shipped=held.shipped, cancelled=held.cancelled, created_at=to_timestamp(held.created_at),
        expires_at=to_timestamp(held.expires_at) if held.expires_at is not None else None, lot=held.lot,
        kit_item_id=held.kit_item_id,
    )  # fmt: skip


def to_policy(row: Any) -> stock_service_pb2.StockPolicy:
    """Returns a policy's row as the contract shows it."""
    return stock_service_pb2.StockPolicy(
        channel_id=row.channel_id, item_id=row.item_id, location_id=row.location_id, quantity=row.quantity,
        share_percent=row.share_percent, threshold=row.threshold, most=row.most, oversell_chance_ppm=row.risk_ppm,
        network=json.loads(row.network) if row.network else (),
    )  # fmt: skip


def to_layer(row: Any) -> stock_pb2.CostLayer:
    """Returns a cost layer's row as the contract shows it."""
    return stock_pb2.CostLayer(
        layer_id=row.layer_id, item_id=row.item_id, location_id=row.location_id, quantity_in=row.quantity_in,
        quantity_left=row.quantity_left, value_left_minor=row.value_left_minor, document_id=row.document_id,
        unit_cost=unit_cost(row.value_left_minor, row.quantity_left), effective_at=to_timestamp(row.effective_at),
    )  # fmt: skip
