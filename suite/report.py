"""What a person is shown after a day of trade: tables of what happened, and the proof."""

from collections import Counter
from collections.abc import Sequence

from babel.numbers import format_currency, get_currency_precision
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_service_pb2, warehouse_service_pb2
from argosy.gateway.v1 import deliveries_service_pb2
from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import orders_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.words import share
from chassis.runtime.settings import SERVICES
from gateway.app.prove import CHECKS, Proof
from gateway.calls import Calls
from suite.doctor import Finding
from suite.rows import CREATED, REFUSED, Report

SHOWN = 20

HOLDERS = tuple(service for service in SERVICES if service != "catalog")


def money(amount_minor: int, currency_code: str) -> str:
    """Returns an amount for people."""
    return format_currency(amount_minor / 10 ** get_currency_precision(currency_code), currency_code, locale="en")


async def show_day(console: Console, calls: Calls) -> None:
    """Prints what happened."""
    await _orders(console, calls)
    await _flow(console, calls)
    await _holds(console, calls)
    await _splits(console, calls)
    await _picking(console, calls)
    await _stock(console, calls)
    await _returns(console, calls)
    await _margin(console, calls)
    await _trial_balance(console, calls)


def show_proof(console: Console, proof: Proof) -> None:
    """Prints the proof, check by check."""
    table = Table(title="Proof", title_justify="left")
    for name in ("check", "what must be true", "result"):
        table.add_column(name)
    for check, text in CHECKS.items():
        breaks = proof.of(check)
        table.add_row(check, text, "[red]broken[/red]" if breaks else "[green]holds[/green]")
    console.print(table)
    for one in proof.breaks[:20]:
        console.print(f"[red]{one.check}[/red] {one.service}: {one.subject}: {one.detail}", soft_wrap=True)


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Prints what the doctor found: what is well, what is wrong, and what to do."""
    table = Table()
    for name in ("", "what", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for one in findings:
        mark = "[green]✓[/green]" if one.well else "[red]✗[/red]" if one.grave else "[yellow]![/yellow]"
        table.add_row(mark, one.what, escape(one.text), "" if one.well else escape(one.advice))
    console.print(table)


def show_delivery(console: Console, delivery: deliveries_service_pb2.Delivery) -> None:
    """Prints what was found in an order file, and the rows that were left out by their reason."""
    report = delivery.report
    state = deliveries_service_pb2.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_")
    table = _table(f"{delivery.provider_delivery_id.rsplit(':', 1)[0]}: {state} {delivery.detail}", ("rows", "left"), ("", "right"))
    table.add_row("in the file", str(report.rows))
    table.add_row("orders", str(report.orders))
    table.add_row("cancellations and returns", str(report.give_backs))
    table.add_row("exact duplicates, dropped", str(report.duplicates))
    table.add_row("left out", str(report.left_out))
    table.add_row("orders that wait for a person", str(delivery.open_orders))
    console.print(table)
    for row in report.reported[:SHOWN]:
        console.print(f"  line {row.row}, {row.order_number} {row.field}: {row.reason}", soft_wrap=True, highlight=False)
    if report.left_out > SHOWN:
        console.print(f"  … and {report.left_out - SHOWN} more; ask GET /v1/deliveries/{delivery.delivery_id}", soft_wrap=True)


def show_document(console: Console, delivery: deliveries_service_pb2.Delivery) -> None:
    """Prints what became of a document."""
    state = deliveries_service_pb2.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_")
    waits = f", {delivery.open_orders} wait for a person" if delivery.open_orders else ""
    text = f"{delivery.provider_delivery_id}: {state}, {delivery.orders} orders{waits} {delivery.detail}"
    console.print(text.rstrip(), soft_wrap=True, highlight=False)


def show_rows(console: Console, report: Report) -> None:
    """Prints what became of rows, and the first that were refused."""
    counts = {name: count for name, count in sorted(report.counts.items()) if name != REFUSED}
    taken, refused = sum(counts.values()), report.counts[REFUSED]
    said = f" ({', '.join(f'{count} {name}' for name, count in counts.items())})" if set(counts) - {CREATED} else ""
    console.print(f"{taken} of {taken + refused} rows were taken{said}")
    for row in report.refused:
        console.print(f"  line {row.row}, {row.subject}: {row.refusal}: {row.detail}", soft_wrap=True, highlight=False)
    if refused > len(report.refused):
        console.print(f"  … and {refused - len(report.refused)} more; name a --report to have them all")


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name, justify in columns:
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    return table


async def _orders(console: Console, calls: Calls) -> None:
    figures = await calls.orders.GetFigures(orders_service_pb2.GetFiguresRequest())
    total = sum(figures.by_status.values())
    table = _table("Orders by state", ("state", "left"), ("orders", "right"), ("share", "right"))
    for status, count in sorted(figures.by_status.items()):
        table.add_row(status, str(count), share(count, total))
    console.print(table)


async def _flow(console: Console, calls: Calls) -> None:
    figures = await calls.orders.GetFlowFigures(orders_service_pb2.GetFlowFiguresRequest(days=1))
    columns = ("ended", "waiting", "touchless", "cancelled", "split", "to the warehouse")
    table = _table(
        "How orders flowed: what needed nobody, and how long until a warehouse was told (half of them, nineteen of twenty)",
        ("channel", "left"),
        *((name, "right") for name in columns),
    )
    for flow in [*figures.channels, figures.whole]:
        untouched, cancelled = share(flow.touchless, flow.shipped + flow.waiting), share(flow.cancelled, flow.ended)
        took = f"{flow.to_warehouse.p50_s} s, {flow.to_warehouse.p95_s} s"
        counts = (str(flow.ended), str(flow.waiting))
        table.add_row(flow.channel_id or "all", *counts, untouched, cancelled, share(flow.split, flow.shipped), took)
    console.print(table)


async def _holds(console: Console, calls: Calls) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for service in HOLDERS:
        token = ""
        while True:
            request = holds_service_pb2.ListHoldsRequest(service=service, page_size=500, page_token=token)
            answer = await calls.holds(service).ListHolds(request)
            counts.update((hold.queue, hold.reason, service) for hold in answer.holds)
            token = answer.next_page_token
            if not token:
                break
    table = _table("Open holds by queue", ("queue", "left"), ("reason", "left"), ("service", "left"), ("holds", "right"))
    for (queue, reason, service), count in sorted(counts.items()):
        table.add_row(queue, reason, service, str(count))
    console.print(table)


async def _splits(console: Console, calls: Calls) -> None:
    per_order: Counter[str] = Counter()
    token = ""
    while True:
        request = fulfillment_service_pb2.ListShipmentsRequest(page_size=500, page_token=token)
        answer = await calls.fulfillment.ListShipments(request)
        per_order.update(shipment.order_id for shipment in answer.shipments)
        token = answer.next_page_token
        if not token:
            break
    table = _table("Parcels per shipped order", ("parcels", "right"), ("orders", "right"))
    for parcels, count in sorted(Counter(per_order.values()).items()):
        table.add_row(str(parcels), str(count))
    console.print(table)


async def _picking(console: Console, calls: Calls) -> None:
    figures = await calls.warehouse.GetWarehouseFigures(warehouse_service_pb2.GetWarehouseFiguresRequest())
    columns = (("picker", "left"), ("lists", "right"), ("picks", "right"), ("units", "right"), ("not found", "right"), ("found", "right"))
    table = _table("Picked from bins", *columns)
    for one in figures.workers:
        found = f"{one.accuracy_ppm / 1_000_000:.1%}" if one.lists else ""
        table.add_row(
            one.worker.removeprefix("user:") or "together", *(f"{n:,}" for n in (one.lists, one.picks, one.units, one.shorted)), found
        )
    console.print(table)


async def _stock(console: Console, calls: Calls) -> None:
    totals: Counter[tuple[str, str]] = Counter()
    token = ""
    while True:
        answer = await calls.stock.ListBalances(stock_service_pb2.ListBalancesRequest(page_size=500, page_token=token))
        for balance in answer.balances:
            state = stock_pb2.StockState.Name(balance.state).removeprefix("STOCK_STATE_").lower()
            totals[balance.location_id, state] += balance.quantity
        token = answer.next_page_token
        if not token:
            break
    states = sorted({state for _, state in totals})
    table = _table("Stock by state, units", ("location", "left"), *((name, "right") for name in states))
    for location in sorted({location for location, _ in totals}):
        table.add_row(location, *(f"{totals[location, state]:,}" for state in states))
    console.print(table)


async def _returns(console: Console, calls: Calls) -> None:
    counts: Counter[str] = Counter()
    answer = await calls.returns.ListReturns(returns_service_pb2.ListReturnsRequest(page_size=500))
    for one in answer.returns:
        counts[returns_service_pb2.ReturnStatus.Name(one.status).removeprefix("RETURN_STATUS_")] += 1
    table = _table("Returns by state", ("state", "left"), ("returns", "right"))
    for status, count in sorted(counts.items()):
        table.add_row(status, str(count))
    console.print(table)


async def _margin(console: Console, calls: Calls) -> None:
    answer = await calls.finance.GetMargin(finance_service_pb2.GetMarginRequest())
    table = _table(
        "Margin by channel",
        ("channel", "left"),
        ("revenue", "right"),
        ("cost", "right"),
        ("freight", "right"),
        ("margin", "right"),
        ("", "right"),
    )
    for one in answer.channels:
        amounts = (one.revenue_minor, one.cost_minor, one.freight_minor, one.margin_minor)
        table.add_row(one.channel_id, *(money(amount, one.currency_code) for amount in amounts), share(one.margin_minor, one.revenue_minor))
    console.print(table)


async def _trial_balance(console: Console, calls: Calls) -> None:
    answer = await calls.finance.GetTrialBalance(finance_service_pb2.GetTrialBalanceRequest())
    table = _table("Trial balance", ("account", "left"), ("name", "left"), ("debit", "right"), ("credit", "right"))
    totals: dict[str, list[int]] = {}
    for row in answer.rows:
        debit, credit = max(row.balance_minor, 0), max(-row.balance_minor, 0)
        sums = totals.setdefault(row.currency_code, [0, 0])
        sums[0] += debit
        sums[1] += credit
        table.add_row(row.account, row.account_name, *(money(x, row.currency_code) if x else "" for x in (debit, credit)))
    table.add_section()
    for currency, sums in totals.items():
        table.add_row("", "Total", *(money(x, currency) for x in sums))
    console.print(table)
