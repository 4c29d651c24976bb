"""An order's story: what happened, as sentences of facts. Each sentence names the entries of the timeline that it tells of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from chassis.kernel.clock import SECOND
from chassis.kernel.words import counted

HELD, GONE, LET_GO = "HOLD_", "LIFTED_", "LET_GO_"
# What is told as it is written, after the date.
PLAIN = {
    "RESERVED": "stock was reserved: {detail}",
    "MOVED": "it was found to ship better from elsewhere: {detail}",
    "RELEASED": "it was given {detail}",
    "BACKORDERED": "{detail}",
    "PREORDERED": "it was ordered before it is sold: {detail}",
    "ON_SALE": "{detail}",
    "SALE_MOVED": "the day from which it is sold was moved {detail}",
    "SUPPLY_CAME": "supply came and was reserved: {detail}",
    "SHORT_PICK": "{detail}",
    "REJECTED": "a location would not ship it: {detail}",
    "GIVEN_BACK": "what was reserved for it was given back: {detail}",
    "STOCK_TAKEN": "its stock was taken away {detail}",
    "DELAYED": "it became late: {detail}",
    "CONTACT_CHANGED": "the customer is reached elsewhere{detail}",
    "CANCEL_REQUESTED": "a cancellation was asked for: {detail}",
    "CANCELLED": "{detail} was cancelled",
    "CHANGED": "it was changed by {detail}",
    "SUBSTITUTE_OFFERED": "the customer was offered {detail}",
    "OFFER_ACCEPTED": "the customer took {detail}",
    "OFFER_DECLINED": "the customer did not want {detail}",
    "OFFER_EXPIRED": "the customer did not answer to {detail}",
    "OFFER_WITHDRAWN": "the customer is offered no more {detail}",
    "CHANGE_REFUSED": "a change came too late: {detail}",
    "TENDER_ADDED": "another payment of {detail} was added",
    "CAPTURED_PAYMENT": "{detail} was taken",
    "VOIDED_PAYMENT": "{detail} that was authorised was let go",
    "REFUND_PAID": "{detail} went back",
    "CANCEL_ASKED": "locations were asked to stop {detail}",
    "CANCEL_DECLINED": "a location would not stop {detail}",
    "CANCEL_TOO_LATE": "a cancellation came too late: {detail}",
    "SHIPPED_ASTRAY": "{detail}, left nevertheless",
}


class Moment(NamedTuple):
    """An entry of a timeline; what sentences need beside its text is in `facts`."""

    entry_id: str
    at: int
    service: str
    kind: str
    text: str
    actor: str
    subject_type: str
    subject_id: str
    facts: dict[str, Any] = {}  # noqa: RUF012


class Sentence(NamedTuple):
    """A sentence and the entries that it tells of."""

    text: str
    entry_ids: list[str]


@dataclass(frozen=True)
class Told:
    """What is told of the order as such."""

    number: str
    channel_id: str
    worth: str
    units: int
    lines: int
    status: str
    open_units: dict[str, int] = field(default_factory=dict)
    expected_by: int | None = None


def day(moment: int) -> str:
    """Returns a moment as people read it."""
    return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%d %H:%M")


def tell(told: Told, moments: Sequence[Moment]) -> list[Sentence]:
    """Returns the story, in the order in which things began; the last sentence says how it stands."""
    if not moments:
        return []
    sentences: list[Sentence] = []
    for index, moment in enumerate(moments):
        sentences += _sentence(told, moment, moments[index + 1 :])
    return [*sentences, _now(told, moments[-1])]


def _sentence(told: Told, moment: Moment, later: Sequence[Moment]) -> Iterator[Sentence]:
    match moment.kind:
        case "CAPTURED":
            what = f"{counted(told.units, 'unit')} in {counted(told.lines, 'line')}, {told.worth}"
            yield Sentence(f"Order {told.number} of {told.channel_id} was taken on {day(moment.at)}: {what}.", [moment.entry_id])
        case "PARCEL" if moment.facts.get("collected"):
            what, where = counted(moment.facts["units"], "unit"), moment.facts["location_id"]
            yield Sentence(f"The customer collected {what} at {where} on {day(moment.at)}.", [moment.entry_id])
        case "PARCEL":
            yield _parcel(moment, later)
        case "READY_FOR_PICKUP":
            yield Sentence(f"It waited at {moment.facts['location_id']} for the customer from {day(moment.at)} on.", [moment.entry_id])
        case "REFUND":
            yield Sentence(
                f"{moment.facts['amount']} to give back was agreed on {day(moment.at)}: {moment.facts['reason']}.", [moment.entry_id]
            )
        case "TOLD_CUSTOMER":
            yield Sentence(f"The customer was told on {day(moment.at)}: {moment.facts['what']}.", [moment.entry_id])
        case "RETURN":
            yield Sentence(f"A return was asked for on {day(moment.at)}; it is {moment.facts['status']}.", [moment.entry_id])
        case kind if kind.startswith(HELD):
            yield _hold(moment, kind.removeprefix(HELD), later)
        case kind if kind in PLAIN:
            text = PLAIN[kind].format(detail=moment.facts.get("detail", ""))
            yield Sentence(f"On {day(moment.at)} {text}.", [moment.entry_id])


def _parcel(moment: Moment, later: Sequence[Moment]) -> Sentence:
    facts = moment.facts
    with_whom = f" with {facts['carrier']}" if facts["carrier"] else ""
    number = f" ({facts['tracking_number']})" if facts["tracking_number"] else ""
    text = f"A parcel with {counted(facts['units'], 'unit')} left {facts['location_id']} on {day(moment.at)}{with_whom}{number}"
    arrived = next((one for one in later if one.kind == "ARRIVED" and one.subject_id == moment.subject_id), None)
    if arrived is None:
        return Sentence(f"{text}; it has not arrived yet.", [moment.entry_id])
    return Sentence(f"{text} and arrived on {day(arrived.at)}.", [moment.entry_id, arrived.entry_id])


def _hold(moment: Moment, reason: str, later: Sequence[Moment]) -> Sentence:
    detail = f", {moment.facts['detail']}" if moment.facts.get("detail") else ""
    text = f"On {day(moment.at)} it was held for {reason}{detail}"
    end = next((one for one in later if one.kind in (GONE + reason, LET_GO + reason)), None)
    if end is None:
        return Sentence(f"{text}; it is held still.", [moment.entry_id])
    if end.kind.startswith(GONE):
        return Sentence(f"{text}, until the reason was gone on {day(end.at)}.", [moment.entry_id, end.entry_id])
    return Sentence(
        f"{text}, until {end.actor} let it go on {day(end.at)}: {end.facts.get('detail', '')}.", [moment.entry_id, end.entry_id]
    )


def _now(told: Told, last: Moment) -> Sentence:
    rest = ", ".join(f"{units} {name}" for name, units in told.open_units.items() if units)
    text = f"It is {told.status}" + (f": {rest}" if rest else "")
    if told.expected_by is not None and rest:
        text += f"; all is expected by {day(told.expected_by)}"
    return Sentence(f"{text}.", [last.entry_id])
