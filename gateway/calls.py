"""Calls into a running suite: a typed stub for each gRPC service, and request ids."""

from typing import TYPE_CHECKING

from argosy.catalog.v1.categories_service_pb2_grpc import CategoriesServiceStub
from argosy.catalog.v1.channels_service_pb2_grpc import ChannelsServiceStub
from argosy.catalog.v1.items_service_pb2_grpc import ItemsServiceStub
from argosy.finance.v1.finance_service_pb2_grpc import FinanceServiceStub
from argosy.fulfillment.v1.fulfillment_service_pb2_grpc import FulfillmentServiceStub
from argosy.fulfillment.v1.parcels_service_pb2_grpc import ParcelsServiceStub
from argosy.fulfillment.v1.promise_service_pb2_grpc import PromiseServiceStub
from argosy.fulfillment.v1.sourcing_service_pb2_grpc import SourcingServiceStub
from argosy.fulfillment.v1.warehouse_service_pb2_grpc import WarehouseServiceStub
from argosy.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from argosy.gateway.v1.connections_service_pb2_grpc import ConnectionsServiceStub
from argosy.gateway.v1.deliveries_service_pb2_grpc import DeliveriesServiceStub
from argosy.gateway.v1.notices_service_pb2_grpc import NoticesServiceStub
from argosy.gateway.v1.proofs_service_pb2_grpc import ProofsServiceStub
from argosy.gateway.v1.publications_service_pb2_grpc import PublicationsServiceStub
from argosy.gateway.v1.subscriptions_service_pb2_grpc import SubscriptionsServiceStub
from argosy.gateway.v1.warehouses_service_pb2_grpc import WarehousesServiceStub
from argosy.inventory.v1.counts_service_pb2_grpc import CountsServiceStub
from argosy.inventory.v1.demands_service_pb2_grpc import DemandsServiceStub
from argosy.inventory.v1.feeds_service_pb2_grpc import FeedsServiceStub
from argosy.inventory.v1.lots_service_pb2_grpc import LotsServiceStub
from argosy.inventory.v1.planning_service_pb2_grpc import PlanningServiceStub
from argosy.inventory.v1.purchasing_service_pb2_grpc import PurchasingServiceStub
from argosy.inventory.v1.reservations_service_pb2_grpc import ReservationsServiceStub
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from argosy.inventory.v1.transfers_service_pb2_grpc import TransfersServiceStub
from argosy.inventory.v1.valuation_service_pb2_grpc import ValuationServiceStub
from argosy.ops.v1.approvals_service_pb2_grpc import ApprovalsServiceStub
from argosy.ops.v1.holds_service_pb2_grpc import HoldsServiceStub
from argosy.ops.v1.jobs_service_pb2_grpc import JobsServiceStub
from argosy.ops.v1.ops_service_pb2_grpc import OpsServiceStub
from argosy.orders.v1.changes_service_pb2_grpc import ChangesServiceStub
from argosy.orders.v1.customers_service_pb2_grpc import CustomersServiceStub
from argosy.orders.v1.offers_service_pb2_grpc import OffersServiceStub
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from argosy.orders.v1.rules_service_pb2_grpc import RulesServiceStub
from argosy.returns.v1.returns_service_pb2_grpc import ReturnsServiceStub
from chassis.runtime.channels import Channels

if TYPE_CHECKING:
    from argosy.ops.v1.approvals_service_pb2_grpc import ApprovalsServiceAsyncStub
    from argosy.ops.v1.holds_service_pb2_grpc import HoldsServiceAsyncStub
    from argosy.ops.v1.jobs_service_pb2_grpc import JobsServiceAsyncStub
    from argosy.ops.v1.ops_service_pb2_grpc import OpsServiceAsyncStub


class Calls:
    """Every service's stub."""

    def __init__(self, channels: Channels) -> None:
        self.channels = channels
        self.items = ItemsServiceStub(channels.to("catalog"))
        self.categories = CategoriesServiceStub(channels.to("catalog"))
        self.sales_channels = ChannelsServiceStub(channels.to("catalog"))
        self.stock = StockServiceStub(channels.to("inventory"))
        self.reservations = ReservationsServiceStub(channels.to("inventory"))
        self.purchasing = PurchasingServiceStub(channels.to("inventory"))
        self.planning = PlanningServiceStub(channels.to("inventory"))
        self.transfers = TransfersServiceStub(channels.to("inventory"))
        self.demands = DemandsServiceStub(channels.to("inventory"))
        self.counts = CountsServiceStub(channels.to("inventory"))
        self.feeds = FeedsServiceStub(channels.to("inventory"))
        self.lots = LotsServiceStub(channels.to("inventory"))
        self.valuation = ValuationServiceStub(channels.to("inventory"))
        self.orders = OrdersServiceStub(channels.to("orders"))
        self.customers = CustomersServiceStub(channels.to("orders"))
        self.offers = OffersServiceStub(channels.to("orders"))
        self.changes = ChangesServiceStub(channels.to("orders"))
        self.rules = RulesServiceStub(channels.to("orders"))
        self.fulfillment = FulfillmentServiceStub(channels.to("fulfillment"))
        self.promises = PromiseServiceStub(channels.to("fulfillment"))
        self.sourcing = SourcingServiceStub(channels.to("fulfillment"))
        self.parcels = ParcelsServiceStub(channels.to("fulfillment"))
        self.warehouse = WarehouseServiceStub(channels.to("fulfillment"))
        self.returns = ReturnsServiceStub(channels.to("returns"))
        self.finance = FinanceServiceStub(channels.to("finance"))
        self.access = AccessServiceStub(channels.to("gateway"))
        self.connections = ConnectionsServiceStub(channels.to("gateway"))
        self.warehouse_messages = WarehousesServiceStub(channels.to("gateway"))
        self.deliveries = DeliveriesServiceStub(channels.to("gateway"))
        self.publications = PublicationsServiceStub(channels.to("gateway"))
        self.notices = NoticesServiceStub(channels.to("gateway"))
        self.subscriptions = SubscriptionsServiceStub(channels.to("gateway"))
        self.proofs = ProofsServiceStub(channels.to("gateway"))

    def holds(self, service: str) -> "HoldsServiceAsyncStub":
        """Returns a service's holds."""
        return HoldsServiceStub(self.channels.to(service))

    def approvals(self, service: str) -> "ApprovalsServiceAsyncStub":
        """Returns what waits for a second person in a service."""
        return ApprovalsServiceStub(self.channels.to(service))

    def jobs(self, service: str) -> "JobsServiceAsyncStub":
        """Returns a service's long work."""
        return JobsServiceStub(self.channels.to(service))

    def ops(self, service: str) -> "OpsServiceAsyncStub":
        """Returns a service's operations."""
        return OpsServiceStub(self.channels.to(service))
