"""How fast stock turns and how long it lasts, in whole numbers."""

AGES = (0, 30, 90, 180, 365)
YEAR_DAYS = 365
NONE = -1


def turns_hundredths(cost_minor: int, before_minor: int, now_minor: int, days: int) -> int:
    """Returns how often a year the mean of two values would be sold at the cost of so many days; NONE where there was no value."""
    both = before_minor + now_minor
    return NONE if both <= 0 else max(0, cost_minor) * 2 * 100 * YEAR_DAYS // (both * days)


def cover_days(there: int, sold: int, days: int) -> int:
    """Returns how many days what is there would last if it went on as in so many days; NONE where nothing is sold."""
    return NONE if sold <= 0 else there * days // sold
