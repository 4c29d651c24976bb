"""What the process of an order knows, and how it is read: how far each line got, and where its units are."""

from msgspec import Struct, field
from msgspec.structs import replace

from chassis.kernel.process import Do
from services.orders.process.messages import Counts, LineCount, Move, Part, RaiseHold, Shipped, StockTaken, SupplyCame, Taken

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
    cancelling: list[Taken] = field(default_factory=list)
    cancel_reason: str = ""
    # Units that locations are asked to give back and have not answered for; below zero where they answered first.
    awaited: int = 0
    # Parcels that left a location which was not to ship them (any more).
    ahead: list[Shipped] = field(default_factory=list)
    # Lines that are not sold yet, and from when they are; whether that is to be asked again; lines that may not wait for supply.
    unsold: dict[str, int] = field(default_factory=dict)
    ask_sale: bool = False
    hurried: list[str] = field(default_factory=list)
    # What inventory did by itself while something else was asked.
    later: list[SupplyCame | StockTaken] = field(default_factory=list)
    # What supply brought too late.
    surplus: list[Part] = field(default_factory=list)
    # By when the supply comes that lines wait for; 0 where none was told.
    supply_by: int = 0
    # What waits for supply that is not in sight is to be looked for everywhere again.
    seek: bool = False
    # A change that is to be applied once nothing is under way any more, and how many of the channel's units its lines will be.
    change: str = ""
    change_lines: list[LineCount] = field(default_factory=list)
    change_policy: int = 0
    change_gone: int = 0
    # Line → the line as which the rest of it ships, since a change found it shipped in part; before the change is applied, will ship.
    rests: dict[str, str] = field(default_factory=dict)
    # Since when what was planned is reserved; None where it was looked at again since. What is to be kept elsewhere before it is
    # released, and when it would arrive from there.
    reserved_at: int | None = None
    moves: list[Move] = field(default_factory=list)
    arrives: int | None = None
    # A change was applied, and is not taxed yet; what the rules held the order for last.
    changed: bool = False
    judged: list[str] = field(default_factory=list)
    # What is reserved was so for long enough and goes back; it did, until nothing blocks the release; it was paid after that.
    let_go: bool = False
    given_back: bool = False
    paid_late: bool = False
    # Since when what is reserved may not be released; location → from when on what it has not shipped is late.
    kept_since: int | None = None
    late_from: dict[str, int] = field(default_factory=dict)


Changes = tuple[Struct, ...]
Step = tuple[State, Changes]
Going = tuple[State, Changes, tuple[Do, ...]]


def go(state: State, asking: str, effect: Struct) -> Going:
    """Asks for something; nothing else is asked for until it is answered."""
    asked = state.asked + 1
    return replace(state, asked=asked, asking=asking), (), (Do(f"{asking}/{asked}", effect),)


def hold(state: State, reason: str, detail: str) -> Step:
    """Lets the order wait for a person, once for each reason."""
    if reason in state.holds:
        return state, ()
    return replace(state, holds=sorted({*state.holds, reason})), (RaiseHold(reason, detail),)


def whole_units(state: State, parts: list[Part]) -> list[Part]:
    """Trims a plan to what the lines still want, in whole units of the channel; the rest of one that has gone in part comes first."""
    plan = []
    for key, line in state.lines.items():
        own = [part for part in parts if part.line_id == key]
        wanted = line.waiting - line.backordered
        total = min(sum(part.quantity for part in own), wanted)
        rest = wanted % line.units if line.units else 0
        left = total - (total - rest) % line.units if line.units and total >= rest else 0
        for part in own:
            taken = min(part.quantity, left)
            if taken:
                plan.append(replace(part, quantity=taken))
                left -= taken
    return plan


def moves_to(state: State, parts: list[Part]) -> list[Move]:
    """Returns what has to be kept elsewhere for lines to ship as planned; lines that are not reserved as was asked stay."""
    moves = []
    for key, line in state.lines.items():
        wanted: dict[str, int] = {}
        for part in parts:
            if part.line_id == key:
                wanted[part.location_id] = wanted.get(part.location_id, 0) + part.quantity
        if total(wanted) != total(line.reserved):
            continue
        places = sorted(wanted | line.reserved)
        more = {place: wanted.get(place, 0) - line.reserved.get(place, 0) for place in places}
        for there in [place for place in places if more[place] < 0]:
            for here in [place for place in places if more[place] > 0]:
                quantity = min(-more[there], more[here])
                if quantity > 0:
                    moves.append(Move(key, there, here, quantity))
                    more[there] += quantity
                    more[here] -= quantity
    return moves


def look_again(state: State) -> State:
    """Looks everywhere for what is short; what waits for supply waits elsewhere where none is in sight here."""
    return replace(state, short=False, plans=0, excluded=[], hurried=[], seek=not dated_all(state))


def dated_all(state: State) -> bool:
    """Says whether all that waits for supply has a date."""
    return not any_backordered(state) or state.supply_by > 0


def preordered(state: State) -> dict[str, int]:
    """Returns the open lines that are not sold yet, and from when they are."""
    return {key: moment for key, moment in state.unsold.items() if open_of(state.lines[key])}


def reserved_of(state: State) -> list[Taken]:
    """Returns all that is reserved and not released."""
    return [Taken(key, count, place) for key, line in state.lines.items() for place, count in sorted(line.reserved.items())]


def any_backordered(state: State) -> bool:
    """Says whether something waits for supply at inventory."""
    return any(line.backordered for line in state.lines.values())


def counts_of(line: Line) -> Counts:
    """Returns how far a line got, as it is kept."""
    released = total(line.released)
    return Counts(line.waiting, total(line.reserved) + released, released, line.shipped, line.cancelled, line.backordered)


def total(places: dict[str, int]) -> int:
    """Returns the units at all places."""
    return sum(places.values())


def open_of(line: Line) -> int:
    """Returns what has neither shipped nor been cancelled of a line."""
    return line.waiting + total(line.reserved) + total(line.released)


def open_units(state: State) -> int:
    """Returns what has neither shipped nor been cancelled of the order."""
    return sum(open_of(line) for line in state.lines.values())


def released_units(state: State) -> int:
    """Returns what is with locations."""
    return sum(total(line.released) for line in state.lines.values())


def less(places: dict[str, int], place: str, quantity: int) -> dict[str, int]:
    """Takes units from a place; what is not there is taken from the others, so that counts never go below zero."""
    left = dict(places)
    for one in [place, *sorted(set(left) - {place})]:
        part = min(left.get(one, 0), quantity)
        if part:
            left[one] -= part
            quantity -= part
    return {one: count for one, count in left.items() if count}
