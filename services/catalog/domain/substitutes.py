"""When one item may be sent instead of another: a condition over the channel that sold it and the country that it goes to."""

from functools import lru_cache

from chassis.kernel.rules import Expression, RuleError, Vocabulary

VOCABULARY = Vocabulary({"channel": "string", "country": "string"})


@lru_cache(1024)
def compiled(condition: str) -> Expression:
    """Returns a condition, compiled once; raises RuleError where it is none."""
    expression = VOCABULARY.compile(condition)
    expression.needs_bool()
    return expression


def unfit(condition: str, channel_id: str, country_code: str) -> str:
    """Returns why it may not be sent; nothing where it may. What cannot be evaluated denies."""
    if not condition:
        return ""
    try:
        holds = compiled(condition).holds({"channel": channel_id, "country": country_code})
    except RuleError as error:
        return str(error)
    return "" if holds else f"only where {condition}"
