"""When one item may be sent instead of another: a condition over the channel that sold it and the country that it goes to."""

from functools import lru_cache
from typing import Any

from chassis.kernel.rules import Expression, RuleError, Vocabulary
from services.catalog.domain.item import Lifecycle

VOCABULARY = Vocabulary({"channel": "string", "country": "string"})


@lru_cache(1024)
def compiled(condition: str) -> Expression:
    """Returns a condition, compiled once; raises RuleError where it is none."""
    expression = VOCABULARY.compile(condition)
    expression.needs_bool()
    return expression


def unfit(item: Any, condition: str, channel_id: str, country_code: str, *, sold: bool) -> str:
    """Returns why an item may not be sent; nothing where it may. What cannot be evaluated denies."""
    if item.lifecycle != Lifecycle.PUBLISHED:
        return "it is not published"
    if not sold:
        return f"{channel_id} does not sell it"
    if country_code and country_code in item.restricted_countries.split(","):
        return f"it must not go to {country_code}"
    if not condition:
        return ""
    try:
        holds = compiled(condition).holds({"channel": channel_id, "country": country_code})
    except RuleError as error:
        return str(error)
    return "" if holds else f"only where {condition}"
