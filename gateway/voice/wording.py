"""How customers are told: templates in a sandbox, those that come with Argosy, and a plain HTML frame around plain words.

A template sees facts and nothing else: no functions, no ranges, no multiplication of texts.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from chassis.kernel.errors import InvalidArgument

LANGUAGES = ("en", "de", "fr")
FALLBACK = "en"
WORDS = files("gateway.voice") / "words"
MOST_RENDERED = 200_000


class Words(NamedTuple):
    """How a notice is worded, or what came of it; `version` is 0 for what comes with Argosy."""

    subject: str
    text: str
    html: str = ""
    language: str = FALLBACK
    version: int = 0


class _Block(NamedTuple):
    """A paragraph's lines, or a list's points."""

    lines: Sequence[str] = ()
    points: Sequence[str] = ()


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without what could take long."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuses to multiply: a short template could write gigabytes."""
        del context, left, right
        raise SecurityError(f"{operator} is not for templates")


def _sandbox(*, html: bool) -> _Sandbox:
    made = _Sandbox(undefined=StrictUndefined, autoescape=html, trim_blocks=True, lstrip_blocks=True)
    made.globals.clear()
    return made


PLAIN, MARKUP = _sandbox(html=False), _sandbox(html=True)


def render(words: Words, facts: Mapping[str, Any]) -> Words:
    """Returns what a customer gets; raises InvalidArgument INVALID_TEMPLATE that names the part, the line and what is wrong."""
    subject = " ".join(_rendered(PLAIN, words.subject, facts, "subject").split())
    text = _tidy(_rendered(PLAIN, words.text, facts, "text"))
    if words.html:
        return words._replace(subject=subject, text=text, html=_rendered(MARKUP, words.html, facts, "html"))
    return words._replace(subject=subject, text=text, html=_framed(subject, text, words.language))


def _rendered(sandbox: _Sandbox, source: str, facts: Mapping[str, Any], part: str) -> str:
    try:
        written, parts = 0, []
        for piece in sandbox.from_string(source).generate(facts):
            written += len(piece)
            if written > MOST_RENDERED:
                raise SecurityError(f"more than {MOST_RENDERED} characters come of it")
            parts.append(piece)
        return "".join(parts)
    except TemplateSyntaxError as error:
        raise _invalid(part, f"line {error.lineno}: {error.message}") from error
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise _invalid(part, str(error)) from error


def _invalid(part: str, text: str) -> InvalidArgument:
    return InvalidArgument("INVALID_TEMPLATE", f"{part}: {text}; PreviewNotice shows the facts that there are", field=part)


def _tidy(text: str) -> str:
    """Returns a text without the empty lines that statements leave: never two in a row, none at the ends."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return "\n".join(line for line, before in zip(lines, ["", *lines], strict=False) if line or before) + "\n"


def _framed(subject: str, text: str, language: str) -> str:
    blocks = []
    for is_text, group in groupby(text.splitlines(), key=bool):
        if is_text:
            blocks += [_block(pointed, list(lines)) for pointed, lines in groupby(group, key=lambda line: line.startswith("- "))]
    return MARKUP.from_string(_frame()).render(subject=subject, blocks=blocks, language=language)


def _block(pointed: bool, lines: list[str]) -> _Block:
    return _Block(points=[line.removeprefix("- ") for line in lines]) if pointed else _Block(lines=lines)


@cache
def _frame() -> str:
    return (WORDS / "frame.html").read_text("utf-8")


@cache
def own_words(kind: str, language: str) -> Words:
    """Returns what comes with Argosy for a kind, e.g. shipped, in one of LANGUAGES: the first line is the subject."""
    subject, _, text = (WORDS / language / f"{kind}.txt").read_text("utf-8").partition("\n")
    return Words(subject, text.lstrip("\n"), language=language)


def choices(*languages: str) -> list[str]:
    """Returns the languages to look in, best first: each as it is, then without its region; at last English."""
    wanted = [one for language in languages if language for one in (language, language.split("-", maxsplit=1)[0])]
    return list(dict.fromkeys([*wanted, FALLBACK]))
