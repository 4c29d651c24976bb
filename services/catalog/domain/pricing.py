"""Which of an item's list prices holds: for whom, from how many on, and when."""

from collections.abc import Iterable
from typing import Any

from chassis.kernel.money import proportion


def price_in_force(prices: Iterable[Any], channel_id: str, currency_code: str, customer_group: str, quantity: int, moment: int) -> Any:
    """Returns the price (a row) that holds for a line, or None.

    A channel's own goes before the general one, a customer group's before everybody's, the break of the greatest quantity
    that is reached before the others, and the one that began last before those it follows.
    """
    fitting = [
        one
        for one in prices
        if one.currency_code == currency_code
        and one.channel_id in ("", channel_id)
        and one.customer_group in ("", customer_group)
        and one.min_quantity <= quantity
        and one.valid_from <= moment < (one.valid_until or moment + 1)
    ]
    return max(fitting, key=lambda one: (one.channel_id, one.customer_group, one.min_quantity, one.valid_from), default=None)


def moved_permille(before: int, after: int) -> int:
    """Returns how far a price moves, in thousandths of what it was; a thousand where it was nothing and is something."""
    if before == after:
        return 0
    return proportion(abs(after - before), 1000, before) if before else 1000
