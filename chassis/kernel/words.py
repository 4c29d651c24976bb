"""Words about numbers."""


def counted(number: int, noun: str, one: str = "", many: str = "") -> str:
    """Returns a number of things and the verb that goes with it, e.g. "1 unit", "2 units", "1 line is", "2 lines are"."""
    return " ".join(filter(None, (str(number), noun, one) if number == 1 else (str(number), f"{noun}s", many)))


def share(part: int, whole: int) -> str:
    """Returns a part of a whole in hundredths, e.g. "97 %"; a dash where there is no whole."""
    return f"{(200 * part + whole) // (2 * whole)} %" if whole else "–"
