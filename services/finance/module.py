"""finance, composed: what it serves, listens to and runs."""

from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import inventory_events_pb2
from argosy.orders.v1 import orders_events_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.service import Periodic, Service
from chassis.runtime.settings import Settings
from chassis.runtime.writer import each
from services.finance.app import find_facts, read_books, tax
from services.finance.app.post_events import post_events
from services.finance.app.watch_shipments import hold_incomplete
from services.finance.store.tables import CHASSIS, METADATA

BOOKED = (
    inventory_events_pb2.StockReceived,
    inventory_events_pb2.StockAdjusted,
    inventory_events_pb2.StockIssued,
    inventory_events_pb2.DropShipped,
    inventory_events_pb2.DropShipReturned,
    inventory_events_pb2.StockReturned,
    inventory_events_pb2.StockDispositioned,
    inventory_events_pb2.StockRevalued,
    inventory_events_pb2.StockReturnedToVendor,
    inventory_events_pb2.TransferShipped,
    inventory_events_pb2.TransferReceived,
    orders_events_pb2.TenderCaptured,
    orders_events_pb2.LinesShipped,
    orders_events_pb2.DepositRefunded,
    orders_events_pb2.RefundAgreed,
    orders_events_pb2.RefundPaid,
    fulfillment_events_pb2.ShipmentShipped,
    fulfillment_events_pb2.FreightBilled,
)


def build(channels: Channels, settings: Settings) -> Service:
    """Returns the service; it calls no other."""
    del channels, settings
    return Service(
        name="finance",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(finance_service_pb2.DESCRIPTOR.services_by_name["FinanceService"],),
        writes={"SetTaxRate": each(tax.set_tax_rate)},
        reads={
            "ListAccounts": read_books.list_accounts,
            "ListEntries": read_books.list_entries,
            "GetEntry": read_books.get_entry,
            "GetTrialBalance": read_books.get_trial_balance,
            "GetMargin": read_books.get_margin,
            "ListTaxRates": tax.list_tax_rates,
            "CalculateTax": tax.calculate_tax,
            "ListInvoices": read_books.list_invoices,
        },
        reactions=dict.fromkeys(BOOKED, post_events),
        periodics=(Periodic("incomplete_shipments", 30.0, hold_incomplete),),
        facts={"P3": find_facts.entries, "P4": find_facts.inventory, "P7": find_facts.money},
    )
