"""Calls to the interfaces of others: what they answered, or why nobody knows what they did."""

from collections.abc import Mapping
from typing import Any

import httpx


class ApiFailure(Exception):
    """The other side did not answer, or not sensibly: nobody knows whether it did what it was asked."""


class ApiRefusal(Exception):
    """The other side answered and said no; asking the same again is of no use before something changes."""


class Strict(dict[str, Any]):
    """An answer's data: a field that is missing is a failure of the other side, not of ours."""

    def __missing__(self, key: str) -> Any:
        raise ApiFailure(f"the answer lacks {key}")


async def call(client: httpx.AsyncClient, method: str, url: str, **given: Any) -> httpx.Response:
    """Calls and returns the answer; raises ApiFailure where there is none, or one that says to come again, ApiRefusal for a no."""
    try:
        response = await client.request(method, url, **given)
    except (httpx.HTTPError, OSError) as error:
        raise ApiFailure(str(error) or type(error).__name__) from error
    if response.status_code in (408, 409, 425, 429) or response.status_code >= 500:
        raise ApiFailure(f"HTTP {response.status_code}: {response.text[:200]}")
    if response.status_code in (401, 403):
        raise ApiRefusal(f"HTTP {response.status_code}: the token is not accepted")
    if response.status_code >= 300:
        raise ApiRefusal(f"HTTP {response.status_code}: {response.text[:300]}")
    return response


def body_of(response: httpx.Response, **given: Any) -> Any:
    """Returns an answer's JSON, read as json.loads is `given`; raises ApiFailure where it is none."""
    try:
        return response.json(**given)
    except ValueError as error:
        raise ApiFailure(f"HTTP {response.status_code}: the answer is no JSON") from error


def object_of(response: httpx.Response, **given: Any) -> Mapping[str, Any]:
    """Returns an answer that is a JSON object; raises ApiFailure where it is none."""
    body = body_of(response, **given)
    if not isinstance(body, dict):
        raise ApiFailure("the answer is no object")
    return Strict(body)
