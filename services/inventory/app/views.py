"""Rows of inventory as the contract shows them, and the events that stock documents say."""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from argosy.inventory.v1 import demands_service_pb2, reservations_service_pb2, stock_pb2, stock_service_pb2
from chassis.kernel.clock import set_moment, to_timestamp
from services.inventory.domain.cost import unit_cost
from services.inventory.store.reservations import Held

# Responses with reservations.
R = TypeVar(
    "R", reservations_service_pb2.ReserveResponse, reservations_service_pb2.CancelReservationResponse,
    reservations_service_pb2.ListReservationsResponse, demands_service_pb2.TakeOverResponse,
)  # fmt: skip


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


def with_reservations(response: R, held: Iterable[Held]) -> R:
    """Returns a response with reservations as the contract shows them, each made where it belongs."""
    for one in held:
        shown = response.reservations.add(
            reservation_id=one.reservation_id, kind=one.kind, owner_id=one.owner_id, line_id=one.line_id, item_id=one.item_id,
            location_id=one.location_id, reserved=one.reserved, allocated=one.allocated, shipped=one.shipped, cancelled=one.cancelled,
            lot=one.lot, kit_item_id=one.kit_item_id,
        )  # fmt: skip
        set_moment(shown.created_at, one.created_at)
        if one.expires_at is not None:
            set_moment(shown.expires_at, one.expires_at)
    return response


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
