"""Accounts and posting rules of revaluation, vendor returns and transfers; a rule may name an entity, a line a location."""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy import column, table

from services.finance.domain.chart import ACCOUNTS_OF_STOCK, RULES_OF_STOCK

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CHART = table("accounts", *(column(name) for name in ("code", "name", "type")))
RULES = table("posting_rules", *(column(name) for name in ("rule_id", "version", "event_type", "condition", "lines", "active", "entity")))


def upgrade() -> None:
    op.add_column("posting_rules", sa.Column("entity", sa.String(length=40), server_default="", nullable=False))
    op.bulk_insert(CHART, [{"code": code, "name": name, "type": kind} for code, name, kind in ACCOUNTS_OF_STOCK])
    rows = [
        {
            "rule_id": rule, "version": 2, "event_type": event, "condition": condition, "lines": json.dumps(lines), "active": 1,
            "entity": entity,
        }
        for rule, event, condition, lines, entity in RULES_OF_STOCK
    ]  # fmt: skip
    op.execute(RULES.update().where(RULES.c.rule_id.in_([row["rule_id"] for row in rows])).values(active=0))
    op.bulk_insert(RULES, rows)


def downgrade() -> None:
    op.execute(RULES.delete().where(RULES.c.version == 2))
    op.execute(RULES.update().values(active=1))
    op.execute(CHART.delete().where(CHART.c.code.in_([code for code, _, _ in ACCOUNTS_OF_STOCK])))
    op.drop_column("posting_rules", "entity")
