"""CreateKey, ListKeys, RevokeKey, ResolveKey. A secret is random, shown once, and kept as its SHA-256."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select, update

from argosy.gateway.v1 import access_service_pb2
from argosy.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound, PermissionDenied, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.auth import Resolve
from chassis.runtime.channels import Channels
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from chassis.runtime.writer import Principal
from gateway.store.tables import KEYS


async def create_key(work: Work, request: access_service_pb2.CreateKeyRequest) -> access_service_pb2.CreatedKey:
    """Makes a key that holds until it is revoked."""
    return await make_key(work, request.account, request.permissions, request.channel_ids)


async def make_key(
    work: Work, account: str, permissions: Sequence[str], channel_ids: Sequence[str], *, role: int = 0, expires_at: int | None = None
) -> access_service_pb2.CreatedKey:
    """Makes a key; its id is its prefix."""
    key_id = new_id().replace("-", "")[-16:]
    secret = f"ak_{key_id}_{secrets.token_urlsafe(32)}"
    row = {
        "key_id": key_id, "secret_sha256": hashlib.sha256(secret.encode()).digest(), "account": account,
        "permissions": json.dumps(list(permissions)), "channel_ids": json.dumps(list(channel_ids)),
        "created_at": work.now, "revoked_at": None, "expires_at": expires_at, "role": role,
    }  # fmt: skip
    await work.tx.insert(KEYS, [row])
    return access_service_pb2.CreatedKey(key=await _load(work, key_id), secret=secret)


async def revoke_key(work: Work, request: access_service_pb2.RevokeKeyRequest) -> access_service_pb2.Key:
    """Refusals: NO_SUCH_KEY."""
    await _load(work, request.key_id)
    change = update(KEYS).where(KEYS.c.key_id == request.key_id, KEYS.c.revoked_at.is_(None))
    await work.tx.write(change.values(revoked_at=work.now))
    return await _load(work, request.key_id)


async def list_keys(asked: Asked) -> access_service_pb2.ListKeysResponse:
    """Lists by id; sessions are no keys to be listed."""
    rows, token = await page(asked.tx, select(KEYS).where(KEYS.c.expires_at.is_(None)), [KEYS.c.key_id], asked.request)
    return access_service_pb2.ListKeysResponse(keys=map(_to_key, rows), next_page_token=token)


async def resolve_key(asked: Asked) -> access_service_pb2.Key:
    """Only services ask this. Refusals: NO_SUCH_KEY."""
    if not asked.principal.account.startswith("service:"):
        raise PermissionDenied("NOT_PERMITTED", "only services resolve keys")
    rows = await asked.tx.read(select(KEYS).where(KEYS.c.key_id == asked.request.key_id, KEYS.c.revoked_at.is_(None)))
    ended = rows and rows[0].expires_at is not None and rows[0].expires_at <= wall_clock()
    if not rows or ended or not hmac.compare_digest(rows[0].secret_sha256, asked.request.secret_sha256):
        raise NotFound("NO_SUCH_KEY", "the key is not known or was revoked", field="key_id")
    return _to_key(rows[0])


def resolver(channels: Channels) -> Resolve:
    """Returns how any service finds out whose key it is: it asks the gateway."""

    async def resolve(key_id: str, secret_sha256: bytes) -> Principal | None:
        request = access_service_pb2.ResolveKeyRequest(key_id=key_id, secret_sha256=secret_sha256)
        try:
            key = await AccessServiceStub(channels.to("gateway")).ResolveKey(request)
        except NotFound:
            return None
        except Refusal as refusal:
            if refusal.transient:
                raise
            return None
        return Principal(key.account, tuple(key.permissions), frozenset(key.channel_ids))

    return resolve


async def _load(work: Work, key_id: str) -> access_service_pb2.Key:
    rows: Sequence[Any] = await work.tx.read(select(KEYS).where(KEYS.c.key_id == key_id))
    if not rows:
        raise NotFound("NO_SUCH_KEY", f"there is no key {key_id}", field="key_id")
    return _to_key(rows[0])


def _to_key(row: Any) -> access_service_pb2.Key:
    return access_service_pb2.Key(
        key_id=row.key_id, account=row.account, permissions=json.loads(row.permissions), channel_ids=json.loads(row.channel_ids),
        created_at=to_timestamp(row.created_at), revoked_at=_moment(row.revoked_at),
        expires_at=_moment(row.expires_at), role=row.role,
    )  # fmt: skip


def _moment(moment_us: int | None) -> Timestamp | None:
    return to_timestamp(moment_us) if moment_us is not None else None
