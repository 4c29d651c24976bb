"""How a queue of holds is worked on: who owns it, how soon its holds are due in which working time, and who owns them next."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import Parse

from argosy.ops.v1 import holds_service_pb2
from chassis.kernel.clock import HOUR, SECOND
from chassis.runtime.calendars import to_calendar
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx

Queue = holds_service_pb2.Queue
MOST_VALUE = 10**10 - 1
# Where a queue says nothing else, operations own what is due and was not resolved.
LAST_STEP: tuple[tuple[int, str], ...] = ((0, "operations"),)


def rank_of(due_at: int, must_leave_by: int | None, value_minor: int) -> int:
    """Returns a hold's place: first the hour by which it is due or must leave, then the more at stake, the sooner."""
    hour = min(due_at, must_leave_by or due_at) // HOUR
    return int(hour * (MOST_VALUE + 1) + MOST_VALUE - min(max(value_minor, 0), MOST_VALUE))


async def settle(tx: Tx, tables: ChassisTables, holds: Sequence[dict[str, Any]]) -> None:
    """Gives holds that are raised their owner, due time, escalation and rank, as their queues were set."""
    queues = await load(tx, tables, sorted({hold["queue"] for hold in holds}))
    for hold in holds:
        queue = queues.get(hold["queue"], Queue())
        due_s = queue.due_s or (hold["due_at"] - hold["raised_at"]) // SECOND
        hold["due_at"] = moment_after(queue, hold["raised_at"], due_s)
        hold["owner_role"] = hold["raised_for"] = queue.owner_role or hold["owner_role"]
        hold["escalate_at"] = moment_after(queue, hold["due_at"], steps_of(queue)[0][0])
        hold["rank"] = rank_of(hold["due_at"], hold["must_leave_by"], hold["value_minor"])


async def load(tx: Tx, tables: ChassisTables, names: Sequence[str]) -> dict[str, Queue]:
    """Returns the queues that were set, by name."""
    rows = await tx.find(tables.queues, ("queue",), [(name,) for name in names]) if names else ()
    return {row.queue: from_row(row) for row in rows}


def from_row(row: Any) -> Queue:
    """Returns a queue as it was set."""
    return Parse(row.body, Queue())


def steps_of(queue: Queue) -> Sequence[tuple[int, str]]:
    """Returns (seconds after due, role) of each step of its escalation."""
    return [(step.after_due_s, step.owner_role) for step in queue.escalation] or LAST_STEP


def moment_after(queue: Queue, since: int, seconds: int) -> int:
    """Returns the moment at which so many seconds of the queue's working time have passed."""
    if not queue.HasField("calendar"):
        return since + seconds * SECOND
    return to_calendar(queue.calendar).after(since, seconds)
