"""returns, composed: what it serves and runs."""

from argosy.returns.v1 import returns_service_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.process import ProcessType
from chassis.runtime.service import Service
from chassis.runtime.settings import Settings
from chassis.runtime.writer import each
from services.returns.app import (
    apply_changes,
    authorize_return,
    cancel_return,
    inspect_return,
    read_returns,
    receive_return,
    set_policy,
)
from services.returns.clients.orders import Orders
from services.returns.process import settle_return
from services.returns.store.tables import CHASSIS, METADATA


def build(channels: Channels, settings: Settings) -> Service:
    """Returns the service; it asks orders for lines and for refunds."""
    del settings
    orders = Orders(channels)
    return Service(
        name="returns",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(returns_service_pb2.DESCRIPTOR.services_by_name["ReturnsService"],),
        writes={
            "AuthorizeReturn": each(authorize_return.authorize_return),
            "ReceiveReturn": each(receive_return.receive_return),
            "InspectReturn": each(inspect_return.inspect_return),
            "CancelReturn": each(cancel_return.cancel_return),
            "SetPolicy": each(set_policy.set_policy),
        },
        reads={
            "GetReturn": read_returns.get_return,
            "ListReturns": read_returns.list_returns,
            "ListPolicies": read_returns.list_policies,
        },
        prepares={"AuthorizeReturn": orders.prepare},
        processes=(
            ProcessType(
                settle_return.NAME, settle_return.State, 1, settle_return.decide, apply_changes.apply_changes,
                {settle_return.AskRefund: orders.refund},
            ),
        ),
        on_hold_released=apply_changes.on_hold_released,
    )  # fmt: skip
