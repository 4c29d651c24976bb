"""What units are worth: shares sum to what a line costs, whatever of it ships, is cancelled, or goes on as another line."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.orders.domain import amounts


def line(ordered: int, amount: int, **values: int) -> dict[str, Any]:
    row = {"ordered": ordered, "amount_minor": amount, "discount_minor": amount // 7, "tax_minor": amount // 5}
    return {**row, "shipped": 0, "cancelled": 0, "settled": 0, **values}


def order(shipping: int = 0, **values: int) -> dict[str, Any]:
    row = {"shipping_minor": shipping, "shipping_tax_minor": shipping // 5, "settled_shipping_minor": 0, "settled_shipping_tax_minor": 0}
    return {**row, **values}


@given(st.integers(1, 30), st.integers(0, 10_000), st.data())
def test_what_has_shipped_is_open_and_is_cancelled_is_all_of_it(ordered: int, amount: int, data: st.DataObject) -> None:
    shipped = data.draw(st.integers(0, ordered))
    cancelled = data.draw(st.integers(0, ordered - shipped))
    row = line(ordered, amount, shipped=shipped, cancelled=cancelled)
    gone = amounts.units_worth(amounts.priced(row), ordered - cancelled, cancelled)
    parts = [amounts.shipped_worth(row), amounts.open_worth(row), gone]
    assert sum(one.total_minor for one in parts) == amounts.priced(row).total_minor
    # A line that goes on as two is worth the same.
    open_ = amounts.open_worth(row)
    old = line(shipped + cancelled, 0, shipped=shipped, cancelled=cancelled, settled=shipped + cancelled)
    old |= dict(zip(("amount_minor", "discount_minor", "tax_minor"), vars(amounts.shipped_worth(row)).values(), strict=True))
    assert amounts.shipped_worth(old) == amounts.shipped_worth(row)
    assert amounts.open_worth(old).total_minor == 0
    rest = line(ordered - shipped - cancelled, 0)
    rest |= dict(zip(("amount_minor", "discount_minor", "tax_minor"), vars(open_).values(), strict=True))
    assert amounts.open_worth(rest) == open_


@given(st.integers(0, 5000), st.integers(1, 9), st.integers(1, 9))
def test_shipping_is_charged_once_however_the_lines_change_between_parcels(shipping: int, first: int, added: int) -> None:
    one, head = line(first + 1, 1000, shipped=first), order(shipping)
    booked = amounts.shipping_shipped(head, [one])
    assert booked == amounts.shipping_of(head, [line(first + 1, 1000)], first)
    # The rest and another line ship after a change.
    head |= {"settled_shipping_minor": booked.product_minor, "settled_shipping_tax_minor": booked.tax_minor}
    old = line(first, 900, shipped=first, settled=first)
    lines = [old, line(1, 100), line(added, 500)]
    last = amounts.shipping_of(head, lines, 1 + added)
    assert booked.product_minor + last.product_minor == shipping
    assert booked.tax_minor + last.tax_minor == shipping // 5
    assert amounts.shipping_shipped(head, lines) == booked
    assert amounts.worth_left(head, lines) == sum(amounts.open_worth(each).total_minor for each in lines) + last.total_minor
