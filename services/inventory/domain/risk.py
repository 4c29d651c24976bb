"""How much a channel keeps back so that it seldom sells what is gone.

While a channel has not heard of a change, others go on selling. What they sell in that time is taken as a Poisson variable
with the mean velocity × latency; the buffer is the least b with P(X > b) ≤ the chance that is accepted. (A single-period
newsvendor with unit demand in the lead time of the news; see Silver, Pyke, Thomas, Inventory and Production Management.)
"""

import math
from fractions import Fraction
from statistics import NormalDist

MILLION = 1_000_000
DAY_S = 86_400
# Beyond this mean the normal approximation is exact enough and the sum would take long.
LARGE = 500.0


def risk_buffer(units_per_day: float | Fraction, latency_s: float, chance_ppm: int) -> int:
    """Returns the buffer in units for a velocity, a latency and an accepted chance (millionths) of selling what is gone."""
    mean = float(units_per_day * latency_s / DAY_S)
    if mean <= 0 or chance_ppm <= 0:
        return 0
    accepted = chance_ppm / MILLION
    if mean > LARGE:
        return math.ceil(mean + NormalDist().inv_cdf(1 - accepted) * math.sqrt(mean))
    term = below = math.exp(-mean)
    buffer = 0
    while 1 - below > accepted:
        buffer += 1
        term *= mean / buffer
        below += term
    return buffer
