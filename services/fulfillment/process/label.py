"""A parcel's label: asked for, bought, given back; each once, whatever the carrier's API does in between.

Rates are asked first, and the carrier's own name for the parcel is kept, so that buying again finds what was bought before.
"""

from msgspec import Struct
from msgspec.structs import replace

from chassis.kernel.process import Do, Next

NAME = "label"


class State(Struct, frozen=True):
    """What is asked for a parcel."""

    parcel_id: str
    # What the caller wants; any where empty.
    carrier: str = ""
    service: str = ""
    # The carrier's name of the parcel, once it has one.
    reference: str = ""


class Buy(Struct, frozen=True, tag=True):
    """A label is wanted."""


class Void(Struct, frozen=True, tag=True):
    """The label is to be given back."""


class Quoted(Struct, frozen=True, tag=True):
    """The carrier knows the parcel, and what a service costs."""

    reference: str
    rate: str
    carrier: str
    service: str
    freight_minor: int
    currency_code: str


class Bought(Struct, frozen=True, tag=True):
    """The label is there."""

    reference: str
    carrier: str
    service: str
    tracking_number: str
    url: str
    freight_minor: int
    currency_code: str


class Voided(Struct, frozen=True, tag=True):
    """It was given back, or giving it back waits at the carrier's."""


class Refused(Struct, frozen=True, tag=True):
    """The carrier says no."""

    reason: str


class AskRate(Struct, frozen=True, tag=True):
    """Ask what the parcel costs."""

    parcel_id: str
    carrier: str
    service: str


class BuyRate(Struct, frozen=True, tag=True):
    """Buy the label at a rate."""

    parcel_id: str
    quoted: Quoted


class GiveBack(Struct, frozen=True, tag=True):
    """Give the label back."""

    parcel_id: str
    reference: str


class KeepLabel(Struct, frozen=True, tag=True):
    """Write what the carrier gave."""

    parcel_id: str
    label: Bought


class KeepVoid(Struct, frozen=True, tag=True):
    """Write that the label was given back."""

    parcel_id: str


class KeepFailure(Struct, frozen=True, tag=True):
    """Write why the carrier says no."""

    parcel_id: str
    reason: str


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    del now
    match message:
        case Buy():
            return Next(state, (Do("rate", AskRate(state.parcel_id, state.carrier, state.service)),))
        case Quoted(reference):
            return Next(replace(state, reference=reference), (Do("buy", BuyRate(state.parcel_id, message)),))
        case Bought():
            return Next(state, changes=(KeepLabel(state.parcel_id, message),), ended=True)
        case Void():
            return Next(state, (Do("void", GiveBack(state.parcel_id, state.reference)),))
        case Voided():
            return Next(state, changes=(KeepVoid(state.parcel_id),), ended=True)
        case Refused(reason):
            return Next(state, changes=(KeepFailure(state.parcel_id, reason),), ended=True)
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")
