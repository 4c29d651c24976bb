"""fulfillment, composed: what it serves."""

from argosy.fulfillment.v1 import (
    fulfillment_service_pb2,
    parcels_service_pb2,
    promise_service_pb2,
    sourcing_service_pb2,
    warehouse_service_pb2,
)
from argosy.inventory.v1 import inventory_events_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.pipeline import Asks
from chassis.runtime.process import ProcessType
from chassis.runtime.service import Periodic, Service
from chassis.runtime.settings import Settings
from chassis.runtime.writer import each, each_call
from services.fulfillment.app import (
    acknowledge,
    confirm_pick,
    confirm_shipment,
    nodes,
    on_inventory,
    overload,
    pickup,
    plan_order,
    policies,
    promises,
    rates,
    read_fulfillment,
    recall_order,
    record_tracking,
    release_order,
    replay,
)
from services.fulfillment.app.parcels import bills, customs, forms, labels, manifests, packing, set_up
from services.fulfillment.app.warehouse import bins, figures, picks, waves
from services.fulfillment.clients.carriers import Carriers
from services.fulfillment.process import form, label
from services.fulfillment.store.tables import CHASSIS, METADATA

CONTRACTS = (
    (fulfillment_service_pb2, "FulfillmentService"),
    (promise_service_pb2, "PromiseService"),
    (sourcing_service_pb2, "SourcingService"),
    (warehouse_service_pb2, "WarehouseService"),
    (parcels_service_pb2, "ParcelsService"),
)


def build(channels: Channels, settings: Settings) -> Service:
    """Returns the service; before it plans or quotes it asks inventory what can be promised, before a wave what is kept."""
    planned_waves, declared, carriers = waves.Waves(channels), customs.Customs(channels), Carriers(settings)
    asked_labels, asked_forms = labels.Labels(channels, carriers), forms.Forms(carriers)
    return Service(
        name="fulfillment",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=tuple(module.DESCRIPTOR.services_by_name[name] for module, name in CONTRACTS),
        writes={
            "PlanOrder": plan_order.plan_orders,
            "ReleaseOrder": release_order.release_orders,
            "RecallOrder": each(recall_order.recall_order),
            "AcceptFulfillmentOrder": each(acknowledge.accept),
            "RejectFulfillmentOrder": each(acknowledge.reject),
            "AcceptCancellation": each(acknowledge.accept_cancellation),
            "RejectCancellation": each(acknowledge.reject_cancellation),
            "MarkReadyForPickup": each(pickup.mark_ready),
            "ConfirmCollection": each(pickup.confirm_collection),
            "ConfirmPick": each(confirm_pick.confirm_pick),
            "ConfirmShipment": confirm_shipment.confirm_shipments,
            "RecordTracking": each(record_tracking.record_tracking),
            "SetRate": each(rates.set_rate),
            "SetLane": each(rates.set_lane),
            "SetNode": each(nodes.set_node),
            "SetTransit": each(nodes.set_transit),
            "DraftPolicy": each(policies.draft_policy),
            "ReplayDays": each(replay.replay_days),
            "ActivatePolicy": each(policies.activate_policy),
            "RollBackPolicy": each(policies.roll_back_policy),
            "SetBin": each(bins.set_bin),
            "MoveBinStock": each(bins.move_bin_stock),
            "CountBin": each(bins.count_bin),
            "CreateWave": each_call(planned_waves.create_wave),
            "CancelWave": each(waves.cancel_wave),
            "StartPickList": each(picks.start_pick_list),
            "RecordPick": each(picks.record_pick),
            "SetOrigin": each(set_up.set_origin),
            "SetCarton": each(set_up.set_carton),
            "PackParcel": each(packing.pack_parcel),
            "UnpackParcel": each(packing.unpack_parcel),
            "BuyLabel": each(labels.buy_label),
            "VoidLabel": each(labels.void_label),
            "CloseManifest": each(manifests.close_manifest),
            "RecordCarrierBill": each(bills.record_carrier_bill),
        },
        reads={
            "ListDecisions": read_fulfillment.list_decisions,
            "GetFulfillmentOrder": read_fulfillment.get_fulfillment_order,
            "ListFulfillmentOrders": read_fulfillment.list_fulfillment_orders,
            "ListShipments": read_fulfillment.list_shipments,
            "ListRates": rates.list_rates,
            "ListLanes": rates.list_lanes,
            "ListNodes": nodes.list_nodes,
            "ListTransits": nodes.list_transits,
            "QuotePromise": Asks(promises.Quotes(channels).quote_promise),
            "ListPromises": promises.list_promises,
            "GetPromiseFigures": promises.get_promise_figures,
            "GetPolicy": policies.get_policy,
            "ListPolicies": policies.list_policies,
            "GetSourcingVocabulary": policies.get_vocabulary,
            "GetReplay": replay.get_replay,
            "ListBins": bins.list_bins,
            "ListBinStock": bins.list_bin_stock,
            "ListBinMoves": bins.list_bin_moves,
            "ListPutAways": bins.list_put_aways,
            "CompareBins": Asks(bins.Comparison(channels).compare_bins),
            "ListWaves": waves.list_waves,
            "ListPickLists": picks.list_pick_lists,
            "GetPickList": picks.get_pick_list,
            "GetWarehouseFigures": figures.get_warehouse_figures,
            "ListTracking": record_tracking.list_tracking,
            "ListOrigins": set_up.list_origins,
            "ListCartons": set_up.list_cartons,
            "SuggestCartons": Asks(packing.Cartons(channels).suggest_cartons),
            "GetParcel": packing.get_parcel,
            "ListParcels": packing.list_parcels,
            "GetCustomsDeclaration": Asks(declared.get_customs_declaration),
            "GetManifest": manifests.get_manifest,
            "ListManifests": manifests.list_manifests,
            "ListFreightCharges": bills.list_freight_charges,
            "GetFreightFigures": bills.get_freight_figures,
        },
        prepares={
            "PlanOrder": plan_order.Planner(channels).prepare, "ReleaseOrder": declared.prepare,
            "CreateWave": planned_waves.prepare,
        },
        reactions={inventory_events_pb2.OnHandChanged: on_inventory.on_on_hand_changed},
        processes=(
            ProcessType(
                label.NAME, label.State, 1, label.decide, labels.apply_labels,
                {label.AskRate: asked_labels.ask_rates, label.BuyRate: asked_labels.buy_rates, label.GiveBack: asked_labels.give_back},
            ),
            ProcessType(form.NAME, form.State, 1, form.decide, forms.apply_forms, {form.AskForm: asked_forms.ask_forms}),
        ),
        facts={"P1": bins.find_bins},
        approvals=(policies.ACTIVATION,),
        jobs=(replay.REPLAY,),
        periodics=(
            Periodic("give_up_on_the_silent", 5.0, acknowledge.give_up_on_the_silent, acknowledge.SILENT),
            Periodic("end_pickups", 60.0, pickup.end_pickups, pickup.EXPIRED),
            Periodic("find_overload", 300.0, overload.find_overload),
            Periodic("book_crossed", 30.0, bills.book_crossed, bills.CROSSED),
        ),
        on_hold_released=forms.on_hold_released,
    )  # fmt: skip
