"""What commands share: the console, the loop, a client of a running suite, progress bars."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import typer
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from chassis.kernel.errors import Refusal
from chassis.runtime.auth import Tokens
from chassis.runtime.channels import GrpcChannels
from chassis.runtime.host import service_secret
from chassis.runtime.settings import Settings
from gateway.calls import Calls
from suite.rows import Progress

console = Console()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs on uvloop; a refusal is said, and ends the command with 1."""
    try:
        return uvloop.run(work)
    except Refusal as refusal:
        console.print(f"[red]{refusal.reason}[/red] {escape(refusal.message)}")
        raise typer.Exit(1) from refusal


def client(settings: Settings) -> GrpcChannels:
    """Returns channels into a suite that runs elsewhere."""
    return GrpcChannels(settings, Tokens("suite", service_secret(settings)))


@asynccontextmanager
async def calling() -> AsyncIterator[Calls]:
    """Opens calls into a suite that runs elsewhere."""
    channels = client(Settings())
    try:
        yield Calls(channels)
    finally:
        await channels.close()


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
