"""Starting the suite: a nats-server of our own where none is given, and the services, in this process or in their own."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import SpanProcessor

from chassis.runtime.auth import Tokens
from chassis.runtime.channels import GrpcChannels
from chassis.runtime.database import Database
from chassis.runtime.host import Running, run_service, service_secret, stop_all
from chassis.runtime.migrations import migrate, wait_until_current
from chassis.runtime.settings import SERVICES, Settings
from chassis.runtime.telemetry import Metrics
from gateway.app.keys import resolver
from suite.modules import BUILDS

START_S = 240.0
PORTS = range(10_000, 32_768)
CLAIMS = 100  # how many ports a process keeps claimed: several suites' worth, far fewer than the files it may open
_claims: deque[int] = deque()


def free_ports(count: int) -> list[int]:
    """Returns ports that are free, none of those from which systems take one for a connection that goes out.

    Until they are listened on they are claimed by their UDP twins, so that no other caller on this machine is given one:
    a process holds the claims of its latest ports, and lets all go when it ends.
    """
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(PORTS)
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            with socket.socket() as listener:
                claim.bind(("127.0.0.1", port))
                listener.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim.detach())
        found.append(port)
    while len(_claims) > max(CLAIMS, count):
        os.close(_claims.popleft())
    return sorted(found)


async def wait_for(condition: Callable[[], bool], what: str, within_s: float = START_S) -> None:
    """Waits until a condition holds; raises TimeoutError that names what was waited for."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while not condition():
        if loop.time() > end:
            raise TimeoutError(f"{what} did not come within {within_s:.0f} s")
        await asyncio.sleep(0.02)


def nats_binary() -> str:
    """Returns the nats-server that was installed beside this Python, else the one on the PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise RuntimeError("there is no nats-server; install the requirements, or set ARGOSY_NATS_URL")
    return found


class NatsServer:
    """A real nats-server with JetStream, its store in a folder of ours."""

    def __init__(self, port: int, store: Path) -> None:
        self.port = port
        self.store = store
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process; 0 before it was started."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> None:
        """Starts it and waits until it listens."""
        self.store.mkdir(parents=True, exist_ok=True)
        log = (self.store / "nats.log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            nats_binary(), "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.store / "jetstream"),
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        await wait_for(lambda: listens(self.port), f"nats-server on port {self.port}")

    async def stop(self, *, kill: bool = False) -> None:
        """Stops it, at once where `kill` is set."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            await self._process.wait()


def listens(port: int) -> bool:
    """Says whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Suite:
    """The suite as it runs: its settings, its bus, and calls into it."""

    settings: Settings
    nats: NatsServer | None
    channels: GrpcChannels
    running: dict[str, Running] = field(default_factory=dict)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start_process(self, service: str) -> None:
        """Starts a service in a process of its own and waits until it serves."""
        arguments = [sys.executable, "-m", "suite.cli", "serve", service]
        log = (self.settings.data_dir / f"{service}.log").open("ab")
        self.processes[service] = await asyncio.create_subprocess_exec(
            *arguments, env={**os.environ, **environment(self.settings)}, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        await self.serving(service)

    async def serving(self, service: str) -> None:
        """Waits until a service says that it serves."""
        loop = asyncio.get_running_loop()
        end = loop.time() + START_S
        async with aio.insecure_channel(self.settings.address_of(service)) as channel:
            while True:
                try:
                    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.RpcError:
                    pass
                if loop.time() > end:
                    log = self.settings.data_dir / f"{service}.log"
                    raise TimeoutError(f"{service} does not serve after {START_S:.0f} s; see {log}")
                await asyncio.sleep(0.05)

    async def kill_process(self, service: str) -> None:
        """Ends a service's process as a crash would."""
        process = self.processes[service]
        process.kill()
        await process.wait()

    async def stop(self) -> None:
        """Stops everything that was started."""
        await stop_all(list(self.running.values()), self.settings.drain_s)
        for process in self.processes.values():
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*(process.wait() for process in self.processes.values()))
        await self.channels.close()
        if self.nats is not None:
            await self.nats.stop()


def environment(settings: Settings) -> dict[str, str]:
    """Returns settings as the environment variables that make them."""
    return {
        "ARGOSY_DATA_DIR": str(settings.data_dir), "ARGOSY_DATABASE_URL": settings.database_url,
        "ARGOSY_NATS_URL": settings.nats_url, "ARGOSY_HOST": settings.host, "ARGOSY_PORTS": json.dumps(settings.ports),
        "ARGOSY_ADDRESSES": json.dumps(settings.addresses), "ARGOSY_HTTP_PORT": str(settings.http_port),
        "ARGOSY_SERVICE_SECRET": settings.service_secret, "ARGOSY_TRACE_RATIO": str(settings.trace_ratio),
        "ARGOSY_LOG_LEVEL": settings.log_level,
    }  # fmt: skip


async def migrate_all(settings: Settings, services: Sequence[str] = SERVICES) -> None:
    """Brings the databases of the services to the schema that the code knows, one after the other."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    for service in services:
        database = Database(settings.database_for(service))
        try:
            await migrate(service, database)
        finally:
            await database.close()


async def wait_for_schema(settings: Settings, service: str) -> None:
    """Waits until somebody else has brought a service's database to the schema that the code knows."""
    database = Database(settings.database_for(service))
    try:
        await wait_until_current(service, database)
    finally:
        await database.close()


@asynccontextmanager
async def running_suite(
    settings: Settings, *, own_nats: bool = True, processes: bool = False, services: Sequence[str] = SERVICES,
    processor: SpanProcessor | None = None,
) -> AsyncIterator[Suite]:  # fmt: skip
    """Runs the suite for as long as the block."""
    nats = None
    if own_nats:
        nats = NatsServer(int(settings.nats_url.rsplit(":", 1)[1]), settings.data_dir / "nats")
        await nats.start()
    await migrate_all(settings, services)
    channels = GrpcChannels(settings, Tokens("suite", service_secret(settings)))
    suite = Suite(settings, nats, channels)
    try:
        if processes:
            await asyncio.gather(*(suite.start_process(service) for service in services))
        else:
            metrics = Metrics()
            for name in services:
                suite.running[name] = await run_service(name, BUILDS[name], settings, resolver, metrics=metrics, processor=processor)
        yield suite
    finally:
        await suite.stop()
