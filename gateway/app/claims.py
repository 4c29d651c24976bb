"""What is said once and may be said again, e.g. a refund or a parcel: only who claims it first carries it out."""

from typing import Any

from chassis.runtime.work import Work
from gateway.store.tables import EXTERNAL_STEPS


async def claim(work: Work, row: Any, wanted: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Claims steps for this delivery and returns those that no other has claimed."""
    rows = [
        {"channel_id": row.channel_id, "external_order_id": external, "step": step, "delivery_id": row.delivery_id}
        for external, step in sorted(set(wanted))
    ]
    await work.tx.insert(EXTERNAL_STEPS, rows, once=True)
    key = ("channel_id", "external_order_id", "step")
    claimed = await work.tx.find(EXTERNAL_STEPS, key, [tuple(one[name] for name in key) for one in rows])
    return {(one.external_order_id, one.step) for one in claimed if one.delivery_id == row.delivery_id}
