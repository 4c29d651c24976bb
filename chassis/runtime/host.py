"""The host: runs one service or several in this process, each with its own database and port, until told to stop."""

import asyncio
import fcntl
import gc
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor

from chassis.kernel.clock import SECOND
from chassis.runtime.auth import Authenticator, Resolve, Tokens
from chassis.runtime.bus import NatsBus
from chassis.runtime.channels import Channels, GrpcChannels
from chassis.runtime.component import Component
from chassis.runtime.database import Database
from chassis.runtime.server import Server
from chassis.runtime.service import Service
from chassis.runtime.settings import Settings
from chassis.runtime.telemetry import Metrics, Telemetry

# SQLite's thread has the answer and needs the interpreter to hand it over: the usual 5 ms of waiting are a transaction's length.
SWITCH_S = 0.0005
Build = Callable[[Channels, Settings], Service]


def wall_clock() -> int:
    """Returns this moment in microseconds."""
    return time.time_ns() * SECOND // 1_000_000_000


def service_secret(settings: Settings) -> str:
    """Returns the secret that service tokens are signed with; an embedded installation makes its own, once."""
    if settings.service_secret:
        return settings.service_secret
    path = settings.data_dir / "service.secret"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        secret = file.read()
        if not secret:
            path.chmod(0o600)
            secret = secrets.token_urlsafe(48)
            file.write(secret)
    return secret


@dataclass
class Running:
    """A service that runs, with what must be closed after it."""

    component: Component
    server: Server
    bus: NatsBus
    channels: GrpcChannels
    lock: Any = field(default=None)
    stop_front: Callable[[], Awaitable[None]] | None = field(default=None)

    async def stop(self, drain_s: float, notice_s: float = 0.0) -> None:
        """Drains and closes."""
        await self.server.give_notice(notice_s)
        if self.stop_front is not None:
            await self.stop_front()
        await self.server.drain(drain_s)
        await self.component.stop()
        await self.channels.close()
        await self.bus.close()
        if self.lock is not None:
            self.lock.close()


async def run_service(
    name: str, build: Build, settings: Settings, resolve: Callable[[Channels], Resolve], *,
    metrics: Metrics, processor: SpanProcessor | None = None,
) -> Running:  # fmt: skip
    """Starts a service, whose database must have its schema already, and returns it running."""
    sys.setswitchinterval(SWITCH_S)
    lock = _lock_embedded(settings.data_dir, name) if not settings.database_url else None
    secret = service_secret(settings)
    tokens = Tokens(name, secret)
    channels = GrpcChannels(settings, tokens)
    database = Database(settings.database_for(name))
    bus = NatsBus(settings.nats_url, name)
    await bus.connect()
    telemetry = Telemetry(name, settings.trace_ratio, processor=processor)
    component = Component(
        build(channels, settings), database, bus, channels, Authenticator(secret, resolve(channels)), settings, telemetry, metrics,
        wall_clock,
    )  # fmt: skip
    server = Server(component, f"{settings.host}:{settings.ports[name]}")
    component.start()
    await server.start()
    _calm_collector()
    front = component.service.front
    stop_front = await front(component, channels, settings) if front is not None else None
    return Running(component, server, bus, channels, lock, stop_front)


def _calm_collector() -> None:
    """Takes what was made at start out of the cyclic garbage collector's sight, and lets it look less often at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _lock_embedded(folder: Path, name: str) -> Any:
    """Makes sure that one process only has an embedded database; raises RuntimeError where another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / f"{name}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise RuntimeError(f"{folder / f'{name}.db'} is open in another process; stop it or choose another ARGOSY_DATA_DIR") from error
    return file


async def stop_all(running: Sequence[Running], drain_s: float) -> None:
    """Stops services, all at once."""
    await asyncio.gather(*(one.stop(drain_s) for one in running))
