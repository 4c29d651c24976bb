"""The gateway, composed: what it serves. Its HTTP side is in `http/`."""

from argosy.gateway.v1 import access_service_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.service import Service
from chassis.runtime.writer import each
from gateway.app import keys
from gateway.http import server
from gateway.store.tables import CHASSIS, METADATA


def build(channels: Channels) -> Service:
    """Returns the service."""
    del channels
    return Service(
        name="gateway",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],),
        writes={"CreateKey": each(keys.create_key), "RevokeKey": each(keys.revoke_key)},
        reads={"ListKeys": keys.list_keys, "ResolveKey": keys.resolve_key},
        front=server.start,
    )
