"""A day of trade from a seed: what is sold, who orders, what goes wrong. Pure; the demo carries it out.

The shape is that of real trade: a few items sell most, most orders are small and a few large, some are cancelled, sent
twice, unpaid, wrong or more than there is, and some come back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from argosy.inventory.v1 import stock_pb2
from argosy.orders.v1 import order_pb2

COUNTRIES = (("DE", 190_000, 60), ("AT", 200_000, 15), ("FR", 200_000, 15), ("NL", 210_000, 10))
CITIES = {"DE": ("Berlin", "10115"), "AT": ("Wien", "1010"), "FR": ("Paris", "75001"), "NL": ("Utrecht", "3511")}
LOCATIONS = (
    ("BER", "DE", "101", stock_pb2.LOCATION_KIND_WAREHOUSE),
    ("HAM", "DE", "200", stock_pb2.LOCATION_KIND_WAREHOUSE),
    ("CGN-STORE", "DE", "506", stock_pb2.LOCATION_KIND_STORE),
    ("LYS-3PL", "FR", "690", stock_pb2.LOCATION_KIND_THIRD_PARTY),
)
POLICIES = (
    order_pb2.SHORTAGE_POLICY_SHIP_AVAILABLE,
    order_pb2.SHORTAGE_POLICY_SHIP_COMPLETE,
    order_pb2.SHORTAGE_POLICY_CANCEL_SHORT,
    order_pb2.SHORTAGE_POLICY_HOLD,
)
CHANNELS = (("web", "Web shop", 55), ("marketplace", "Marketplace", 30), ("b2b", "Wholesale", 15))
KINDS = ("Mug", "Lamp", "Candle", "Tray", "Clock", "Basket", "Frame", "Bowl", "Blanket", "Garland")
COLOURS = ("Red", "Blue", "Ivory", "Green", "Slate", "Copper", "Rose", "Sand")
ENTITY = "DE01"
CURRENCY = "EUR"


@dataclass(frozen=True)
class Article:
    """An item to set up, with its stock: location → units."""

    sku: str
    name: str
    weight_g: int
    cost_minor: int
    price_minor: int
    restricted: tuple[str, ...]
    stock: dict[str, int]
    weight: float


@dataclass(frozen=True)
class Sale:
    """An order to place: (sku, quantity) lines, and what is wrong with it."""

    number: str
    channel_id: str
    country_code: str
    lines: tuple[tuple[str, int], ...]
    paid: str
    policy: order_pb2.ShortagePolicy.ValueType
    discount_percent: int
    twice: bool
    cancelled: bool
    address_complete: bool


@dataclass
class Day:
    """All of it."""

    articles: list[Article] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)
    seed: int = 0
    currency_code: str = CURRENCY
    channels: dict[str, str] = field(default_factory=lambda: {channel_id: name for channel_id, name, _ in CHANNELS})
    rates_ppm: dict[str, int] = field(default_factory=lambda: {country: rate for country, rate, _ in COUNTRIES})


def make_day(seed: int, orders: int, articles: int = 150) -> Day:
    """Makes a day; the same seed makes the same day."""
    dice = random.Random(seed)  # noqa: S311 - the same seed must make the same day
    day = Day(seed=seed)
    per_article = max(8, orders * 8 // articles)
    for index in range(articles):
        day.articles.append(_article(dice, index, per_article))
    for index in range(orders):
        day.sales.append(_sale(dice, index, day.articles))
    return day


def _article(dice: random.Random, index: int, usual: int) -> Article:
    popularity = 1 / (index + 1) ** 0.8
    cost = dice.randrange(150, 4000)
    places = dice.sample([place[0] for place in LOCATIONS], dice.choice((1, 2, 2, 3, 4)))
    units = max(2, round(usual * 12 * popularity * dice.uniform(0.35, 1.6)))
    stock = {place: max(1, units // len(places) + dice.randrange(-1, 2)) for place in places}
    return Article(
        f"AR-{1000 + index}", f"{dice.choice(COLOURS)} {dice.choice(KINDS)}", dice.randrange(80, 4000), cost,
        cost * dice.randrange(16, 30) // 10, ("FR",) if dice.random() < 0.02 else (), stock, popularity,
    )  # fmt: skip


def _sale(dice: random.Random, index: int, articles: list[Article]) -> Sale:
    channel = dice.choices([c[0] for c in CHANNELS], [c[2] for c in CHANNELS])[0]
    country = dice.choices([c[0] for c in COUNTRIES], [c[2] for c in COUNTRIES])[0]
    most = 40 if channel == "b2b" else 12
    count = min(most, 1 + int(dice.expovariate(0.12 if channel == "b2b" else 0.7)))
    chosen = dice.choices(articles, [article.weight for article in articles], k=count)
    lines = tuple((article.sku, 1 + int(dice.expovariate(0.3 if channel == "b2b" else 1.2))) for article in chosen)
    if dice.random() < 0.01:
        lines = (("NO-SUCH-ITEM", 1), *lines)
    return Sale(
        f"{channel[0].upper()}{100_000 + index}", channel, country, lines,
        dice.choices(("captured", "authorised", "missing"), (88, 9, 3))[0],
        dice.choices(POLICIES, (70, 15, 10, 5))[0], dice.choice((0, 0, 0, 10)), dice.random() < 0.04,
        dice.random() < 0.05, dice.random() > 0.01,
    )  # fmt: skip
