"""Batches of audit rows, of which one is sealed for all."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_rows", sa.Column("batch_id", sa.String(length=40), nullable=True))
    op.add_column("audit_rows", sa.Column("digest", sa.String(length=64), nullable=True))
    where = sa.text("batch_id IS NOT NULL")
    op.create_index("ix_audit_rows_batch_id", "audit_rows", ["batch_id"], postgresql_where=where, sqlite_where=where)
    waiting = sa.text("position IS NULL AND batch_id IS NULL")
    op.create_index("ix_audit_rows_waiting", "audit_rows", ["audit_id"], postgresql_where=waiting, sqlite_where=waiting)
    op.drop_index("ix_audit_rows_unsealed", table_name="audit_rows")
    # Nothing looks outcomes up by their moment.
    op.drop_index(op.f("ix_requests_created_at"), table_name="requests")


def downgrade() -> None:
    op.create_index(op.f("ix_requests_created_at"), "requests", ["created_at"])
    unsealed = sa.text("position IS NULL")
    op.create_index("ix_audit_rows_unsealed", "audit_rows", ["audit_id"], postgresql_where=unsealed, sqlite_where=unsealed)
    op.drop_index("ix_audit_rows_waiting", table_name="audit_rows")
    op.drop_index("ix_audit_rows_batch_id", table_name="audit_rows")
    op.drop_column("audit_rows", "digest")
    op.drop_column("audit_rows", "batch_id")
