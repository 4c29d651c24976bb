"""Asks orders where a parcel goes and what is in it worth. Nothing of it is kept: it is a person's."""

from argosy.common.v1 import address_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from chassis.runtime.channels import Channels


class Orders:
    """The order behind a parcel."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def ship_to(self, order_id: str) -> address_pb2.Address:
        """Returns the recipient's address."""
        stub = OrdersServiceStub(self._channels.to("orders"))
        return (await stub.GetShipTo(orders_service_pb2.GetShipToRequest(order_id=order_id))).address

    async def with_lines(self, order_id: str) -> order_pb2.Order:
        """Returns the order with its lines and their amounts."""
        stub = OrdersServiceStub(self._channels.to("orders"))
        return (await stub.GetOrderLines(orders_service_pb2.GetOrderLinesRequest(order_ids=[order_id]))).orders[0]
