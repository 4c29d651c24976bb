"""The bus: JetStream. Streams and consumers are declared here; nothing else imports the client.

A broker is a pipe: what it loses, the relay sends again. Every message carries its event's record as headers.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import nats
import structlog
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from argosy.ops.v1 import ops_pb2

DAY_S = 86_400
CHECK_S = 15.0
log = structlog.get_logger()


@dataclass(frozen=True)
class StreamState:
    """Enough of a stream to tell whether it is still the one that was filled."""

    created: str
    last_sequence: int


class Delivery(Protocol):
    """An event that was delivered."""

    record: ops_pb2.EventRecord

    async def ack(self) -> None:
        """Says that it need not be delivered again."""


class Subscription(Protocol):
    """A consumer's place in a producer's stream."""

    async def fetch(self, most: int, wait_s: float) -> Sequence[Delivery]:
        """Returns what is there, waiting for the first; nothing after `wait_s`."""


class Bus(Protocol):
    """Carries events from services to services. `connections` counts how often it was connected."""

    connections: int

    async def declare(self, producer: str) -> StreamState:
        """Makes sure that a producer's stream exists and says which one it is."""

    async def publish(self, subject: str, record: ops_pb2.EventRecord) -> int:
        """Publishes an event and returns its place in the stream, once the stream has it."""

    async def subscribe(self, consumer: str, producer: str, aggregates: Sequence[str]) -> Subscription:
        """Returns a durable subscription to whole aggregates of a producer."""

    async def holds(self, producer: str, stream_sequence: int, event_id: str) -> bool:
        """Says whether the stream still has this event at this place."""


class NatsDelivery:
    """An event from JetStream."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self.record = ops_pb2.EventRecord.FromString(message.data)

    async def ack(self) -> None:
        """Acknowledges; a lost acknowledgement only means that it comes again."""
        await self._message.ack()


class NatsSubscription:
    """A durable pull consumer that is made again where the server lost it."""

    def __init__(self, bus: "NatsBus", consumer: str, producer: str, aggregates: Sequence[str]) -> None:
        self._bus = bus
        self._names = (consumer, producer, tuple(sorted(aggregates)))
        self._created = ""
        self._pull: Any = None
        self._checked = (0, 0.0)

    async def fetch(self, most: int, wait_s: float) -> Sequence[NatsDelivery]:
        """Returns what is there; the subscription is laid anew where stream or consumer are not what they were."""
        if self._pull is None:
            self._pull = await self._bus.pull(*self._names)
            self._created = (await self._bus.declare(self._names[1])).created
            self._checked = (self._bus.connections, time.monotonic())
        try:
            messages = await self._pull.fetch(most, timeout=wait_s)
        except (NatsTimeout, TimeoutError):
            await self._check()
            return []
        except (APIError, nats.errors.Error):
            self._pull = None
            raise
        return [NatsDelivery(message) for message in messages]

    async def _check(self) -> None:
        """Asks after each reconnection, and now and then, whether stream and consumer are still those that were bound."""
        connections, at = self._checked
        if connections == self._bus.connections and time.monotonic() - at < CHECK_S:
            return
        checked = (self._bus.connections, time.monotonic())
        if (await self._bus.declare(self._names[1])).created != self._created or not await self._bus.has(*self._names):
            self._pull = None
        self._checked = checked


class NatsBus:
    """JetStream over one connection that reconnects for ever."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Any = None
        self._js: Any = None
        self.connections = 0

    async def _connected(self) -> None:
        self.connections += 1

    async def connect(self) -> None:
        """Connects, waiting for the server where it is not there yet."""
        self._client = await nats.connect(
            self._url, name=self._name, max_reconnect_attempts=-1, pending_size=0, reconnect_time_wait=0.25,
            allow_reconnect=True, error_cb=_quiet, reconnected_cb=self._connected, connect_timeout=2, ping_interval=5,
        )  # fmt: skip
        self._js = self._client.jetstream(timeout=5)

    async def close(self) -> None:
        """Closes the connection; what was not acknowledged will come again."""
        if self._client is not None:
            await self._client.close()

    async def declare(self, producer: str) -> StreamState:
        """Makes sure of `ARGOSY_<PRODUCER>`."""
        name = _stream(producer)
        try:
            info = await self._js.stream_info(name)
        except NotFoundError:
            config = StreamConfig(
                name=name, subjects=[f"argosy.{producer}.>"], storage=StorageType.FILE, retention=RetentionPolicy.LIMITS,
                max_age=7 * DAY_S, discard=DiscardPolicy.NEW, duplicate_window=120,
            )  # fmt: skip
            info = await self._js.add_stream(config)
        return StreamState(str(info.created), info.state.last_seq)

    async def publish(self, subject: str, record: ops_pb2.EventRecord) -> int:
        """Publishes with the event's id as message id, so that the server drops what it has."""
        headers = {
            "Nats-Msg-Id": record.event_id, "ce-specversion": "1.0", "ce-id": record.event_id, "ce-type": record.type,
            "ce-source": f"/argosy/{subject.split('.')[1]}", "ce-subject": record.aggregate_id,
            "content-type": "application/protobuf", "traceparent": record.traceparent,
            "correlationid": record.correlation_id, "causationid": record.causation_id,
        }  # fmt: skip
        ack = await self._js.publish(subject, record.SerializeToString(), headers=headers)
        return int(ack.seq)

    async def subscribe(self, consumer: str, producer: str, aggregates: Sequence[str]) -> NatsSubscription:
        """Returns a subscription; it is laid with the first fetch."""
        return NatsSubscription(self, consumer, producer, aggregates)

    async def pull(self, consumer: str, producer: str, aggregates: Sequence[str]) -> Any:
        """Declares the durable consumer and binds to it."""
        await self.declare(producer)
        config = ConsumerConfig(
            durable_name=consumer, ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL, ack_wait=30,
            max_deliver=-1, max_ack_pending=4096, filter_subjects=[f"argosy.{producer}.v1.{a}.*" for a in aggregates],
        )  # fmt: skip
        await self._js.add_consumer(_stream(producer), config)
        return await self._js.pull_subscribe_bind(durable=consumer, stream=_stream(producer))

    async def has(self, consumer: str, producer: str, aggregates: Sequence[str]) -> bool:
        """Says whether the durable consumer exists."""
        del aggregates
        try:
            await self._js.consumer_info(_stream(producer), consumer)
        except NotFoundError:
            return False
        return True

    async def holds(self, producer: str, stream_sequence: int, event_id: str) -> bool:
        """Looks one message up."""
        try:
            message = await self._js.get_msg(_stream(producer), stream_sequence)
        except NotFoundError:
            return False
        return bool(ops_pb2.EventRecord.FromString(message.data).event_id == event_id)


def _stream(producer: str) -> str:
    return f"ARGOSY_{producer.upper()}"


async def _quiet(error: Exception) -> None:
    log.debug("bus", error=repr(error))


class MemoryBus:
    """The bus of a simulation: everything in one process, nothing lost unless it is told to lose."""

    def __init__(self) -> None:
        self.streams: dict[str, list[tuple[str, ops_pb2.EventRecord]]] = {}
        # Up to where each consumer was delivered, and what of it was not acknowledged.
        self.delivered: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.unacknowledged: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self.generation = 0
        self.connections = 0
        self.arrived = asyncio.Event()

    async def declare(self, producer: str) -> StreamState:
        """Makes sure of a list."""
        return StreamState(str(self.generation), len(self.streams.setdefault(producer, [])))

    async def publish(self, subject: str, record: ops_pb2.EventRecord) -> int:
        """Appends."""
        stream = self.streams.setdefault(subject.split(".")[1], [])
        stream.append((subject, record))
        self.arrived.set()
        return len(stream)

    async def subscribe(self, consumer: str, producer: str, aggregates: Sequence[str]) -> "MemorySubscription":
        """Returns a subscription from where the consumer stood."""
        return MemorySubscription(self, consumer, producer, aggregates)

    async def holds(self, producer: str, stream_sequence: int, event_id: str) -> bool:
        """Looks one event up."""
        stream = self.streams.get(producer, [])
        return 0 < stream_sequence <= len(stream) and stream[stream_sequence - 1][1].event_id == event_id

    def lose(self) -> None:
        """Loses every stream and every consumer's place, as a deleted store does."""
        self.streams.clear()
        self.delivered.clear()
        self.unacknowledged.clear()
        self.generation += 1
        self.connections += 1


class MemorySubscription:
    """A consumer's place in a list; what was fetched and not acknowledged comes again, to whoever fetches next."""

    def __init__(self, bus: MemoryBus, consumer: str, producer: str, aggregates: Sequence[str]) -> None:
        self._bus = bus
        self._key = (consumer, producer)
        self._prefixes = tuple(f"argosy.{producer}.v1.{aggregate}." for aggregate in aggregates)

    async def fetch(self, most: int, wait_s: float) -> Sequence["MemoryDelivery"]:
        """Returns what lies behind the consumer's place."""
        bus, key, generation = self._bus, self._key, self._bus.generation
        place = min(bus.unacknowledged[key], default=bus.delivered[key] + 1) - 1
        if place >= len(bus.streams.get(key[1], [])):
            bus.arrived.clear()
            try:
                await asyncio.wait_for(bus.arrived.wait(), wait_s)
            except TimeoutError:
                return []
            if generation != bus.generation:
                return []
        stream = bus.streams.get(key[1], [])
        bus.delivered[key] = max(bus.delivered[key], min(len(stream), place + most))
        taken = [
            (at, record)
            for at, (subject, record) in enumerate(stream[place : place + most], place + 1)
            if subject.startswith(self._prefixes)
        ]
        bus.unacknowledged[key].update(at for at, _ in taken)
        return [MemoryDelivery(record, partial(self._passed, generation, at)) for at, record in taken]

    def _passed(self, generation: int, place: int) -> None:
        # What is said of a store that was lost says nothing of the next one.
        if generation == self._bus.generation:
            self._bus.unacknowledged[self._key].discard(place)


@dataclass
class MemoryDelivery:
    """An event from a list."""

    record: ops_pb2.EventRecord
    passed: Callable[[], None]

    async def ack(self) -> None:
        """Says that it need not come again."""
        self.passed()


async def describe(url: str) -> str:
    """Returns in words what JetStream at an address holds; raises OSError where there is none. Changes nothing."""

    async def quiet(_: Exception) -> None:
        return None

    try:
        client = await nats.connect(url, connect_timeout=2, allow_reconnect=False, error_cb=quiet)
        try:
            account = await client.jetstream().account_info()
        finally:
            await client.close()
    except nats.errors.Error as error:
        raise OSError(str(error) or type(error).__name__) from error
    return f"JetStream has {account.streams} streams and {account.consumers} consumers"
