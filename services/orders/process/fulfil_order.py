"""The life of an order, top to bottom: resolve, tax, validate, plan, reserve, release, ship; cancel at any moment.

`decide` takes what the process is told and answers what follows. One thing is asked for at a time (`asking`); what is
told meanwhile is kept in the state, and `_go_on` chooses the next step from the state alone.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from chassis.kernel.clock import DAY, MINUTE
from chassis.kernel.process import Do, Fired, HoldReleased, Next, Timer
from services.orders.domain.holds import blocked_step
from services.orders.process.messages import (
    BookCancellation,
    BookShipment,
    CalculateTax,
    CancelDemand,
    CancelRequested,
    CancelReservation,
    ChangeRequested,
    Complete,
    Counts,
    DemandCancelled,
    Demanded,
    DemandRefused,
    GiveBack,
    Item,
    ItemsResolved,
    KeepItems,
    KeepPromise,
    KeepQuantities,
    KeepTax,
    LiftHold,
    LineCount,
    Paid,
    Part,
    Placed,
    PlaceDemand,
    Planned,
    PlanOrder,
    RaiseHold,
    Recalled,
    RecallOrder,
    Record,
    Rejected,
    Released,
    ReleaseOrder,
    ReservationCancelled,
    Reserved,
    ReserveRefused,
    ReserveStock,
    ResolveItems,
    SettleChange,
    Shipped,
    Shorted,
    StepFailed,
    StockTaken,
    SupplyCame,
    SupplyDated,
    TaxCalculated,
    Validated,
)

NAME = "fulfil_order"
MOST_PLANS = 3
RESTOCK_EVERY = 15 * MINUTE
CHANGED = "the order changed"
NOTHING_WAITS = ("OUT_OF_STOCK", "UNKNOWN_DATE")
SHIP_WITHIN = 3 * DAY
SHIP_AVAILABLE, SHIP_COMPLETE, CANCEL_SHORT, HOLD_SHORT, BACKORDER = 1, 2, 3, 4, 5


class Line(Struct, frozen=True):
    """How far a line got, in stock units. Where: location → units."""

    units: int
    waiting: int
    reserved: dict[str, int] = field(default_factory=dict)
    released: dict[str, int] = field(default_factory=dict)
    shipped: int = 0
    cancelled: int = 0
    # Of what waits, how much waits for supply at inventory.
    backordered: int = 0


class State(Struct, frozen=True):
    """All that the process knows."""

    order_id: str
    policy: int
    lines: dict[str, Line]
    validated: bool = False
    asking: str = ""
    asked: int = 0
    plan: list[Part] = field(default_factory=list)
    plans: int = 0
    short: bool = False
    excluded: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    to_cancel: dict[str, int] = field(default_factory=dict)
    cancelling: list[LineCount] = field(default_factory=list)
    cancel_reason: str = ""
    # What inventory did by itself while something else was asked.
    later: list[SupplyCame | StockTaken] = field(default_factory=list)
    # What supply brought too late.
    surplus: list[Part] = field(default_factory=list)
    # By when the supply comes that lines wait for; 0 where none was told.
    supply_by: int = 0
    # What waits for supply that is not in sight is to be looked for everywhere again.
    seek: bool = False
    # A change that is to be applied once nothing is under way any more; what the rules held it for last.
    change: str = ""
    judged: list[str] = field(default_factory=list)


Changes = tuple[Struct, ...]
Step = tuple[State, Changes]


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    following, changes = _told(state, message)
    following, more, do = _go_on(following)
    changes += more
    if following.lines != state.lines:
        changes = (*changes, KeepQuantities({key: _counts(line) for key, line in following.lines.items()}))
    ended = _is_over(following)
    if ended and not _is_over(state):
        changes = (*changes, Complete())
    return Next(following, do, _timers(state, following, now, ended), changes, ended)


def _is_over(state: State) -> bool:
    return state.asking in ("", "give_back") and _open_units(state) == 0


def _told(state: State, message: Struct) -> Step:
    match message:
        case Placed():
            return _ask(state, "resolve"), ()
        case ItemsResolved(items):
            return _resolved(state, items)
        case TaxCalculated(line_tax_minor, shipping_tax_minor, unknown):
            return state, (KeepTax(line_tax_minor, shipping_tax_minor, unknown),)
        case Validated(reasons):
            return _validated(state, reasons)
        case Planned():
            return _planned(state, message)
        case Reserved():
            return _reserved(state)
        case ReserveRefused(reason):
            return replace(state, asking="", plan=[], plans=state.plans + 1), (Record("RESERVE_REFUSED", reason),)
        case Released():
            return _released(state) if state.asking == "release" else (replace(state, asking=""), ())
        case Recalled(parts) if state.asking == "recall_all":
            return _recalled_to_change(state, parts)
        case Recalled(parts):
            return _recalled(state, parts)
        case ReservationCancelled() if state.asking == "give_back":
            return replace(state, asking="", surplus=[]), ()
        case ReservationCancelled() if state.asking == "unreserve_all":
            lines = {key: replace(line, waiting=line.waiting + _count(line.reserved), reserved={}) for key, line in state.lines.items()}
            return replace(state, asking="", lines=lines), ()
        case ReservationCancelled():
            return _reservation_cancelled(state)
        case Shorted(parts):
            return _shorted(_caught_up(state, parts), parts)
        case Rejected(parts, reason):
            return _given_up(_caught_up(state, parts), parts, "REJECTED", f"{_places(parts)}: {reason}")
        case Shipped(shipment_id, parts):
            return _shipped(_caught_up(state, parts), shipment_id, parts)
        case CancelRequested(lines, reason):
            return _cancel_requested(state, lines, reason)
        case ChangeRequested(change_id):
            return replace(state, change=change_id), ()
        case HoldReleased(reason, _, resolution):
            following, changes = _hold_released(state, reason)
            return following, (Record(f"LET_GO_{reason}", resolution), *changes)
        case Paid():
            return _paid(state)
        case SupplyCame() | StockTaken():
            return replace(state, later=[*state.later, message]), ()
        case Demanded():
            return _demanded(state, message)
        case DemandRefused(_, reason):
            return _held(replace(state, asking=""), "OUT_OF_STOCK", f"it cannot wait for supply: {reason}")
        case DemandCancelled(line_id):
            line = state.lines[line_id]
            return replace(state, asking="", short=False, lines={**state.lines, line_id: replace(line, backordered=0)}), ()
        case SupplyDated(_, promised_at):
            return _dated(state, promised_at)
        case StepFailed(step, reason):
            return _held(replace(state, asking="failed"), "INTEGRATION_FAILED", f"{step}: {reason}")
        case Fired("restock"):
            return _look_again(state), ()
        case Fired("supply"):
            return _held(state, "UNKNOWN_DATE", "the supply that it waits for did not come in time") if _backordered(state) else (state, ())
        case Fired("ship"):
            return _held(state, "NO_ACK", "nothing shipped in time") if _released_units(state) else (state, ())
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")


def _go_on(state: State) -> tuple[State, Changes, tuple[Do, ...]]:
    """Chooses the next step from the state alone."""
    if state.asking in {"resolve!", "tax!"}:
        kind = state.asking[:-1]
        effect = ResolveItems(state.order_id) if kind == "resolve" else CalculateTax(state.order_id)
        return _do(replace(state, asking=kind), effect)
    if state.asking:
        return state, (), ()
    changes: Changes = ()
    for message in state.later:
        state, more = _supply_came(state, message.parts) if isinstance(message, SupplyCame) else _stock_taken(state, message)
        changes += more
    state = replace(state, later=[])
    if state.surplus:
        following, _, do = _do(replace(state, asking="give_back"), GiveBack(state.order_id, state.surplus))
        return following, changes, do
    unpegged = next((key for key, line in state.lines.items() if line.backordered), "") if state.seek else ""
    if unpegged:
        following, _, do = _do(replace(state, asking="undemand"), CancelDemand(state.order_id, unpegged))
        return following, changes, do
    state = replace(state, seek=False)
    if state.to_cancel:
        state, more, do = _cancel_next(state)
        changes += more
        if do:
            return state, changes, do
    if state.change:
        state, more, do = _change_next(state)
        changes += more
        if do:
            return state, changes, do
    if not state.validated:
        return state, changes, ()
    following, more, do = _fulfil_next(state)
    return following, changes + more, do


def _change_next(state: State) -> tuple[State, Changes, tuple[Do, ...]]:
    """Gives back what is under way, then changes the order; what has shipped cannot go elsewhere."""
    settled = replace(state, change="", plan=[], plans=0, short=False)
    gone = sum(line.shipped + line.cancelled for line in state.lines.values())
    if gone or not _open_units(state):
        refused = f"{gone} units have shipped or are cancelled"
        return settled, (SettleChange(state.change, refused),), ()
    released = [LineCount(key, _count(line.released)) for key, line in state.lines.items() if line.released]
    if released:
        return _do(replace(state, asking="recall_all"), RecallOrder(state.order_id, released, CHANGED))
    reserved = [LineCount(key, _count(line.reserved)) for key, line in state.lines.items() if line.reserved]
    if reserved:
        return _do(replace(state, asking="unreserve_all"), CancelReservation(state.order_id, reserved, CHANGED))
    waits = next((key for key, line in state.lines.items() if line.backordered), "")
    if waits:
        return _do(replace(state, asking="undemand"), CancelDemand(state.order_id, waits))
    changes: Changes = (SettleChange(state.change),)
    if not state.validated:
        return settled, changes, ()
    # What may not go where it goes now, its tax and its rules are looked at again.
    following, _, do = _do(replace(settled, asking="resolve", validated=False, excluded=[]), ResolveItems(state.order_id))
    return following, changes, do


def _recalled_to_change(state: State, parts: list[Part]) -> Step:
    """What came back can go elsewhere once all of it did; else the order goes on as it was."""
    lines = dict(state.lines)
    for part in parts:
        line = lines[part.line_id]
        released = _less(line.released, part.location_id, part.quantity)
        lines[part.line_id] = replace(line, released=released, waiting=line.waiting + part.quantity)
    following = replace(state, lines=lines, asking="", plans=0)
    kept = _released_units(following)
    if not kept:
        return following, ()
    return replace(following, change=""), (SettleChange(state.change, f"{kept} units are on their way already"),)


def _fulfil_next(state: State) -> tuple[State, Changes, tuple[Do, ...]]:
    """Plans, reserves or releases, whichever is next and not blocked."""
    waiting = [LineCount(key, line.waiting - line.backordered) for key, line in state.lines.items() if line.waiting > line.backordered]
    if waiting and state.short and state.policy == BACKORDER and "OUT_OF_STOCK" not in state.holds:
        return _do(replace(state, asking="demand"), PlaceDemand(state.order_id, waiting[0].line_id, waiting[0].quantity))
    if waiting and not state.short and "reserve" not in map(blocked_step, state.holds):
        if state.plan:
            return _do(replace(state, asking="reserve"), ReserveStock(state.order_id, state.plan))
        if state.plans >= MOST_PLANS:
            following, changes = _out_of_stock(state)
            # Nothing waits for a plan any more, or the order is short: what is reserved may go.
            following, more, do = _fulfil_next(following)
            return following, changes + more, do
        question = PlanOrder(state.order_id, waiting, state.excluded, state.policy in (SHIP_COMPLETE, HOLD_SHORT))
        return _do(replace(state, asking="plan"), question)
    reserved = [Part(key, place, count) for key, line in state.lines.items() for place, count in line.reserved.items()]
    complete = not waiting or state.policy in (SHIP_AVAILABLE, CANCEL_SHORT, BACKORDER)
    if reserved and complete and "release" not in map(blocked_step, state.holds):
        return _do(replace(state, asking="release", plan=reserved), ReleaseOrder(state.order_id, reserved))
    return state, (), ()


def _ask(state: State, kind: str) -> State:
    """Marks a question that `_go_on` puts next."""
    return replace(state, asking=f"{kind}!")


def _do(state: State, effect: Struct) -> tuple[State, Changes, tuple[Do, ...]]:
    asked = state.asked + 1
    return replace(state, asked=asked), (), (Do(f"{state.asking}/{asked}", effect),)


def _resolved(state: State, items: dict[str, Item]) -> Step:
    lines = {}
    for key, line in state.lines.items():
        units = items[key].units if key in items and line.units == 0 else line.units
        scale = units if line.units == 0 and units else 1
        lines[key] = replace(line, units=units, waiting=line.waiting * scale)
    scaled = {key: count * (lines[key].units if not state.lines[key].units else 1) for key, count in state.to_cancel.items()}
    known = replace(state, lines=lines, to_cancel=scaled, asking="")
    changes: Changes = (KeepItems(items),)
    unknown = [key for key, line in lines.items() if not line.units and _open_of(line)]
    if unknown:
        held, more = _held(known, "UNKNOWN_SKU", f"{len(unknown)} lines have a SKU that is not known or not sold")
        return held, changes + more
    return _ask(known, "tax"), changes


def _validated(state: State, reasons: list[str]) -> Step:
    """What the rules held it for before and do no more is let go."""
    gone = [reason for reason in state.judged if reason not in reasons and reason in state.holds]
    holds = sorted({*state.holds, *reasons} - set(gone))
    changes: Changes = (Record("VALIDATED", ", ".join(reasons) or "clean"), *map(LiftHold, gone))
    return replace(state, asking="", validated=True, holds=holds, judged=reasons), changes


def _planned(state: State, message: Planned) -> Step:
    state = replace(state, asking="")
    plan = _whole_units(state, message.parts)
    if not plan or (message.short and state.policy in (SHIP_COMPLETE, HOLD_SHORT)):
        return _out_of_stock(replace(state, plan=[]))
    under_way = any(line.reserved or line.released or line.shipped for line in state.lines.values())
    promise = (KeepPromise(message.deliver_by, under_way),) if message.deliver_by is not None else ()
    return replace(state, plan=plan), promise


def _whole_units(state: State, parts: list[Part]) -> list[Part]:
    """Trims a plan to what the lines still want, in whole units of the channel."""
    plan = []
    for key, line in state.lines.items():
        own = [part for part in parts if part.line_id == key]
        total = min(sum(part.quantity for part in own), line.waiting - line.backordered)
        left = total // line.units * line.units if line.units else 0
        for part in own:
            taken = min(part.quantity, left)
            if taken:
                plan.append(replace(part, quantity=taken))
                left -= taken
    return plan


def _out_of_stock(state: State) -> Step:
    """What stock does not cover waits for a person, or is cancelled where the customer wants it so."""
    waiting = {key: line.waiting for key, line in state.lines.items() if line.waiting}
    if state.policy == BACKORDER:
        return replace(state, short=True, plans=0), ()
    if state.policy == CANCEL_SHORT:
        lines = {k: replace(v, waiting=0, cancelled=v.cancelled + v.waiting) for k, v in state.lines.items()}
        booked = BookCancellation([LineCount(k, q) for k, q in waiting.items()], "short")
        return replace(state, lines=lines, plans=0), (booked,)
    return _held(replace(state, short=True), "OUT_OF_STOCK", f"{sum(waiting.values())} units cannot be sourced")


def _reserved(state: State) -> Step:
    lines = dict(state.lines)
    for part in state.plan:
        line = lines[part.line_id]
        there = {**line.reserved, part.location_id: line.reserved.get(part.location_id, 0) + part.quantity}
        lines[part.line_id] = replace(line, waiting=line.waiting - part.quantity, reserved=there)
    units = sum(part.quantity for part in state.plan)
    places = sorted({part.location_id for part in state.plan})
    changes: Changes = (Record("RESERVED", f"{units} units at {', '.join(places)}"),)
    following, more = _lifted(replace(state, lines=lines, plan=[], plans=0, asking=""))
    return following, changes + more


def _demanded(state: State, message: Demanded) -> Step:
    line = state.lines[message.line_id]
    backordered = min(line.waiting, line.backordered + message.quantity)
    lines = {**state.lines, message.line_id: replace(line, backordered=backordered)}
    more = any(one.waiting > one.backordered for one in lines.values())
    following = replace(state, asking="", lines=lines, short=more)
    if not message.waits:
        # All of it was there, and is reserved: inventory says so by itself.
        return following, ()
    following, changes = _dated(following, message.promised_at)
    return following, (Record("BACKORDERED", f"{message.quantity} units wait for supply"), *changes)


def _dated(state: State, promised_at: int | None) -> Step:
    """Supply is the soonest moment at which the rest may leave; where none is in sight, somebody finds some."""
    if promised_at is None:
        state = replace(state, supply_by=0)
        return _held(state, "UNKNOWN_DATE", "it waits for supply, and none is in sight")
    state = replace(state, supply_by=promised_at)
    known: Changes = (KeepPromise(promised_at, True),)
    if "UNKNOWN_DATE" not in state.holds:
        return state, known
    return replace(state, holds=[one for one in state.holds if one != "UNKNOWN_DATE"]), (*known, LiftHold("UNKNOWN_DATE"))


def _lifted(state: State) -> Step:
    """Nothing waits any more, so it is not out of stock, and its date is known."""
    gone = [one for one in state.holds if one in NOTHING_WAITS]
    if not gone or any(line.waiting for line in state.lines.values()):
        return state, ()
    return replace(state, short=False, holds=[one for one in state.holds if one not in gone]), tuple(map(LiftHold, gone))


def _released(state: State) -> Step:
    lines = dict(state.lines)
    for part in state.plan:
        line = lines[part.line_id]
        reserved = _less(line.reserved, part.location_id, part.quantity)
        released = {**line.released, part.location_id: line.released.get(part.location_id, 0) + part.quantity}
        lines[part.line_id] = replace(line, reserved=reserved, released=released)
    places = sorted({part.location_id for part in state.plan})
    return replace(state, lines=lines, plan=[], asking=""), (Record("RELEASED", f"to {', '.join(places)}"),)


def _caught_up(state: State, parts: list[Part]) -> State:
    """A location may be faster than its answer to the release: then what it was asked counts as released."""
    known = all(state.lines[part.line_id].released.get(part.location_id, 0) >= part.quantity for part in parts)
    if known or state.asking != "release":
        return state
    return replace(_released(state)[0], asking="released")


def _shorted(state: State, parts: list[Part]) -> Step:
    """What a location does not find is sourced again, elsewhere."""
    return _given_up(state, parts, "SHORT_PICK", f"{sum(part.quantity for part in parts)} units not found at {_places(parts)}")


def _places(parts: list[Part]) -> str:
    return ", ".join(sorted({part.location_id for part in parts}))


def _given_up(state: State, parts: list[Part], kind: str, detail: str) -> Step:
    lines = dict(state.lines)
    for part in parts:
        line = lines[part.line_id]
        released = _less(line.released, part.location_id, part.quantity)
        lines[part.line_id] = replace(line, released=released, waiting=line.waiting + part.quantity)
    excluded = sorted({*state.excluded, *(part.location_id for part in parts)})
    return replace(state, lines=lines, excluded=excluded, short=False, plans=0), (Record(kind, detail),)


def _supply_came(state: State, parts: list[Part]) -> Step:
    """What waited is reserved now; what came too late for that is given back."""
    lines, surplus = dict(state.lines), list(state.surplus)
    for part in parts:
        line = lines.get(part.line_id, Line(1, 0))
        came = min(part.quantity, line.waiting)
        if came < part.quantity:
            surplus.append(replace(part, quantity=part.quantity - came))
        if came:
            there = {**line.reserved, part.location_id: line.reserved.get(part.location_id, 0) + came}
            left = max(0, line.backordered - came)
            lines[part.line_id] = replace(line, waiting=line.waiting - came, reserved=there, backordered=left)
    following, changes = _lifted(replace(state, lines=lines, plan=[], plans=0, surplus=surplus))
    return following, (Record("SUPPLY_CAME", f"{sum(part.quantity for part in parts)} units"), *changes)


def _stock_taken(state: State, message: StockTaken) -> Step:
    """What a more urgent order has now waits again; what was released meanwhile is held, so that somebody stops it."""
    lines, released = dict(state.lines), 0
    for part in message.parts:
        line = lines[part.line_id]
        lost = min(part.quantity, line.reserved.get(part.location_id, 0))
        released += part.quantity - lost
        lines[part.line_id] = replace(line, reserved=_less(line.reserved, part.location_id, lost), waiting=line.waiting + lost)
    following = replace(state, lines=lines, short=False, plans=0, plan=[])
    changes: Changes = (Record("STOCK_TAKEN", f"by order {message.taken_by}"),)
    if released:
        following, more = _held(following, "STOCK_TAKEN", f"{released} units are with a location that order {message.taken_by} has now")
        changes += more
    return following, changes


def _shipped(state: State, shipment_id: str, parts: list[Part]) -> Step:
    lines = dict(state.lines)
    for part in parts:
        line = lines[part.line_id]
        released = _less(line.released, part.location_id, part.quantity)
        lines[part.line_id] = replace(line, released=released, shipped=line.shipped + part.quantity)
    booked = BookShipment(shipment_id, [LineCount(part.line_id, part.quantity) for part in parts])
    lifted: Changes = (LiftHold("NO_ACK"),) if "NO_ACK" in state.holds else ()
    holds = [one for one in state.holds if one != "NO_ACK"]
    return replace(state, lines=lines, holds=holds), (booked, *lifted)


def _cancel_requested(state: State, lines: list[LineCount], reason: str) -> Step:
    wanted = {line.line_id: line.quantity for line in lines} or {key: _open_of(line) for key, line in state.lines.items()}
    merged = dict(state.to_cancel)
    for key, quantity in wanted.items():
        merged[key] = min(_open_of(state.lines[key]), merged.get(key, 0) + quantity)
    to_cancel = {key: quantity for key, quantity in merged.items() if quantity}
    following = replace(state, to_cancel=to_cancel, cancel_reason=reason)
    if state.asking == "failed" and sum(to_cancel.values()) == _open_units(state):
        # Whatever failed is not needed any more.
        following = replace(following, asking="")
    return following, (Record("CANCEL_REQUESTED", reason),)


def _cancel_next(state: State) -> tuple[State, Changes, tuple[Do, ...]]:
    """Cancels what waits at once, asks inventory for what is reserved, and the locations for what is released."""
    for key in state.to_cancel:
        if state.lines[key].backordered:
            return _do(replace(state, asking="undemand"), CancelDemand(state.order_id, key))
    lines, to_cancel, now_cancelled = dict(state.lines), dict(state.to_cancel), []
    for key in list(to_cancel):
        line = lines[key]
        quantity = min(to_cancel[key], line.waiting)
        if quantity:
            lines[key] = replace(line, waiting=line.waiting - quantity, cancelled=line.cancelled + quantity)
            now_cancelled.append(LineCount(key, quantity))
            to_cancel[key] -= quantity
        to_cancel[key] = min(to_cancel[key], _open_of(lines[key]))
        if not to_cancel[key]:
            del to_cancel[key]
    changes: Changes = (BookCancellation(now_cancelled, state.cancel_reason),) if now_cancelled else ()
    state = replace(state, lines=lines, to_cancel=to_cancel)
    # What was planned for units that do not ship is planned no more.
    state = replace(state, plan=_whole_units(state, state.plan))
    reserved = [LineCount(key, min(quantity, _count(lines[key].reserved))) for key, quantity in to_cancel.items()]
    reserved = [line for line in reserved if line.quantity]
    if reserved:
        asking = replace(state, asking="unreserve", cancelling=reserved)
        following, _, do = _do(asking, CancelReservation(state.order_id, reserved, state.cancel_reason))
        return following, changes, do
    released = [LineCount(key, min(quantity, _count(lines[key].released))) for key, quantity in to_cancel.items()]
    released = [line for line in released if line.quantity]
    if released:
        asking = replace(state, asking="recall", cancelling=released)
        following, _, do = _do(asking, RecallOrder(state.order_id, released, state.cancel_reason))
        return following, changes, do
    return replace(state, to_cancel={}), changes, ()


def _reservation_cancelled(state: State) -> Step:
    lines = dict(state.lines)
    for one in state.cancelling:
        line, left, reserved = lines[one.line_id], one.quantity, dict(lines[one.line_id].reserved)
        for place in sorted(reserved):
            part = min(left, reserved[place])
            reserved = _less(reserved, place, part)
            left -= part
        lines[one.line_id] = replace(line, reserved=reserved, cancelled=line.cancelled + one.quantity)
    booked = BookCancellation(state.cancelling, state.cancel_reason)
    return replace(state, lines=lines, cancelling=[], asking="", to_cancel=_rest(state, state.cancelling)), (booked,)


def _recalled(state: State, parts: list[Part]) -> Step:
    lines = dict(state.lines)
    counts: dict[str, int] = {}
    for part in parts:
        line = lines[part.line_id]
        released = _less(line.released, part.location_id, part.quantity)
        lines[part.line_id] = replace(line, released=released, cancelled=line.cancelled + part.quantity)
        counts[part.line_id] = counts.get(part.line_id, 0) + part.quantity
    back = [LineCount(key, quantity) for key, quantity in counts.items()]
    kept = sum(one.quantity for one in state.cancelling) - sum(one.quantity for one in back)
    changes: Changes = (BookCancellation(back, state.cancel_reason),) if back else ()
    if kept:
        changes = (*changes, Record("CANCEL_TOO_LATE", f"{kept} units were on their way already"))
    return replace(state, lines=lines, cancelling=[], asking="", to_cancel={}), changes


def _rest(state: State, done: list[LineCount]) -> dict[str, int]:
    rest = dict(state.to_cancel)
    for one in done:
        rest[one.line_id] -= one.quantity
    return {key: quantity for key, quantity in rest.items() if quantity}


def _hold_released(state: State, reason: str) -> Step:
    following = replace(state, holds=[one for one in state.holds if one != reason])
    if reason == "UNKNOWN_SKU" and not state.validated:
        return _ask(following, "resolve"), ()
    if reason == "INTEGRATION_FAILED" and state.asking == "failed":
        return (_ask(following, "resolve") if not state.validated else replace(following, asking="", plan=[])), ()
    return (_look_again(following) if reason in NOTHING_WAITS else following), ()


def _look_again(state: State) -> State:
    """Looks everywhere for what is short; what waits for supply waits elsewhere where none is in sight here."""
    return replace(state, short=False, plans=0, excluded=[], seek=not _dated_all(state))


def _dated_all(state: State) -> bool:
    return not _backordered(state) or state.supply_by > 0


def _paid(state: State) -> Step:
    if "AWAITING_PAYMENT" not in state.holds:
        return state, ()
    holds = [one for one in state.holds if one != "AWAITING_PAYMENT"]
    return replace(state, holds=holds), (LiftHold("AWAITING_PAYMENT"),)


def _held(state: State, reason: str, detail: str) -> Step:
    if reason in state.holds:
        return state, ()
    return replace(state, holds=sorted({*state.holds, reason})), (RaiseHold(reason, detail),)


def _timers(before: State, after: State, now: int, ended: bool) -> tuple[Timer, ...]:
    timers = []
    if ended:
        return (Timer("restock", None), Timer("ship", None), Timer("supply", None))
    if (after.short and not before.short) or (_lost(after) and not _lost(before)):
        timers.append(Timer("restock", now + RESTOCK_EVERY))
    if _released_units(after) and not _released_units(before):
        timers.append(Timer("ship", now + SHIP_WITHIN))
    if _awaits(after) and (not _awaits(before) or after.supply_by != before.supply_by):
        timers.append(Timer("supply", max(now, after.supply_by) + DAY))
    return tuple(timers)


def _awaits(state: State) -> bool:
    """Says whether supply has to come, and nobody looks for it."""
    return _backordered(state) and "UNKNOWN_DATE" not in state.holds


def _lost(state: State) -> bool:
    """Says whether something waits for supply that is not in sight, and nothing is asked."""
    return not state.asking and not _dated_all(state)


def _backordered(state: State) -> bool:
    return any(line.backordered for line in state.lines.values())


def _counts(line: Line) -> Counts:
    released = _count(line.released)
    return Counts(line.waiting, _count(line.reserved) + released, released, line.shipped, line.cancelled, line.backordered)


def _count(places: dict[str, int]) -> int:
    return sum(places.values())


def _open_of(line: Line) -> int:
    return line.waiting + _count(line.reserved) + _count(line.released)


def _open_units(state: State) -> int:
    return sum(_open_of(line) for line in state.lines.values())


def _released_units(state: State) -> int:
    return sum(_count(line.released) for line in state.lines.values())


def _less(places: dict[str, int], place: str, quantity: int) -> dict[str, int]:
    """Takes units from a place; what is not there is taken from the others, so that counts never go below zero."""
    left = dict(places)
    for one in [place, *sorted(set(left) - {place})]:
        part = min(left.get(one, 0), quantity)
        if part:
            left[one] -= part
            quantity -= part
    return {one: count for one, count in left.items() if count}
