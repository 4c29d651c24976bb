"""What runs beside the gateway's rpcs: the HTTP server, the voice, and the look at what must always be true."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from argosy.gateway.v1.proofs_service_pb2_grpc import ProofsServiceStub
from chassis.runtime.channels import Channels
from chassis.runtime.component import Component, cancelled
from chassis.runtime.host import service_secret
from chassis.runtime.settings import Settings
from gateway.app.proofs import record_of
from gateway.app.prove import CHECKS, prove
from gateway.http import server
from gateway.http.offers import Links
from gateway.voice.egress import Egress
from gateway.voice.forwarder import Forwarder
from gateway.voice.mail import Mail
from gateway.voice.postman import Postman
from gateway.voice.publisher import Publisher
from gateway.voice.sender import Sender

log = structlog.get_logger()
# What the last proof of this process found broken, by check, until it is asked for.
BREAKS: dict[str, int] = {}


class Front:
    """Starts it; `egress` and `mail` are told what the installation allows."""

    def __init__(self, egress: Egress, mail: Mail) -> None:
        self._egress = egress
        self._mail = mail

    async def start(self, component: Component, channels: Channels, settings: Settings) -> Callable[[], Awaitable[None]]:
        """Starts all of it and returns how to stop it."""
        self._egress.allow_private = settings.allow_private_targets
        self._mail.set_up(settings.smtp_url)
        links = Links(service_secret(settings), settings.public_url)
        stop_http = await server.start(component, channels, settings, links)
        runs = (
            Sender(component, self._egress).serve(),
            Publisher(component, channels, self._egress).serve(),
            Forwarder(component, channels, self._egress).serve(),
            Postman(component, channels, self._egress, self._mail, links.to_offer).serve(),
            _keep_proving(component, channels, settings.prove_every_s),
        )
        tasks = [asyncio.ensure_future(run) for run in runs]

        async def stop() -> None:
            await stop_http()
            await cancelled(tasks)

        return stop


def _breaks(_: CallbackOptions) -> Iterator[Observation]:
    for check, count in BREAKS.items():
        yield Observation(count, {"check": check})


async def _keep_proving(component: Component, channels: Channels, every_s: float) -> None:
    """Proves the suite now and then, by one replica, records what was found, and shows it as a metric."""
    metrics.get_meter("argosy").create_observable_gauge("argosy.proof.breaks", [_breaks], description="What the last proof found broken.")
    while every_s:
        await asyncio.sleep(every_s)
        try:
            if await component.leases.hold("prove"):
                proof = await prove(channels)
                BREAKS.update({check: len(proof.of(check)) for check in CHECKS})
                await ProofsServiceStub(channels.to("gateway")).RecordProof(record_of(proof))
        except Exception as error:
            log.warning("the suite could not be proved", error=repr(error))
