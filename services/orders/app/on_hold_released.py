"""Tells the process that a person lifted a hold."""

from typing import Any

from chassis.kernel.process import HoldReleased
from chassis.runtime.work import Work
from services.orders.process import fulfil_order, pay_refund, take_payment

PROCESSES = {"order": fulfil_order.NAME, "refund": pay_refund.NAME, "payment": take_payment.NAME}


async def on_hold_released(work: Work, hold: Any) -> None:
    """What the hold blocked goes on."""
    work.deliver(PROCESSES[hold.subject_type], hold.subject_id, HoldReleased(hold.reason, work.cause.actor, hold.resolution))
