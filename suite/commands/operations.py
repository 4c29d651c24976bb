"""`argosy dlq` and `argosy audit`: dead events and the audit chains."""

import sys
import time

import typer

from argosy.ops.v1 import ops_service_pb2
from chassis.runtime.settings import SERVICES
from suite.commands.shared import calling, console, run

dlq = typer.Typer(no_args_is_help=True, help="Events that a consumer gave up.")
audit = typer.Typer(no_args_is_help=True, help="The audit chains.")


@dlq.command("list")
def dlq_list() -> None:
    """List dead events of all services."""

    async def work() -> None:
        async with calling() as calls:
            for service in SERVICES:
                answer = await calls.ops(service).ListDeadEvents(ops_service_pb2.ListDeadEventsRequest(service=service))
                for dead in answer.events:
                    console.print(f"{service}  {dead.event.event_id}  {dead.event.type}  {dead.error}", soft_wrap=True)

    run(work())


@dlq.command("replay")
def dlq_replay(service: str, event_id: str) -> None:
    """Put a dead event back in front of its consumer."""

    async def work() -> None:
        request = ops_service_pb2.ReplayDeadEventRequest(
            request_id=f"dlq-replay-{event_id}-{time.time_ns()}", service=service, consumer=service, event_id=event_id
        )
        async with calling() as calls:
            await calls.ops(service).ReplayDeadEvent(request)

    run(work())
    console.print("it stands in front of its consumer again")


@dlq.command("discard")
def dlq_discard(service: str, event_id: str, reason: str) -> None:
    """Give a dead event up for good."""

    async def work() -> None:
        request = ops_service_pb2.DiscardDeadEventRequest(
            request_id=f"dlq-discard-{event_id}", service=service, consumer=service, event_id=event_id, reason=reason
        )
        async with calling() as calls:
            await calls.ops(service).DiscardDeadEvent(request)

    run(work())
    console.print("it is gone; what stood behind it goes on")


@audit.command("verify")
def audit_verify() -> None:
    """Walk every audit chain; exits with 1 and names the first broken row."""

    async def work() -> int:
        broken = 0
        async with calling() as calls:
            for service in SERVICES:
                answer = await calls.ops(service).VerifyAudit(ops_service_pb2.VerifyAuditRequest(service=service), timeout=60)
                console.print(f"{service:12} {answer.rows:8} rows  {answer.broken or 'whole'}")
                broken += bool(answer.broken)
        return broken

    sys.exit(1 if run(work()) else 0)
