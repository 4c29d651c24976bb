"""Carries out what a delivery says of one order, command after command. What is refused waits for a person."""

from msgspec import Struct, field
from msgspec.structs import replace

from chassis.kernel.clock import SECOND
from chassis.kernel.process import Do, Fired, HoldReleased, Next, Timer
from gateway.channels.commands import (
    CancelOrder,
    CapturePayment,
    Command,
    CompareLines,
    FindOrder,
    GiveBack,
    NeedsPerson,
    PlaceOrder,
    RecordPayment,
    RecordTracking,
    TakeBack,
    TakeIn,
    TellLocation,
)

NAME = "take_order"
FIND_AGAIN_S = 5
MOST_FINDS = 60


class KnownLine(Struct, frozen=True):
    """A line as orders knows it: `open` can still be cancelled, `refundable` has shipped and was not given back."""

    line_id: str
    external_line_id: str
    ordered: int
    open: int
    refundable: int
    cancelled: int


class State(Struct, frozen=True):
    """The commands, and how far they got. `acts` are what the command at hand still has to do."""

    delivery_id: str
    channel_id: str
    external_order_id: str
    commands: list[Command]
    at: int = 0
    acts: "list[Act]" = field(default_factory=list)
    tries: int = 0
    reviewed: bool = False
    order_id: str = ""
    lines: list[KnownLine] = field(default_factory=list)
    refunded_minor: int = 0


# -- told


class Started(Struct, frozen=True, tag=True):
    """The delivery was understood."""


class OrderKnown(Struct, frozen=True, tag=True):
    """Orders has it."""

    order_id: str
    lines: list[KnownLine]
    unpaid_tender_ids: list[str]


class OrderUnknown(Struct, frozen=True, tag=True):
    """Orders does not have it."""


class Done(Struct, frozen=True, tag=True):
    """An act was done; `amount_minor` is what goes back to the customer by it, -1 where only time will tell."""

    amount_minor: int = -1


class Refused(Struct, frozen=True, tag=True):
    """An act was refused for good."""

    reason: str


# -- asked for


class AskOrder(Struct, frozen=True, tag=True):
    """Ask orders for the order by its number."""

    channel_id: str
    external_order_id: str


class Place(Struct, frozen=True, tag=True):
    """Ask orders to take it."""

    order: str


class Capture(Struct, frozen=True, tag=True):
    """Tell orders that a tender was paid."""

    order_id: str
    tender_id: str


class Record(Struct, frozen=True, tag=True):
    """Tell orders what a provider says of a payment."""

    event: str


class Track(Struct, frozen=True, tag=True):
    """Tell fulfillment what a carrier says of a parcel."""

    event: str


class Tell(Struct, frozen=True, tag=True):
    """Tell fulfillment what a warehouse says."""

    rpc: str
    request: str


class Cancel(Struct, frozen=True, tag=True):
    """Ask orders to cancel units by line; all that is open where empty."""

    order_id: str
    lines: dict[str, int]
    reason: str


class Refund(Struct, frozen=True, tag=True):
    """Ask orders to refund units by line."""

    order_id: str
    lines: dict[str, int]
    reason: str


class OpenReturn(Struct, frozen=True, tag=True):
    """Ask returns to expect units by line at a location."""

    order_id: str
    location_id: str
    lines: dict[str, int]
    reason: str


Act = Capture | Cancel | Refund | OpenReturn


# -- changed


class RaiseHold(Struct, frozen=True, tag=True):
    """Let it wait for a person."""

    reason: str
    detail: str


class Finish(Struct, frozen=True, tag=True):
    """The delivery is done with this order."""

    delivery_id: str


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    match message:
        case Started():
            return _begin(state)
        case HoldReleased():
            return _released(state)
        case Fired():
            return _begin(replace(state, tries=state.tries + 1))
        case OrderUnknown():
            return _unknown(state, now)
        case OrderKnown():
            return _known(replace(state, order_id=message.order_id, lines=message.lines), message)
        case Done(amount_minor):
            sum_minor = -1 if amount_minor < 0 or state.refunded_minor < 0 else state.refunded_minor + amount_minor
            done = replace(state, acts=state.acts[1:], refunded_minor=sum_minor)
            return _act(done) if done.acts else _after(done)
        case Refused(reason):
            return _hold(state, "COMMAND_REFUSED", reason)
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")


def _begin(state: State) -> Next[State]:
    """Asks how the order stands: every command looks first."""
    if state.at == len(state.commands):
        return Next(state, changes=(Finish(state.delivery_id),), ended=True)
    command = state.commands[state.at]
    # Payments, parcels, fulfilment orders and goods are found by their own names: no order is asked for.
    if isinstance(command, RecordPayment):
        return Next(state, (Do(f"{state.at}/record/{state.tries}", Record(command.event)),))
    if isinstance(command, RecordTracking):
        return Next(state, (Do(f"{state.at}/track/{state.tries}", Track(command.event)),))
    if isinstance(command, TellLocation):
        return Next(state, (Do(f"{state.at}/tell/{state.tries}", Tell(command.rpc, command.request)),))
    if isinstance(command, TakeIn | TakeBack):
        return Next(state, (Do(f"{state.at}/goods/{state.tries}", replace(command, reviewed=state.reviewed)),))
    if isinstance(command, NeedsPerson):
        return _hold(state, command.reason, command.detail)
    ask = AskOrder(state.channel_id, state.external_order_id)
    return Next(state, (Do(f"{state.at}/ask/{state.tries}", ask),))


def _released(state: State) -> Next[State]:
    """A person has looked: an order under review is placed, a difference is accepted, anything else is tried again."""
    command = state.commands[state.at]
    if isinstance(command, (CompareLines, NeedsPerson)) or (isinstance(command, GiveBack) and state.reviewed):
        return _next(state)
    again = replace(state, tries=state.tries + 1, reviewed=True)
    # What was cancelled before must not be counted again; a cancellation itself comes first and looks anew.
    if state.acts and not isinstance(state.acts[0], Cancel):
        return _act(again)
    return _begin(replace(again, acts=[]))


def _unknown(state: State, now: int) -> Next[State]:
    command = state.commands[state.at]
    if not isinstance(command, PlaceOrder):
        if state.tries % MOST_FINDS == MOST_FINDS - 1:
            what = {RecordPayment: "order that is paid by", RecordTracking: "parcel with the number", TellLocation: "fulfilment order"}.get(
                type(command), "order"
            )
            return _hold(state, "ORDER_UNKNOWN", f"no {what} {state.external_order_id} came")
        return Next(state, timers=(Timer("find", now + FIND_AGAIN_S * SECOND),))
    if command.review and not state.reviewed:
        return _hold(state, "ORDER_REVIEW", command.review)
    return Next(state, (Do(f"{state.at}/place/{state.tries}", Place(command.order)),))


def _known(state: State, known: OrderKnown) -> Next[State]:
    command = state.commands[state.at]
    match command:
        case PlaceOrder() | FindOrder():
            return _next(state)
        case CompareLines(quantities):
            before = {external: sum(line.ordered for line in lines) for external, lines in _by_external(state).items()}
            if before == {external: quantity for external, quantity in quantities.items() if quantity}:
                return _next(state)
            return _hold(state, "ORDER_CHANGED", f"the channel changed its lines from {before} to {quantities}")
        case CapturePayment():
            return _act(replace(state, acts=[Capture(state.order_id, one) for one in known.unpaid_tender_ids]))
        case CancelOrder(reason):
            if any(line.open for line in state.lines):
                return _act(replace(state, acts=[Cancel(state.order_id, {}, reason)]))
            if any(line.cancelled < line.ordered for line in state.lines):
                return _hold(state, "CANCELLED_TOO_LATE", "the channel cancelled what has shipped; return it or refuse the parcel")
            return _next(state)
        case GiveBack():
            return _give_back(state, command)
        case _:
            raise TypeError(f"{type(command).__name__} is about something that is found by its own name")


def _give_back(state: State, command: GiveBack) -> Next[State]:
    by_external = _by_external(state)
    cancel: dict[str, int] = {}
    back: dict[str, int] = {}
    left = {}
    for external, quantity in command.lines.items():
        unmatched = quantity
        for act, name in ((cancel, "open"), (back, "refundable")):
            for line in by_external.get(external, ()):
                part = min(unmatched, getattr(line, name))
                unmatched -= part
                if part:
                    act[line.line_id] = part
        if unmatched:
            left[external] = unmatched
    if left or not command.lines:
        text = f"of {command.key}, {left} was neither open nor shipped" if left else f"{command.key} names no lines"
        return _hold(replace(state, reviewed=True), "GIVE_BACK_UNMATCHED", f"{text}; the channel paid {command.amount_minor} back")
    acts: list[Act] = [Cancel(state.order_id, cancel, command.reason)] if cancel else []
    if back:
        acts.append(_bring_back(state.order_id, back, command))
    return _act(replace(state, acts=acts))


def _by_external(state: State) -> dict[str, list[KnownLine]]:
    """Returns the lines by the channel's name; what ships later of one that was changed is a line of its own."""
    lines: dict[str, list[KnownLine]] = {}
    for line in state.lines:
        lines.setdefault(line.external_line_id, []).append(line)
    return lines


def _bring_back(order_id: str, lines: dict[str, int], command: GiveBack) -> Act:
    if command.location_id:
        return OpenReturn(order_id, command.location_id, lines, command.reason)
    return Refund(order_id, lines, command.reason)


def _act(state: State) -> Next[State]:
    if not state.acts:
        return _next(state)
    return Next(state, (Do(f"{state.at}/act{len(state.acts)}/{state.tries}", state.acts[0]),))


def _after(state: State) -> Next[State]:
    """The command's acts are done: what the channel paid back is compared with what ours comes to."""
    command = state.commands[state.at]
    if isinstance(command, GiveBack) and command.amount_minor >= 0 and state.refunded_minor not in (-1, command.amount_minor):
        text = f"{command.key}: the channel paid {command.amount_minor} back, the units come to {state.refunded_minor}"
        return _hold(replace(state, reviewed=True), "REFUND_DIFFERS", text)
    return _next(state)


def _next(state: State) -> Next[State]:
    return _begin(replace(state, at=state.at + 1, acts=[], tries=0, reviewed=False, refunded_minor=0))


def _hold(state: State, reason: str, detail: str) -> Next[State]:
    return Next(state, changes=(RaiseHold(reason, detail),))
