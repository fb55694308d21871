"""Methods ranked over data sets, and what difference of ranks is more than chance.

Source: Demsar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7: the Friedman test, and
Nemenyi's critical difference after it.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from ...models.views.text import plain
from ..judging.pictures.style import INK

LEVEL = 0.05  # of significance
STEP = 0.34  # between two labels of the plot, in units of its height


class Friedman(NamedTuple):
    """Of average ranks: chi-square, and the F of Iman and Davenport with its p-value."""

    chi2: float
    f: float
    p: float


def ranks(values: np.ndarray, larger: bool) -> np.ndarray:
    """The rank of each method on each data set, (data, method), 1 for the best; ties have the mean of their ranks."""
    return stats.rankdata(-values if larger else values, axis=1)


def friedman(ranked: np.ndarray) -> Friedman:
    """The test that all methods are equal, from ranks (data, method), two of each at least."""
    data, methods = ranked.shape
    mean = ranked.mean(axis=0)
    chi2 = 12 * data / (methods * (methods + 1)) * (np.sum(mean**2) - methods * (methods + 1) ** 2 / 4)
    denominator = data * (methods - 1) - chi2
    if denominator <= 1e-9 * data:  # all data sets agree
        return Friedman(float(chi2), np.inf, 0.0)
    f = (data - 1) * chi2 / denominator
    return Friedman(float(chi2), float(f), float(stats.f.sf(f, methods - 1, (methods - 1) * (data - 1))))


def critical_difference(methods: int, data: int) -> float:
    """Nemenyi's: average ranks that differ by more are different at level `LEVEL`."""
    q = stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * data)))


def joined(mean: np.ndarray, difference: float) -> list[tuple[int, int]]:
    """The first and last of methods that lie within the critical difference, of `mean` ranks in ascending order.

    None lies within another.
    """
    last = [int(np.flatnonzero(mean <= rank + difference)[-1]) for rank in mean]
    runs = [(first, end) for first, end in enumerate(last) if end > first]
    return [(first, end) for first, end in runs if not any(a < first and end <= b for a, b in runs)]


def plot(names: list[str], mean: np.ndarray, difference: float) -> Any:
    """The critical-difference diagram: a line of ranks, the best on the left, and bars over what may be equal."""
    from matplotlib.figure import Figure

    order = np.argsort(mean, kind="stable")
    names, mean = [plain(names[i]) for i in order], mean[order]
    bars, half = joined(mean, difference), (len(names) + 1) // 2
    depth = 0.35 + 0.16 * len(bars)
    low, high = 1.0, float(len(names))
    figure = Figure(figsize=(7.2, 0.75 + 0.5 * (depth + STEP * half + 0.9)), dpi=200, layout="constrained")
    ax = figure.add_subplot()
    ax.set_axis_off()
    ax.plot((low, high), (0, 0), color=INK, lw=1.2, solid_capstyle="butt")
    for tick in np.arange(low, high + 0.25, 0.5):
        whole = float(tick).is_integer()
        ax.plot((tick, tick), (0, 0.16 if whole else 0.09), color=INK, lw=1.2 if whole else 0.8)
        if whole:
            ax.text(tick, 0.24, f"{tick:.0f}", ha="center", va="bottom", fontsize=9, color=INK)
    _difference(ax, low, high, difference)
    for number, (first, end) in enumerate(bars):
        y = -0.2 - 0.16 * number
        ax.plot(mean[[first, end]] + (-0.03, 0.03), (y, y), color=INK, lw=4, solid_capstyle="round")
    edge = 0.04 * (high - low)
    for i, (name, rank) in enumerate(zip(names, mean, strict=True)):
        left = i < half
        y = -depth - STEP * (i if left else len(names) - 1 - i)
        x = low - edge if left else high + edge
        ax.plot((rank, rank, x), (0, y, y), color=INK, lw=0.9, solid_joinstyle="miter")
        label = f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"
        ax.text(
            x - edge / 3 if left else x + edge / 3, y, label, ha="right" if left else "left", va="center", fontsize=9
        )
    ax.set_ylim(-depth - STEP * half, 1.25)
    return figure


def _difference(ax: Any, low: float, high: float, difference: float) -> None:
    """The critical difference as a length, above the line of ranks."""
    width = min(difference, high - low)
    suffix = " (more than the whole line)" if width < difference else ""
    ax.plot((low, low + width), (0.78, 0.78), color=INK, lw=1.2)
    for x in (low, low + width):
        ax.plot((x, x), (0.71, 0.85), color=INK, lw=1.2)
    ax.text(low, 0.92, f"CD = {difference:.2f}{suffix}", ha="left", va="bottom", fontsize=9, color=INK)
