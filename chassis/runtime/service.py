"""What a service is to its host: contracts with what answers them, reactions, processes, periodic jobs, facts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from sqlalchemy import MetaData, Select

from argosy.ops.v1 import ops_pb2
from chassis.runtime.approvals import ApprovalKind
from chassis.runtime.gather import Gathered
from chassis.runtime.inbox import Reaction
from chassis.runtime.jobs import JobKind
from chassis.runtime.pipeline import Asks, Prepare, Read, Watch
from chassis.runtime.process import ProcessType
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import SetHandler

FoundFacts = tuple[Sequence[ops_pb2.Break], Sequence[ops_pb2.Fact]]
FindFacts = Callable[[Tx, int], Awaitable[FoundFacts]]
# Starts what listens beside gRPC, given the component, its channels and the settings; returns how to stop it.
Front = Callable[[Any, Any, Any], Awaitable[Callable[[], Awaitable[None]]]]


@dataclass(frozen=True)
class Periodic:
    """A job that one replica does every so often, in a transaction.

    Where `due` is given, it is done only when that query finds a row, or `work.wake(name)` says so; it may ask for the moment by
    `statements.NOW`.
    """

    name: str
    every_s: float
    job: Callable[[Work], Awaitable[None]]
    due: Select[Any] | None = None


@dataclass(frozen=True)
class Service:
    """A service as its `module.py` composes it. Rpcs are bound by name; a test fails for one that is not."""

    name: str
    metadata: MetaData
    tables: ChassisTables
    contracts: Sequence[ServiceDescriptor]
    writes: Mapping[str, SetHandler]
    reads: Mapping[str, Read | Gathered | Asks]
    watches: Mapping[str, Watch] = field(default_factory=dict)
    prepares: Mapping[str, Prepare] = field(default_factory=dict)
    reactions: Mapping[type[Message], Reaction] = field(default_factory=dict)
    processes: Sequence[ProcessType] = ()
    periodics: Sequence[Periodic] = ()
    facts: Mapping[str, FindFacts] = field(default_factory=dict)
    approvals: Sequence[ApprovalKind] = ()
    jobs: Sequence[JobKind] = ()
    on_hold_released: Callable[[Work, Any], Awaitable[None]] | None = None
    front: Front | None = None
