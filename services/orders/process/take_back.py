"""What is not to ship (any more): cancelled, to go elsewhere, or shipped by somebody else already.

What waits is let go at once; inventory is asked for what is reserved, and the locations for what is released. One that
has accepted it has to agree, and answers later.
"""

from collections import Counter

from msgspec.structs import replace

from chassis.kernel.words import counted
from services.orders.process.messages import (
    BookCancellation,
    BookShipment,
    CancelDemand,
    CancelReservation,
    LiftHold,
    LineCount,
    Part,
    RecallOrder,
    Record,
    ResolveItems,
    SettleChange,
    Shipped,
    Taken,
)
from services.orders.process.order_state import (
    Changes,
    Going,
    Line,
    State,
    Step,
    go,
    hold,
    less,
    open_of,
    open_units,
    released_units,
    reserved_of,
    total,
    whole_units,
)

CHANGED = "the order changed"
# What other lines, or another word on what is short, may answer; where they do not, it is found again.
OF_LINES = ("OUT_OF_STOCK", "PAID_NO_STOCK", "UNKNOWN_DATE", "UNKNOWN_SKU")


def change_next(state: State) -> Going:
    """Gives back what is under way, then changes what is left of the order; what has shipped stays as it is."""
    settled = replace(state, change="", change_lines=[], change_policy=0, plan=[], plans=0, short=False)
    gone = sum(line.shipped + line.cancelled for line in state.lines.values()) - state.change_gone
    if gone or not open_units(state):
        since = f"{counted(gone, 'unit', 'has', 'have')} shipped or been cancelled since it was asked"
        refused = since if gone else "nothing of it is left to ship"
        return settled, (SettleChange(state.change, refused),), ()
    released = [LineCount(key, total(line.released)) for key, line in state.lines.items() if line.released]
    if released:
        return go(state, "recall_all", RecallOrder(state.order_id, released, CHANGED))
    if reserved := reserved_of(state):
        return go(state, "unreserve_all", CancelReservation(state.order_id, reserved, CHANGED))
    waits = next((key for key, line in state.lines.items() if line.backordered), "")
    if waits:
        return go(state, "undemand", CancelDemand(state.order_id, waits))
    answered = [reason for reason in state.holds if reason in OF_LINES] if state.change_lines or state.change_policy else []
    changes: Changes = (SettleChange(state.change), *map(LiftHold, answered))
    holds = [reason for reason in state.holds if reason not in answered]
    lines = _changed_lines(state)
    policy = state.change_policy or state.policy
    following = replace(settled, lines=lines, policy=policy, holds=holds, validated=False, changed=True, excluded=[], hurried=[])
    # What its SKUs are, what may not go where it goes now, its tax and its rules are looked at again.
    following, _, do = go(following, "resolve", ResolveItems(state.order_id))
    return following, changes, do


def _changed_lines(state: State) -> dict[str, Line]:
    """Returns the lines as they will be; of one that has shipped in part, what is left goes on as another."""
    wanted, lines = {one.line_id: one.quantity for one in state.change_lines}, dict(state.lines)
    for key, line in state.lines.items():
        waiting = wanted.pop(key) * (line.units or 1) if key in wanted else line.waiting
        if line.shipped and waiting:
            lines[state.rests[key]] = Line(line.units, waiting)
            waiting = 0
        lines[key] = replace(line, waiting=waiting)
    # How many stock units a unit of what is new comes to is not known yet.
    return {**lines, **{key: Line(0, quantity) for key, quantity in wanted.items()}}


def cancel_requested(state: State, lines: list[LineCount], reason: str) -> Step:
    """Notes what shall not ship: `lines`, or all that is open."""
    wanted = {line.line_id: line.quantity for line in lines} or {key: open_of(line) for key, line in state.lines.items()}
    merged = dict(state.to_cancel)
    for key, quantity in wanted.items():
        merged[key] = min(open_of(state.lines[key]), merged.get(key, 0) + quantity)
    to_cancel = {key: quantity for key, quantity in merged.items() if quantity}
    following = replace(state, to_cancel=to_cancel, cancel_reason=reason)
    if state.asking == "failed" and sum(to_cancel.values()) == open_units(state):
        # Whatever failed is not needed any more.
        following = replace(following, asking="")
    return following, (Record("CANCEL_REQUESTED", reason),)


def cancel_next(state: State) -> Going:
    """Cancels what waits at once, asks inventory for what is reserved, and the locations for what is released."""
    for key in state.to_cancel:
        if state.lines[key].backordered:
            return go(state, "undemand", CancelDemand(state.order_id, key))
    lines, to_cancel, now_cancelled = dict(state.lines), dict(state.to_cancel), []
    for key in list(to_cancel):
        line = lines[key]
        quantity = min(to_cancel[key], line.waiting)
        if quantity:
            lines[key] = replace(line, waiting=line.waiting - quantity, cancelled=line.cancelled + quantity)
            now_cancelled.append(LineCount(key, quantity))
            to_cancel[key] -= quantity
        to_cancel[key] = min(to_cancel[key], open_of(lines[key]))
        if not to_cancel[key]:
            del to_cancel[key]
    changes: Changes = (BookCancellation(now_cancelled, state.cancel_reason),) if now_cancelled else ()
    state = replace(state, lines=lines, to_cancel=to_cancel)
    # What was planned for units that do not ship is planned no more.
    state = replace(state, plan=whole_units(state, state.plan))
    reserved = [one for key, quantity in to_cancel.items() for one in _taken(key, lines[key].reserved, quantity)]
    if reserved:
        taken = CancelReservation(state.order_id, reserved, state.cancel_reason)
        following, _, do = go(replace(state, cancelling=reserved), "unreserve", taken)
        return following, changes, do
    released = [LineCount(key, min(quantity, total(lines[key].released))) for key, quantity in to_cancel.items()]
    released = [line for line in released if line.quantity]
    if released:
        recall = RecallOrder(state.order_id, released, state.cancel_reason)
        following, _, do = go(replace(state, cancelling=[Taken(one.line_id, one.quantity) for one in released]), "recall", recall)
        return following, changes, do
    return replace(state, to_cancel={}), changes, ()


def _taken(line_id: str, places: dict[str, int], quantity: int) -> list[Taken]:
    """Returns from where so many units are taken back: inventory, which has an order of its own, must take the same."""
    found = []
    for place, count in sorted(places.items()):
        if part := min(count, quantity):
            found.append(Taken(line_id, part, place))
            quantity -= part
    return found


def reservation_cancelled(state: State) -> Step:
    """What inventory took back is cancelled."""
    lines = dict(state.lines)
    for one in state.cancelling:
        line = lines[one.line_id]
        reserved = less(line.reserved, one.location_id, one.quantity)
        lines[one.line_id] = replace(line, reserved=reserved, cancelled=line.cancelled + one.quantity)
    cancelled = [LineCount(one.line_id, one.quantity) for one in state.cancelling]
    booked = BookCancellation(cancelled, state.cancel_reason)
    return replace(state, lines=lines, cancelling=[], asking="", to_cancel=_rest(state, cancelled)), (booked,)


def recalled(state: State, parts: list[Part], pending: int) -> Step:
    """The locations gave back `parts`, and were asked for `pending` units more that they had agreed to ship."""
    following, changes = _came_back(state, parts)
    if pending:
        changes = (*changes, Record("CANCEL_ASKED", f"{counted(pending, 'unit')}: who has accepted them has to agree"))
    return _answered(replace(following, awaited=following.awaited + pending), changes)


def recall_answered(state: State, parts: list[Part], kept: int, reason: str) -> Step:
    """A location that was asked gives back `parts`, and keeps `kept` units."""
    following, changes = _came_back(state, parts)
    if kept:
        changes = (*changes, Record("CANCEL_DECLINED", f"{counted(kept, 'unit')}: {reason}"))
    units = kept + sum(part.quantity for part in parts)
    return _answered(replace(following, awaited=following.awaited - units), changes)


def _came_back(state: State, parts: list[Part]) -> Step:
    """What a cancellation called back is cancelled; anything else can go elsewhere."""
    lines, counts = dict(state.lines), Counter[str]()
    cancelling = Counter({one.line_id: one.quantity for one in state.cancelling if state.asking == "recall"})
    for part in parts:
        line = lines[part.line_id]
        cancelled = min(part.quantity, cancelling[part.line_id] - counts[part.line_id])
        counts[part.line_id] += cancelled
        lines[part.line_id] = replace(
            line, released=less(line.released, part.location_id, part.quantity), cancelled=line.cancelled + cancelled,
            waiting=line.waiting + part.quantity - cancelled,
        )  # fmt: skip
    back = [LineCount(key, quantity) for key, quantity in counts.items() if quantity]
    following = replace(state, lines=lines, to_cancel=_rest(state, back))
    if state.asking == "recall":
        left = {key: quantity - counts[key] for key, quantity in cancelling.items()}
        following = replace(following, cancelling=[Taken(key, quantity) for key, quantity in left.items()])
    return following, (BookCancellation(back, state.cancel_reason),) if back else ()


def _answered(state: State, changes: Changes) -> Step:
    """Goes on once all that was asked back is answered for; locations may answer before it is known that they were asked."""
    if state.awaited or not state.asking.startswith("recall"):
        return state, changes
    following = replace(state, asking="")
    match state.asking:
        case "recall":
            following, more = _recall_over(following)
        case "recall_all":
            following, more = _change_over(following)
        case _:
            following, more = count_parcel(replace(following, ahead=state.ahead[1:]), state.ahead[0])
    return following, changes + more


def _recall_over(state: State) -> Step:
    """What the locations kept ships; what else of these lines was to be cancelled still is."""
    kept = sum(one.quantity for one in state.cancelling)
    to_cancel = dict(state.to_cancel)
    for one in state.cancelling:
        line = state.lines[one.line_id]
        to_cancel[one.line_id] = min(to_cancel.get(one.line_id, 0), line.waiting + total(line.reserved))
    following = replace(state, cancelling=[], to_cancel={key: quantity for key, quantity in to_cancel.items() if quantity})
    return following, (Record("CANCEL_TOO_LATE", f"{counted(kept, 'unit', 'was', 'were')} on the way already"),) if kept else ()


def _change_over(state: State) -> Step:
    """What came back can go elsewhere once all of it did; else the order goes on as it was."""
    kept = released_units(state)
    following = replace(state, plans=0)
    if not kept:
        return following, ()
    return replace(following, change="", change_lines=[], change_policy=0), (
        SettleChange(state.change, f"{counted(kept, 'unit', 'is', 'are')} on the way already"),
    )


def not_collected(state: State, parts: list[Part]) -> Step:
    """What nobody came for is cancelled."""
    lines, counts = dict(state.lines), Counter[str]()
    for part in parts:
        line = lines[part.line_id]
        taken = min(part.quantity, line.released.get(part.location_id, 0))
        released = less(line.released, part.location_id, taken)
        lines[part.line_id] = replace(line, released=released, cancelled=line.cancelled + taken)
        counts[part.line_id] += taken
    booked = BookCancellation([LineCount(key, quantity) for key, quantity in counts.items() if quantity], "it was not collected in time")
    return replace(state, lines=lines), (booked,) if booked.lines else ()


def parcel_left(state: State, parcel: Shipped) -> Step:
    """Counts a parcel; one that was not to leave there is counted once what ships in its place is stopped."""
    rests = {key: rest for key, rest in state.rests.items() if rest in state.lines}
    parcel = replace(parcel, parts=[replace(part, line_id=_going_on(rests, part.line_id)) for part in parcel.parts])
    astray = sum(_astray(state, parcel).values())
    if not astray:
        return count_parcel(state, parcel)
    places = ", ".join(sorted({part.location_id for part in parcel.parts}))
    text = f"{counted(astray, 'unit')} with {parcel.shipment_id}, which {places} was not to ship any more"
    return replace(state, ahead=[*state.ahead, parcel]), (Record("SHIPPED_ASTRAY", text),)


def _going_on(rests: dict[str, str], line_id: str) -> str:
    """Returns the line as which the rest of a line ships."""
    while line_id in rests:
        line_id = rests[line_id]
    return line_id


def ahead_next(state: State) -> Going:
    """Stops what was to ship in place of what has left already, wherever it is, then counts the parcel."""
    parcel, recall = state.ahead[0], []
    for key, units in _astray(state, parcel).items():
        line = state.lines[key]
        if line.backordered and units > line.waiting - line.backordered:
            return go(state, "undemand", CancelDemand(state.order_id, key))
        with_others = min(total(line.released), units - line.waiting - total(line.reserved))
        if with_others > 0:
            recall.append(LineCount(key, with_others))
    if recall:
        return go(state, "recall_ahead", RecallOrder(state.order_id, recall, "it has shipped from elsewhere"))
    following, changes = count_parcel(replace(state, ahead=state.ahead[1:]), parcel)
    return following, changes, ()


def _astray(state: State, parcel: Shipped) -> Counter[str]:
    """Returns the units of a parcel that its location was not to ship, by line."""
    sent = Counter[tuple[str, str]]()
    for part in parcel.parts:
        sent[part.line_id, part.location_id] += part.quantity
    astray = Counter[str]()
    for (line_id, place), quantity in sent.items():
        astray[line_id] += max(0, quantity - state.lines[line_id].released.get(place, 0))
    return +astray


def count_parcel(state: State, parcel: Shipped) -> Step:
    """Counts units as shipped: as released there, else in place of what waits or is reserved; more than that is held."""
    lines, surplus, counts, beyond = dict(state.lines), list(state.surplus), Counter[str](), 0
    for part in parcel.parts:
        line = lines[part.line_id]
        released = min(part.quantity, line.released.get(part.location_id, 0))
        waiting = min(part.quantity - released, line.waiting - line.backordered)
        left, reserved = part.quantity - released - waiting, line.reserved
        for place in sorted(reserved):
            taken = min(left, reserved[place])
            if taken:
                reserved = less(reserved, place, taken)
                surplus.append(Part(part.line_id, place, taken))
                left -= taken
        counts[part.line_id] += part.quantity - left
        beyond += left
        lines[part.line_id] = replace(
            line, released=less(line.released, part.location_id, released), waiting=line.waiting - waiting, reserved=reserved,
            shipped=line.shipped + part.quantity - left,
        )  # fmt: skip
    following = replace(state, lines=lines, surplus=surplus)
    following = replace(following, plan=whole_units(following, following.plan)) if not state.asking else following
    shipped = [LineCount(key, quantity) for key, quantity in counts.items() if quantity]
    changes: Changes = (BookShipment(parcel.shipment_id, shipped),) if shipped else ()
    if beyond:
        text = f"{counted(beyond, 'unit')} left with {parcel.shipment_id}, more than the order wants: ask for them back, or charge for them"
        following, more = hold(following, "SHIPPED_UNASKED", text)
        changes += more
    return following, changes


def _rest(state: State, done: list[LineCount]) -> dict[str, int]:
    rest = dict(state.to_cancel)
    for one in done:
        rest[one.line_id] -= one.quantity
    return {key: quantity for key, quantity in rest.items() if quantity}
