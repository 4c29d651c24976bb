"""fulfillment, composed: what it serves."""

from argosy.fulfillment.v1 import fulfillment_service_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.service import Service
from chassis.runtime.writer import each
from services.fulfillment.app import (
    confirm_pick,
    confirm_shipment,
    plan_order,
    read_fulfillment,
    recall_order,
    record_tracking,
    release_order,
    set_rate,
)
from services.fulfillment.clients.availability import Availability
from services.fulfillment.store.tables import CHASSIS, METADATA


def build(channels: Channels) -> Service:
    """Returns the service; before it plans it asks inventory what can be promised."""
    return Service(
        name="fulfillment",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(fulfillment_service_pb2.DESCRIPTOR.services_by_name["FulfillmentService"],),
        writes={
            "PlanOrder": plan_order.plan_orders,
            "ReleaseOrder": release_order.release_orders,
            "RecallOrder": each(recall_order.recall_order),
            "ConfirmPick": each(confirm_pick.confirm_pick),
            "ConfirmShipment": confirm_shipment.confirm_shipments,
            "RecordTracking": each(record_tracking.record_tracking),
            "SetRate": each(set_rate.set_rate),
        },
        reads={
            "ListDecisions": read_fulfillment.list_decisions,
            "GetFulfillmentOrder": read_fulfillment.get_fulfillment_order,
            "ListFulfillmentOrders": read_fulfillment.list_fulfillment_orders,
            "ListShipments": read_fulfillment.list_shipments,
            "ListRates": read_fulfillment.list_rates,
        },
        prepares={"PlanOrder": Availability(channels).prepare},
    )
