"""What a process manager's pure `decide` speaks: a new state, effects to perform, timers to set, changes to its own data."""

from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

S = TypeVar("S", bound=Struct)


class Do(NamedTuple):
    """An effect to perform. `step` names it within the process for ever: its request id is made from it."""

    step: str
    effect: Struct


class Timer(NamedTuple):
    """A timer to set, or to cancel where `due_at` is None. Moments are microseconds."""

    name: str
    due_at: int | None


class Fired(Struct, frozen=True, tag=True):
    """A timer went off."""

    name: str


class HoldReleased(Struct, frozen=True, tag=True):
    """A person lifted a hold on what the process is about."""

    reason: str
    actor: str
    resolution: str


class Next(NamedTuple, Generic[S]):
    """What follows from a message: the state after it, and what must be done."""

    state: S
    do: tuple[Do, ...] = ()
    timers: tuple[Timer, ...] = ()
    changes: tuple[Struct, ...] = ()
    ended: bool = False
