"""Until when an order waits: for people, for locations, for supply and for the day of sale."""

from msgspec.structs import replace

from chassis.kernel.clock import DAY, MINUTE, SECOND
from chassis.kernel.process import Timer
from services.orders.domain.holds import kept_s
from services.orders.process.messages import LiftHold
from services.orders.process.order_state import State, Step, any_backordered, dated_all, hold, preordered

RESTOCK_EVERY = 15 * MINUTE
SHIP_WITHIN = 3 * DAY
NO_ACK = "NO_ACK"


def kept_for(state: State) -> int:
    """Returns for how long what is reserved stays so, in microseconds; 0 where nothing is, or it stays as long as it takes."""
    return kept_s(state.holds) * SECOND if any(line.reserved for line in state.lines.values()) else 0


def released_to(state: State) -> list[str]:
    """Returns the locations that have something to ship."""
    return sorted({place for line in state.lines.values() for place in line.released})


def watched(state: State, now: int) -> Step:
    """Notes since when stock is kept; holds the order while a location has not shipped in time what it has, and no longer."""
    following = state
    if bool(kept := kept_for(state)) != (state.kept_since is not None):
        following = replace(following, kept_since=now if kept else None)
    late_from = {place: state.late_from.get(place, now + SHIP_WITHIN) for place in released_to(state)}
    late = [place for place, moment in late_from.items() if moment <= now]
    if late_from != state.late_from:
        following = replace(following, late_from=late_from)
    if late:
        return hold(following, NO_ACK, f"{', '.join(late)} did not ship in time")
    if NO_ACK not in following.holds:
        return following, ()
    return replace(following, holds=[one for one in following.holds if one != NO_ACK]), (LiftHold(NO_ACK),)


def timers_of(before: State, after: State, now: int, ended: bool) -> tuple[Timer, ...]:
    """Returns what goes off later, set or taken back by a step."""
    timers = []
    kept = kept_for(after)
    if kept != kept_for(before):
        timers.append(Timer("keep", (after.kept_since or 0) + kept if kept else None))
    if ended:
        over = (Timer("restock", None), Timer("ship", None), Timer("supply", None), *((Timer("sale", None),) if before.unsold else ()))
        return (*timers, *over)
    early = preordered(after)
    if early and (after.unsold != before.unsold or before.asking == "sale"):
        # Once a day: the day on which it is sold may be moved.
        timers.append(Timer("sale", min(*early.values(), now + DAY)))
    if (after.short and not before.short) or (_lost(after) and not _lost(before)):
        timers.append(Timer("restock", now + RESTOCK_EVERY))
    late_from = min((moment for moment in after.late_from.values() if moment > now), default=None)
    if late_from is not None and late_from not in before.late_from.values():
        timers.append(Timer("ship", late_from))
    if _awaits(after) and (not _awaits(before) or after.supply_by != before.supply_by):
        timers.append(Timer("supply", max(now, after.supply_by) + DAY))
    return tuple(timers)


def _awaits(state: State) -> bool:
    """Says whether supply has to come, and nobody looks for it."""
    return any_backordered(state) and "UNKNOWN_DATE" not in state.holds


def _lost(state: State) -> bool:
    """Says whether something waits for supply that is not in sight, and nothing is asked."""
    return not state.asking and not dated_all(state)
