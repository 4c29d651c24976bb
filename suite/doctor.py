"""The doctor: looks at an installation from where it stands and says what is wrong, and what to do."""

import asyncio
import os
import resource
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import httpx
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from argosy.gateway.v1 import proofs_service_pb2, publications_service_pb2, subscriptions_service_pb2
from argosy.ops.v1 import ops_service_pb2
from chassis.kernel.errors import Refusal
from chassis.runtime.auth import Tokens
from chassis.runtime.bus import describe
from chassis.runtime.channels import GrpcChannels
from chassis.runtime.database import Database
from chassis.runtime.host import service_secret
from chassis.runtime.migrations import newest, revision
from chassis.runtime.settings import SERVICES, Settings
from gateway.calls import Calls

TIMEOUT_S = 5.0
SECRET_LENGTH = 32
LEAST_FILES = 1024
LEAST_FREE_BYTES = 1 << 30
MOST_SKEW_S = 2.0
# The first whose trim_array the statements of many rows use.
LEAST_POSTGRES = 14


@dataclass(frozen=True)
class Finding:
    """What a look at one thing found: well, or what is wrong and what to do. `grave` is what keeps it from working."""

    what: str
    well: bool
    text: str
    advice: str = ""
    grave: bool = True


async def examine(settings: Settings) -> list[Finding]:
    """Looks at everything, all at once; nothing is changed."""
    looks: list[Awaitable[list[Finding]]] = [_settings(settings), _bus(settings), _http(settings)]
    looks += [_database(settings, service) for service in SERVICES]
    looks += [_service(settings, service) for service in SERVICES]
    found = [finding for findings in await asyncio.gather(*looks) for finding in findings]
    if all(finding.well for finding in found if finding.what.startswith("service ")):
        found += await _inside(settings)
    return found


async def _settings(settings: Settings) -> list[Finding]:
    found = []
    if settings.database_url:
        named = "{service}" in settings.database_url
        found.append(Finding("ARGOSY_DATABASE_URL", named, "one database for each service" if named else "has no {service} in it",
                             "write postgresql+asyncpg://user:password@host/argosy_{service}"))  # fmt: skip
        long = len(settings.service_secret) >= SECRET_LENGTH
        found.append(Finding("ARGOSY_SERVICE_SECRET", long, "is set" if long else f"is shorter than {SECRET_LENGTH} characters",
                             "make one with `openssl rand -base64 48`, the same for all services"))  # fmt: skip
    else:
        free = shutil.disk_usage(settings.data_dir if settings.data_dir.exists() else ".").free
        roomy = free >= LEAST_FREE_BYTES
        found.append(Finding("disk", roomy, f"{free >> 20} MiB are free", "make room where ARGOSY_DATA_DIR lies"))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = files >= LEAST_FILES or files < 0
    found.append(Finding("open files", enough, f"{files} allowed", f"allow at least {LEAST_FILES} (ulimit -n)", grave=False))
    traced = bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")) or settings.trace_ratio == 0
    text_ = "traces go somewhere" if traced else "traces are made and go nowhere"
    found.append(Finding("telemetry", traced, text_, "set OTEL_EXPORTER_OTLP_ENDPOINT, or ARGOSY_TRACE_RATIO=0", grave=False))
    return found


async def _database(settings: Settings, service: str) -> list[Finding]:
    what = f"database of {service}"
    if not settings.database_url and not (settings.data_dir / f"{service}.db").exists():
        return [Finding(what, False, "there is none yet", "run `argosy up`, or set ARGOSY_DATABASE_URL")]
    database = Database(settings.database_for(service))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            there = await revision(database)
            found = [Finding(what, there == newest(service), f"schema {there or 'none'}, this version knows {newest(service)}",
                             "run `argosy migrate` with this version, or run the version that the schema is of")]  # fmt: skip
            if database.dialect == "postgresql":
                found += [await _skew(database, service), await _age(database, service)]
            return found
    except (OSError, SQLAlchemyError, TimeoutError) as error:
        return [
            Finding(
                what, False, f"does not answer: {_brief(error)}", "check its address, its password and that it may be reached from here"
            )
        ]
    finally:
        await database.close()


async def _skew(database: Database, service: str) -> Finding:
    async with database.read() as tx:
        skew_s = float((await tx.read(text("SELECT extract(epoch FROM clock_timestamp())")))[0][0]) - time.time()
    return Finding(
        f"clock of {service}'s database", abs(skew_s) < MOST_SKEW_S, f"{skew_s:+.1f} s from ours", "let both follow one time server"
    )


async def _age(database: Database, service: str) -> Finding:
    async with database.read() as tx:
        row = (await tx.read(text("SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000")))[0]
    return Finding(
        f"server of {service}'s database", row[1] >= LEAST_POSTGRES, f"PostgreSQL {row[0]}", f"run PostgreSQL {LEAST_POSTGRES} or later"
    )


async def _bus(settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return [Finding("bus", True, await describe(settings.nats_url))]
    except (OSError, TimeoutError) as error:
        text_ = f"{settings.nats_url} does not answer: {_brief(error)}"
        return [Finding("bus", False, text_, "start nats-server with -js and a store, or set ARGOSY_NATS_URL")]


async def _service(settings: Settings, service: str) -> list[Finding]:
    address = settings.address_of(service)
    advice = f"start it, or set ARGOSY_ADDRESSES; look at the log of {service}"
    try:
        async with aio.insecure_channel(address) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="ready"), timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        return [Finding(f"service {service}", False, f"{address} does not answer: {_brief(error)}", advice)]
    ready = answer.status == health_pb2.HealthCheckResponse.SERVING
    return [Finding(f"service {service}", ready, f"{address} is {'ready' if ready else 'not ready: its database does not answer'}", advice)]


async def _http(settings: Settings) -> list[Finding]:
    host = settings.addresses.get("http", "") or f"{settings.host}:{settings.http_port}"
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(f"http://{host}/healthz")
            signing_in = await client.get(f"http://{host}/console/sign-in")
    except httpx.HTTPError as error:
        return [Finding("HTTP", False, f"{host} does not answer: {_brief(error)}", "start the gateway, or set ARGOSY_HTTP_PORT")]
    well = answer.status_code == 200 and signing_in.status_code == 200
    return [
        Finding("HTTP", well, f"{host} answers {answer.status_code}, its console {signing_in.status_code}", "look at the gateway's log")
    ]


async def _inside(settings: Settings) -> list[Finding]:
    """What a suite that runs says of itself."""
    channels = GrpcChannels(settings, Tokens("suite", service_secret(settings)))
    calls = Calls(channels)
    found = []
    for look in (_dead_letters, _audit, _proof, _voice):
        try:
            found.append(await look(calls))
        except Refusal as refusal:
            found.append(Finding(look.__name__.strip("_").replace("_", " "), False, refusal.message, "look at the logs"))
    await channels.close()
    return found


async def _dead_letters(calls: Calls) -> Finding:
    count = 0
    for service in SERVICES:
        count += len((await calls.ops(service).ListDeadEvents(ops_service_pb2.ListDeadEventsRequest(service=service))).events)
    return Finding("dead letters", not count, f"{count} events were given up" if count else "none", "argosy dlq list", grave=False)


async def _audit(calls: Calls) -> Finding:
    for service in SERVICES:
        answer = await calls.ops(service).VerifyAudit(ops_service_pb2.VerifyAuditRequest(service=service), timeout=60)
        if answer.broken:
            return Finding("audit", False, f"{service}: {answer.broken}", "somebody changed the database by hand; find out who")
    return Finding("audit", True, "every chain is whole")


async def _proof(calls: Calls) -> Finding:
    proof = await calls.proofs.GetLatestProof(proofs_service_pb2.GetLatestProofRequest())
    if not proof.HasField("proved_at"):
        return Finding("proof", True, "not proved yet; run `argosy prove`", grave=False)
    broken = "; ".join(f"{one.check} {one.service}: {one.subject}" for one in proof.breaks[:3])
    return Finding("proof", not proof.breaks, broken or "all held when it was last looked at", "argosy prove names each break")


async def _voice(calls: Calls) -> Finding:
    figures = await calls.publications.GetPublicationFigures(publications_service_pb2.GetPublicationFiguresRequest())
    silent = [one.channel_id for one in figures.channels if one.breaker != "CLOSED"]
    subscribers = await calls.subscriptions.ListSubscriptions(subscriptions_service_pb2.ListSubscriptionsRequest(page_size=500))
    failing = [one.url for one in subscribers.subscriptions if one.HasField("failing_since") and not one.disabled]
    wrong = [*(f"channel {one} does not answer" for one in silent), *(f"subscriber {one} does not answer" for one in failing)]
    return Finding(
        "voice", not wrong, "; ".join(wrong[:3]) or "everybody who is told answers", "see Integrations in the console", grave=False
    )


def _brief(error: BaseException) -> str:
    details: Callable[[], str | None] | None = getattr(error, "details", None)
    said = (details() if details is not None else str(error)) or type(error).__name__
    return said.strip().splitlines()[0].rsplit(": ", 1)[-1][:160]
