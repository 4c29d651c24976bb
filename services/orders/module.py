"""orders, composed: what it serves, listens to and runs."""

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import inventory_events_pb2
from argosy.orders.v1 import changes_service_pb2, customers_service_pb2, offers_service_pb2, orders_service_pb2, rules_service_pb2
from argosy.returns.v1 import returns_events_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.pipeline import Asks
from chassis.runtime.process import ProcessType
from chassis.runtime.service import Periodic, Service
from chassis.runtime.settings import Settings
from chassis.runtime.writer import each, each_call
from services.orders.app import (
    add_tender,
    apply_changes,
    cancel_order,
    capture_tender,
    changes,
    create_order,
    credit,
    customers,
    find_facts,
    get_flow_figures,
    get_timeline,
    offers,
    on_fulfillment,
    on_hold_released,
    on_inventory,
    on_return,
    read_orders,
    record_payment_event,
    refund_order,
    rule_sets,
    set_contact,
    try_rules,
)
from services.orders.app import pay_refund as pay
from services.orders.app import take_payment as take
from services.orders.app.effects.ask_others import AskOthers
from services.orders.clients.payments import Payments
from services.orders.process import fulfil_order, messages, order_state, pay_refund, take_payment
from services.orders.store.tables import CHASSIS, METADATA


def build(channels: Channels, settings: Settings) -> Service:
    """Returns the service; its effects call catalog, finance, fulfillment and inventory."""
    ask, order_changes, order_offers = AskOthers(channels), changes.Changes(channels), offers.Offers(channels)
    payments = Payments(settings)
    return Service(
        name="orders",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(
            orders_service_pb2.DESCRIPTOR.services_by_name["OrdersService"],
            customers_service_pb2.DESCRIPTOR.services_by_name["CustomersService"],
            rules_service_pb2.DESCRIPTOR.services_by_name["RulesService"],
            changes_service_pb2.DESCRIPTOR.services_by_name["ChangesService"],
            offers_service_pb2.DESCRIPTOR.services_by_name["OffersService"],
        ),
        writes={
            "CreateOrder": create_order.create_orders,
            "CancelOrder": each(cancel_order.cancel_order),
            "ChangeOrder": each_call(changes.change_order),
            "OfferSubstitute": each_call(offers.offer_substitute),
            "AnswerOffer": each(offers.answer_offer),
            "WithdrawOffer": each(offers.withdraw_offer),
            "SetContact": each(set_contact.set_contact),
            "RecordPaymentEvent": each(record_payment_event.record_payment_event),
            "AddTender": each(add_tender.add_tender),
            "CaptureTender": each(capture_tender.capture_tender),
            "RefundOrder": each(refund_order.refund_order),
            "CreateCustomer": each(customers.create_customer),
            "SetCustomerTerms": each(customers.set_customer_terms),
            "DraftRuleSet": each(rule_sets.draft_rule_set),
            "DryRunRuleSet": each(try_rules.dry_run_rule_set),
            "ActivateRuleSet": each(rule_sets.activate_rule_set),
            "RollBackRuleSet": each(rule_sets.roll_back_rule_set),
        },
        reads={
            "GetOrder": read_orders.get_order,
            "FindOrder": read_orders.find_order,
            "ListOrders": read_orders.list_orders,
            "GetOrderLines": read_orders.get_order_lines,
            "GetShipTo": read_orders.get_ship_to,
            "ListHistory": read_orders.list_history,
            "ListRefunds": read_orders.list_refunds,
            "GetFigures": read_orders.get_figures,
            "GetFlowFigures": get_flow_figures.get_flow_figures,
            "GetSkuUse": read_orders.get_sku_use,
            "PreviewChange": Asks(order_changes.preview_change),
            "ListChanges": changes.list_changes,
            "FindSubstitutes": Asks(order_offers.find_substitutes),
            "GetOffer": offers.get_offer,
            "ListOffers": offers.list_offers,
            "GetTimeline": Asks(get_timeline.Timelines(channels).get_timeline),
            "GetCustomer": customers.get_customer,
            "ListCustomers": customers.list_customers,
            "GetCredit": credit.get_credit,
            "GetRuleSet": rule_sets.get_rule_set,
            "ListRuleSets": rule_sets.list_rule_sets,
            "GetVocabulary": rule_sets.get_vocabulary,
            "ListJudgements": rule_sets.list_judgements,
        },
        reactions={
            fulfillment_events_pb2.PickShorted: on_fulfillment.on_shorted,
            fulfillment_events_pb2.FulfillmentOrderRejected: on_fulfillment.on_rejected,
            fulfillment_events_pb2.ReadyForPickup: on_fulfillment.on_ready,
            fulfillment_events_pb2.PickupExpired: on_fulfillment.on_pickup_expired,
            fulfillment_events_pb2.CancellationAnswered: on_fulfillment.on_cancellation_answered,
            fulfillment_events_pb2.ShipmentShipped: on_fulfillment.on_shipped,
            fulfillment_events_pb2.ShipmentDelivered: on_fulfillment.on_delivered,
            inventory_events_pb2.DemandFilled: on_inventory.on_demand_filled,
            inventory_events_pb2.DemandPromised: on_inventory.on_demand_promised,
            inventory_events_pb2.ReservationTaken: on_inventory.on_reservation_taken,
            returns_events_pb2.ReturnReceived: on_return.on_return_received,
        },
        processes=(
            ProcessType(
                fulfil_order.NAME, order_state.State, 1, fulfil_order.decide, apply_changes.apply_changes,
                {
                    messages.ResolveItems: ask.resolve_items,
                    messages.AskSale: ask.ask_sale,
                    messages.CalculateTax: ask.calculate_tax,
                    messages.PlanOrder: ask.plan_order,
                    messages.MoveReservations: ask.move_reservations,
                    messages.ReserveStock: ask.reserve_stock,
                    messages.ReleaseOrder: ask.release_order,
                    messages.RecallOrder: ask.recall_order,
                    messages.CancelReservation: ask.cancel_reservation,
                    messages.GiveBack: ask.give_back,
                    messages.PlaceDemand: ask.place_demand,
                    messages.CancelDemand: ask.cancel_demand,
                },
            ),
            ProcessType(
                pay_refund.NAME, pay_refund.State, 1, pay_refund.decide, pay.apply_refund_changes,
                {pay_refund.RefundTender: pay.Refunds(payments).refund_tenders},
            ),
            ProcessType(
                take_payment.NAME, take_payment.State, 1, take_payment.decide, take.apply_payments,
                {take_payment.AskProvider: take.Takings(payments).ask_providers},
            ),
        ),
        facts={"P2": find_facts.demand, "P6": find_facts.forgotten, "P7": find_facts.money},
        prepares={"ChangeOrder": order_changes.prepare, "OfferSubstitute": order_offers.prepare},
        approvals=(rule_sets.ACTIVATION, changes.CHANGE),
        jobs=(try_rules.TRY,),
        periodics=(
            Periodic("renew_authorisations", 5.0, take.renew_expiring, take.EXPIRING),
            Periodic("expire_offers", 5.0, offers.expire_offers, offers.UNANSWERED),
        ),
        on_hold_released=on_hold_released.on_hold_released,
    )  # fmt: skip
