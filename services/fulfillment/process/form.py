"""A manifest's form, which the driver scans instead of each parcel: made once by the provider of the labels."""

from msgspec import Struct
from msgspec.structs import replace

from chassis.kernel.process import Do, HoldReleased, Next

NAME = "form"


class State(Struct, frozen=True):
    """The manifest, and how often its form was asked for."""

    manifest_id: str
    tries: int = 0


class Want(Struct, frozen=True, tag=True):
    """A form is wanted."""


class Made(Struct, frozen=True, tag=True):
    """It can be printed from here."""

    url: str


class Refused(Struct, frozen=True, tag=True):
    """The provider says no."""

    reason: str


class AskForm(Struct, frozen=True, tag=True):
    """Ask the provider for the form of a manifest."""

    manifest_id: str


class KeepForm(Struct, frozen=True, tag=True):
    """Write where the form is."""

    url: str


class KeepFailure(Struct, frozen=True, tag=True):
    """Write why there is none, and let it wait for a person."""

    reason: str


def decide(state: State, message: Struct, now: int) -> Next[State]:
    """Returns what follows from a message."""
    del now
    match message:
        case Want() | HoldReleased():
            following = replace(state, tries=state.tries + 1)
            return Next(following, (Do(f"ask/{following.tries}", AskForm(state.manifest_id)),))
        case Made(url):
            return Next(state, changes=(KeepForm(url),), ended=True)
        case Refused(reason):
            return Next(state, changes=(KeepFailure(reason),))
        case _:
            raise TypeError(f"{NAME} knows no {type(message).__name__}")
