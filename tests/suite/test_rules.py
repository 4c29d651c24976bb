"""Rules in the whole suite: how orders are judged, what another set would have done, and where hints go."""

import asyncio
from typing import Any

from sqlalchemy import update

from argosy.ops.v1 import jobs_service_pb2
from argosy.orders.v1 import customers_service_pb2, order_pb2, orders_service_pb2, rules_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.calls import Calls
from services.orders.store.tables import JUDGEMENTS
from suite.up import running_suite
from tests.builders import address, eventually, open_shop, order, until_released
from tests.ruling import HINT, Rule, activate, decide, draft, judged, reasons

OF_STOCK = ("short_units", "short_skus", "least_left_units")


async def tried(calls: Calls, version: int) -> rules_service_pb2.RuleSet:
    job = await calls.rules.DryRunRuleSet(rules_service_pb2.DryRunRuleSetRequest(request_id=new_id(), version=version))

    async def look() -> bool:
        asked = jobs_service_pb2.GetJobRequest(service="orders", job_id=job.job_id)
        return (await calls.jobs("orders").GetJob(asked)).status == jobs_service_pb2.JOB_STATUS_SUCCEEDED

    await eventually(look)
    return await calls.rules.GetRuleSet(rules_service_pb2.GetRuleSetRequest(version=version))


async def place(calls: Calls, number: str, **values: Any) -> str:
    return (await calls.orders.CreateOrder(order(number, **values))).order_id


async def customer(calls: Calls, limit_minor: int, **terms: Any) -> str:
    made = await calls.customers.CreateCustomer(customers_service_pb2.CreateCustomerRequest(request_id=new_id(), name="Acme"))
    request = customers_service_pb2.SetCustomerTermsRequest(
        request_id=new_id(), customer_id=made.customer_id, credit_limit_minor=limit_minor,
        credit_currency_code="EUR" if limit_minor >= 0 else "", reason="as agreed", **terms,
    )  # fmt: skip
    return (await calls.customers.SetCustomerTerms(request)).customer_id


async def test_orders_are_judged_by_what_is_known_of_buyers_and_customers(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1000})
        first = await judged(calls, await place(calls, "A-1"))
        assert (first.version, reasons(first), first.fraud_score) == (2, set(), 10)
        assert first.facts["total_minor"] == "1785"

        # The very same again from the same house is suspected; something else is not.
        again = await place(calls, "A-2", ship_to=address("A-1"))
        assert reasons(await judged(calls, again)) == {"DUPLICATE_SUSPECT"}
        other = await place(calls, "A-3", quantity=2, ship_to=address("A-1"))
        assert reasons(await judged(calls, other)) == set()

        # On account: nobody waits for money until the credit is used up; who is exempt pays no tax.
        buyer = await customer(calls, 4000, customer_group="trade", payment_days=30, tax_exempt=True, tax_exemption="DE123")
        one = await place(calls, "B-1", paid=False, customer_id=buyer)
        found = await judged(calls, one)
        assert (reasons(found), found.facts["customer_group"]) == (set(), '"trade"')
        assert (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=one))).total_minor == 1500
        over = await judged(calls, await place(calls, "B-2", quantity=3, paid=False, customer_id=buyer))
        assert reasons(over) == {"LIMIT_EXCEEDED"}
        assert over.facts["credit_used_minor"] == "5000"
        credit = await calls.customers.GetCredit(customers_service_pb2.GetCreditRequest(customer_id=buyer))
        assert (credit.ordered_minor, credit.left_minor) == (5000, -1000)

        # Blocked customers wait for a person, whatever they pay.
        blocked = await customer(calls, -1, blocked=True)
        assert reasons(await judged(calls, await place(calls, "C-1", customer_id=blocked))) == {"CUSTOMER_BLOCKED"}


async def test_a_dry_run_says_what_another_set_would_have_done_and_its_hints_reach_the_order(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1000})
        small = [await place(calls, f"S-{n}") for n in range(3)]
        large = [await place(calls, f"L-{n}", quantity=20) for n in range(2)]
        unpaid = await place(calls, "U-1", paid=False)
        for one in (*small, *large, unpaid):
            await judged(calls, one)
        drafted = await draft(
            calls,
            Rule(rule_id="big", reason="NEEDS_APPROVAL", condition="units >= 20", detail="many units"),
            Rule(rule_id="bulky", action=HINT, hint="bulk", condition="units >= 20"),
        )
        run = (await tried(calls, drafted.version)).dry_run
        assert (run.judged, run.held_now, run.held_then, run.newly_held, run.newly_free) == (6, 1, 2, 2, 1)
        uses = {one.rule_id: (one.now, one.then) for one in run.rules}
        assert (uses["big"], uses["payment-missing"], uses["score-guest"]) == ((0, 2), (1, 0), (6, 0))
        await decide(calls, (await activate(calls, drafted.version)).approval_id)
        after = await place(calls, "L-9", quantity=20)
        assert reasons(await judged(calls, after)) == {"NEEDS_APPROVAL"}
        shown = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=after))
        assert (list(shown.hints), shown.status) == (["bulk"], order_pb2.ORDER_STATUS_ON_HOLD)
        assert await until_released(calls, await place(calls, "S-9", paid=False))


async def test_rules_ask_what_there_is_of_an_orders_items(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 6, "HAM": 4})
        enough = await place(calls, "S-1", quantity=2)
        assert {name: (await judged(calls, enough)).facts[name] for name in OF_STOCK} == {
            "short_units": "0", "short_skus": "[]", "least_left_units": "8",
        }  # fmt: skip
        await until_released(calls, enough)
        short = await judged(calls, await place(calls, "S-2", quantity=11, shortage_policy=order_pb2.SHORTAGE_POLICY_HOLD))
        assert [short.facts[name] for name in OF_STOCK] == ["3", '["MUG-1"]', "-3"]
        scarce = Rule(
            rule_id="scarce", reason="NEEDS_APPROVAL", condition='short_units > 0 && "MUG-1" in short_skus', detail="it is scarce"
        )
        drafted = await draft(calls, scarce, Rule(rule_id="last", action=HINT, hint="last", condition="least_left_units < 3"))
        run = (await tried(calls, drafted.version)).dry_run
        assert (run.judged, run.unknown, run.newly_held) == (2, 0, 1)
        # What was judged before anybody looked at stock says nothing of it.
        orders = suite.running["orders"].component
        async with orders.database.write() as tx:
            await tx.write(update(JUDGEMENTS).where(JUDGEMENTS.c.order_id == enough).values(facts='{"channel_id": "web"}'))
        run = (await tried(calls, drafted.version)).dry_run
        assert (run.judged, run.unknown, run.newly_held) == (1, 1, 1)
        await decide(calls, (await activate(calls, drafted.version)).approval_id)
        over = await place(calls, "S-3", quantity=9, shortage_policy=order_pb2.SHORTAGE_POLICY_HOLD)
        assert reasons(await judged(calls, over)) == {"NEEDS_APPROVAL"}
        few = await place(calls, "S-4", quantity=6)
        assert reasons(await judged(calls, few)) == set()
        assert list((await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=few))).hints) == ["last"]


async def test_a_rule_that_cannot_be_evaluated_holds_the_order(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1000})
        drafted = await draft(calls, Rule(rule_id="odd", reason="HIGH_RISK", condition="100 / (units - 1) > 1000"))
        await tried(calls, drafted.version)
        await decide(calls, (await activate(calls, drafted.version)).approval_id)
        found = await asyncio.gather(judged(calls, await place(calls, "Z-1")), judged(calls, await place(calls, "Z-2", quantity=2)))
        assert [reasons(one) for one in found] == [{"RULE_ERROR"}, set()]
