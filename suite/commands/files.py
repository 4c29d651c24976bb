"""`argosy import` and `argosy export`: files in and out of a running suite."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from argosy.catalog.v1 import item_pb2
from argosy.gateway.v1 import deliveries_service_pb2
from gateway.calls import Calls
from gateway.channels.commands import Unreadable
from suite import x12_files
from suite.commands.shared import calling, console, progress_bars, run
from suite.demand_rows import import_demand
from suite.files import connect_files, import_orders, import_stock, load_mapping
from suite.item_rows import export_items, import_items
from suite.listing_rows import export_listings, export_prices, import_listings, import_prices
from suite.report import show_delivery, show_document, show_rows
from suite.rows import REFUSED, Progress, Report
from suite.shopify_rows import ShopifyProducts

imports = typer.Typer(no_args_is_help=True, help="Bring files in, with a report row by row.")
exports = typer.Typer(no_args_is_help=True, help="Write files, as import reads them.")


ReportTo = Annotated[Path | None, typer.Option("--report", help="Write what became of every row here, as CSV.")]
LIFECYCLES = [name.removeprefix("LIFECYCLE_").lower() for name in item_pb2.Lifecycle.keys()[1:]]


def _import(work: Callable[[Calls, Progress, Report], Coroutine[Any, Any, None]], to: Path | None) -> None:
    """Runs an import with its progress bar, shows what was refused, and exits with 1 where anything was."""

    async def all_of_it(report: Report) -> None:
        async with calling() as calls:
            with progress_bars() as progress:
                await work(calls, progress, report)

    try:
        with Report(to) as report:
            run(all_of_it(report))
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    show_rows(console, report)
    sys.exit(1 if report.counts[REFUSED] else 0)


def _export(work: Callable[[Calls, Progress], Coroutine[Any, Any, int]], file: Path) -> None:
    async def all_of_it() -> int:
        async with calling() as calls:
            with progress_bars() as progress:
                return await work(calls, progress)

    console.print(f"{run(all_of_it())} rows are in {file}")


@imports.command("items")
def import_items_command(file: Path, report: ReportTo = None) -> None:
    """Set items up as drafts, and change those that are known, from a CSV file whose columns are the fields of an item."""
    _import(lambda calls, progress, rows: import_items(calls, file, progress, rows), report)


@imports.command("listings")
def import_listings_command(file: Path, report: ReportTo = None) -> None:
    """List items from a CSV file: channel_id, channel_sku, sku, units, unit."""
    _import(lambda calls, progress, rows: import_listings(calls, file, progress, rows), report)


@imports.command("prices")
def import_prices_command(file: Path, report: ReportTo = None) -> None:
    """Set list prices from a CSV file: sku, currency, amount, channel_id, customer_group, min_quantity, valid_from, valid_until."""
    _import(lambda calls, progress, rows: import_prices(calls, file, progress, rows), report)


@imports.command("shopify")
def import_shopify_command(
    file: Path,
    currency: Annotated[str, typer.Option(help="ISO 4217 code of the shop's prices.")] = "EUR",
    channel: Annotated[str, typer.Option(help="The channel that lists them at these prices; without it the prices hold for all.")] = "",
    tax_class: Annotated[str, typer.Option(help="The tax class of what is taxable.")] = "standard",
    report: ReportTo = None,
) -> None:
    """Set items up from a shop's product export, with prices and listings."""

    async def bring(calls: Calls, progress: Progress, rows: Report) -> None:
        await ShopifyProducts(calls, file, channel, currency, tax_class).bring(progress, rows)

    _import(bring, report)


@imports.command("stock")
def import_stock_command(
    file: Path,
    currency: Annotated[str, typer.Option(help="ISO 4217 code of the values.")] = "EUR",
    report: ReportTo = None,
) -> None:
    """Take opening stock in from a CSV file: location_id, sku, quantity, value, lot.

    What was refused is brought in by a file of those rows alone: a changed file is another one, and all of it would be taken in.
    """
    _import(lambda calls, progress, rows: import_stock(calls, file, currency, progress, rows), report)


@imports.command("demand")
def import_demand_command(file: Path, report: ReportTo = None) -> None:
    """Make past demand known from a CSV file: sku, location_id, day, quantity."""
    _import(lambda calls, progress, rows: import_demand(calls, file, progress, rows), report)


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
        left_out = 0
        async with calling() as calls:
            if mapping is not None:
                await connect_files(calls, channel, entity, load_mapping(mapping), returns_location)
            with progress_bars() as progress:
                found = [await import_orders(calls, file, channel, progress) for file in files]
            for delivery in found:
                show_delivery(console, delivery)
                left_out += delivery.report.left_out + delivery.open_orders
        return left_out

    try:
        left_out = run(work())
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    sys.exit(1 if left_out else 0)


@imports.command("x12")
def import_x12_command(
    files: list[Path], channel: Annotated[str, typer.Option(help="The connection of the warehouse that wrote them.")]
) -> None:
    """Deliver a warehouse's X12 documents, 945 and 997, and wait until they are carried out."""

    async def work() -> list[deliveries_service_pb2.Delivery]:
        async with calling() as calls:
            with progress_bars() as progress:
                return await x12_files.deliver(calls, channel, files, progress)

    try:
        found = run(work())
    except (ValueError, OSError, Unreadable) as error:
        raise typer.BadParameter(str(error)) from error
    for one in found:
        show_document(console, one)
    sys.exit(1 if any(one.state != deliveries_service_pb2.DELIVERY_STATE_DONE for one in found) else 0)


@exports.command("x12")
def export_x12_command(channel: str, folder: Path) -> None:
    """Write the X12 documents that wait for a warehouse, 940 and 997, a file each, and mark them as sent."""

    async def work() -> int:
        async with calling() as calls:
            with progress_bars() as progress:
                return await x12_files.fetch(calls, channel, folder, progress)

    console.print(f"{run(work())} documents are in {folder}")


@exports.command("items")
def export_items_command(
    file: Path, lifecycle: Annotated[str, typer.Option(help="Only those that stand here; all where empty.")] = ""
) -> None:
    """Write all items as a CSV file that `import items` reads."""
    if lifecycle and lifecycle not in LIFECYCLES:
        raise typer.BadParameter(f"choose one of {', '.join(LIFECYCLES)}")
    stands = item_pb2.Lifecycle.Value(f"LIFECYCLE_{lifecycle.upper() or 'UNSPECIFIED'}")
    _export(lambda calls, progress: export_items(calls, file, stands, progress), file)


@exports.command("listings")
def export_listings_command(channel: str, file: Path) -> None:
    """Write a channel's listings as a CSV file that `import listings` reads."""
    _export(lambda calls, progress: export_listings(calls, channel, file, progress), file)


@exports.command("prices")
def export_prices_command(file: Path) -> None:
    """Write all list prices, past ones too, as a CSV file that `import prices` reads."""
    _export(lambda calls, progress: export_prices(calls, file, progress), file)
