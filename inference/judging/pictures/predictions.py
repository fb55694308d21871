"""Pictures of predictions: against what was observed, the function over one feature, reliability, coverage."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....models.views.text import plain
from ..accuracy import BINS, calibration_error, predictive_probabilities, reliability
from .style import (
    FAINT,
    INK,
    INTERVAL,
    Trees,
    any_of,
    colours,
    new_figure,
    panels,
    percent,
    samples,
    target_label,
    task_of,
    test_target,
)

ROWS = 150  # most test rows in one panel
SPANS = 1.0  # of the target, at most so many are shown above and below it


PREDICTED = {
    "regression": (
        "Predictions",
        f"Medians and {INTERVAL:.0%} intervals of the predictive distribution at {ROWS} test rows at most. Hollow: the "
        "interval missed. About one in ten should.",
    ),
    "function": (
        "The function",
        f"Mean of f(x), and bands that hold {INTERVAL:.0%} of f(x) and of y, point by point on a grid that begins "
        "before the data and ends after them. A band that is wide where there are no rows says that little is known "
        "there; one that leaves the target far behind is cut.",
    ),
    "classes": (
        "Reliability",
        f"Test rows by the probability of their likeliest class, in {BINS} bins of one width: how often that class was "
        "right. On the line is calibrated, below it overconfident. Bars: 95% by chance. Grey: how many rows have each "
        "confidence. The calibration error, the distance from the line over rows, is that of the table.",
    ),
}
COVERAGE_CAPTION = "A curve above the line: intervals wider than they need be; below: narrower than they promise."


def predictions(trees: Trees) -> Figure:
    """Predicted against observed for a regression, the function where there is one feature, else reliability."""
    figure = panels(trees, {"classes": _reliability, "function": _function, "regression": _predicted}[kind(trees)])
    if kind(trees) == "function":
        figure.axes[0].set_ylim(_seen(figure.axes[0], any_of(trees)))  # which they share
    return figure


def kind(trees: Trees) -> str:
    """Which of `PREDICTED` is shown of these fits."""
    if task_of(any_of(trees)) != "regression":
        return "classes"
    return "function" if all("grid" in tree.children for tree in trees.values()) else "regression"


def coverage(trees: Trees) -> Figure:
    """How often central predictive intervals hold the test target, against how often they promise to."""
    figure = new_figure(5.2, 4.4)
    ax = figure.add_subplot()
    level = np.linspace(0, 1, 101)
    rows = test_target(any_of(trees)).size
    band = 1.96 * np.sqrt(level * (1 - level) / rows)
    ax.fill_between(level, level - band, level + band, color=FAINT, alpha=0.35, lw=0, label="95% by chance")
    ax.plot(level, level, color=INK, lw=0.8)
    for label, colour in colours(trees).items():
        tree = trees[label]
        rank = np.mean(samples(tree, "predictions", "y") < test_target(tree), axis=0)
        ax.plot(level, [np.mean(np.abs(2 * rank - 1) <= p) for p in level], color=colour, lw=1.8, label=plain(label))
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="predictive interval", ylabel=f"share of {rows} test rows inside it")
    ax.set_box_aspect(1)
    percent(ax, "xy")
    ax.legend(loc="upper left", frameon=False)
    return figure


def _predicted(ax: Axes, tree: Any, colour: str) -> str:
    """Predictive medians and intervals against what was observed; returns the panel's subtitle."""
    observed, y = test_target(tree), samples(tree, "predictions", "y")
    low, middle, high = np.quantile(y, [(1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2], axis=0)
    inside = (low <= observed) & (observed <= high)
    order = np.argsort(observed)
    rows_shown = order[np.linspace(0, order.size - 1, min(ROWS, order.size)).astype(int)]
    for rows, fill in ((rows_shown[inside[rows_shown]], colour), (rows_shown[~inside[rows_shown]], "white")):
        error = np.abs(np.stack([middle - low, high - middle]))[:, rows]
        ax.errorbar(
            *(observed[rows], middle[rows], error),
            **{"fmt": "o", "ms": 4, "color": colour, "mfc": fill, "elinewidth": 0.9, "alpha": 0.75},
        )
    span = np.ptp(observed) or 1.0
    ends = np.array([observed.min() - 0.05 * span, observed.max() + 0.05 * span])
    ax.plot(ends, ends, color=INK, lw=0.8, zorder=0)
    ax.set(xlim=ends, ylim=(observed.min() - 0.3 * span, observed.max() + 0.3 * span))
    ax.set(xlabel=target_label(tree, "observed"), ylabel=target_label(tree, "predicted"))
    return f"{inside.sum()} of {inside.size} inside the {INTERVAL:.0%} interval"


def _function(ax: Axes, tree: Any, colour: str) -> str:
    """The function over one feature: mean, band of f and band of y, with the rows it saw and those it did not."""
    x, ends = tree["grid"]["x"].values, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]
    for name, alpha, label in (("y", 0.15, "y"), ("f", 0.35, "f(x)")):
        low, high = np.quantile(samples(tree, "grid", name), ends, axis=0)
        ax.fill_between(x, low, high, color=colour, alpha=alpha, lw=0, label=f"{INTERVAL:.0%} of {label}")
    ax.plot(x, samples(tree, "grid", "f").mean(axis=0), color=colour, lw=1.8, label="mean")
    y, y_test = tree["observed_data"]["y"].values, test_target(tree)
    _rows(ax, tree, "constant_data", y, marker=".", alpha=0.6, label="training rows")
    _rows(ax, tree, "predictions_constant_data", y_test, marker="o", mfc="white", alpha=0.8, label="test rows")
    ax.set(xlabel=plain(tree["constant_data"]["x"].coords["feature"].values[0]), ylabel=target_label(tree, ""))
    return ""


def _rows(ax: Axes, tree: Any, group: str, y: np.ndarray, **style: Any) -> None:
    """What was observed, at the feature in its own units."""
    x = tree[group]["x"].values[:, 0] * tree["grid"].attrs["x_scale"] + tree["grid"].attrs["x_mean"]
    ax.plot(x, y, color=INK, ls="", ms=4, **style)


def _seen(ax: Axes, tree: Any) -> tuple[float, float]:
    """The limits of an axis of y, cut where they leave the target too far behind: a heavy tail knows no end."""
    y, (bottom, top) = np.concatenate([tree["observed_data"]["y"].values, test_target(tree)]), ax.get_ylim()
    return max(bottom, y.min() - SPANS * np.ptp(y)), min(top, y.max() + SPANS * np.ptp(y))


def _reliability(ax: Axes, tree: Any, colour: str) -> str:
    """Share of right answers in bins of the confidence, with 95% (Wilson) intervals; the table's error as subtitle."""
    p = predictive_probabilities(samples(tree, "predictions", "f"))
    confidence, right = p.max(axis=-1), p.argmax(axis=-1) == test_target(tree)
    x, share, n = reliability(confidence, right)
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, zorder=0)
    low, high = _wilson(share, n)
    ax.errorbar(x, share, np.abs(np.stack([share - low, high - share])), fmt="o-", ms=5, color=colour, elinewidth=1)
    edges = np.linspace(0, 1, 21)
    height = np.histogram(confidence, edges)[0] / confidence.size
    ax.bar(edges[:-1], 0.25 * height / height.max(), width=0.05, align="edge", color=FAINT, alpha=0.6, zorder=-1)
    ax.set(xlim=(1 / p.shape[-1] - 0.02, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of right answers")
    percent(ax, "xy")
    return f"calibration error {calibration_error(confidence, right):.1%}"


def _wilson(share: np.ndarray, n: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a binomial proportion."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half
