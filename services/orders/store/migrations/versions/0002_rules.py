"""The validation rules of version 1."""

from alembic import op
from sqlalchemy import column, table

from services.orders.domain.rules import VERSION_1

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RULES = table("rules", *(column(name) for name in ("rule_id", "version", "reason", "condition", "detail", "active")))


def upgrade() -> None:
    op.bulk_insert(
        RULES,
        [
            {"rule_id": rule_id, "version": 1, "reason": reason, "condition": condition, "detail": detail, "active": 1}
            for rule_id, reason, condition, detail in VERSION_1
        ],
    )


def downgrade() -> None:
    op.execute(RULES.delete())
