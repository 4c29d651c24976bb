"""Who is told what happens: CreateSubscription, UpdateSubscription, RotateSecret, ListSubscriptions."""

import base64
import json
import secrets
from typing import Any

from sqlalchemy import select, update

from argosy.gateway.v1 import subscriptions_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from gateway.app.notifications import stop_telling
from gateway.store.tables import SUBSCRIPTIONS
from gateway.voice.egress import Egress

BOTH_SIGN_US = DAY
BY_HAND = "BY_HAND"


class Subscriptions:
    """The rpcs; `egress` says which addresses may be told."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def create(
        self, work: Work, request: subscriptions_service_pb2.CreateSubscriptionRequest
    ) -> subscriptions_service_pb2.CreatedSubscription:
        """Refusals: INVALID_FIELD, PRIVATE_ADDRESS."""
        self._egress.check(request.url, "url")
        row = {
            "subscription_id": new_id(), "url": request.url, "description": request.description,
            "event_types": json.dumps(sorted(set(request.event_types))), "channel_ids": json.dumps(sorted(set(request.channel_ids))),
            "secret": new_secret(), "previous_secret": "", "previous_until": 0, "disabled_reason": "", "failing_since": None,
            "created_at": work.now,
        }  # fmt: skip
        await work.tx.insert(SUBSCRIPTIONS, [row])
        found = await load(work.tx, str(row["subscription_id"]))
        return subscriptions_service_pb2.CreatedSubscription(subscription=to_subscription(found, work.now), secret=found.secret)

    async def change(
        self, work: Work, request: subscriptions_service_pb2.UpdateSubscriptionRequest
    ) -> subscriptions_service_pb2.Subscription:
        """Refusals: NO_SUCH_SUBSCRIPTION, INVALID_FIELD, PRIVATE_ADDRESS."""
        self._egress.check(request.url, "url")
        before = await load(work.tx, request.subscription_id)
        values = {
            "url": request.url, "description": request.description, "event_types": json.dumps(sorted(set(request.event_types))),
            "channel_ids": json.dumps(sorted(set(request.channel_ids))),
            "disabled_reason": (before.disabled_reason or BY_HAND) if request.disabled else "",
        }  # fmt: skip
        if before.disabled_reason and not request.disabled:
            values["failing_since"] = None
        await work.tx.write(update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription_id == request.subscription_id).values(values))
        if request.disabled:
            await stop_telling(work, request.subscription_id, "the subscription was disabled by hand")
        return to_subscription(await load(work.tx, request.subscription_id), work.now)


async def rotate_secret(
    work: Work, request: subscriptions_service_pb2.RotateSecretRequest
) -> subscriptions_service_pb2.CreatedSubscription:
    """Refusals: NO_SUCH_SUBSCRIPTION. The secret before goes on signing beside the new one for a day."""
    before = await load(work.tx, request.subscription_id)
    values = {"previous_secret": "", "previous_until": 0}
    if not request.end_previous_secret:
        values = {"secret": new_secret(), "previous_secret": before.secret, "previous_until": work.now + BOTH_SIGN_US}
    await work.tx.write(update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription_id == request.subscription_id).values(values))
    found = await load(work.tx, request.subscription_id)
    secret = "" if request.end_previous_secret else found.secret
    return subscriptions_service_pb2.CreatedSubscription(subscription=to_subscription(found, work.now), secret=secret)


async def list_subscriptions(asked: Asked) -> subscriptions_service_pb2.ListSubscriptionsResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(SUBSCRIPTIONS), [SUBSCRIPTIONS.c.subscription_id], asked.request)
    found = [to_subscription(row, wall_clock()) for row in rows]
    return subscriptions_service_pb2.ListSubscriptionsResponse(subscriptions=found, next_page_token=token)


async def load(tx: Tx, subscription_id: str) -> Any:
    """Returns a subscription's row; raises NotFound."""
    rows = await tx.read(select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription_id == subscription_id))
    if not rows:
        raise NotFound("NO_SUCH_SUBSCRIPTION", f"there is no subscription {subscription_id}", field="subscription_id")
    return rows[0]


def to_subscription(row: Any, now: int) -> subscriptions_service_pb2.Subscription:
    """Returns a subscription's row as the contract shows it."""
    return subscriptions_service_pb2.Subscription(
        subscription_id=row.subscription_id, url=row.url, description=row.description, event_types=json.loads(row.event_types),
        channel_ids=json.loads(row.channel_ids), disabled=bool(row.disabled_reason), disabled_reason=row.disabled_reason,
        previous_secret_holds=row.previous_until > now,
        failing_since=to_timestamp(row.failing_since) if row.failing_since is not None else None, created_at=to_timestamp(row.created_at),
    )  # fmt: skip


def new_secret() -> str:
    """Returns a secret as Standard Webhooks has them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
