"""The sourcing policy of version 1."""

from alembic import op
from sqlalchemy import column, table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMES = ("version", "handling_minor", "split_penalty_minor", "most_locations", "active")
POLICIES = table("sourcing_policies", *(column(name) for name in NAMES))


def upgrade() -> None:
    op.bulk_insert(POLICIES, [{"version": 1, "handling_minor": 80, "split_penalty_minor": 150, "most_locations": 3, "active": 1}])


def downgrade() -> None:
    op.execute(POLICIES.delete())
