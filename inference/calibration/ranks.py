"""Ranks of the truth among posterior draws, and whether they are uniform.

A rank r among L draws becomes u = (r + v) / (L + 1) with v uniform on (0, 1), and with ties broken at random.  If the
truth is exchangeable with the draws u is uniform on (0, 1), exactly and whatever L: so no test has to know of the
discreteness of ranks.

The test is that of the simultaneous bands of the ECDF (Säilynoja, Bürkner & Vehtari 2022, Graphical test for discrete
uniformity, Statistics and Computing 32): at every z the number of u below it is binomial; the statistic is the smallest
two-sided tail probability over all z, and p the probability of one as small.  The ECDF leaves the band of level 1 - p,
and none that is wider.
"""

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from scipy.special import bdtr
from scipy.stats import binom

FEWEST = 20  # draws that are kept however dependent they are: then the ranks tell
CAUTIOUS = 0.1  # the share of data sets whose draws may be more dependent than those kept


def thinned(values: np.ndarray, independent: bool) -> tuple[int, float]:
    """How many draws to keep of `values` (simulation, chain, draw, quantity) that they be nearly independent; the ESS.

    The ESS is that of the worst quantity, and all data sets but `CAUTIOUS` of them have it.  Draws of a guide are
    `independent` as they are.
    """
    total = values.shape[1] * values.shape[2]
    if independent:
        return total, float(total)
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function

    moving = np.where(np.ptp(values, axis=(1, 2), keepdims=True) > 0, values, np.nan)
    found = arviz_stats.ess(moving, chain_axis=1, draw_axis=2, method="bulk")
    worst = np.nan_to_num(np.nanmin(np.where(np.isfinite(found), found, np.inf), axis=1), posinf=1.0)
    reached = float(np.quantile(worst, CAUTIOUS))
    return int(np.clip(reached, min(FEWEST, total), total)), reached


def pit(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The u of each simulation, of `truth` (simulation,) and `draws` (simulation, draw); see above."""
    below, equal = (compare(draws, truth[:, None]).sum(axis=1) for compare in (np.less, np.equal))
    return (below + rng.uniform(size=truth.shape) * (equal + 1)) / (draws.shape[1] + 1)


def p_value(u: np.ndarray) -> float:
    """The exact p-value of uniformity of `u` (simulation,) on (0, 1); one below 1e-12 is given as that."""
    n = len(u)
    z = np.arange(1, n) / n
    counts = np.searchsorted(np.sort(u), z, side="right")
    return float(np.clip(1 - _stays_inside(n, float(_tail(counts, n, z).min())), 1e-12, 1.0))


@lru_cache(maxsize=1000)
def _stays_inside(n: int, tail: float) -> float:
    """The probability that n uniforms have counts at 1/n, 2/n, ... whose tail probabilities are all above `tail`.

    Going from one z to the next, those that are not below z yet fall below the next one independently of each other.
    """
    z = np.arange(1, n) / n
    counts = np.arange(n + 1)
    mass, at = np.ones(1), np.zeros(1, int)
    for before, here in zip([0.0, *z[:-1]], z, strict=True):
        inside = counts[_tail(counts, n, here) > tail * (1 + 1e-9)]  # it is not above itself, whatever the rounding
        step = binom.pmf(inside[:, None] - at, n - at, (here - before) / (1 - before))
        mass, at = step @ mass, inside
    return float(mass.sum())


def short_p(p: float) -> str:
    """A p-value as it is shown."""
    return f"{p:.2g}" if p >= 1e-9 else "< 1e-9"


def _tail(counts: np.ndarray, n: int, z: np.ndarray | float) -> np.ndarray:
    """The smaller tail probability, of so many or fewer, or so many or more, of a binomial of n with probability z."""
    return np.minimum(bdtr(counts, n, z), np.where(counts == 0, 1.0, 1 - bdtr(np.maximum(counts - 1.0, 0), n, z)))


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's (1979) adjusted p-values: the smallest is that of all quantities together, whatever their dependence."""
    adjusted, largest = {}, 0.0
    for i, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(p_values) - i) * p))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
