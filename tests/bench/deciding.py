"""What decisions cost, in processor time of one core: a rule, an order, and a thousand orders that want the same stock."""

import random
import time
from collections.abc import Callable

from services.fulfillment.domain.optimise import optimise
from services.fulfillment.domain.planning import Batch, Decided, Location, Question, World, together
from services.fulfillment.domain.policy import Policy, Strategy
from services.fulfillment.domain.sourcing import Rate, Terms, Want
from services.orders.domain.rules import FACTS, UNKNOWN, compiled
from tests.bench.measures import Value

ORDERS, LINES, PLACES, ITEMS = 1000, 3, 20, 200
# Units of an item where it is kept at all, in a quarter of the places: a fiftieth of what is wanted is short.
MOST_UNITS = 31
LIMIT_S = 7
TIMES = 300
RULE = 'total_minor > 50000 && guest && country_code in ["NG", "RO"] && fraud_score < 30'


def measure_deciding() -> list[Value]:
    """Needs no suite: what is measured asks nobody."""
    facts = {**UNKNOWN, **{fact.name: UNKNOWN[fact.name] for fact in FACTS}}
    rule = compiled(RULE)
    batch, questions = _shop()
    alone = [batch.decide(question, batch.stock) for question in questions[:TIMES]]
    single = _cpu(lambda: [batch.decide(question, batch.stock) for question in questions[:TIMES]]) / TIMES
    batch, questions = _shop()
    started = time.process_time()
    decided, contested = batch.in_turn(questions)
    contest = batch.contest(decided, contested)
    if contest is None or len(contested) < ORDERS * 9 // 10 or len(alone) != TIMES:
        raise RuntimeError(f"only {len(contested)} of {ORDERS} orders want the same stock")
    before = _judged(decided)
    answer = optimise(contest.asks, contest.known, contest.stock, LIMIT_S)
    together(decided, contested, contest, answer)
    took = time.process_time() - started
    after = _judged(decided)
    _need_within(batch, decided)
    if after[0] < before[0]:
        raise RuntimeError(f"{before[0]} units shipped in turn, {after[0]} together")
    return [
        Value("a rule", _cpu(lambda: [rule.holds(facts) for _ in range(10_000)]) / 10_000 * 1e6, 1, 1, "µs", ceiling=20),
        Value(f"an order of {LINES} lines over {PLACES} places", single * 1e3, 1, 1, "ms", ceiling=5),
        Value(f"{ORDERS} orders together, from the best", answer.gap_ppm / 1e4, 1, 1, "%", ceiling=1),
        Value(f"{ORDERS} orders together", took, 1, 1, "s", ceiling=10),
        Value(f"{ORDERS} orders together / in turn, cost", after[1] / before[1], after[1], before[1], "minor units", ceiling=0.97),
    ]


def _shop() -> tuple[Batch, list[Question]]:
    dice = random.Random(1)
    stock = {
        (f"i{item}", f"p{place}"): dice.choice((0, 0, 0, dice.randrange(1, MOST_UNITS))) for item in range(ITEMS) for place in range(PLACES)
    }
    lanes = {(f"p{place}", "DE", f"{area:02d}", "EUR"): dice.randrange(600) for place in range(PLACES) for area in range(100)}
    policy = Policy(1, [Strategy("everything", "", frozenset(), Terms(50, 300, 3), False)])
    places = {f"p{place}": Location(f"p{place}", "WAREHOUSE", "DE", "DE01") for place in range(PLACES)}
    questions = []
    for order in range(ORDERS):
        wants = [
            Want(f"{order}-{line}", f"i{item}", dice.randrange(1, 4), 300) for line, item in enumerate(dice.sample(range(ITEMS), LINES))
        ]
        questions.append(Question(str(order), "web", "", "DE", "", f"{dice.randrange(100):02d}", "", "EUR", wants))
    return Batch(policy, World({("DE", "EUR"): [Rate("P", "std", 400, 100)]}, lanes), places, stock, 0), questions


def _judged(decided: list[Decided]) -> tuple[int, int]:
    plans = [one.outcome.chosen for one in decided if one.outcome.chosen is not None]
    return sum(plan.filled for plan in plans), sum(plan.total_minor for plan in plans)


def _need_within(batch: Batch, decided: list[Decided]) -> None:
    left = dict(batch.stock)
    for one in decided:
        for share in one.shares:
            left[share.item_id, share.location_id] -= share.quantity
    if min(left.values()) < 0:
        raise RuntimeError("more was planned than there is")


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
