"""The tables that every service has: requests, outbox, inbox, processes, effects, timers, holds, leases, audit,
approvals, jobs.

Moments are microseconds since 1970. `chassis_tables(metadata)` puts them into a service's own metadata.
"""

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from chassis.runtime.statements import ALIKE, Condition

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}
# SQLite gives a row id only to a column declared INTEGER.
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")


def new_metadata() -> MetaData:
    """Returns metadata with the house's constraint names."""
    return MetaData(naming_convention=NAMING)


@dataclass(frozen=True)
class ChassisTables:
    """The chassis' tables within one service's metadata."""

    requests: Table
    outbox: Table
    event_heads: Table
    inbox: Table
    parked_events: Table
    processes: Table
    effects: Table
    timers: Table
    holds: Table
    queues: Table
    leases: Table
    audit_rows: Table
    approvals: Table
    limits: Table
    limit_uses: Table
    jobs: Table
    job_results: Table

    @cached_property
    def open_holds(self) -> Condition:
        """The condition of holds that are not released."""
        return (self.holds.c.released_at.is_(None),)

    @cached_property
    def unsealed(self) -> Condition:
        """The condition of audit rows that stand for a batch which is not in the chain yet."""
        return (self.audit_rows.c.position.is_(None), self.audit_rows.c.batch_id.is_(None))


def chassis_tables(metadata: MetaData) -> ChassisTables:
    """Defines the chassis' tables in a service's metadata."""
    return ChassisTables(
        requests=Table(
            "requests", metadata,
            Column("principal", String(120), primary_key=True, info=ALIKE),
            Column("method", String(120), primary_key=True, info=ALIKE),
            Column("request_id", String(255), primary_key=True),
            Column("fingerprint", LargeBinary, nullable=False),
            Column("response", Text),
            Column("refusal", Text, info=ALIKE),
            Column("created_at", BigInteger, nullable=False, info=ALIKE),
        ),
        outbox=Table(
            "outbox", metadata,
            Column("position", ROW_ID, primary_key=True, autoincrement=True),
            Column("event_id", String(40), nullable=False, unique=True),
            Column("type", String(120), nullable=False, info=ALIKE),
            Column("aggregate", String(40), nullable=False, info=ALIKE),
            Column("aggregate_id", String(200), nullable=False),
            Column("sequence", BigInteger, nullable=False),
            Column("payload", LargeBinary, nullable=False),
            Column("traceparent", String(60), nullable=False),
            Column("correlation_id", String(64), nullable=False),
            Column("causation_id", String(64), nullable=False),
            Column("occurred_at", BigInteger, nullable=False, info=ALIKE),
            Column("published_at", BigInteger),
            Column("stream_sequence", BigInteger),
            Index("ix_outbox_unpublished", "position", postgresql_where=text("published_at IS NULL"), sqlite_where=text("published_at IS NULL")),
            Index("ux_outbox_aggregate_sequence", "aggregate", "aggregate_id", "sequence", unique=True),
            Index("ix_outbox_stream_sequence", "stream_sequence"),
        ),
        event_heads=Table(
            "event_heads", metadata,
            Column("aggregate", String(40), primary_key=True),
            Column("aggregate_id", String(200), primary_key=True),
            Column("sequence", BigInteger, nullable=False),
        ),
        inbox=Table(
            "inbox", metadata,
            Column("producer", String(40), primary_key=True),
            Column("aggregate", String(40), primary_key=True),
            Column("aggregate_id", String(200), primary_key=True),
            Column("sequence", BigInteger, nullable=False),
        ),
        parked_events=Table(
            "parked_events", metadata,
            Column("event_id", String(40), primary_key=True),
            Column("producer", String(40), nullable=False),
            Column("aggregate", String(40), nullable=False),
            Column("aggregate_id", String(200), nullable=False),
            Column("sequence", BigInteger, nullable=False),
            Column("record", LargeBinary, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("due_at", BigInteger, nullable=False),
            Column("error", Text, nullable=False),
            Column("parked_at", BigInteger, nullable=False),
            Column("dead_at", BigInteger),
            Index("ix_parked_events_aggregate", "producer", "aggregate", "aggregate_id", "sequence"),
            Index("ix_parked_events_due", "due_at"),
        ),
        processes=Table(
            "processes", metadata,
            Column("process", String(40), primary_key=True),
            Column("process_id", String(64), primary_key=True),
            Column("state", Text, nullable=False),
            Column("schema", Integer, nullable=False),
            Column("version", BigInteger, nullable=False),
            Column("ended", Integer, nullable=False),
            Column("traceparent", String(60), nullable=False),
            Column("correlation_id", String(64), nullable=False),
            Column("updated_at", BigInteger, nullable=False),
            Index("ix_processes_open", "process", "updated_at", postgresql_where=text("ended = 0"), sqlite_where=text("ended = 0")),
        ),
        effects=Table(
            "effects", metadata,
            Column("effect_id", ROW_ID, primary_key=True, autoincrement=True),
            Column("process", String(40), nullable=False),
            Column("process_id", String(64), nullable=False),
            Column("kind", String(60), nullable=False),
            Column("request_id", String(40), nullable=False, unique=True),
            Column("payload", Text, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("due_at", BigInteger, nullable=False),
            Column("created_at", BigInteger, nullable=False),
            Column("error", Text, nullable=False),
            Index("ix_effects_kind_due_at", "kind", "due_at"),
            Index("ix_effects_process_id", "process_id"),
        ),
        timers=Table(
            "timers", metadata,
            Column("process", String(40), primary_key=True),
            Column("process_id", String(64), primary_key=True),
            Column("name", String(60), primary_key=True),
            Column("due_at", BigInteger, nullable=False, index=True),
        ),
        holds=Table(
            "holds", metadata,
            Column("hold_id", String(40), primary_key=True),
            Column("queue", String(40), nullable=False),
            Column("reason", String(60), nullable=False),
            Column("subject_type", String(40), nullable=False),
            Column("subject_id", String(64), nullable=False),
            Column("blocks", String(40), nullable=False),
            Column("detail", Text, nullable=False),
            Column("owner_role", String(40), nullable=False),
            Column("owner", String(120), nullable=False),
            Column("raised_at", BigInteger, nullable=False),
            Column("due_at", BigInteger, nullable=False),
            Column("released_at", BigInteger),
            Column("resolution", Text, nullable=False),
            Column("snoozed_until", BigInteger),
            Column("escalated", Integer, nullable=False, server_default="0"),
            Column("escalate_at", BigInteger),
            Column("value_minor", BigInteger, nullable=False, server_default="0"),
            Column("currency_code", String(3), nullable=False, server_default=""),
            Column("must_leave_by", BigInteger),
            Column("rank", BigInteger, nullable=False, server_default="0"),
            # The role that owned it before it escalated, which may still work on it.
            Column("raised_for", String(40), nullable=False, server_default=""),
            Index("ix_holds_subject_id", "subject_id"),
            Index("ix_holds_open", "due_at", postgresql_where=text("released_at IS NULL"), sqlite_where=text("released_at IS NULL")),
            Index(
                "ix_holds_rank", "rank", "hold_id", postgresql_where=text("released_at IS NULL"), sqlite_where=text("released_at IS NULL")
            ),
            # A queue in its order, and what its figures count, however many are open or were let go in a day.
            Index(
                "ix_holds_queue", "queue", "rank", "hold_id", postgresql_where=text("released_at IS NULL"),
                sqlite_where=text("released_at IS NULL"),
            ),
            Index(
                "ix_holds_figures", "queue", "due_at", "raised_at", "snoozed_until", "owner", "released_at",
                postgresql_where=text("released_at IS NULL"), sqlite_where=text("released_at IS NULL"),
            ),
            Index(
                "ix_holds_ended", "released_at", "queue", "raised_at", "due_at", postgresql_where=text("released_at IS NOT NULL"),
                sqlite_where=text("released_at IS NOT NULL"),
            ),
            Index(
                "ix_holds_escalate_at", "escalate_at", postgresql_where=text("released_at IS NULL"),
                sqlite_where=text("released_at IS NULL"),
            ),
        ),
        # How queues are worked on, where somebody said so; the body is the contract's Queue as JSON.
        queues=Table(
            "queues", metadata,
            Column("queue", String(40), primary_key=True),
            Column("body", Text, nullable=False),
        ),
        leases=Table(
            "leases", metadata,
            Column("name", String(60), primary_key=True),
            Column("holder", String(60), nullable=False),
            Column("until", BigInteger, nullable=False),
        ),
        audit_rows=Table(
            "audit_rows", metadata,
            Column("audit_id", String(40), primary_key=True),
            Column("at", BigInteger, nullable=False, info=ALIKE),
            Column("actor", String(120), nullable=False, info=ALIKE),
            Column("action", String(120), nullable=False, info=ALIKE),
            Column("subject_type", String(60), nullable=False, info=ALIKE),
            Column("subject_id", String(200), nullable=False, index=True),
            Column("reason", Text, nullable=False, info=ALIKE),
            Column("detail", Text, nullable=False),
            # The row that stands for those it was written with; none where it stands for them itself, with a digest of them.
            Column("batch_id", String(40)),
            Column("digest", String(64)),
            # The batch's place in the chain.
            Column("position", BigInteger, unique=True),
            Column("hash", String(64)),
            Index(
                "ix_audit_rows_batch_id", "batch_id", postgresql_where=text("batch_id IS NOT NULL"),
                sqlite_where=text("batch_id IS NOT NULL"),
            ),
            Index(
                "ix_audit_rows_waiting", "audit_id", postgresql_where=text("position IS NULL AND batch_id IS NULL"),
                sqlite_where=text("position IS NULL AND batch_id IS NULL"),
            ),
        ),
        approvals=Table(
            "approvals", metadata,
            Column("approval_id", String(40), primary_key=True),
            Column("kind", String(60), nullable=False),
            Column("subject_type", String(40), nullable=False),
            Column("subject_id", String(200), nullable=False, index=True),
            Column("summary", Text, nullable=False),
            Column("amount_minor", BigInteger, nullable=False),
            Column("currency_code", String(3), nullable=False),
            Column("status", Integer, nullable=False),
            Column("proposed_by", String(120), nullable=False),
            Column("proposed_at", BigInteger, nullable=False),
            Column("expires_at", BigInteger, nullable=False),
            Column("decided_by", String(120), nullable=False),
            Column("decided_at", BigInteger),
            Column("note", Text, nullable=False),
            Column("result_id", String(64), nullable=False),
            Column("request", LargeBinary, nullable=False),
            Index("ix_approvals_open", "approval_id", postgresql_where=text("status = 1"), sqlite_where=text("status = 1")),
        ),
        limits=Table(
            "limits", metadata,
            Column("kind", String(60), primary_key=True),
            Column("currency_code", String(3), primary_key=True),
            Column("limit_minor", BigInteger, nullable=False),
        ),
        # What one person did under a limit: small steps to one subject weigh together.
        limit_uses=Table(
            "limit_uses", metadata,
            Column("position", ROW_ID, primary_key=True, autoincrement=True),
            Column("kind", String(60), nullable=False),
            Column("subject_id", String(200), nullable=False),
            Column("currency_code", String(3), nullable=False),
            Column("amount_minor", BigInteger, nullable=False),
            Column("used_at", BigInteger, nullable=False),
            Index("ix_limit_uses_subject_id", "kind", "subject_id", "used_at"),
        ),
        jobs=Table(
            "jobs", metadata,
            Column("job_id", String(40), primary_key=True),
            Column("kind", String(60), nullable=False),
            Column("status", Integer, nullable=False),
            # JSON: what the job was told, and what its steps noted.
            Column("state", Text, nullable=False),
            Column("total", BigInteger, nullable=False),
            Column("done", BigInteger, nullable=False),
            Column("failed", BigInteger, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("message", Text, nullable=False),
            Column("started_by", String(120), nullable=False),
            Column("started_at", BigInteger, nullable=False),
            Column("stepped_at", BigInteger, nullable=False),
            Column("ended_at", BigInteger),
            Index("ix_jobs_running", "stepped_at", postgresql_where=text("status = 1"), sqlite_where=text("status = 1")),
        ),
        job_results=Table(
            "job_results", metadata,
            Column("job_id", String(40), primary_key=True),
            Column("position", BigInteger, primary_key=True),
            Column("subject_id", String(200), nullable=False),
            Column("failed", Integer, nullable=False),
            Column("message", Text, nullable=False),
        ),
    )  # fmt: skip
