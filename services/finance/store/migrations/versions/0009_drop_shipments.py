"""The posting rules of what suppliers ship for us."""

import json

from alembic import op
from sqlalchemy import column, table

from services.finance.domain.chart import RULES_OF_DROP_SHIPMENT

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

RULES = table("posting_rules", *(column(name) for name in ("rule_id", "version", "event_type", "condition", "lines", "active", "entity")))


def upgrade() -> None:
    rows = [
        {"rule_id": rule, "version": 1, "event_type": event, "condition": condition, "lines": json.dumps(lines), "active": 1, "entity": ""}
        for rule, event, condition, lines in RULES_OF_DROP_SHIPMENT
    ]
    op.bulk_insert(RULES, rows)


def downgrade() -> None:
    op.execute(RULES.delete().where(RULES.c.rule_id.in_([rule for rule, *_ in RULES_OF_DROP_SHIPMENT])))
