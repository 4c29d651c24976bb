"""What changed in the journal of value since a moment is found by an index."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_value_entries_booked_at", "value_entries", ["booked_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_value_entries_booked_at", table_name="value_entries")
