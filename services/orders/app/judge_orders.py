"""Judges orders by the rules in force: gathers the facts of many orders at once, and keeps them with what the rules said."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, case, func, select

from argosy.orders.v1 import order_pb2
from chassis.kernel.clock import DAY, HOUR, SECOND
from chassis.kernel.ids import least_id, new_id
from chassis.kernel.money import proportion
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.orders.app.credit import Owed, owed_by
from services.orders.domain.buyers import address_problems
from services.orders.domain.rules import Action, Judgement, Rule, compiled, judge
from services.orders.process import messages as m
from services.orders.store.tables import CUSTOMERS, JUDGEMENTS, ORDERS, REFUNDS, RULE_SETS, RULES

MILLION = 1_000_000
PAID = (order_pb2.TENDER_STATE_AUTHORISED, order_pb2.TENDER_STATE_CAPTURED)
ACTIVE = 3
RETURN = "return"
Row = Mapping[str, Any]


async def rules_in(tx: Tx, version: int = 0) -> tuple[int, list[Rule]]:
    """Returns a set's number and its rules, compiled; those in force where no set is named."""
    wanted = RULES.c.version == version if version else RULE_SETS.c.status == ACTIVE
    query = select(RULES).join(RULE_SETS, RULE_SETS.c.version == RULES.c.version).where(wanted).order_by(RULES.c.rule_id)
    rows = await tx.read(query)
    rules = [Rule(row.rule_id, Action(row.action), row.reason, compiled(row.condition), row.detail, row.points, row.hint) for row in rows]
    return (rows[0].version if rows else version), rules


class Judge:
    """The rules, and what must be known of customers and buyers to judge some orders."""

    def __init__(self, work: Work, version: int, rules: list[Rule]) -> None:
        self._work = work
        self._version = version
        self._rules = rules
        self._customers: dict[str, Any] = {}
        self._owed: dict[tuple[str, str], Owed] = {}
        self._bought: dict[str, list[Any]] = {}
        self._returned: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []

    @classmethod
    async def of(cls, work: Work, orders: Sequence[Row]) -> "Judge":
        """Reads all that orders are judged by, but for themselves."""
        found = cls(work, *await rules_in(work.tx))
        ids = sorted({order["customer_id"] for order in orders if order["customer_id"]})
        for row in await work.tx.find(CUSTOMERS, ("customer_id",), [(one,) for one in ids]):
            found._customers[row.customer_id] = row
        on_account = [row for row in found._customers.values() if row.credit_limit_minor >= 0]
        found._owed = await owed_by(work.tx, [(row.customer_id, row.credit_currency_code) for row in on_account], work.now)
        buyers = sorted({order["buyer"] for order in orders if order["buyer"]})
        for row in await work.tx.read(_bought(work.now, buyers)) if buyers else ():
            found._bought.setdefault(row.buyer, []).append(row)
        refunded = [(order["order_id"],) for order in orders if order["refunded_minor"]]
        for row in await work.tx.find(REFUNDS, ("order_id",), refunded) if refunded else ():
            found._returned[row.order_id] = found._returned.get(row.order_id, 0) + (row.amount_minor if row.kind == RETURN else 0)
        return found

    def judge(self, order: dict[str, Any], lines: Sequence[Row], tenders: Sequence[Any], tax: m.KeepTax, difference: int) -> Judgement:
        """Judges an order and keeps how; `difference` is tax charged less tax computed, in minor units."""
        facts = self._facts(order, lines, tenders, tax, difference)
        judgement = judge(self._rules, facts)
        order["hints"] = ",".join(judgement.hints)
        order["payment_days"] = self._customers[order["customer_id"]].payment_days if facts["on_account"] else 0
        self._rows.append(
            {
                "judgement_id": new_id(), "order_id": order["order_id"], "version": self._version, "judged_at": self._work.now,
                "facts": json.dumps(facts), "found": json.dumps([list(one) for one in judgement.found]),
            }
        )  # fmt: skip
        return judgement

    async def write(self) -> None:
        """Writes how orders were judged."""
        await self._work.tx.insert(JUDGEMENTS, self._rows)

    def _facts(self, order: Row, lines: Sequence[Row], tenders: Sequence[Any], tax: m.KeepTax, difference: int) -> dict[str, object]:
        address = json.loads(order["ship_to"])
        # What was given back for what did not ship pays for nothing any more; a return's refund was for what did.
        given_back = order["refunded_minor"] - self._returned.get(order["order_id"], 0)
        tendered = sum(tender.amount_minor for tender in tenders if tender.state in PAID) - given_back
        amount = sum(line["amount_minor"] for line in lines)
        discount = sum(line["discount_minor"] for line in lines)
        ship_by = max(0, order["ship_by"] - self._work.now) // SECOND if order["ship_by"] else 0
        return {
            "channel_id": order["channel_id"], "total_minor": order["total_minor"], "currency_code": order["currency_code"],
            "lines": len(lines), "units": sum(line["ordered"] - line["settled"] for line in lines), "skus": [line["sku"] for line in lines],
            "shipping_method": order["shipping_method"], "ship_by_in_s": ship_by, "country_code": order["country_code"],
            "region": order["region"], "address_problems": address_problems(address),
            "address_complete": bool(address.get("lines") and address.get("locality") and address.get("postal_code")),
            "tendered_minor": tendered, "captured_minor": order["captured_minor"] - given_back,
            "tax_unknown": tax.unknown,
            "tax_difference_minor": 0 if tax.unknown else difference, "price_difference_ppm": _price_difference(lines),
            "discount_ppm": proportion(discount * MILLION, 1, amount) if amount else 0,
            "restricted_skus": [line["sku"] for line in lines if line["restricted"]],
            "hazmat_skus": [line["sku"] for line in lines if line["hazmat_class"]],
            "export_controlled_skus": [line["sku"] for line in lines if line["export_control_class"]],
            **_stock(lines, tax.promisable), **self._buyer(order), **self._customer(order),
        }  # fmt: skip

    def _buyer(self, order: Row) -> dict[str, object]:
        """Counts the buyer's other orders; those of the same batch, too."""
        rows = self._bought.get(order["buyer"], ())
        own = order["created_at"] >= self._work.now - HOUR
        # Of the same orders the first is not suspected because of those that came after it.
        same = sum(row.hour for row in rows if row.signature == order["signature"] and (row.first or "") < order["order_id"])
        return {
            "buyer_orders_1h": max(0, sum(row.hour for row in rows) - own), "same_orders_1h": max(0, same - own),
            "buyer_orders_24h": max(0, sum(row.day for row in rows) - (order["created_at"] >= self._work.now - DAY)),
        }  # fmt: skip

    def _customer(self, order: Row) -> dict[str, object]:
        customer = self._customers.get(order["customer_id"])
        on_account = customer is not None and customer.credit_limit_minor >= 0 and customer.credit_currency_code == order["currency_code"]
        # What was taken already counts this order too: it is among those that are open.
        owed = self._owed.get((order["customer_id"], order["currency_code"]), Owed()) if on_account else Owed()
        return {
            "guest": not order["customer_id"], "customer_group": customer.customer_group if customer is not None else "",
            "customer_blocked": bool(customer is not None and customer.blocked), "on_account": on_account,
            "credit_limit_minor": customer.credit_limit_minor if customer is not None and on_account else -1,
            "credit_used_minor": owed.owed_minor + owed.ordered_minor, "overdue_minor": owed.overdue_minor,
        }  # fmt: skip


def _stock(lines: Sequence[Row], promisable: Mapping[str, int]) -> dict[str, object]:
    """Compares what nothing is reserved for yet with what can be promised, item by item; nothing where nobody was asked."""
    if not promisable:
        return {}
    wanted: Counter[str] = Counter()
    skus: dict[str, str] = {}
    for line in lines:
        if line["item_id"]:
            wanted[line["item_id"]] += line["waiting"]
            skus[line["item_id"]] = line["sku"]
    left = {item_id: promisable.get(item_id, 0) - units for item_id, units in wanted.items()}
    short = {item_id: -units for item_id, units in left.items() if units < 0}
    return {
        "short_units": sum(short.values()), "short_skus": [skus[item_id] for item_id in short],
        "least_left_units": min(left.values(), default=0),
    }  # fmt: skip


def _bought(now: int, buyers: Sequence[str]) -> Any:
    """SELECT how many orders each buyer placed for the same within an hour and within a day."""
    within_hour = ORDERS.c.created_at >= now - HOUR
    hour = func.sum(case((within_hour, 1), else_=0), type_=BigInteger).label("hour")
    first = func.min(case((within_hour, ORDERS.c.order_id), else_=None)).label("first")
    return (
        select(ORDERS.c.buyer, ORDERS.c.signature, func.count().label("day"), hour, first)
        .where(ORDERS.c.buyer.in_(buyers), ORDERS.c.order_id >= least_id(now - DAY))
        .group_by(ORDERS.c.buyer, ORDERS.c.signature)
    )


def _price_difference(lines: Sequence[Row]) -> int:
    """Returns the largest difference from list, in millionths: net with net, gross with gross."""
    worst = 0
    for line in lines:
        if line["list_price_minor"] <= 0:
            continue
        expected = line["list_price_minor"] * ((line["ordered"] - line["settled"]) // line["units"])
        paid = line["amount_minor"] + (line["tax_minor"] if line["price_includes_tax"] else 0)
        difference = proportion((paid - expected) * MILLION, 1, expected)
        worst = max(worst, difference, key=abs)
    return worst
