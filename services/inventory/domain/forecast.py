"""What an item will be asked for at a location, how sure that is, and how much must be there for it.

Demand is a row of equal periods. Its pattern (Syntetos, Boylan, Croston 2005: average interval between demands, squared
variation of their sizes) says which methods may try; each forecasts from past moments what followed them, and the one whose
totals over the protection interval were nearest wins — the pattern's own method unless another is clearly better. Errors are
scaled by those of the naive forecast (MASE, Hyndman and Koehler 2006), here of totals over the interval: that is what stock
has to cover, and no method looks good by forecasting nothing. What must be there is the quantile of a negative binomial
variable with the forecast as its mean and the measured error as its spread, as intermittent demand has no bell shape.

The library of methods is heavy and is loaded only where this runs: in a job's own process. Without it (the extra `forecast`
is not installed) the average of the last periods and the naive forecast are all there is, and the quantile is a normal one.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from statistics import NormalDist, fmean
from typing import Any

FREQUENT = 1.32
STEADY = 0.49
LEAST_HISTORY = 8
MOST_ORIGINS = 10
ETS_HISTORY = 24
ETS_ORIGINS = 3
LONGEST_ETS_SEASON = 24
CLEARLY_BETTER = 0.9
RECENT = 6
SMOOTHING = 0.1
UNKNOWN = -1
THOUSAND = 1000
Method = Callable[[Sequence[int], int], float]


class Pattern(IntEnum):
    """How demand comes; numbered as in the contract."""

    SMOOTH = 1
    ERRATIC = 2
    INTERMITTENT = 3
    LUMPY = 4


class Name(IntEnum):
    """A method of forecasting; numbered as in the contract."""

    NAIVE = 1
    AVERAGE = 2
    SMOOTHING = 3
    CROSTON_SBA = 4
    TSB = 5
    ETS = 6
    SEASONAL = 7


@dataclass(frozen=True)
class Series:
    """Demand per period, oldest first, and what is to be covered: so many periods, to this service level.

    `season` is how many periods make a year.
    """

    demand: Sequence[int]
    cover: float
    service_level: float
    season: int


@dataclass(frozen=True)
class Forecast:
    """What came out. Means and errors are thousandths of a unit, or of one where they are ratios; -1 is unknown."""

    method: Name
    pattern: Pattern
    per_period_thousandths: int
    over_cover_thousandths: int
    error_thousandths: int
    cover_quantity: int
    safety_stock: int
    mase_thousandths: int
    naive_mase_thousandths: int
    origins: int


def pattern_of(demand: Sequence[int]) -> Pattern:
    """Returns how demand comes."""
    sizes = [one for one in demand if one]
    if not sizes:
        return Pattern.INTERMITTENT
    mean = fmean(sizes)
    variation = fmean([(one - mean) ** 2 for one in sizes]) / mean**2
    if len(demand) / len(sizes) < FREQUENT:
        return Pattern.SMOOTH if variation < STEADY else Pattern.ERRATIC
    return Pattern.INTERMITTENT if variation < STEADY else Pattern.LUMPY


def naive(demand: Sequence[int], periods: int) -> float:
    """Forecasts that the last period repeats."""
    return float(demand[-1] * periods)


def average(demand: Sequence[int], periods: int) -> float:
    """Forecasts the average of the last periods."""
    return fmean(demand[-RECENT:]) * periods


def forecast_all(series: Sequence[Series]) -> list[Forecast]:
    """Forecasts many; meant for a process of its own."""
    return [forecast(one) for one in series]


def forecast(series: Series) -> Forecast:
    """Forecasts one: tries the methods on what was, chooses, and says what must be there."""
    demand, periods = series.demand, max(1, math.ceil(series.cover))
    pattern = pattern_of(demand)
    methods = _methods(pattern, len(demand), series.season)
    errors = {name: _errors(method, demand, periods, name) for name, method in methods.items()}
    chosen = _choose(errors)
    total = max(0.0, methods[chosen](demand, periods)) if demand else 0.0
    mean = total * series.cover / periods
    spread = _spread(errors[chosen], demand, periods) * math.sqrt(series.cover / periods)
    quantity = _quantile(mean, spread, series.service_level)
    scale = _scale(demand, periods)
    return Forecast(
        method=chosen, pattern=pattern, per_period_thousandths=_thousandths(total / periods), over_cover_thousandths=_thousandths(mean),
        error_thousandths=_thousandths(spread), cover_quantity=quantity, safety_stock=max(0, quantity - math.ceil(mean)),
        mase_thousandths=_scaled(errors[chosen], scale), naive_mase_thousandths=_scaled(errors[Name.NAIVE], scale),
        origins=len(errors[chosen]),
    )  # fmt: skip


def _methods(pattern: Pattern, history: int, season: int) -> dict[Name, Method]:
    """Returns the methods that may try, the pattern's own first; the naive one is only a measure."""
    plain: dict[Name, Method] = {Name.AVERAGE: average, Name.NAIVE: naive}
    library = _library()
    if library is None or history < LEAST_HISTORY:
        return plain
    smoothing = _by(library.SimpleExponentialSmoothing(alpha=SMOOTHING))
    if pattern in (Pattern.INTERMITTENT, Pattern.LUMPY):
        croston, tsb = _by(library.CrostonSBA()), _by(library.TSB(alpha_d=SMOOTHING, alpha_p=SMOOTHING))
        return {Name.SMOOTHING: smoothing, Name.TSB: tsb, Name.CROSTON_SBA: croston, **plain}
    found = {Name.SMOOTHING: smoothing}
    if history >= ETS_HISTORY:
        seasonal = season <= LONGEST_ETS_SEASON and history >= 2 * season + RECENT
        found[Name.ETS] = _by(library.AutoETS(season_length=season if seasonal else 1, model="ZZZ" if seasonal else "ZZN"))
    if season > LONGEST_ETS_SEASON and history >= 2 * season:
        found[Name.SEASONAL] = _by(library.SeasonalExponentialSmoothingOptimized(season_length=season))
    return {**found, **plain}


@cache
def _library() -> Any:
    """Returns the library of methods, or None where it is not installed."""
    try:
        from statsforecast import models  # noqa: PLC0415
    except ImportError:
        return None
    return models


def _by(model: Any) -> Method:
    """Returns a model of the library as a method: the total that it forecasts."""

    def method(demand: Sequence[int], periods: int) -> float:
        import numpy  # noqa: PLC0415

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            means = model.forecast(y=numpy.array(demand, dtype=numpy.float64), h=periods)["mean"]
        # Croston's methods of the library answer one value for all periods.
        return float(numpy.broadcast_to(means, (periods,)).sum())

    return method


def _origins(history: int, periods: int, name: Name) -> range:
    """Returns the past moments to forecast from: the latest that have the interval after them and enough before."""
    least = ETS_HISTORY if name in (Name.ETS, Name.SEASONAL) else max(LEAST_HISTORY // 2, history // 3)
    most = ETS_ORIGINS if name in (Name.ETS, Name.SEASONAL) else MOST_ORIGINS
    last = history - periods
    return range(max(least, last - most + 1), last + 1)


def _errors(method: Method, demand: Sequence[int], periods: int, name: Name) -> list[float]:
    """Returns the errors of totals over the interval, from each origin."""
    found = []
    for origin in _origins(len(demand), periods, name):
        wanted = method(demand[:origin], periods)
        found.append(sum(demand[origin : origin + periods]) - (wanted if math.isfinite(wanted) else 0.0))
    return found


def _choose(errors: dict[Name, list[float]]) -> Name:
    """Returns the method with the least squared error, over the same last origins; the first one unless clearly beaten."""
    own = next(iter(errors))
    best, best_score = own, math.inf
    for name, mine in errors.items():
        last = min(len(mine), len(errors[own]))
        if name is Name.NAIVE or not last:
            continue
        score = _mean_square(mine[-last:]) / (1 if name is own else CLEARLY_BETTER)
        if score < best_score:
            best, best_score = name, score
    return best


def _mean_square(errors: Sequence[float]) -> float:
    return fmean([one * one for one in errors])


def _spread(errors: Sequence[float], demand: Sequence[int], periods: int) -> float:
    """Returns the spread of the error of the total; where nothing could be tried, that of demand itself."""
    if errors:
        return math.sqrt(_mean_square(errors))
    if not demand:
        return 0.0
    mean = fmean(demand)
    return math.sqrt(fmean([(one - mean) ** 2 for one in demand]) * periods)


def _scale(demand: Sequence[int], periods: int) -> float:
    """Returns the mean error of the naive forecast of totals, over all that is known."""
    errors = [
        abs(sum(demand[origin : origin + periods]) - naive(demand[:origin], periods)) for origin in range(1, len(demand) - periods + 1)
    ]
    return fmean(errors) if errors else 0.0


def _scaled(errors: Sequence[float], scale: float) -> int:
    return _thousandths(fmean([abs(one) for one in errors]) / scale) if errors and scale else UNKNOWN


def _quantile(mean: float, spread: float, service_level: float) -> int:
    """Returns the least quantity that demand stays within at the service level."""
    if mean <= 0:
        return 0
    variance = max(spread * spread, mean * 1.000001)
    try:
        from scipy.stats import nbinom  # noqa: PLC0415
    except ImportError:
        return max(0, math.ceil(mean + NormalDist().inv_cdf(service_level) * math.sqrt(variance)))
    chance = mean / variance
    return int(nbinom.ppf(service_level, mean * chance / (1 - chance), chance))


def _thousandths(value: float) -> int:
    return round(value * THOUSAND)
