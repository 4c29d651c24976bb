"""The life of an order, top to bottom: resolve, tax, validate, plan, reserve, release, ship; cancel at any moment.

`decide` takes what the process is told and answers what follows. One thing is asked for at a time (`asking`); what is
told meanwhile is kept in the state, and `_go_on` chooses the next step from the state alone.
"""

from msgspec import Struct
from msgspec.structs import replace

from chassis.kernel.clock import DAY, HOUR, day_of
from chassis.kernel.process import Fired, HoldReleased, Next
from chassis.kernel.words import counted
from services.orders.domain.holds import blocked_step
from services.orders.process.deadlines import NO_ACK, kept_for, released_to, timers_of, watched
from services.orders.process.messages import (
    AskSale,
    BookCancellation,
    CalculateTax,
    CancelDemand,
    CancelRequested,
    CancelReservation,
    ChangeRequested,
    Complete,
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
    Moved,
    MoveReservations,
    NotCollected,
    Paid,
    Part,
    Placed,
    PlaceDemand,
    Planned,
    PlanOrder,
    Ready,
    RecallAnswered,
    Recalled,
    Record,
    Rejected,
    Released,
    ReleaseOrder,
    ReleaseRefused,
    ReservationCancelled,
    Reserved,
    ReserveRefused,
    ReserveStock,
    ResolveItems,
    SaleDated,
    Shipped,
    Shorted,
    StepFailed,
    StockTaken,
    SupplyCame,
    SupplyDated,
    TaxCalculated,
    Validated,
)
from services.orders.process.order_state import (
    BACKORDER,
    CANCEL_SHORT,
    HOLD_SHORT,
    SHIP_AVAILABLE,
    SHIP_COMPLETE,
    Changes,
    Going,
    State,
    Step,
    any_backordered,
    counts_of,
    go,
    hold,
    less,
    look_again,
    moves_to,
    open_of,
    open_units,
    preordered,
    reserved_of,
    total,
    whole_units,
)
from services.orders.process.take_back import (
    ahead_next,
    cancel_next,
    cancel_requested,
    change_next,
    not_collected,
    parcel_left,
    recall_answered,
    recalled,
    reservation_cancelled,
)
from services.orders.process.wait_for_supply import NOTHING_WAITS, SHORT, dated, demanded, lifted, sale_dated, stock_taken, supply_came

NAME = "fulfil_order"
MOST_PLANS = 3
# What has been reserved for so long without being released is sourced again before it is.
SOURCE_AGAIN_AFTER = HOUR


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    following, changes = _told(state, message, now)
    following, more, do = _go_on(following, now)
    changes += more
    following, more = watched(following, now)
    changes += more
    if following.lines != state.lines:
        changes = (*changes, KeepQuantities({key: counts_of(line) for key, line in following.lines.items()}))
    ended = _is_over(following)
    if ended and not _is_over(state):
        changes = (*changes, Complete())
    return Next(following, do, timers_of(state, following, now, ended), changes, ended)


def _is_over(state: State) -> bool:
    return state.asking in ("", "give_back") and open_units(state) == 0


def _told(state: State, message: Struct, now: int) -> Step:
    match message:
        case Placed():
            return _ask(state, "resolve"), ()
        case ItemsResolved(items):
            return _resolved(state, items, now)
        case SaleDated(moments):
            return sale_dated(state, moments, now)
        case TaxCalculated(line_tax_minor, shipping_tax_minor, unknown, promisable):
            return replace(state, changed=False), (KeepTax(line_tax_minor, shipping_tax_minor, unknown, state.changed, promisable),)
        case Validated(reasons):
            return _validated(state, reasons)
        case Planned() if state.asking == "replan":
            return replace(state, asking="", moves=moves_to(state, message.parts), arrives=message.deliver_by), ()
        case Planned():
            return _planned(state, message)
        case Moved():
            return _moved(state, message)
        case Reserved():
            return _reserved(state, now)
        case ReserveRefused(reason):
            return replace(state, asking="", plan=[], plans=state.plans + 1), (Record("RESERVE_REFUSED", reason),)
        case Released():
            return _released(state) if state.asking == "release" else (replace(state, asking=""), ())
        case ReleaseRefused(reason):
            return hold(replace(state, asking="", plan=[]), "DOCUMENTS_MISSING", reason)
        case Recalled(parts, pending):
            return recalled(state, parts, pending)
        case RecallAnswered(parts, kept, reason):
            return recall_answered(state, parts, kept, reason)
        case ReservationCancelled() if state.asking == "give_back":
            return replace(state, asking="", surplus=[]), ()
        case ReservationCancelled() if state.asking in {"unreserve_all", "let_go"}:
            lines = {key: replace(line, waiting=line.waiting + total(line.reserved), reserved={}) for key, line in state.lines.items()}
            following = replace(state, asking="", lines=lines)
            return (following, ()) if state.asking == "unreserve_all" else _given_back(state, following)
        case ReservationCancelled():
            return reservation_cancelled(state)
        case Shorted(parts):
            return _shorted(_caught_up(state, parts), parts)
        case Rejected(parts, reason):
            return _given_up(_caught_up(state, parts), parts, "REJECTED", f"{_places(parts)}: {reason}")
        case Shipped(_, parts):
            return parcel_left(_caught_up(state, parts), message)
        case Ready(parts, collect_by):
            # The location says by itself when nobody came.
            ready = {part.location_id: collect_by + DAY for part in parts}
            following = _caught_up(state, parts)
            return replace(following, late_from={**following.late_from, **ready}), ()
        case NotCollected(parts):
            return not_collected(state, parts)
        case CancelRequested(lines, reason):
            return cancel_requested(state, lines, reason)
        case ChangeRequested(change_id, lines, policy, gone, rests):
            wanted = replace(state, change=change_id, change_lines=lines, change_policy=policy, change_gone=gone)
            return replace(wanted, rests={**state.rests, **rests}), ()
        case HoldReleased(reason, _, resolution):
            following, changes = _hold_released(state, reason, now)
            return following, (Record(f"LET_GO_{reason}", resolution), *changes)
        case Paid():
            return _paid(state)
        case SupplyCame() | StockTaken():
            return replace(state, later=[*state.later, message]), ()
        case Demanded():
            return demanded(state, message)
        case DemandRefused(line_id, reason):
            refused = replace(state, asking="", hurried=[*state.hurried, line_id])
            return hold(refused, "OUT_OF_STOCK", f"it cannot wait for supply: {reason}")
        case DemandCancelled(line_id):
            line = state.lines[line_id]
            return replace(state, asking="", short=False, lines={**state.lines, line_id: replace(line, backordered=0)}), ()
        case SupplyDated(_, promised_at):
            return dated(state, promised_at)
        case StepFailed() if state.asking in {"replan", "move"}:
            # It ships from where it is reserved.
            return replace(state, asking="", moves=[]), ()
        case StepFailed(step, reason):
            return hold(replace(state, asking="failed"), "INTEGRATION_FAILED", f"{step}: {reason}")
        case Fired("restock"):
            return look_again(state), ()
        case Fired("sale"):
            return replace(state, ask_sale=True), ()
        case Fired("supply"):
            return (
                hold(state, "UNKNOWN_DATE", "the supply that it waits for did not come in time") if any_backordered(state) else (state, ())
            )
        case Fired("keep"):
            return replace(state, let_go=True), ()
        case Fired("ship"):
            # What was released before it was noted to whom is late by now.
            return replace(state, late_from={place: state.late_from.get(place, now) for place in released_to(state)}), ()
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")


def _go_on(state: State, now: int) -> Going:
    """Chooses the next step from the state alone."""
    if state.asking in {"resolve!", "tax!"}:
        kind = state.asking[:-1]
        effect = ResolveItems(state.order_id) if kind == "resolve" else CalculateTax(state.order_id)
        return go(state, kind, effect)
    if state.asking:
        return state, (), ()
    changes: Changes = ()
    for message in state.later:
        state, more = supply_came(state, message.parts) if isinstance(message, SupplyCame) else stock_taken(state, message)
        changes += more
    state = replace(state, later=[])
    while state.ahead:
        state, more, do = ahead_next(state)
        changes += more
        if do:
            return state, changes, do
    if state.surplus:
        following, _, do = go(state, "give_back", GiveBack(state.order_id, state.surplus))
        return following, changes, do
    unpegged = next((key for key, line in state.lines.items() if line.backordered), "") if state.seek else ""
    if unpegged:
        following, _, do = go(state, "undemand", CancelDemand(state.order_id, unpegged))
        return following, changes, do
    state = replace(state, seek=False)
    if state.to_cancel:
        state, more, do = cancel_next(state)
        changes += more
        if do:
            return state, changes, do
    if state.change:
        state, more, do = change_next(state)
        changes += more
        if do:
            return state, changes, do
    if not state.validated:
        return state, changes, ()
    if state.let_go:
        state = replace(state, let_go=False)
        if kept_for(state):
            cancel = CancelReservation(state.order_id, reserved_of(state), "it waited too long for a person")
            following, _, do = go(state, "let_go", cancel)
            return following, changes, do
    if state.ask_sale:
        following, _, do = go(replace(state, ask_sale=False), "sale", AskSale(state.order_id))
        return following, changes, do
    following, more, do = _fulfil_next(state, now)
    return following, changes + more, do


def _fulfil_next(state: State, now: int) -> Going:
    """Plans, reserves or releases, whichever is next and not blocked."""
    if state.given_back:
        if "release" in map(blocked_step, state.holds):
            return state, (), ()
        state = replace(state, given_back=False, short=False, plans=0)
    waiting = [LineCount(key, line.waiting - line.backordered) for key, line in state.lines.items() if line.waiting > line.backordered]
    patient = next((one for one in waiting if _may_wait(state, one.line_id)), None)
    if patient is not None and state.short:
        return go(state, "demand", PlaceDemand(state.order_id, patient.line_id, patient.quantity, patient.line_id in state.unsold))
    if waiting and not state.short and "reserve" not in map(blocked_step, state.holds):
        if state.plan:
            return go(state, "reserve", ReserveStock(state.order_id, state.plan))
        if state.plans >= MOST_PLANS:
            following, changes = _out_of_stock(state)
            # Nothing waits for a plan any more, or the order is short: what is reserved may go.
            following, more, do = _fulfil_next(following, now)
            return following, changes + more, do
        question = PlanOrder(state.order_id, waiting, state.excluded, _must_be_whole(state))
        return go(state, "plan", question)
    # What is not sold yet is reserved, and stays.
    early = preordered(state)
    sold = {key: line for key, line in state.lines.items() if key not in early}
    reserved = [Part(key, place, count) for key, line in sold.items() for place, count in line.reserved.items()]
    complete = not (waiting or early) or state.policy in (SHIP_AVAILABLE, CANCEL_SHORT, BACKORDER)
    if reserved and complete and "release" not in map(blocked_step, state.holds):
        if state.moves:
            return go(state, "move", MoveReservations(state.order_id, state.moves))
        if state.reserved_at is not None and now - state.reserved_at >= SOURCE_AGAIN_AFTER:
            counts = [LineCount(key, total(line.reserved)) for key, line in sold.items() if line.reserved]
            question = PlanOrder(state.order_id, counts, state.excluded, _must_be_whole(state), reserved)
            return go(replace(state, reserved_at=None), "replan", question)
        return go(replace(state, plan=reserved), "release", ReleaseOrder(state.order_id, reserved))
    return state, (), ()


def _may_wait(state: State, line_id: str) -> bool:
    """Says whether what is short of a line waits for supply: what is not sold yet does, and what the customer wants to wait for."""
    if line_id in state.hurried:
        return False
    return line_id in state.unsold or (state.policy == BACKORDER and not any(reason in state.holds for reason in SHORT))


def _must_be_whole(state: State) -> bool:
    """Says whether all must be there before anything is reserved; what is not sold yet need not."""
    return state.policy in (SHIP_COMPLETE, HOLD_SHORT) and not preordered(state)


def _ask(state: State, kind: str) -> State:
    """Marks a question that `_go_on` puts next."""
    return replace(state, asking=f"{kind}!")


def _resolved(state: State, items: dict[str, Item], now: int) -> Step:
    lines = {}
    for key, line in state.lines.items():
        units = items[key].units if key in items and line.units == 0 else line.units
        scale = units if line.units == 0 and units else 1
        lines[key] = replace(line, units=units, waiting=line.waiting * scale)
    scaled = {key: count * (lines[key].units if not state.lines[key].units else 1) for key, count in state.to_cancel.items()}
    unsold = {key: items[key].sellable_from for key in lines if key in items and items[key].sellable_from > now}
    known = replace(state, lines=lines, to_cancel=scaled, asking="", unsold=unsold)
    changes: Changes = (KeepItems(items),)
    if unsold and unsold != state.unsold:
        changes = (
            *changes,
            Record("PREORDERED", f"{counted(len(unsold), 'line', 'is', 'are')} sold from {day_of(max(unsold.values()))} on"),
        )
    unknown = [key for key, line in lines.items() if not line.units and open_of(line)]
    if unknown:
        following, more = hold(known, "UNKNOWN_SKU", f"{counted(len(unknown), 'line', 'has', 'have')} a SKU that is not known or not sold")
        return following, changes + more
    return _ask(known, "tax"), changes


def _validated(state: State, reasons: list[str]) -> Step:
    """What the rules held it for before and do no more is let go."""
    gone = [reason for reason in state.judged if reason not in reasons and reason in state.holds]
    holds = sorted({*state.holds, *reasons} - set(gone))
    changes: Changes = (Record("VALIDATED", ", ".join(reasons) or "clean"), *map(LiftHold, gone))
    return replace(state, asking="", validated=True, holds=holds, judged=reasons), changes


def _planned(state: State, message: Planned) -> Step:
    state = replace(state, asking="")
    plan = whole_units(state, message.parts)
    if not plan or (message.short and _must_be_whole(state)):
        return _out_of_stock(replace(state, plan=[]))
    if state.plans and not _must_be_whole(state):
        # Together it was refused, as others were faster: what one line lacks does not keep the others.
        own = list(dict.fromkeys(part.line_id for part in plan))
        plan = [part for part in plan if part.line_id == own[(state.plans - 1) % len(own)]]
    under_way = any(line.reserved or line.released or line.shipped for line in state.lines.values())
    arrives = max([*preordered(state).values(), *((message.deliver_by,) if message.deliver_by is not None else ())], default=None)
    promise = (KeepPromise(arrives, under_way),) if arrives is not None else ()
    return replace(state, plan=plan), promise


def _out_of_stock(state: State) -> Step:
    """What stock does not cover waits for supply, or for a person, or is cancelled where the customer wants it so."""
    early = preordered(state)
    patient = {key for key in state.lines if key not in state.hurried and (key in early or state.policy == BACKORDER)}
    missing = {key: line.waiting - line.backordered for key, line in state.lines.items() if key not in patient}
    missing = {key: quantity for key, quantity in missing.items() if quantity}
    if not missing:
        return replace(state, short=True, plans=0), ()
    if state.policy == CANCEL_SHORT:
        lines = dict(state.lines)
        for key, quantity in missing.items():
            lines[key] = replace(lines[key], waiting=lines[key].waiting - quantity, cancelled=lines[key].cancelled + quantity)
        booked = BookCancellation([LineCount(key, quantity) for key, quantity in missing.items()], "short")
        short = any(line.waiting > line.backordered for line in lines.values())
        return replace(state, lines=lines, plans=0, short=short), (booked,)
    reason = "PAID_NO_STOCK" if state.paid_late else "OUT_OF_STOCK"
    return hold(replace(state, short=True), reason, f"{counted(sum(missing.values()), 'unit')} cannot be sourced")


def _reserved(state: State, now: int) -> Step:
    lines = dict(state.lines)
    for part in state.plan:
        line = lines[part.line_id]
        there = {**line.reserved, part.location_id: line.reserved.get(part.location_id, 0) + part.quantity}
        lines[part.line_id] = replace(line, waiting=line.waiting - part.quantity, reserved=there)
    units = sum(part.quantity for part in state.plan)
    places = sorted({part.location_id for part in state.plan})
    changes: Changes = (Record("RESERVED", f"{counted(units, 'unit')} at {', '.join(places)}"),)
    late = state.paid_late and any(line.waiting for line in lines.values())
    following, more = lifted(replace(state, lines=lines, plan=[], plans=0, asking="", reserved_at=now, paid_late=late))
    return following, changes + more


def _moved(state: State, message: Moved) -> Step:
    """It is promised anew where all is kept as was planned."""
    lines = dict(state.lines)
    for one in message.moves:
        line = lines[one.line_id]
        reserved = less(line.reserved, one.from_location_id, one.quantity)
        lines[one.line_id] = replace(line, reserved={**reserved, one.to_location_id: reserved.get(one.to_location_id, 0) + one.quantity})
    told = [f"{counted(one.quantity, 'unit')} from {one.from_location_id} to {one.to_location_id}" for one in message.moves]
    changes: Changes = (Record("MOVED", ", ".join(told)),) if told else ()
    if message.moves == state.moves and state.arrives is not None:
        others = any(line.waiting or line.released or line.shipped for line in lines.values()) or bool(preordered(state))
        changes = (*changes, KeepPromise(state.arrives, others))
    return replace(state, asking="", lines=lines, moves=[]), changes


def _released(state: State) -> Step:
    lines = dict(state.lines)
    for part in state.plan:
        line = lines[part.line_id]
        reserved = less(line.reserved, part.location_id, part.quantity)
        released = {**line.released, part.location_id: line.released.get(part.location_id, 0) + part.quantity}
        lines[part.line_id] = replace(line, reserved=reserved, released=released)
    places = sorted({part.location_id for part in state.plan})
    return replace(state, lines=lines, plan=[], asking=""), (Record("RELEASED", f"to {', '.join(places)}"),)


def _caught_up(state: State, parts: list[Part]) -> State:
    """A location may be faster than its answer to the release: then what it was asked counts as released."""
    known = all(state.lines[part.line_id].released.get(part.location_id, 0) >= part.quantity for part in parts)
    asked = {(part.line_id, part.location_id) for part in state.plan}
    if known or state.asking != "release" or not any((part.line_id, part.location_id) in asked for part in parts):
        return state
    return replace(_released(state)[0], asking="released")


def _shorted(state: State, parts: list[Part]) -> Step:
    """What a location does not find is sourced again, elsewhere."""
    return _given_up(state, parts, "SHORT_PICK", f"{counted(sum(part.quantity for part in parts), 'unit')} not found at {_places(parts)}")


def _places(parts: list[Part]) -> str:
    return ", ".join(sorted({part.location_id for part in parts}))


def _given_up(state: State, parts: list[Part], kind: str, detail: str) -> Step:
    lines = dict(state.lines)
    for part in parts:
        line = lines[part.line_id]
        # What left unasked meanwhile was counted as released there: it needs no other source.
        quantity = min(part.quantity, total(line.released))
        released = less(line.released, part.location_id, quantity)
        lines[part.line_id] = replace(line, released=released, waiting=line.waiting + quantity)
    excluded = sorted({*state.excluded, *(part.location_id for part in parts)})
    return replace(state, lines=lines, excluded=excluded, short=False, plans=0), (Record(kind, detail),)


def _hold_released(state: State, reason: str, now: int) -> Step:
    following = replace(state, holds=[one for one in state.holds if one != reason])
    if reason == NO_ACK:
        # Who is late is given as long again.
        following = replace(following, late_from={place: moment for place, moment in state.late_from.items() if moment > now})
    if reason == "UNKNOWN_SKU" and not state.validated:
        return _ask(following, "resolve"), ()
    if reason == "INTEGRATION_FAILED" and state.asking == "failed":
        return (_ask(following, "resolve") if not state.validated else replace(following, asking="", plan=[])), ()
    return (look_again(following) if reason in NOTHING_WAITS else following), ()


def _paid(state: State) -> Step:
    if "AWAITING_PAYMENT" not in state.holds:
        return state, ()
    holds = [one for one in state.holds if one != "AWAITING_PAYMENT"]
    late = state.given_back or state.asking == "let_go"
    return replace(state, holds=holds, paid_late=late), (LiftHold("AWAITING_PAYMENT"),)


def _given_back(before: State, state: State) -> Step:
    """What was kept for long enough is for others now; it is sourced anew once nothing blocks the release."""
    units = sum(one.quantity for one in reserved_of(before))
    return replace(state, given_back=True), (Record("GIVEN_BACK", f"{counted(units, 'unit')}, as it waited too long for a person"),)
