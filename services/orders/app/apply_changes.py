"""Writes what the process of an order changed, for many orders at once: lines, money, holds, history, status."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from argosy.orders.v1 import orders_events_pb2
from chassis.kernel.clock import DAY, SECOND, day_of, to_timestamp
from chassis.kernel.ids import new_id
from chassis.kernel.words import counted
from chassis.runtime.work import Stake, Work
from services.orders.app.agree_refund import start_refund
from services.orders.app.hold_kinds import hold_kind
from services.orders.app.judge_orders import Judge
from services.orders.app.settle_change import settle
from services.orders.app.take_payment import ask_provider, is_open, left_of
from services.orders.domain.amounts import is_settled, priced, shipping_of, units_worth, worth_left
from services.orders.domain.holds import OUTLIVES, REASONS
from services.orders.domain.status import Quantities, derive
from services.orders.process import fulfil_order
from services.orders.process import messages as m
from services.orders.process.take_payment import CAPTURE, VOID
from services.orders.store.tables import CHANGES, CHASSIS, HISTORY, LINES, OFFERS, ORDERS, REFUNDS, SHIPMENTS, TENDERS

MONEY = ("captured_minor", "refunded_minor", "deposits_minor", "receivable_minor", "shipping_tax_minor", "total_minor", "pay_by")
FLOW = ("released_at", "ended_at", "was_held", "was_changed", "parcels")
JUDGED = ("hints", "payment_days")
PROMISED = ("promised_by", "expected_by")
WRITTEN = (*MONEY, *FLOW, *JUDGED, *PROMISED)
MOVED = (
    "order_id", "ship_to", "country_code", "region", "postal_prefix", "shipping_method", "shipping_minor", "shortage_policy", "buyer",
    "signature", "settled_shipping_minor", "settled_shipping_tax_minor",
)  # fmt: skip
COUNTS = ("ordered", "waiting", "reserved", "released", "shipped", "cancelled", "backordered")
# What changes of a line on its way, and what hardly ever does once its item and tax are known.
FLOWING = (*COUNTS, "shipped_at")
KNOWN = (
    "item_id", "sku", "tax_class", "hazmat_class", "export_control_class", "units", "weight_g", "tax_minor", "list_price_minor",
    "price_includes_tax", "restricted", "sellable_from",
)  # fmt: skip
ORDER = ("order_id",)


class _Book:
    """The orders that changed, with all their rows, in memory."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.orders: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.before: dict[str, tuple[Any, ...]] = {}
        self.tenders: dict[str, list[Any]] = defaultdict(list)
        self.held: set[tuple[str, str]] = set()
        self.delivered: dict[str, bool] = {}
        self.history: list[dict[str, Any]] = []
        self.refunds: list[dict[str, Any]] = []
        self.lifted: list[tuple[str, str]] = []
        self.ended: set[str] = set()
        self.parcels: Counter[str] = Counter()
        self.capturing: dict[str, int] = {}
        self.refunding: dict[str, int] = {}
        self.changed: set[str] = set()
        self.judge: Judge | None = None

    def record(self, order_id: str, kind: str, detail: str) -> None:
        """Writes a line of history."""
        actor = self.work.causes[order_id].actor
        self.history.append(
            {"entry_id": new_id(), "order_id": order_id, "at": self.work.now, "kind": kind, "detail": detail, "actor": actor}
        )

    def hold(self, order_id: str, reason: str, detail: str) -> None:
        """Raises a hold and says so in the history."""
        order = self.orders[order_id]
        stake = Stake(order["total_minor"], order["currency_code"], order["ship_by"])
        self.work.hold(hold_kind(reason), "order", order_id, detail, stake)
        self.held.add((order_id, reason))
        self.record(order_id, f"HOLD_{reason}", detail)

    def lift(self, order_id: str, reason: str) -> None:
        """Releases a hold, where it is open."""
        if (order_id, reason) in self.held:
            self.held.discard((order_id, reason))
            self.lifted.append((order_id, reason))


async def apply_changes(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Applies the changes in their order."""
    paid = any(isinstance(change, m.KeepTax | m.BookCancellation) for _, change in changes)
    leaves = any(isinstance(change, m.BookShipment | m.Complete) for _, change in changes)
    book = await _open(work, sorted({order_id for order_id, _ in changes}), paid=paid, leaves=leaves)
    taxed = {order_id for order_id, change in changes if isinstance(change, m.KeepTax)}
    if taxed:
        book.judge = await Judge.of(work, [book.orders[order_id] for order_id in sorted(taxed)])
    for order_id, change in changes:
        work.cause = work.causes[order_id]
        if isinstance(change, m.SettleChange):
            detail = await settle(work, book.orders[order_id], book.lines[order_id], change.change_id, change.refused)
            book.record(order_id, "CHANGE_REFUSED" if change.refused else "CHANGED", detail)
            book.changed.add(order_id)
            # New lines are written; what this batch made of the others before is not yet.
            for line_id, line in book.lines[order_id].items():
                book.before.setdefault(line_id, _cells(line))
        else:
            _apply(book, order_id, change)
    await _write(book)


def _apply(book: _Book, order_id: str, change: Struct) -> None:
    match change:
        case m.KeepItems(items):
            _keep_items(book, order_id, items)
        case m.KeepSale(moments):
            for line_id, moment in moments.items():
                book.lines[order_id][line_id]["sellable_from"] = moment
        case m.KeepTax():
            _keep_tax(book, order_id, change)
        case m.KeepPromise(deliver_by, partial):
            _keep_promise(book, order_id, deliver_by, partial=partial)
        case m.KeepQuantities(lines):
            for line_id, counts in lines.items():
                book.lines[order_id][line_id].update({name: getattr(counts, name) for name in COUNTS[1:]})
        case m.BookShipment(shipment_id, lines):
            _book_shipment(book, order_id, shipment_id, lines)
        case m.BookCancellation(lines, reason):
            _book_cancellation(book, order_id, lines, reason)
        case m.RaiseHold(reason, detail):
            book.hold(order_id, reason, detail)
        case m.LiftHold(reason):
            book.lift(order_id, reason)
            book.record(order_id, f"LIFTED_{reason}", "")
        case m.Record(kind, detail):
            book.record(order_id, kind, detail)
        case m.Complete():
            _complete(book, order_id)
        case _:
            raise TypeError(f"unknown change {type(change).__name__}")


async def _open(work: Work, ids: list[str], *, paid: bool, leaves: bool) -> _Book:
    """Reads what decisions need: tenders where it matters what was `paid`, or where something `leaves` and not all was.

    Parcels only where something leaves or has left.
    """
    book = _Book(work)
    tx = work.tx
    keys = [(one,) for one in ids]
    for row in await tx.find(ORDERS, ORDER, keys, order=ORDER, lock=True):
        book.orders[row.order_id] = dict(zip(row._fields, row, strict=True))
    for row in await tx.find(LINES, ORDER, keys, order=("position",)):
        book.lines[row.order_id][row.line_id] = line = dict(zip(row._fields, row, strict=True))
        book.before[row.line_id] = _cells(line)
    owing = leaves and any(order["captured_minor"] < order["total_minor"] for order in book.orders.values())
    if paid or owing:
        for row in await tx.find(TENDERS, ORDER, keys, order=("tender_id",)):
            book.tenders[row.order_id].append(row)
    named = ("subject_id", "reason")
    blocking = await tx.find(CHASSIS.holds, named[:1], keys, only=named, where=CHASSIS.open_holds)
    book.held = {(row.subject_id, row.reason) for row in blocking} | work.raised()
    if leaves or any(line["shipped"] for lines in book.lines.values() for line in lines.values()):
        for row in await tx.find(SHIPMENTS, ORDER, keys):
            book.delivered[row.order_id] = book.delivered.get(row.order_id, True) and bool(row.delivered)
            book.parcels[row.order_id] += 1
    return book


def _cells(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in (*KNOWN, *FLOWING))


def _keep_items(book: _Book, order_id: str, items: dict[str, m.Item]) -> None:
    country = book.orders[order_id]["country_code"]
    for line_id, item in items.items():
        line = book.lines[order_id][line_id]
        if not line["item_id"]:
            for name in COUNTS:
                line[name] *= item.units
            line["units"] = item.units
        line.update(
            item_id=item.item_id, sku=item.sku, tax_class=item.tax_class, weight_g=item.weight_g,
            list_price_minor=item.list_price_minor, price_includes_tax=int(item.price_includes_tax),
            restricted=int(country in item.restricted_countries), hazmat_class=item.hazmat_class,
            export_control_class=item.export_control_class, sellable_from=item.sellable_from,
        )  # fmt: skip


def _keep_tax(book: _Book, order_id: str, tax: m.KeepTax) -> None:
    order, lines = book.orders[order_id], book.lines[order_id]
    # What is settled was taxed when it shipped.
    open_lines = [line for line in lines.values() if not is_settled(line)]
    computed = sum(tax.line_tax_minor.values()) + tax.shipping_tax_minor
    charged = sum(line["tax_minor"] for line in open_lines) + order["shipping_tax_minor"] - order["settled_shipping_tax_minor"]
    if not order["tax_charged"]:
        for line_id, amount in tax.line_tax_minor.items():
            lines[line_id]["tax_minor"] = amount
        order["shipping_tax_minor"] = order["settled_shipping_tax_minor"] + tax.shipping_tax_minor
        order["total_minor"] += computed - charged
        charged = computed
    if tax.changed:
        _pay_back(book, order_id, order["deposits_minor"] - worth_left(order, list(lines.values())), "the order changed")
    assert book.judge is not None
    judgement = book.judge.judge(order, open_lines, book.tenders[order_id], tax, charged - computed)
    reasons: dict[str, list[str]] = {}
    for one in judgement.holds:
        reasons.setdefault(one.reason, []).append(one.detail)
    for reason, details in reasons.items():
        if (order_id, reason) not in book.held:
            book.hold(order_id, reason, "; ".join(details))
    book.work.deliver(fulfil_order.NAME, order_id, m.Validated(list(reasons)))


def _about(order: dict[str, Any]) -> dict[str, Any]:
    return {name: order[name] for name in ("order_id", "channel_id", "entity", "currency_code")}


def _book_shipment(book: _Book, order_id: str, shipment_id: str, counts: list[m.LineCount]) -> None:
    order, lines = book.orders[order_id], book.lines[order_id]
    units = sum(count.quantity for count in counts)
    shipping = shipping_of(order, lines.values(), units)
    event = orders_events_pb2.LinesShipped(shipment_id=shipment_id, external_order_id=order["external_order_id"], **_about(order))
    for count in counts:
        line = lines[count.line_id]
        before, each = line["shipped"], line["units"]
        worth = units_worth(priced(line), before, count.quantity)
        line["shipped"] += count.quantity
        line["shipped_at"] = book.work.now
        event.product_minor += worth.product_minor
        event.discount_minor += worth.discount_minor
        event.tax_minor += worth.tax_minor
        event.lines.add(
            line_id=count.line_id, sku=line["sku"], quantity=line["shipped"] // each - before // each,
            product_minor=worth.product_minor, discount_minor=worth.discount_minor, tax_minor=worth.tax_minor,
        )  # fmt: skip
    event.shipping_minor = shipping.product_minor
    event.tax_minor += shipping.tax_minor
    event.total_minor = event.product_minor - event.discount_minor + event.shipping_minor + event.tax_minor
    event.from_deposits_minor = min(event.total_minor, order["deposits_minor"])
    event.to_receivable_minor = event.total_minor - event.from_deposits_minor
    order["deposits_minor"] -= event.from_deposits_minor
    order["receivable_minor"] += event.to_receivable_minor
    _take(book, order_id, event.to_receivable_minor)
    if event.to_receivable_minor and order["pay_by"] is None:
        order["pay_by"] = book.work.now + order["payment_days"] * DAY
    book.record(order_id, "SHIPPED", f"{counted(units, 'unit')} with {shipment_id}")
    book.work.emit(event)


def _take(book: _Book, order_id: str, amount_minor: int) -> None:
    """Asks the provider for what shipped and is not paid, of what it has authorised."""
    for tender in book.tenders[order_id]:
        capturing = book.capturing.get(tender.tender_id, tender.capturing_minor)
        part = min(amount_minor, tender.amount_minor - tender.captured_minor - capturing) if is_open(tender) else 0
        if part > 0:
            amount_minor -= part
            ask_provider(book.work, order_id, tender.tender_id, CAPTURE, part)
            book.capturing[tender.tender_id] = capturing + part


def _book_cancellation(book: _Book, order_id: str, counts: list[m.LineCount], reason: str) -> None:
    """Says what will not ship; money that was paid for it, and is needed for nothing else, goes back."""
    order, lines = book.orders[order_id], book.lines[order_id]
    before = worth_left(order, list(lines.values()))
    for count in counts:
        line = lines[count.line_id]
        line["cancelled"] += count.quantity
        taken = min(line["waiting"], count.quantity)
        line["waiting"] -= taken
        line["reserved"] -= count.quantity - taken
        line["released"] = min(line["released"], line["reserved"])
    after = worth_left(order, list(lines.values()))
    # Of one of the channel's that came apart, a part counts as one.
    units = sum(-(-count.quantity // lines[count.line_id]["units"]) for count in counts)
    book.record(order_id, "CANCELLED", f"{counted(units, 'unit')}: {reason}")
    book.work.emit(orders_events_pb2.LinesCancelled(order_id=order_id, channel_id=order["channel_id"], reason=reason, units=units))
    _pay_back(book, order_id, min(before - after, order["deposits_minor"] - after), reason)


def _pay_back(book: _Book, order_id: str, excess: int, reason: str) -> None:
    """Starts giving back what was paid for units that do not ship, where that is anything."""
    order = book.orders[order_id]
    if excess > 0:
        order["deposits_minor"] -= excess
        order["refunded_minor"] += excess
        tenders, refunding = book.tenders[order_id], book.refunding
        row = start_refund(book.work, order_id, tenders, excess, refunding, kind="deposit", reason=reason, return_id="")
        book.refunds.append(row)


def _complete(book: _Book, order_id: str) -> None:
    shipped = any(line["shipped"] for line in book.lines[order_id].values())
    status = "SHIPPED" if shipped else "CANCELLED"
    book.record(order_id, "COMPLETED", status)
    if book.orders[order_id]["ended_at"] is None:
        book.orders[order_id].update(ended_at=book.work.now, parcels=book.parcels[order_id])
        book.ended.add(order_id)
    about = {"order_id": order_id, "channel_id": book.orders[order_id]["channel_id"]}
    book.work.emit(orders_events_pb2.OrderCompleted(status=status, **about))
    for reason in REASONS:
        if reason not in OUTLIVES:
            book.lift(order_id, reason)
    for tender in book.tenders[order_id]:
        # What is being taken or renewed is let go after that.
        taking = book.capturing.get(tender.tender_id, tender.capturing_minor)
        if is_open(tender) and not taking and not tender.renewing:
            ask_provider(book.work, order_id, tender.tender_id, VOID, left_of(tender))


def _keep_promise(book: _Book, order_id: str, deliver_by: int, *, partial: bool) -> None:
    """The first date is the promise, where the checkout made none; a later one is told as a delay, once for each date."""
    order = book.orders[order_id]
    before = order["expected_by"]
    expected = max(deliver_by, before or 0) if partial else deliver_by
    promised = order["promised_by"] = order["promised_by"] or expected
    order["expected_by"] = expected
    if expected > promised and expected != before:
        book.record(order_id, "DELAYED", f"expected on {day_of(expected - SECOND)}, promised for {day_of(promised - SECOND)}")
        book.work.emit(
            orders_events_pb2.OrderDelayed(
                order_id=order_id, channel_id=order["channel_id"], promised_by=to_timestamp(promised), expected_by=to_timestamp(expected)
            )
        )


async def _look_back(book: _Book) -> None:
    """Notes of orders that end what it took until there: whether they waited for a person, and whether somebody changed them."""
    if not book.ended:
        return
    work, keys, holds = book.work, [(order_id,) for order_id in sorted(book.ended)], CHASSIS.holds
    raised = {subject_id for subject_id, _ in work.raised()}
    held = raised | {row.subject_id for row in await work.tx.find(holds, ("subject_id",), keys, only=("subject_id",))}
    changed = {row.order_id for table in (CHANGES, OFFERS) for row in await work.tx.find(table, ORDER, keys, only=ORDER)}
    for order_id in book.ended:
        book.orders[order_id].update(was_held=int(order_id in held), was_changed=int(order_id in changed))


async def _write(book: _Book) -> None:
    work = book.work
    await _look_back(book)
    await work.release_holds(book.lifted, "the reason is gone")
    held = {order_id for order_id, _ in book.held}
    rows = []
    for order_id, order in book.orders.items():
        lines = [
            Quantities(*(line[name] for name in ("ordered", "waiting", "reserved", "shipped", "cancelled")))
            for line in book.lines[order_id].values()
        ]
        # An order is validated once its lines have items.
        validated = all(line["item_id"] for line in book.lines[order_id].values() if line["ordered"])
        status = derive(lines, validated=validated, held=order_id in held, delivered=book.delivered.get(order_id, False))
        if order["released_at"] is None and any(line["released"] or line["shipped"] for line in book.lines[order_id].values()):
            order["released_at"] = work.now
        rows.append({"order_id": order_id, "status": int(status), "version": 1, **{name: order[name] for name in WRITTEN}})
    await work.tx.change(ORDERS, ORDER, rows, add=("version",))
    if book.judge is not None:
        await book.judge.write()
    moved = [{name: book.orders[order_id][name] for name in MOVED} for order_id in sorted(book.changed)]
    await work.tx.change(ORDERS, ORDER, moved)
    for name, amounts in (("capturing_minor", book.capturing), ("refunding_minor", book.refunding)):
        await work.tx.change(TENDERS, ("tender_id",), [{"tender_id": one, name: amount} for one, amount in amounts.items()])
    await _write_lines(book)
    await work.tx.insert(REFUNDS, book.refunds)
    await work.tx.insert(HISTORY, book.history)


async def _write_lines(book: _Book) -> None:
    known, flowing = [], []
    for lines in book.lines.values():
        for line_id, line in lines.items():
            before, now = book.before[line_id], _cells(line)
            if now[: len(KNOWN)] != before[: len(KNOWN)]:
                known.append({name: line[name] for name in ("line_id", *KNOWN, *FLOWING)})
            elif now != before:
                flowing.append({name: line[name] for name in ("line_id", *FLOWING)})
    await book.work.tx.change(LINES, ("line_id",), known)
    await book.work.tx.change(LINES, ("line_id",), flowing)
