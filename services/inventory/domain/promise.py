"""What can be promised, and for when. The one formula, for storefronts, orders, routing and reports alike.

For a moment t: P(s) = AVAILABLE in lots sellable at t + Σ ⌊(what comes by s − what is pegged to it) · confidence⌋ − what is
sold, waits, and is pegged to nothing; ATP(t) = max(0, min over t ≤ s ≤ horizon of P(s) − safety stock). Lots are judged at t:
who takes them then takes the shortest-lived first, so that what expires later serves nobody anyway. RESERVED has left
AVAILABLE already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.inventory.domain.stock import Lot


@dataclass(frozen=True)
class Coming:
    """What is expected: when, how much of it is free, and how far that is trusted."""

    due_at: int
    free: int
    confidence_percent: int = 100

    @property
    def counted(self) -> int:
        """Returns how much of it is counted on."""
        return max(0, self.free) * self.confidence_percent // 100


@dataclass
class Outlook:
    """An item at a location: what is there by lot, what comes, what waits for nothing certain, and what is kept back."""

    there: list[tuple[Lot, int]] = field(default_factory=list)
    coming: list[Coming] = field(default_factory=list)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    safety: int = 0

    def promise(self, now: int, moment: int, life_days: int = 0, safety: int | None = None) -> int:
        """Returns ATP for a moment; what should have come before `now` counts nothing until it is dated again.

        What a shipping method keeps back, `safety`, stands instead of what all others do.
        """
        safety = self.safety if safety is None else safety
        there = sum(quantity for lot, quantity in self.there if lot.sellable(moment, life_days))
        if not self.coming and not self.waiting:
            return max(0, there - safety)
        steps = {moment, *(one.due_at for one in self.coming if one.due_at > moment), *(due for due, _ in self.waiting if due > moment)}
        least = min(self._by(now, step) for step in steps)
        return max(0, there + least - safety)

    def _by(self, now: int, step: int) -> int:
        comes = sum(one.counted for one in self.coming if now <= one.due_at <= step)
        return comes - sum(quantity for due, quantity in self.waiting if due <= step)

    def moments(self, now: int, until: int) -> list[int]:
        """Returns the moments at which the promise may change."""
        changes = {one.due_at for one in self.coming} | {due for due, _ in self.waiting} | {lot.expires_at for lot, _ in self.there}
        return [now, *sorted(moment for moment in changes if now < moment <= until)]


@dataclass(frozen=True)
class ChannelPolicy:
    """What a channel may be shown of a pool."""

    buffer: int = 0
    share_percent: int = 100
    threshold: int = 0
    most: int = 0
    network: frozenset[str] = frozenset()


def available_to_sell(promisable: Mapping[str, int] | Sequence[int], policy: ChannelPolicy) -> int:
    """Returns ATS: max(0, min(ATP − buffer, ⌊share · ATP⌋)) over a pool, never more than the most, 0 below the threshold."""
    pool = sum(promisable.values() if isinstance(promisable, Mapping) else promisable)
    shown = max(0, min(pool - policy.buffer, pool * policy.share_percent // 100))
    shown = min(shown, policy.most) if policy.most else shown
    return shown if shown >= policy.threshold else 0
