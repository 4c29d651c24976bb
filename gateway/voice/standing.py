"""What a warehouse of others is told of and says, asked of the services and booked with them."""

import asyncio
from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, parcels_service_pb2
from argosy.fulfillment.v1.fulfillment_service_pb2_grpc import FulfillmentServiceStub
from argosy.fulfillment.v1.parcels_service_pb2_grpc import ParcelsServiceStub
from argosy.inventory.v1 import feeds_service_pb2, purchasing_service_pb2
from argosy.inventory.v1.feeds_service_pb2_grpc import FeedsServiceStub
from argosy.inventory.v1.purchasing_service_pb2_grpc import PurchasingServiceStub
from argosy.orders.v1 import orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from chassis.kernel.clock import to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from gateway.app import warehouses as book
from gateway.channels.api import ApiRefusal
from gateway.channels.warehouses import Bill, Handed, HandedLine

WITHIN_S, LONG_S = 10, 30
# Lines in one call.
MOST_LINES, MOST_BILLED = 5000, 1000
ON_THEIR_WAY = (
    purchasing_service_pb2.PURCHASE_ORDER_STATUS_SENT, purchasing_service_pb2.PURCHASE_ORDER_STATUS_ACKNOWLEDGED,
    purchasing_service_pb2.PURCHASE_ORDER_STATUS_PARTIALLY_RECEIVED,
)  # fmt: skip


class Standing:
    """Asks how fulfilment orders stand, where they go and what is expected, and books what warehouses account for."""

    def __init__(self, channels: Channels) -> None:
        self._fulfillment = FulfillmentServiceStub(channels.to("fulfillment"))
        self._orders = OrdersServiceStub(channels.to("orders"))
        self._parcels = ParcelsServiceStub(channels.to("fulfillment"))
        self._purchasing = PurchasingServiceStub(channels.to("inventory"))
        self._feeds = FeedsServiceStub(channels.to("inventory"))

    async def status(self, fulfillment_order_id: str) -> fulfillment_pb2.FulfillmentOrder:
        """Returns a fulfilment order; raises a Refusal."""
        request = fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=fulfillment_order_id)
        return await self._fulfillment.GetFulfillmentOrder(request, timeout=WITHIN_S)

    async def expected(self, location_id: str) -> list[str]:
        """Returns the numbers of the purchase orders that are on their way to a location; raises a Refusal."""
        numbers: list[str] = []
        for status in ON_THEIR_WAY:
            request = purchasing_service_pb2.ListPurchaseOrdersRequest(location_id=location_id, status=status, page_size=500)
            while True:
                page = await self._purchasing.ListPurchaseOrders(request, timeout=WITHIN_S)
                numbers += [one.number for one in page.purchase_orders]
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
        return numbers

    async def follow(self, location_id: str, source: str, as_of: int, units: Mapping[str, int]) -> None:
        """Lets the books follow what a location had of each SKU at a moment; raises a Refusal."""
        feed_id, found = new_id(), sorted(units.items())
        for page, start in enumerate(range(0, len(found), MOST_LINES), start=1):
            lines = [feeds_service_pb2.FeedLine(sku=sku, quantity=quantity) for sku, quantity in found[start : start + MOST_LINES]]
            request = feeds_service_pb2.ApplyStockFeedRequest(
                request_id=new_id(), source=source, location_id=location_id, feed_id=feed_id, kind=feeds_service_pb2.FEED_KIND_SNAPSHOT,
                as_of=to_timestamp(as_of), page=page, last=start + MOST_LINES >= len(found), lines=lines,
            )  # fmt: skip
            await self._feeds.ApplyStockFeed(request, timeout=LONG_S)

    async def book_bill(self, location_id: str, source: str, bill: Bill) -> None:
        """Books what a location billed for parcels that left it, each line once; it ships for others too. Raises a Refusal."""
        for start in range(0, len(bill.lines), MOST_BILLED):
            lines = [
                parcels_service_pb2.CarrierBillLine(line_id=one.line_id, reference=one.number, amount_minor=one.amount_minor)
                for one in bill.lines[start : start + MOST_BILLED]
            ]
            request = parcels_service_pb2.RecordCarrierBillRequest(
                request_id=new_id(), carrier=source, bill_number=bill.number, currency_code=bill.currency_code, lines=lines,
                location_id=location_id, skip_unknown=True,
            )  # fmt: skip
            await self._parcels.RecordCarrierBill(request, timeout=LONG_S)

    async def handed(self, fulfillment_order_id: str, external_id: str) -> tuple[Handed, fulfillment_pb2.FulfillmentOrder]:
        """Returns what a warehouse is told of a fulfilment order; raises a Refusal, ApiRefusal for one that it cannot have."""
        own = await self.status(fulfillment_order_id)
        if own.pickup:
            raise ApiRefusal("the customer collects it there: a warehouse of others ships only")
        order, ship_to = await asyncio.gather(
            self._orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=own.order_id), timeout=WITHIN_S),
            self._orders.GetShipTo(orders_service_pb2.GetShipToRequest(order_id=own.order_id), timeout=WITHIN_S),
        )
        lines = [
            HandedLine(
                number, line.line_id, line.sku, line.quantity - line.cancelled - line.shorted - line.shipped - line.recalling, line.shipped
            )
            for number, line in enumerate(own.lines, start=1)
        ]
        handed = Handed(
            book.reference_of(fulfillment_order_id), external_id, order.external_order_id or order.order_id,
            order.placed_at.ToJsonString(), ship_to.address, ship_to.email, own.method, _day(own.ship_by), _day(own.deliver_by), lines,
        )  # fmt: skip
        return handed, own


def _day(moment: Timestamp) -> str:
    """Returns the day of a moment; empty where nobody named one."""
    return moment.ToDatetime().date().isoformat() if moment.seconds else ""
