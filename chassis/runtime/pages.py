"""Pages: a token is where the page before ended, as an opaque text."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, tuple_

from chassis.kernel.errors import InvalidArgument
from chassis.runtime.tx import Tx

DEFAULT = 100
MOST = 500


async def page(
    tx: Tx, query: Select[Any], keys: Sequence[ColumnElement[Any]], request: Any, *, descending: bool = False
) -> tuple[Sequence[Any], str]:
    """Returns the rows of a page ordered by `keys` (together unique), and the token of the next."""
    size = min(request.page_size or DEFAULT, MOST)
    if request.page_token:
        last = _decode(request.page_token, len(keys))
        query = query.where(tuple_(*keys) < tuple_(*last) if descending else tuple_(*keys) > tuple_(*last))
    ordered = query.order_by(*(key.desc() if descending else key for key in keys)).limit(size + 1)
    rows = await tx.read(ordered)
    if len(rows) <= size:
        return rows, ""
    return rows[:size], token_after([getattr(rows[size - 1], key.key or "") for key in keys])


def token_after(values: Sequence[Any]) -> str:
    """Returns the token of the page that begins after these values of its keys."""
    return urlsafe_b64encode(json.dumps(values).encode()).decode()


def _decode(token: str, count: int) -> list[Any]:
    try:
        values = json.loads(urlsafe_b64decode(token.encode()))
        if isinstance(values, list) and len(values) == count and all(isinstance(v, str | int) for v in values):
            return values
    except ValueError:
        pass
    raise InvalidArgument("BAD_PAGE_TOKEN", "page_token is not one that this list gave", field="page_token")
