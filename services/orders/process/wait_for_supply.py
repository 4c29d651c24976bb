"""Lines that wait for supply: what inventory says of it, what came, and what a more urgent order took."""

from msgspec.structs import replace

from chassis.kernel.clock import day_of
from chassis.kernel.words import counted
from services.orders.process.messages import Demanded, KeepPromise, KeepSale, LiftHold, Part, Record, StockTaken
from services.orders.process.order_state import Changes, Line, State, Step, hold, less, preordered

SHORT = ("OUT_OF_STOCK", "PAID_NO_STOCK")
NOTHING_WAITS = (*SHORT, "UNKNOWN_DATE")


def demanded(state: State, message: Demanded) -> Step:
    """A line waits for supply, or has it."""
    line = state.lines[message.line_id]
    backordered = min(line.waiting, line.backordered + message.quantity)
    lines = {**state.lines, message.line_id: replace(line, backordered=backordered)}
    more = any(one.waiting > one.backordered for one in lines.values())
    following = replace(state, asking="", lines=lines, short=more)
    if not message.waits:
        # All of it was there, and is reserved: inventory says so by itself.
        return following, ()
    following, changes = dated(following, message.promised_at)
    return following, (Record("BACKORDERED", f"{counted(message.quantity, 'unit', 'waits', 'wait')} for supply"), *changes)


def dated(state: State, promised_at: int | None) -> Step:
    """Supply is the soonest moment at which the rest may leave; where none is in sight, somebody finds some."""
    if promised_at is None:
        state = replace(state, supply_by=0)
        return hold(state, "UNKNOWN_DATE", "it waits for supply, and none is in sight")
    state = replace(state, supply_by=promised_at)
    # What is there before it is sold waits for that.
    known: Changes = (KeepPromise(max(promised_at, *preordered(state).values(), 0), True),)
    if "UNKNOWN_DATE" not in state.holds:
        return state, known
    return replace(state, holds=[one for one in state.holds if one != "UNKNOWN_DATE"]), (*known, LiftHold("UNKNOWN_DATE"))


def lifted(state: State) -> Step:
    """Nothing waits any more, so it is not out of stock, and its date is known."""
    gone = [one for one in state.holds if one in NOTHING_WAITS]
    if not gone or any(line.waiting for line in state.lines.values()):
        return state, ()
    return replace(state, short=False, holds=[one for one in state.holds if one not in gone]), tuple(map(LiftHold, gone))


def supply_came(state: State, parts: list[Part]) -> Step:
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
    following, changes = lifted(replace(state, lines=lines, plan=[], plans=0, surplus=surplus))
    return following, (Record("SUPPLY_CAME", counted(sum(part.quantity for part in parts), "unit")), *changes)


def stock_taken(state: State, message: StockTaken) -> Step:
    """What a more urgent order has now, or nobody may have, waits again; what was released meanwhile is held: somebody stops it."""
    lines, released = dict(state.lines), 0
    for part in message.parts:
        line = lines[part.line_id]
        lost = min(part.quantity, line.reserved.get(part.location_id, 0))
        # What is neither was given back meanwhile.
        released += min(part.quantity - lost, line.released.get(part.location_id, 0))
        lines[part.line_id] = replace(line, reserved=less(line.reserved, part.location_id, lost), waiting=line.waiting + lost)
    following = replace(state, lines=lines, short=False, plans=0, plan=[])
    why = f"for lot {message.blocked_lot} is blocked" if message.blocked_lot else f"by order {message.taken_by}"
    changes: Changes = (Record("STOCK_TAKEN", why),)
    if released:
        whose = "that nobody may have" if message.blocked_lot else f"that order {message.taken_by} has now"
        following, more = hold(following, "STOCK_TAKEN", f"{counted(released, 'unit', 'is', 'are')} with a location {whose}")
        changes += more
    return following, changes


def sale_dated(state: State, moments: dict[str, int], now: int) -> Step:
    """What is sold by now may leave; what is sold at another time is promised for then."""
    unsold = {key: moments[key] for key in state.unsold if moments.get(key, 0) > now}
    following = replace(state, asking="", unsold=unsold)
    if unsold == state.unsold:
        return following, ()
    changes: Changes = (KeepSale({key: unsold.get(key, 0) for key in state.unsold}),)
    sold = len(state.unsold) - len(unsold)
    if sold:
        changes = (*changes, Record("ON_SALE", f"{counted(sold, 'line', 'is', 'are')} sold from now on"))
    later = preordered(following)
    if later and max(later.values()) > max(state.unsold.values()):
        changes = (*changes, Record("SALE_MOVED", f"to {day_of(max(later.values()))}"), KeepPromise(max(later.values()), True))
    return replace(following, short=False, plans=0), changes
