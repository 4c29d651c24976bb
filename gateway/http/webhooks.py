"""The door of channels: a webhook is kept as it came, and answered when it is kept."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway.v1 import deliveries_service_pb2
from argosy.gateway.v1.deliveries_service_pb2_grpc import DeliveriesServiceStub
from chassis.kernel.errors import InvalidArgument
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from gateway.channels import carriers, payments, shiphero, shipstation
from gateway.http.transcode import body_of

PAYMENTS, CARRIERS = "stripe-signature", "x-hmac-signature"
SHIPHERO, SHIPBOB = "x-shiphero-hmac-sha256", "webhook-signature"
# Some sign nothing; what they say is never taken for a file that somebody who may has brought.
UNSIGNED = "unsigned"


class Webhooks:
    """Answers POST /webhooks/{channel_id}: topic, id and signature are Shopify's headers, or a provider's header and body."""

    def __init__(self, channels: Channels) -> None:
        self._deliveries = DeliveriesServiceStub(channels.to("gateway"))

    async def __call__(self, request: Request) -> Response:
        """Keeps a delivery; raises a Refusal."""
        content = await body_of(request)
        if PAYMENTS in request.headers:
            (name, topic), signature = payments.name_of(content), _header(request, PAYMENTS)
        elif CARRIERS in request.headers:
            (name, topic), signature = carriers.name_of(content), _header(request, CARRIERS)
        elif SHIPHERO in request.headers:
            name, topic = _header(request, "x-shiphero-message-id"), shiphero.topic_of(content)
            signature = _header(request, SHIPHERO)
        elif SHIPBOB in request.headers:
            name, topic = _header(request, "webhook-id"), request.headers.get("shipbob-topic", "unknown")
            signature = f"{_header(request, 'webhook-timestamp')},{_header(request, SHIPBOB)}"
        elif shipstation.is_hook(content):
            name, topic, signature = shipstation.name_of(content), "unknown", request.query_params.get("key", "") or UNSIGNED
        else:
            name, topic = _header(request, "x-shopify-webhook-id"), _header(request, "x-shopify-topic")
            signature = _header(request, "x-shopify-hmac-sha256")
        # The same delivery again is found by its own id, so each attempt to bring it is a request of its own.
        taken = deliveries_service_pb2.TakeDeliveryRequest(
            request_id=new_id(), channel_id=request.path_params["channel_id"], provider_delivery_id=name, topic=topic,
            signature=signature, content=content,
        )  # fmt: skip
        delivery = await self._deliveries.TakeDelivery(taken)
        return Response(msgspec.json.encode({"delivery_id": delivery.delivery_id}), media_type="application/json")


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise InvalidArgument("NO_HEADER", f"{name}: is needed", field=name)
    return value
