"""The gateway, composed: what it serves and runs. Its HTTP side is in `http/`, the dialects in `channels/`."""

from argosy.gateway.v1 import access_service_pb2, connections_service_pb2, deliveries_service_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.process import ProcessType
from chassis.runtime.service import Periodic, Service
from chassis.runtime.writer import each
from gateway.app import apply_changes, connections, deliveries, keys
from gateway.app.effects.carry_out import CarryOut
from gateway.app.read_deliveries import UNREAD, read_deliveries
from gateway.http import server
from gateway.process import take_order
from gateway.store.tables import CHASSIS, METADATA


def build(channels: Channels) -> Service:
    """Returns the service; its effects call orders and returns."""
    carry_out = CarryOut(channels)
    return Service(
        name="gateway",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(
            access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
            connections_service_pb2.DESCRIPTOR.services_by_name["ConnectionsService"],
            deliveries_service_pb2.DESCRIPTOR.services_by_name["DeliveriesService"],
        ),
        writes={
            "CreateKey": each(keys.create_key),
            "RevokeKey": each(keys.revoke_key),
            "SetConnection": each(connections.set_connection),
            "SetFileMapping": each(connections.set_file_mapping),
            "TakeDelivery": deliveries.take_deliveries,
            "ReadAgain": each(deliveries.read_again),
        },
        reads={
            "ListKeys": keys.list_keys,
            "ResolveKey": keys.resolve_key,
            "ListConnections": connections.list_connections,
            "GetFileMapping": connections.get_file_mapping,
            "GetDelivery": deliveries.get_delivery,
            "GetContent": deliveries.get_content,
            "ListDeliveries": deliveries.list_deliveries,
        },
        processes=(
            ProcessType(
                take_order.NAME, take_order.State, 1, take_order.decide, apply_changes.apply_changes,
                {
                    take_order.AskOrder: carry_out.ask_order,
                    take_order.Place: carry_out.place,
                    take_order.Capture: carry_out.capture,
                    take_order.Cancel: carry_out.cancel,
                    take_order.Refund: carry_out.refund,
                    take_order.OpenReturn: carry_out.open_return,
                },
            ),
        ),
        periodics=(Periodic("read deliveries", 0.2, read_deliveries, UNREAD),),
        on_hold_released=apply_changes.on_hold_released,
        front=server.start,
    )  # fmt: skip
