"""Rule expressions in CEL, behind one class. An evaluation error denies; it never passes."""

from collections.abc import Mapping, Sequence
from typing import Any

from cel_expr_python import cel

TYPES = {
    "int": cel.Type.INT,
    "string": cel.Type.STRING,
    "bool": cel.Type.BOOL,
    "list": cel.Type.LIST,
    "map": cel.Type.MAP,
}


class RuleError(Exception):
    """An expression that does not compile, or that could not be evaluated."""


class Vocabulary:
    """The names that expressions may use, with their types; made once, compiles many."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._env = cel.NewEnv(variables={name: TYPES[kind] for name, kind in names.items()})

    def compile(self, text: str) -> "Expression":
        """Returns the expression; raises RuleError where it does not type-check."""
        try:
            return Expression(self._env, self._env.compile(text), text)
        except Exception as error:
            raise RuleError(f"{text!r} is not a rule: {error}") from error


def all_of(conditions: Sequence[str]) -> str:
    """Returns one expression that is the list of all conditions: one look at the facts costs as much as one condition."""
    return f"[{', '.join(f'({one})' for one in conditions)}]"


class Expression:
    """A compiled expression."""

    def __init__(self, env: Any, compiled: Any, text: str) -> None:
        self._env = env
        self._compiled = compiled
        self.text = text

    def value(self, facts: Mapping[str, object]) -> Any:
        """Returns the expression's value; raises RuleError where it cannot be evaluated."""
        try:
            result = self._compiled.eval(data=facts)
            if result.type() == cel.Type.ERROR:
                raise RuleError(f"{self.text!r} could not be evaluated: {result.value()}")
            return result.value()
        except RuleError:
            raise
        except Exception as error:
            raise RuleError(f"{self.text!r} could not be evaluated: {error}") from error

    def each_holds(self, facts: Mapping[str, object]) -> list[bool] | None:
        """Says of each element of a list of conditions whether it is true; None where one of them has no boolean value."""
        try:
            values = [one.value() for one in self.value(facts)]
        except RuleError:
            return None
        return values if all(isinstance(one, bool) for one in values) else None

    def needs_bool(self) -> None:
        """Raises RuleError where the expression is not a condition."""
        if self._compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            raise RuleError(f"{self.text!r} is not true or false")

    def holds(self, facts: Mapping[str, object]) -> bool:
        """Says whether a condition is true; raises RuleError where it has no boolean value."""
        value = self.value(facts)
        if not isinstance(value, bool):
            raise RuleError(f"{self.text!r} is {value!r}, not true or false")
        return value
