"""The least that a gateway must do: a JSON body in, a call of Reserve, JSON out, by the same HTTP server and the same gRPC client."""

import asyncio
import os
import signal

import msgspec
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.inventory.v1 import reservations_service_pb2
from argosy.inventory.v1.reservations_service_pb2_grpc import ReservationsServiceStub
from chassis.kernel.ids import new_id
from chassis.runtime.auth import Tokens
from chassis.runtime.channels import GrpcChannels
from chassis.runtime.host import service_secret
from chassis.runtime.settings import Settings
from gateway.http.server import HttpServer


async def main(item_id: str) -> None:
    """Serves until it is told to end."""
    settings = Settings()
    channels = GrpcChannels(settings, Tokens("suite", service_secret(settings)))
    reserve = ReservationsServiceStub(channels.to("inventory")).Reserve

    async def echo(request: Request) -> Response:
        said = msgspec.json.decode(await request.body())
        line = reservations_service_pb2.ReservationLine(line_id="1", item_id=item_id, location_id="BER", quantity=1)
        await reserve(reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=new_id(), lines=[line]))
        return Response(msgspec.json.encode(said), 200, media_type="application/json")

    server = HttpServer(Starlette(routes=[Route("/{path:path}", echo, methods=["POST"])]), settings.host, settings.http_port)
    await server.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await server.stop()
    await channels.close()


if __name__ == "__main__":
    uvloop.run(main(os.environ["ECHO_ITEM"]))
