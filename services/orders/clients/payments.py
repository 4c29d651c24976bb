"""The payment port: who moves the money of a tender. The channel and a person do it outside and tell us."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class PaymentResult:
    """What the provider says; `failure` is empty where it worked."""

    reference: str
    failure: str = ""


class PaymentPort(Protocol):
    """Moves money. A key that was used before must answer what it answered."""

    async def refund(self, tender_reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """Gives money back to where it came from."""


class ToldPayments:
    """Money that the channel, or a person, moves by themselves: what we are told is what happened."""

    async def refund(self, tender_reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """Takes it as done under our key."""
        del tender_reference, amount_minor, currency_code
        return PaymentResult(key)


ADAPTERS: dict[int, PaymentPort] = {1: ToldPayments(), 2: ToldPayments()}
