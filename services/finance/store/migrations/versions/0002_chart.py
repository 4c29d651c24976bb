"""The chart of accounts and the posting rules of version 1."""

import json

from alembic import op
from sqlalchemy import column, table

from services.finance.domain.chart import ACCOUNTS, RULES_VERSION_1

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CHART = table("accounts", *(column(name) for name in ("code", "name", "type")))
RULES = table("posting_rules", *(column(name) for name in ("rule_id", "version", "event_type", "condition", "lines", "active")))


def upgrade() -> None:
    op.bulk_insert(CHART, [{"code": code, "name": name, "type": kind} for code, name, kind in ACCOUNTS])
    op.bulk_insert(
        RULES,
        [
            {"rule_id": rule, "version": 1, "event_type": event, "condition": condition, "lines": json.dumps(lines), "active": 1}
            for rule, event, condition, lines in RULES_VERSION_1
        ],
    )


def downgrade() -> None:
    op.execute(RULES.delete())
    op.execute(CHART.delete())
