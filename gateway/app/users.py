"""SetUser, ListUsers, ListRoles, VerifyPassword, OpenSession: people, their passwords (argon2) and their sessions."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select, update

from argosy.gateway.v1 import access_service_pb2
from chassis.kernel.clock import HOUR, to_timestamp
from chassis.kernel.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from chassis.runtime.database import Database
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import Call
from gateway.app.keys import make_key
from gateway.app.roles import GRANTS
from gateway.store.tables import KEYS, USERS

SESSION_US = 12 * HOUR
HASHER = PasswordHasher()
# A hash takes 64 MiB and a while: two at once, off the loop.
HASHING = ThreadPoolExecutor(2, thread_name_prefix="argon2")
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$AmsRPNXa6v0QhltnZ3iT/A$2DiQSt4FMmWedkp0iWG8z9828XOA1yr3IMENpmYX704"


async def hash_passwords(requests: Sequence[access_service_pb2.SetUserRequest], _: Database) -> list[str]:
    """Returns what is kept of the passwords; empty where one is not changed."""
    return [await _off_the_loop(HASHER.hash, request.password) if request.password else "" for request in requests]


async def set_user(work: Work, call: Call) -> access_service_pb2.User:
    """Refusals: INVALID_FIELD where a new person has no password, USER_EXISTS. Whatever changes, their sessions end."""
    request, password_hash = call.request, call.context
    before = await _find(work.tx, request.user_id)
    if before is None and not password_hash:
        raise InvalidArgument("INVALID_FIELD", "password: a new person needs one", field="password")
    row = {
        "user_id": request.user_id, "role": request.role, "channel_ids": json.dumps(sorted(set(request.channel_ids))),
        "password_hash": password_hash or before.password_hash, "disabled": int(request.disabled), "updated_at": work.now,
    }  # fmt: skip
    if not request.fresh:
        await work.tx.merge(USERS, ("user_id",), [row])
    elif before is not None or not await work.tx.insert(USERS, [row], once=True):
        raise AlreadyExists("USER_EXISTS", f"user_id: there is somebody called {request.user_id} already; change them", field="user_id")
    sessions = update(KEYS).where(KEYS.c.account == request.user_id, KEYS.c.expires_at.is_not(None), KEYS.c.revoked_at.is_(None))
    await work.tx.write(sessions.values(revoked_at=work.now))
    return to_user(await _find(work.tx, request.user_id))


async def list_users(asked: Asked) -> access_service_pb2.ListUsersResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(USERS), [USERS.c.user_id], asked.request)
    return access_service_pb2.ListUsersResponse(users=map(to_user, rows), next_page_token=token)


async def list_roles(asked: Asked) -> access_service_pb2.ListRolesResponse:
    """Lists all."""
    del asked
    roles = [access_service_pb2.RoleGrant(role=role, permissions=permissions) for role, permissions in GRANTS.items()]  # type: ignore[arg-type]
    return access_service_pb2.ListRolesResponse(roles=roles)


async def verify_password(asked: Asked) -> access_service_pb2.User:
    """Only the gateway asks this. Refusals: BAD_CREDENTIALS, the same whatever was wrong, and after the same time."""
    _need_gateway(asked.principal.account)
    row = await _find(asked.tx, asked.request.user_id)
    right = await _off_the_loop(_matches, row.password_hash if row is not None else NOBODY, asked.request.password)
    if row is None or not right or row.disabled:
        raise Unauthenticated("BAD_CREDENTIALS", "the name or the password is wrong, or the account is closed")
    return to_user(row)


async def open_session(work: Work, request: access_service_pb2.OpenSessionRequest) -> access_service_pb2.CreatedKey:
    """Only the gateway asks this. Refusals: NO_SUCH_USER."""
    _need_gateway(work.cause.actor)
    # Who changes the person meanwhile waits, and ends this session too.
    row = await _find(work.tx, request.user_id, lock=True)
    if row is None or row.disabled:
        raise NotFound("NO_SUCH_USER", f"there is nobody called {request.user_id}", field="user_id")
    return await make_key(
        work, request.user_id, GRANTS[row.role], json.loads(row.channel_ids), role=row.role, expires_at=work.now + SESSION_US
    )


def to_user(row: Any) -> access_service_pb2.User:
    """Returns a person's row as the contract shows it."""
    return access_service_pb2.User(
        user_id=row.user_id, role=row.role, channel_ids=json.loads(row.channel_ids), disabled=bool(row.disabled),
        updated_at=to_timestamp(row.updated_at),
    )  # fmt: skip


def _need_gateway(account: str) -> None:
    if account != "service:gateway":
        raise PermissionDenied("NOT_PERMITTED", "only the gateway's own doors sign people in")


def _matches(password_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


async def _off_the_loop(do: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(HASHING, do, *arguments)


async def _find(tx: Tx, user_id: str, *, lock: bool = False) -> Any:
    query = select(USERS).where(USERS.c.user_id == user_id)
    rows = await tx.read(query.with_for_update() if lock else query)
    return rows[0] if rows else None
