"""SetConnection, ListConnections, SetFileMapping, GetFileMapping."""

import codecs
from collections.abc import Sequence
from typing import Any

from babel.numbers import list_currencies
from sqlalchemy import select

from argosy.gateway.v1 import connections_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from gateway.app.publications import forget_channel
from gateway.app.warehouses import DIALECTS
from gateway.store.tables import CONNECTIONS, FILE_MAPPINGS
from gateway.voice.egress import Egress

COALESCE_MS = 1000
X12 = connections_service_pb2.DIALECT_X12_WAREHOUSE
SIGNED = {
    connections_service_pb2.DIALECT_SHOPIFY: "Shopify signs its webhooks; give the app's client secret",
    connections_service_pb2.DIALECT_CARRIERS: "the provider signs its events; give the webhook's secret",
    connections_service_pb2.DIALECT_PAYMENTS: "the provider signs its events; give the endpoint's secret",
    connections_service_pb2.DIALECT_SHIPHERO: "ShipHero signs its webhooks; give the secret that it showed for them",
    connections_service_pb2.DIALECT_SHIPBOB: "ShipBob signs its webhooks; give the secret, whsec_…, that it showed for them",
    connections_service_pb2.DIALECT_SHIPSTATION: "ShipStation signs nothing; give a secret, and let it send to /webhooks/…?key=SECRET",
}

# Who says what it has, and what it billed.
TELLING = {
    "takes_stock": (connections_service_pb2.DIALECT_SHIPHERO, connections_service_pb2.DIALECT_SHIPBOB),
    "takes_bills": (connections_service_pb2.DIALECT_SHIPBOB,),
}


async def set_connection(
    work: Work, request: connections_service_pb2.SetConnectionRequest, egress: Egress
) -> connections_service_pb2.Connection:
    """Refusals: INVALID_FIELD, PRIVATE_ADDRESS, NO_SUCH_MAPPING, LOCATION_IS_CONNECTED."""
    rows = await work.tx.read(select(CONNECTIONS).where(CONNECTIONS.c.channel_id == request.channel_id).with_for_update())
    before = rows[0] if rows else None
    secret, previous = (before.secret, before.previous_secret) if before is not None else ("", "")
    if request.secret and request.secret != secret:
        secret, previous = request.secret, secret
    if request.dialect in SIGNED and not secret:
        raise InvalidArgument("INVALID_FIELD", f"secret: {SIGNED[request.dialect]}", field="secret")
    if request.api_url:
        egress.check(request.api_url, "api_url")
        _check_api(request, before)
    elif before is not None and before.api_url:
        await forget_channel(work, request.channel_id)
    if request.dialect in DIALECTS:
        await _check_warehouse(work.tx, request, before)
    elif request.location_id:
        raise InvalidArgument("INVALID_FIELD", "location_id: only a warehouse of others is one of our locations", field="location_id")
    for name, dialects in TELLING.items():
        if getattr(request, name) and request.dialect not in dialects:
            raise InvalidArgument("INVALID_FIELD", f"{name}: this dialect does not say so; leave it unset", field=name)
    if request.dialect == connections_service_pb2.DIALECT_ORDER_FILE:
        await load_mapping(work.tx, request.mapping_id)
    row = {
        "channel_id": request.channel_id, "dialect": request.dialect, "entity": request.entity, "mapping_id": request.mapping_id,
        "returns_location_id": request.returns_location_id, "secret": secret,
        "previous_secret": "" if request.end_previous_secret else previous, "updated_at": work.now,
        "api_url": request.api_url.rstrip("/"), "external_location_id": request.external_location_id,
        "api_token": request.api_token or (before.api_token if before is not None else ""), "coalesce_ms": request.coalesce_ms,
        "location_id": request.location_id, "edi_own_id": request.edi_own_id, "edi_partner_id": request.edi_partner_id,
        "takes_stock": int(request.takes_stock), "takes_bills": int(request.takes_bills),
    }  # fmt: skip
    await work.tx.write(CONNECTIONS.delete().where(CONNECTIONS.c.channel_id == request.channel_id))
    await work.tx.insert(CONNECTIONS, [row])
    return _to_connection((await work.tx.read(select(CONNECTIONS).where(CONNECTIONS.c.channel_id == request.channel_id)))[0])


def _check_api(request: connections_service_pb2.SetConnectionRequest, before: Any) -> None:
    """Raises InvalidArgument where a channel or a warehouse could not be told what it should be told."""
    if request.dialect != connections_service_pb2.DIALECT_SHOPIFY and request.dialect not in DIALECTS:
        raise InvalidArgument("INVALID_FIELD", "api_url: this dialect is not told anything; leave it empty", field="api_url")
    if request.dialect != X12 and not request.api_token and (before is None or not before.api_token):
        raise InvalidArgument("INVALID_FIELD", "api_token: the API needs one", field="api_token")
    if not request.external_location_id:
        name = "external_location_id"
        raise InvalidArgument("INVALID_FIELD", f"{name}: say which of its locations is ours", field=name)


async def _check_warehouse(tx: Tx, request: connections_service_pb2.SetConnectionRequest, before: Any) -> None:
    """Raises a Refusal where a warehouse could not be given anything."""
    for name in ("location_id", "external_location_id", *(("edi_own_id", "edi_partner_id") if request.dialect == X12 else ("api_url",))):
        if not getattr(request, name):
            raise InvalidArgument("INVALID_FIELD", f"{name}: a warehouse of this dialect needs it", field=name)
    _check_api(request, before)
    other = (CONNECTIONS.c.location_id == request.location_id, CONNECTIONS.c.channel_id != request.channel_id)
    if rows := await tx.read(select(CONNECTIONS.c.channel_id).where(*other)):
        text = f"location_id: {rows[0].channel_id} is this location already"
        raise FailedPrecondition("LOCATION_IS_CONNECTED", text, field="location_id")


async def list_connections(asked: Asked) -> connections_service_pb2.ListConnectionsResponse:
    """Lists by channel."""
    rows, token = await page(asked.tx, select(CONNECTIONS), [CONNECTIONS.c.channel_id], asked.request)
    return connections_service_pb2.ListConnectionsResponse(connections=map(_to_connection, rows), next_page_token=token)


async def set_file_mapping(work: Work, request: connections_service_pb2.SetFileMappingRequest) -> connections_service_pb2.FileMapping:
    """Refusals: INVALID_FIELD."""
    mapping = connections_service_pb2.FileMapping()
    mapping.CopyFrom(request.mapping)
    mapping.mapping_id = request.mapping_id
    _check(mapping)
    await work.tx.write(FILE_MAPPINGS.delete().where(FILE_MAPPINGS.c.mapping_id == request.mapping_id))
    row = {"mapping_id": request.mapping_id, "body": mapping.SerializeToString(), "updated_at": work.now}
    await work.tx.insert(FILE_MAPPINGS, [row])
    return mapping


def _check(mapping: connections_service_pb2.FileMapping) -> None:
    """Raises InvalidArgument that names the field."""
    try:
        codecs.lookup(mapping.encoding or "utf-8")
    except LookupError as error:
        raise InvalidArgument("INVALID_FIELD", "mapping.encoding: is no encoding", field="mapping.encoding") from error
    if mapping.currency_code not in list_currencies():
        raise InvalidArgument("INVALID_FIELD", "mapping.currency_code: is no ISO 4217 code", field="mapping.currency_code")
    if mapping.delimiter in ('"', "\n", "\r"):
        raise InvalidArgument("INVALID_FIELD", "mapping.delimiter: cannot separate columns", field="mapping.delimiter")
    if not mapping.columns.country and not mapping.default_country_code:
        name = "mapping.default_country_code"
        raise InvalidArgument("INVALID_FIELD", f"{name}: is needed where no column names the country", field=name)


async def get_file_mapping(asked: Asked) -> connections_service_pb2.FileMapping:
    """Refusals: NO_SUCH_MAPPING."""
    return await load_mapping(asked.tx, asked.request.mapping_id)


async def load_mapping(tx: Tx, mapping_id: str) -> connections_service_pb2.FileMapping:
    """Returns a mapping; raises NotFound."""
    rows: Sequence[Any] = await tx.read(select(FILE_MAPPINGS).where(FILE_MAPPINGS.c.mapping_id == mapping_id))
    if not rows:
        raise NotFound("NO_SUCH_MAPPING", f"there is no mapping {mapping_id or '(empty)'}", field="mapping_id")
    return connections_service_pb2.FileMapping.FromString(rows[0].body)


def _to_connection(row: Any) -> connections_service_pb2.Connection:
    return connections_service_pb2.Connection(
        channel_id=row.channel_id, dialect=row.dialect, entity=row.entity, mapping_id=row.mapping_id,
        previous_secret_holds=bool(row.previous_secret), updated_at=to_timestamp(row.updated_at),
        returns_location_id=row.returns_location_id, api_url=row.api_url, external_location_id=row.external_location_id,
        coalesce_ms=row.coalesce_ms or COALESCE_MS, location_id=row.location_id, edi_own_id=row.edi_own_id,
        edi_partner_id=row.edi_partner_id, takes_stock=bool(row.takes_stock), takes_bills=bool(row.takes_bills),
    )  # fmt: skip
