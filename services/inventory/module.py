"""inventory, composed: what it serves, listens to and runs."""

from argosy.catalog.v1 import catalog_events_pb2
from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import lots_service_pb2, reservations_service_pb2, stock_service_pb2, valuation_service_pb2
from argosy.returns.v1 import returns_events_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.gather import Gathered
from chassis.runtime.service import Periodic, Service
from chassis.runtime.writer import each
from services.inventory.app import (
    adjust_stock,
    cancel_reservation,
    convert_stock,
    create_location,
    find_facts,
    get_availability,
    hold_cart,
    lots,
    move_reservation,
    on_fulfillment,
    on_item,
    on_return,
    read_stock,
    read_values,
    receive_stock,
    record_sale,
    reserve_stock,
    revalue,
    set_stock_policy,
    watch_availability,
)
from services.inventory.store.tables import CHASSIS, METADATA


def build(channels: Channels) -> Service:
    """Returns the service; it calls no other."""
    del channels
    changes = watch_availability.Changes()
    return Service(
        name="inventory",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(
            stock_service_pb2.DESCRIPTOR.services_by_name["StockService"],
            lots_service_pb2.DESCRIPTOR.services_by_name["LotsService"],
            valuation_service_pb2.DESCRIPTOR.services_by_name["ValuationService"],
            reservations_service_pb2.DESCRIPTOR.services_by_name["ReservationsService"],
        ),
        writes={
            "CreateLocation": each(create_location.create_location),
            "ReceiveStock": receive_stock.receive_stock,
            "AdjustStock": each(adjust_stock.adjust_stock),
            "RecallLot": each(lots.recall_lot),
            "LiftRecall": each(lots.lift_recall),
            "SetLotExpiry": each(lots.set_lot_expiry),
            "ConvertStock": each(convert_stock.convert_stock),
            "RecordSale": each(record_sale.record_sale),
            "AddLandedCost": each(revalue.add_landed_cost),
            "CorrectReceiptCost": each(revalue.correct_receipt_cost),
            "WriteDownStock": each(revalue.write_down_stock),
            "ChangeState": each(adjust_stock.change_state),
            "SetStockPolicy": each(set_stock_policy.set_stock_policy),
            "Reserve": reserve_stock.reserve_stock,
            "HoldCart": each(hold_cart.hold_cart),
            "MoveReservation": each(move_reservation.move_reservation),
            "CancelReservation": cancel_reservation.cancel_reservations,
        },
        reads={
            "ListLocations": read_stock.list_locations,
            "ListBalances": read_stock.list_balances,
            "ListMovements": read_stock.list_movements,
            "ListCostLayers": read_stock.list_cost_layers,
            "ListStockPolicies": read_stock.list_stock_policies,
            "GetAvailability": Gathered(get_availability.get_availability),
            "ListLots": lots.list_lots,
            "TraceLot": lots.trace_lot,
            "ListStockValues": read_values.list_stock_values,
            "GetStockValue": read_values.get_stock_value,
            "ListValueEntries": read_values.list_value_entries,
            "GetStockFigures": read_stock.get_stock_figures,
            "ListReservations": read_stock.list_reservations,
        },
        watches={"WatchAvailability": changes.watch},
        reactions={
            catalog_events_pb2.ItemPublished: on_item.on_item_published,
            catalog_events_pb2.ItemRetired: on_item.on_item_retired,
            fulfillment_events_pb2.FulfillmentOrderReleased: on_fulfillment.on_released,
            fulfillment_events_pb2.PickShorted: on_fulfillment.on_shorted,
            fulfillment_events_pb2.FulfillmentOrderRecalled: on_fulfillment.on_recalled,
            fulfillment_events_pb2.ShipmentShipped: on_fulfillment.on_shipped,
            returns_events_pb2.ReturnReceived: on_return.on_return_received,
            returns_events_pb2.ReturnInspected: on_return.on_return_inspected,
        },
        periodics=(
            Periodic("expire_carts", 1.0, hold_cart.expire_carts, hold_cart.LATE_CARTS),
            Periodic("expire_lots", 60.0, lots.expire_lots, lots.LATE_LOTS),
        ),
        approvals=(adjust_stock.ADJUSTMENT, revalue.WRITE_DOWN),
        facts={"P1": find_facts.balances, "P2": find_facts.reservations, "P4": find_facts.value},
    )
