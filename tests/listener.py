"""HTTP servers of others, on loopback, for as long as a test: whatever a Starlette application answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from gateway.http.server import HttpServer
from suite.up import free_ports


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    """Serves an application and yields its address."""
    port = free_ports(1)[0]
    server = HttpServer(app, "127.0.0.1", port)
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop(force=True)
