"""`argosy`: the command line of the suite."""

import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from argosy.gateway.v1 import access_service_pb2
from argosy.ops.v1 import ops_service_pb2
from chassis.kernel.errors import Refusal
from chassis.runtime.auth import Tokens
from chassis.runtime.channels import GrpcChannels
from chassis.runtime.host import run_service, service_secret
from chassis.runtime.logs import set_up_logs
from chassis.runtime.settings import SERVICES, Settings
from chassis.runtime.telemetry import Metrics, set_up_metrics
from gateway.app.keys import resolver
from gateway.app.prove import Proof, prove
from gateway.calls import Calls
from suite.demo import DemoDay, Progress
from suite.doctor import examine
from suite.file_day import FileDay
from suite.files import MAPPINGS, RowResult, connect_files, import_items, import_orders, import_stock, load_mapping
from suite.modules import BUILDS
from suite.report import show_day, show_delivery, show_findings, show_proof, show_rows
from suite.tour import prepare, show_tour
from suite.trade import make_day
from suite.up import Suite, free_ports, migrate_all, running_suite, wait_for_schema

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Argosy: orders from every channel to the ledger.")
dlq = typer.Typer(no_args_is_help=True, help="Events that a consumer gave up.")
key = typer.Typer(no_args_is_help=True, help="API keys.")
user = typer.Typer(no_args_is_help=True, help="People who sign in to the console.")
imports = typer.Typer(no_args_is_help=True, help="Bring files in, with a report row by row.")
audit = typer.Typer(no_args_is_help=True, help="The audit chains.")
app.add_typer(dlq, name="dlq")
app.add_typer(audit, name="audit")
app.add_typer(key, name="key")
app.add_typer(user, name="user")
app.add_typer(imports, name="import")
console = Console()
ROLES = [name.removeprefix("ROLE_").lower() for name in access_service_pb2.Role.keys()[1:]]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs on uvloop."""
    return uvloop.run(work)


async def until_told(*, quiet: bool = False) -> None:
    """Waits for an interrupt or a termination."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.set)
    await stop.wait()
    if not quiet:
        console.print("draining …")


def client(settings: Settings) -> GrpcChannels:
    """Returns channels into a suite that runs elsewhere."""
    return GrpcChannels(settings, Tokens("suite", service_secret(settings)))


@app.command()
def up(processes: Annotated[bool, typer.Option(help="Give each service a process of its own.")] = False) -> None:
    """Run all services, with a nats-server of their own unless ARGOSY_NATS_URL names one."""
    settings = Settings()
    set_up_logs(settings.log_level)
    set_up_metrics(settings.metrics_port, settings.host)

    async def work() -> None:
        own = "nats_url" not in settings.model_fields_set
        async with running_suite(settings, own_nats=own, processes=processes):
            for service in SERVICES:
                console.print(f"{service:12} {settings.address_of(service)}")
            console.print(f"{'HTTP':12} http://{settings.host}:{settings.http_port}/docs")
            console.print(f"{'console':12} http://{settings.host}:{settings.http_port}/console/")
            await until_told()

    run(work())


@app.command()
def serve(service: str) -> None:
    """Run one service until it is told to stop."""
    settings = Settings()
    set_up_logs(settings.log_level)
    set_up_metrics(settings.metrics_port, settings.host)
    if service not in SERVICES:
        raise typer.BadParameter(f"choose one of {', '.join(SERVICES)}")

    async def work() -> None:
        if settings.migrate:
            await migrate_all(settings, [service])
        else:
            await wait_for_schema(settings, service)
        running = await run_service(service, BUILDS[service], settings, resolver, metrics=Metrics())
        await until_told(quiet=True)
        await running.stop(settings.drain_s, settings.notice_s)

    run(work())


@app.command()
def migrate() -> None:
    """Bring every database to the schema of this version."""
    run(migrate_all(Settings()))
    console.print(f"{len(SERVICES)} databases are current")


@app.command()
def demo(
    orders: Annotated[int, typer.Option(help="How many orders the day has.")] = 400,
    seed: Annotated[int, typer.Option(help="The same seed makes the same day.")] = 1,
    exit_after: Annotated[bool, typer.Option("--exit", help="Leave when the proof is shown.")] = False,
    data_dir: Annotated[Path, typer.Option(help="Where the day's databases lie; emptied first.")] = Path("data/demo"),
    files: Annotated[list[Path] | None, typer.Argument(help="Order files to trade instead of a generated day.")] = None,
    mapping: Annotated[Path, typer.Option(help="How the order files are read.")] = MAPPINGS / "online_retail.json",
) -> None:
    """Start the suite, trade a whole day through it, and show what happened and the proof."""
    set_up_logs("ERROR")
    set_up_metrics()

    def make(calls: Calls, progress: Progress) -> DemoDay:
        return FileDay(calls, files, load_mapping(mapping), progress) if files else DemoDay(calls, make_day(seed, orders), progress)

    what = ", ".join(path.name for path in files) if files else f"{orders} orders of seed {seed}"
    sys.exit(run(_demo(make, what, exit_after, data_dir)))


async def _demo(make: Callable[[Calls, Progress], DemoDay], what: str, exit_after: bool, data_dir: Path) -> int:
    shutil.rmtree(data_dir, ignore_errors=True)
    ports = free_ports(len(SERVICES) + 2)
    settings = Settings(
        data_dir=data_dir,
        database_url="",
        ports=dict(zip(SERVICES, ports, strict=False)),
        nats_url=f"nats://127.0.0.1:{ports[-1]}",
        http_port=ports[-2],
    )
    started = time.monotonic()
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        day = await trade(calls, make)
        proof = await prove(suite.channels, settled=True)
        await show_day(console, calls)
        if isinstance(day, FileDay):
            for delivery in day.delivered:
                show_delivery(console, delivery)
        show_proof(console, proof)
        console.print(f"{what} in {time.monotonic() - started:.0f} s, data in {data_dir}")
        if not exit_after:
            await _invite(suite, calls, proof)
            await until_told()
    return 0 if proof.settled else 1


async def trade(calls: Calls, make: Callable[[Calls, Progress], DemoDay]) -> DemoDay:
    """Trades a day with a progress bar for each part of it."""
    with progress_bars() as progress:
        day = make(calls, progress)
        await day.run()
    return day


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Shows a bar for each label that is reported."""
    columns = (TextColumn("{task.description:18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def progress(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bar.add_task(label, total=total)
            bar.update(tasks[label], completed=done, total=total)

        yield progress


async def _invite(suite: Suite, calls: Calls, proof: Proof) -> None:
    request = access_service_pb2.CreateKeyRequest(request_id=f"demo-{time.time_ns()}", account="visitor", permissions=["*"])
    secret = (await calls.access.CreateKey(request)).secret
    address = f"http://{suite.settings.host}:{suite.settings.http_port}"
    console.print("\nThe suite stays up.\n")
    show_tour(console, await prepare(calls, proof), address)
    console.print(f"\nIts contracts are at {address}/docs; over HTTP:\n", highlight=False)
    for path in ("/v1/orders?page_size=3", "/v1/trialBalance", "/v1/holds/orders"):
        console.print(f"  curl -s '{address}{path}' -H 'Authorization: Bearer {secret}'", soft_wrap=True, highlight=False)
    console.print("\nIts services answer gRPC (with reflection) on:")
    for service in SERVICES:
        console.print(f"  {service:12} {suite.settings.address_of(service)}", highlight=False)
    console.print("Stop it with Ctrl-C.")


@app.command("prove")
def prove_command(
    settled: Annotated[bool, typer.Option(help="Wait until nothing is on its way, and demand that.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Check what must always be true of a running suite; exits with 1 on a break."""

    async def work() -> Proof:
        channels = client(Settings())
        try:
            return await prove(channels, settled=settled)
        finally:
            await channels.close()

    proof = run(work())
    if as_json:
        console.print_json(json.dumps(proof.to_json()))
    else:
        show_proof(console, proof)
    sys.exit(0 if proof.clean else 1)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Look at this installation and say what is wrong and what to do; exits with 1 where something keeps it from working."""
    set_up_logs("CRITICAL")
    found = run(examine(Settings()))
    if as_json:
        console.print_json(json.dumps([vars(one) for one in found]))
    else:
        show_findings(console, found)
    sys.exit(1 if any(not one.well and one.grave for one in found) else 0)


@dlq.command("list")
def dlq_list() -> None:
    """List dead events of all services."""

    async def work() -> None:
        channels = client(Settings())
        calls = Calls(channels)
        for service in SERVICES:
            answer = await calls.ops(service).ListDeadEvents(ops_service_pb2.ListDeadEventsRequest(service=service))
            for dead in answer.events:
                console.print(f"{service}  {dead.event.event_id}  {dead.event.type}  {dead.error}", soft_wrap=True)
        await channels.close()

    run(work())


@dlq.command("replay")
def dlq_replay(service: str, event_id: str) -> None:
    """Put a dead event back in front of its consumer."""

    async def work() -> None:
        channels = client(Settings())
        request = ops_service_pb2.ReplayDeadEventRequest(
            request_id=f"dlq-replay-{event_id}-{time.time_ns()}", service=service, consumer=service, event_id=event_id
        )
        await Calls(channels).ops(service).ReplayDeadEvent(request)
        await channels.close()

    run(work())
    console.print("it stands in front of its consumer again")


@dlq.command("discard")
def dlq_discard(service: str, event_id: str, reason: str) -> None:
    """Give a dead event up for good."""

    async def work() -> None:
        channels = client(Settings())
        request = ops_service_pb2.DiscardDeadEventRequest(
            request_id=f"dlq-discard-{event_id}", service=service, consumer=service, event_id=event_id, reason=reason
        )
        await Calls(channels).ops(service).DiscardDeadEvent(request)
        await channels.close()

    run(work())
    console.print("it is gone; what stood behind it goes on")


@audit.command("verify")
def audit_verify() -> None:
    """Walk every audit chain; exits with 1 and names the first broken row."""

    async def work() -> int:
        channels = client(Settings())
        calls = Calls(channels)
        broken = 0
        for service in SERVICES:
            answer = await calls.ops(service).VerifyAudit(ops_service_pb2.VerifyAuditRequest(service=service), timeout=60)
            console.print(f"{service:12} {answer.rows:8} rows  {answer.broken or 'whole'}")
            broken += bool(answer.broken)
        await channels.close()
        return broken

    sys.exit(1 if run(work()) else 0)


def _import(work: Callable[[Calls, Progress], Coroutine[Any, Any, Sequence[RowResult]]], report: Path | None) -> None:
    """Runs an import with its progress bar, shows what was refused, and exits with 1 where anything was."""

    async def all_of_it() -> Sequence[RowResult]:
        channels = client(Settings())
        try:
            with progress_bars() as progress:
                return await work(Calls(channels), progress)
        finally:
            await channels.close()

    try:
        rows = run(all_of_it())
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    show_rows(console, rows, report)
    sys.exit(1 if any(row.refusal for row in rows) else 0)


@imports.command("items")
def import_items_command(
    file: Path, report: Annotated[Path | None, typer.Option(help="Write what became of every row here, as CSV.")] = None
) -> None:
    """Set items up as drafts from a CSV file whose columns are the fields of an item."""
    _import(lambda calls, progress: import_items(calls, file, progress), report)


@imports.command("stock")
def import_stock_command(
    file: Path,
    currency: Annotated[str, typer.Option(help="ISO 4217 code of the values.")] = "EUR",
    report: Annotated[Path | None, typer.Option(help="Write what became of every row here, as CSV.")] = None,
) -> None:
    """Take opening stock in from a CSV file: location_id, sku, quantity, value, lot."""
    _import(lambda calls, progress: import_stock(calls, file, currency, progress), report)


@imports.command("orders")
def import_orders_command(
    files: list[Path],
    channel: Annotated[str, typer.Option(help="The channel that the orders are of.")],
    mapping: Annotated[Path | None, typer.Option(help="Connect the channel with this mapping first.")] = None,
    entity: Annotated[str, typer.Option(help="The legal entity that sold them, for a new connection.")] = "DE01",
    returns_location: Annotated[str, typer.Option(help="Where goods come back, for a new connection.")] = "",
) -> None:
    """Deliver order files of a channel and wait until they are carried out."""

    async def work() -> int:
        channels = client(Settings())
        calls = Calls(channels)
        left_out = 0
        try:
            if mapping is not None:
                await connect_files(calls, channel, entity, load_mapping(mapping), returns_location)
            with progress_bars() as progress:
                found = [await import_orders(calls, file, channel, progress) for file in files]
            for delivery in found:
                show_delivery(console, delivery)
                left_out += delivery.report.left_out + delivery.open_orders
        finally:
            await channels.close()
        return left_out

    try:
        left_out = run(work())
    except (ValueError, OSError, Refusal) as error:
        raise typer.BadParameter(str(error)) from error
    sys.exit(1 if left_out else 0)


@key.command("create")
def key_create(
    account: str, permission: Annotated[list[str], typer.Option(help="What it may do; a trailing * means all that begin so.")]
) -> None:
    """Make an API key for an account and show its secret, this once."""

    async def work() -> str:
        channels = client(Settings())
        request = access_service_pb2.CreateKeyRequest(request_id=f"key-{time.time_ns()}", account=account, permissions=permission)
        created = await Calls(channels).access.CreateKey(request)
        await channels.close()
        return created.secret

    console.print(run(work()), soft_wrap=True, highlight=False)


@user.command("set")
def user_set(
    name: str,
    role: Annotated[str, typer.Option(help="What they are: warehouse, support, operations, finance, admin, …")],
    password: Annotated[str, typer.Option(prompt="Password, at least 10 characters", hide_input=True, confirmation_prompt=True)],
) -> None:
    """Set a person up, or change their role and password; their sessions end."""
    if role not in ROLES:
        raise typer.BadParameter(f"choose one of {', '.join(ROLES)}")

    async def work() -> None:
        channels = client(Settings())
        request = access_service_pb2.SetUserRequest(
            request_id=f"user-{time.time_ns()}", user_id=name, role=access_service_pb2.Role.Value(f"ROLE_{role.upper()}"), password=password
        )
        try:
            await Calls(channels).access.SetUser(request)
        finally:
            await channels.close()

    try:
        run(work())
    except Refusal as refusal:
        raise typer.BadParameter(refusal.message) from refusal
    console.print(f"{name} signs in as {role}")


@user.command("list")
def user_list() -> None:
    """List people."""

    async def work() -> None:
        channels = client(Settings())
        answer = await Calls(channels).access.ListUsers(access_service_pb2.ListUsersRequest(page_size=500))
        for one in answer.users:
            role = access_service_pb2.Role.Name(one.role).removeprefix("ROLE_").lower()
            console.print(f"{one.user_id:24} {role}{' (disabled)' if one.disabled else ''}", highlight=False)
        await channels.close()

    run(work())


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
