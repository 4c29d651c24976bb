"""`argosy`: the command line of the suite."""

import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from argosy.gateway.v1 import access_service_pb2
from chassis.runtime.host import run_service
from chassis.runtime.logs import set_up_logs
from chassis.runtime.settings import SERVICES, Settings
from chassis.runtime.telemetry import Metrics, set_up_metrics
from gateway.app.keys import resolver
from gateway.app.prove import Proof, prove
from gateway.calls import Calls
from suite.commands import files, operations, people, planning
from suite.commands.shared import client, console, progress_bars, run
from suite.demo import DemoDay
from suite.doctor import examine
from suite.file_day import FileDay
from suite.files import MAPPINGS, load_mapping
from suite.modules import BUILDS
from suite.report import show_day, show_delivery, show_findings, show_proof
from suite.rows import Progress
from suite.tour import prepare, show_tour
from suite.trade import make_day
from suite.up import Suite, free_ports, migrate_all, running_suite, wait_for_schema

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Argosy: orders from every channel to the ledger.")
app.add_typer(operations.dlq, name="dlq")
app.add_typer(operations.audit, name="audit")
app.add_typer(people.key, name="key")
app.add_typer(people.user, name="user")
app.add_typer(files.imports, name="import")
app.add_typer(files.exports, name="export")
app.add_typer(planning.plan, name="plan")


async def until_told(*, quiet: bool = False) -> None:
    """Waits for an interrupt or a termination."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.set)
    await stop.wait()
    if not quiet:
        console.print("draining …")


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


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
