"""The gateway, composed: what it serves, listens to and runs. HTTP is in `http/`, dialects in `channels/`, what goes out in `voice/`."""

from collections.abc import Sequence
from functools import partial

from argosy.catalog.v1 import catalog_events_pb2
from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.gateway.v1 import (
    access_service_pb2,
    connections_service_pb2,
    deliveries_service_pb2,
    notices_service_pb2,
    proofs_service_pb2,
    publications_service_pb2,
    subscriptions_service_pb2,
    warehouses_service_pb2,
)
from argosy.inventory.v1 import inventory_events_pb2
from argosy.orders.v1 import orders_events_pb2
from argosy.returns.v1 import returns_events_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.contracts import events_in
from chassis.runtime.inbox import Received
from chassis.runtime.pipeline import Asks
from chassis.runtime.process import ProcessType
from chassis.runtime.service import Periodic, Service
from chassis.runtime.settings import Settings
from chassis.runtime.work import Work
from chassis.runtime.writer import each
from gateway.app import (
    apply_changes,
    connections,
    deliveries,
    keys,
    notice_routes,
    notice_templates,
    notices,
    notifications,
    proofs,
    publications,
    subscriptions,
    users,
    warehouses,
)
from gateway.app.deliveries import READING
from gateway.app.effects.carry_out import CarryOut
from gateway.app.effects.goods import Goods
from gateway.app.read_deliveries import UNREAD, read_deliveries
from gateway.channels.commands import TakeBack, TakeIn
from gateway.front import Front
from gateway.process import take_order
from gateway.store.tables import CHASSIS, METADATA
from gateway.voice.egress import Egress
from gateway.voice.mail import Mail

PUBLIC_EVENTS = (
    catalog_events_pb2, inventory_events_pb2, orders_events_pb2, fulfillment_events_pb2, returns_events_pb2,
)  # fmt: skip


async def on_event(work: Work, events: Sequence[Received]) -> None:
    """Subscribers are told, and customers."""
    await notifications.on_events(work, events)
    await notices.on_events(work, events)


async def on_shipped(work: Work, events: Sequence[Received]) -> None:
    """Subscribers are told, customers, and the channel that the order came from."""
    await on_event(work, events)
    await publications.on_shipped(work, events)


async def on_location_told(work: Work, events: Sequence[Received]) -> None:
    """Subscribers are told, and the location, where it is a warehouse of others."""
    await notifications.on_events(work, events)
    await warehouses.on_events(work, events)


async def on_listing_changed(work: Work, events: Sequence[Received]) -> None:
    """Subscribers are told, and the channel's quantity is found out anew."""
    await notifications.on_events(work, events)
    await publications.on_listing_changed(work, events)


def build(channels: Channels, settings: Settings) -> Service:
    """Returns the service; its effects call orders and returns."""
    del settings
    carry_out = CarryOut(channels)
    goods = Goods(channels)
    egress, mail = Egress(), Mail()
    routes = notice_routes.NoticeRoutes(egress, mail)
    told = subscriptions.Subscriptions(egress)
    return Service(
        name="gateway",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(
            access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
            connections_service_pb2.DESCRIPTOR.services_by_name["ConnectionsService"],
            deliveries_service_pb2.DESCRIPTOR.services_by_name["DeliveriesService"],
            notices_service_pb2.DESCRIPTOR.services_by_name["NoticesService"],
            proofs_service_pb2.DESCRIPTOR.services_by_name["ProofsService"],
            publications_service_pb2.DESCRIPTOR.services_by_name["PublicationsService"],
            subscriptions_service_pb2.DESCRIPTOR.services_by_name["SubscriptionsService"],
            warehouses_service_pb2.DESCRIPTOR.services_by_name["WarehousesService"],
        ),
        writes={
            "CreateKey": each(keys.create_key),
            "RevokeKey": each(keys.revoke_key),
            "SetUser": each(users.set_user),
            "OpenSession": each(users.open_session),
            "SetConnection": each(partial(connections.set_connection, egress=egress)),
            "SetFileMapping": each(connections.set_file_mapping),
            "TakeDelivery": deliveries.take_deliveries,
            "ReadAgain": each(deliveries.read_again),
            "RecordProof": each(proofs.record_proof),
            "CreateSubscription": each(told.create),
            "UpdateSubscription": each(told.change),
            "RotateSecret": each(subscriptions.rotate_secret),
            "ReplayNotification": each(notifications.replay_notification),
            "ReplayFailed": each(notifications.replay_failed),
            "ReconcileChannel": each(publications.reconcile_channel),
            "SetNoticeRoute": each(routes.set_route),
            "SetNoticeTemplate": each(notice_templates.set_template),
            "DropNoticeTemplate": each(notice_templates.drop_template),
            "SendNoticeAgain": each(notices.send_again),
            "MarkWarehouseMessageSent": each(warehouses.mark_sent),
        },
        reads={
            "ListKeys": keys.list_keys,
            "ResolveKey": keys.resolve_key,
            "ListUsers": users.list_users,
            "ListRoles": users.list_roles,
            "VerifyPassword": users.verify_password,
            "ListConnections": connections.list_connections,
            "GetFileMapping": connections.get_file_mapping,
            "GetDelivery": deliveries.get_delivery,
            "GetContent": deliveries.get_content,
            "ListDeliveries": deliveries.list_deliveries,
            "GetLatestProof": proofs.get_latest_proof,
            "ListSubscriptions": subscriptions.list_subscriptions,
            "ListNotifications": notifications.list_notifications,
            "GetNotification": notifications.get_notification,
            "ListPublications": publications.list_publications,
            "ListDispatches": publications.list_dispatches,
            "GetPublicationFigures": publications.get_figures,
            "ListNoticeRoutes": notice_routes.list_routes,
            "ListNoticeTemplates": notice_templates.list_templates,
            "PreviewNotice": Asks(notice_templates.Previews(channels).preview_notice),
            "ListNotices": notices.list_notices,
            "ListWarehouseMessages": warehouses.list_messages,
            "GetWarehouseDocument": warehouses.get_document,
        },
        prepares={"SetUser": users.hash_passwords},
        reactions={
            **{kind.cls: notifications.on_events for module in PUBLIC_EVENTS for kind in events_in(module)},
            **dict.fromkeys(notices.KINDS, on_event),
            fulfillment_events_pb2.ShipmentShipped: on_shipped,
            **dict.fromkeys(warehouses.EVENTS, on_location_told),
            catalog_events_pb2.ListingChanged: on_listing_changed,
        },
        processes=(
            ProcessType(
                take_order.NAME, take_order.State, 1, take_order.decide, apply_changes.apply_changes,
                {
                    take_order.AskOrder: carry_out.ask_order,
                    take_order.Place: carry_out.place,
                    take_order.Capture: carry_out.capture,
                    take_order.Record: carry_out.record,
                    take_order.Track: carry_out.track,
                    take_order.Tell: carry_out.tell,
                    take_order.Cancel: carry_out.cancel,
                    take_order.Refund: carry_out.refund,
                    take_order.OpenReturn: carry_out.open_return,
                    TakeIn: goods.take_in,
                    TakeBack: goods.take_back,
                },
            ),
        ),
        periodics=(
            Periodic(READING, 0.2, read_deliveries, UNREAD),
            Periodic("forget notifications", 600, notifications.forget),
            Periodic("forget notices", 3600, notices.forget),
        ),
        on_hold_released=apply_changes.on_hold_released,
        front=Front(egress, mail).start,
    )  # fmt: skip
