"""An inventory whose rpcs do nothing: the same server, authentication, permission and validation, and an empty answer."""

from typing import Any

from chassis.runtime.contracts import Method
from chassis.runtime.pipeline import Pipeline
from suite.cli import serve


async def nothing(_: Pipeline, method: Method, *__: Any) -> Any:
    return method.response()


if __name__ == "__main__":
    Pipeline._execute = nothing  # type: ignore[method-assign]
    serve("inventory")
