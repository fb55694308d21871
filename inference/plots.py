"""Pictures of fits: pure functions from DataTrees to matplotlib figures.

Every function takes the fits as ``{label: DataTree}`` (see `draws`) and keeps no state, neither in pyplot nor here.  A
strategy has the same colour (Okabe & Ito's, safe for colour-blind readers) and marker in all of them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

OWN = {"nuts": "#0072B2", "svi": "#D55E00", "sgld": "#009E73"}
SPARE = ("#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#666666")
MARKERS = "osD^vPX*"
INK, FAINT = "#222222", "#BBBBBB"
INTERVAL = 0.9
ROWS = 150  # most test rows in one panel
UNITS = 20  # most units in a forest
PER_ROW = 3  # panels side by side

Trees = dict[str, Any]


class Picture(NamedTuple):
    """A figure with its file name (without suffix), a title and a sentence that says how to read it."""

    name: str
    title: str
    caption: str
    figure: Figure


def pictures(trees: Trees, reference: str | None = None) -> Iterator[Picture]:
    """All pictures that these fits have something to show in, one at a time."""
    if not trees:
        return
    title, caption = PREDICTED[_task(trees)]
    yield Picture("predictions", title, caption, predictions(trees))
    if _task(trees) == "regression":
        yield Picture("calibration", "Calibration", COVERAGE_CAPTION, coverage(trees))
    if reference in trees and len(trees) > 1:
        yield Picture("agreement", f"Agreement with {reference}", AGREEMENT_CAPTION, agreement(trees, reference))
    if (figure := scales(trees)) is not None:
        yield Picture("scales", "Scales of the noise", SCALES_CAPTION, figure)
    for label, tree in trees.items():
        if _chains(tree) > 1 and tree.attrs.get("independent_chains", True):
            yield Picture(f"trace-{label}", f"Chains of {label}", TRACE_CAPTION, trace(tree, label))
    if (figure := loss(trees)) is not None:
        yield Picture("loss", "Loss along the way", LOSS_CAPTION, figure)


def colours(labels: Any) -> dict[str, str]:
    """A colour for each label: the first of a strategy has the strategy's own, any further one a spare."""
    spare, taken, found = list(SPARE), set(), {}
    for label in labels:
        own = OWN.get(label.split(":")[0])
        found[label] = own if own and own not in taken else spare.pop(0) if spare else INK
        taken.add(found[label])
    return found


def predictions(trees: Trees) -> Figure:
    """Predicted against observed for a regression, the function where there is one feature, else reliability."""
    if _task(trees) != "regression":
        return _panels(trees, _reliability, share=True)
    if _only(trees)["constant_data"]["x"].shape[1] == 1:
        return _panels(trees, _function, share=True)
    return _panels(trees, _predicted, share=True)


def coverage(trees: Trees) -> Figure:
    """How often central predictive intervals hold the test target, against how often they promise to."""
    figure = _figure(5.2, 4.4)
    ax = figure.add_subplot()
    level = np.linspace(0, 1, 101)
    rows = _observed(_only(trees)).size
    band = 1.96 * np.sqrt(level * (1 - level) / rows)
    ax.fill_between(level, level - band, level + band, color=FAINT, alpha=0.35, lw=0, label="95% by chance")
    ax.plot(level, level, color=INK, lw=0.8)
    for label, colour in colours(trees).items():
        tree = trees[label]
        rank = np.mean(_draws(tree, "predictions", "y") < _observed(tree), axis=0)
        ax.plot(level, [np.mean(np.abs(2 * rank - 1) <= p) for p in level], color=colour, lw=1.8, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="predictive interval", ylabel=f"share of {rows} test rows inside it")
    ax.set_aspect("equal")
    _percent(ax, "xy")
    ax.legend(loc="upper left", frameon=False)
    return figure


def agreement(trees: Trees, reference: str) -> Figure:
    """Mean and sd of f(x) at the test rows (of the observed class's probability for classes), against `reference`."""
    figure = _figure(9, 4.4)
    axes = figure.subplots(1, 2)
    colour = colours(trees)
    moments = {label: _moments(tree) for label, tree in trees.items()}
    what = _quantity(_only(trees))
    for ax, name, part in zip(axes, ("mean", "sd"), (0, 1), strict=True):
        for label, marker in zip(trees, _markers(), strict=False):
            if label != reference:
                x, y = moments[reference][part], moments[label][part]
                ax.scatter(x, y, s=16, marker=marker, color=colour[label], alpha=0.6, lw=0, label=label)
        _diagonal(ax, "sd" if part else "mean")
        ax.set(xlabel=f"{name} of {what}, {reference}", ylabel=f"{name} of {what}")
        ax.legend(frameon=False, loc="upper left")
    return figure


def scales(trees: Trees) -> Figure | None:
    """The scales of each layer: a forest by input unit for the first, sorted ones elsewhere; None without scales."""
    layers = [name for name in _scale_names(trees)]
    if not layers:
        return None
    height = max(_height(trees, name) for name in layers)
    figure = _figure(min(4.2 * len(layers) + 0.8, 13), height)
    axes = figure.subplots(1, len(layers), squeeze=False)[0]
    for ax, name in zip(axes, layers, strict=True):
        (_forest if _named(trees, name) else _sorted)(ax, trees, name)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def trace(tree: Any, label: str = "") -> Figure:
    """Draws and ranks, chain by chain, of f(x) at the worst and at a typical test row and of the noise sd."""
    shown = _watched(tree)
    figure = _figure(9.5, 1.9 * len(shown) + 0.5)
    axes = figure.subplots(len(shown), 2, squeeze=False, width_ratios=(2, 1))
    shades = _shades(colours([label])[label], _chains(tree))
    for (left, right), (title, values) in zip(axes, shown.items(), strict=True):
        step = max(1, values.shape[1] // 500)
        for chain, shade in zip(values, shades, strict=True):
            left.plot(np.arange(0, chain.size, step), chain[::step], color=shade, lw=0.7)
        left.set_ylabel(title)
        left.margins(x=0)
        _ranks(right, values, shades)
    axes[-1, 0].set_xlabel("draw")
    axes[-1, 1].set_xlabel("rank among all draws")
    for ax in axes[:-1].flat:
        ax.tick_params(labelbottom=False)
    return figure


def loss(trees: Trees) -> Figure | None:
    """The loss of the fits that have one, against the step; None if no fit has."""
    shown = {label: tree for label, tree in trees.items() if "loss" in tree.attrs.get("history", {})}
    return None if not shown else None


def _predicted(ax: Axes, tree: Any, colour: str) -> str:
    """Predictive medians and intervals against what was observed; returns the panel's subtitle."""
    observed, y = _observed(tree), _draws(tree, "predictions", "y")
    low, middle, high = np.quantile(y, [(1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2], axis=0)
    inside = (low <= observed) & (observed <= high)
    order = np.argsort(observed)
    some = order[np.linspace(0, order.size - 1, min(ROWS, order.size)).astype(int)]
    for rows, fill in ((some[inside[some]], colour), (some[~inside[some]], "white")):
        error = np.abs(np.stack([middle - low, high - middle]))[:, rows]
        ax.errorbar(
            *(observed[rows], middle[rows], error),
            **{"fmt": "o", "ms": 4, "color": colour, "mfc": fill, "elinewidth": 0.9, "alpha": 0.75},
        )
    span = np.ptp(observed) or 1.0
    ends = np.array([observed.min() - 0.05 * span, observed.max() + 0.05 * span])
    ax.plot(ends, ends, color=INK, lw=0.8, zorder=0)
    ax.set(xlim=ends, ylim=(observed.min() - 0.5 * span, observed.max() + 0.5 * span))
    ax.set(xlabel=_target(tree, "observed"), ylabel=_target(tree, "predicted"))
    return f"{inside.sum()} of {inside.size} inside the {INTERVAL:.0%} interval"


def _function(ax: Axes, tree: Any, colour: str) -> str:
    """The function over one feature: mean, band of f and band of y, with the rows it saw and those it did not."""
    x_train = tree["constant_data"]["x"].values[:, 0]
    x_test = tree["predictions_constant_data"]["x"].values[:, 0]
    x, first = np.unique(np.concatenate([x_train, x_test]), return_index=True)
    both = {
        name: np.concatenate([_draws(tree, "posterior_predictive", name), _draws(tree, "predictions", name)], axis=1)
        for name in ("y", "f")
    }
    ends = [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]
    for name, alpha, what in (("y", 0.15, "y"), ("f", 0.35, "f(x)")):
        low, high = np.quantile(both[name][:, first], ends, axis=0)
        ax.fill_between(x, low, high, color=colour, alpha=alpha, lw=0, label=f"{INTERVAL:.0%} of {what}")
    ax.plot(x, both["f"][:, first].mean(axis=0), color=colour, lw=1.8, label="mean")
    ax.plot(x_train, tree["observed_data"]["y"].values, ".", color=INK, ms=4, alpha=0.6, label="training rows")
    ax.plot(x_test, _observed(tree), "o", mfc="white", color=INK, ms=4, alpha=0.8, label="test rows")
    ax.set(xlabel=str(tree["constant_data"]["x"].coords["feature"].values[0]), ylabel=_target(tree, "", strip=True))
    return ""


def _reliability(ax: Axes, tree: Any, colour: str) -> str:
    """Share of right answers in bins of the predicted probability, with 95% (Wilson) intervals; ECE as subtitle."""
    confidence, right, what = _confidence(tree)
    bins = np.array_split(np.argsort(confidence), int(np.clip(confidence.size // 20, 2, 10)))
    x = np.array([confidence[b].mean() for b in bins])
    share, n = np.array([right[b].mean() for b in bins]), np.array([b.size for b in bins])
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, zorder=0)
    low, high = _wilson(share, n)
    ax.errorbar(x, share, np.abs(np.stack([share - low, high - share])), fmt="o-", ms=5, color=colour, elinewidth=1)
    edges = np.linspace(0, 1, 21)
    height = np.histogram(confidence, edges)[0] / confidence.size
    ax.bar(edges[:-1], 0.25 * height / height.max(), width=0.05, align="edge", color=FAINT, alpha=0.6, zorder=-1)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel=f"predicted probability of {what}", ylabel="how often it was so")
    ax.set_aspect("equal")
    _percent(ax, "xy")
    return f"calibration error {np.sum(n * np.abs(share - x)) / n.sum():.1%}"


def _forest(ax: Axes, trees: Trees, name: str) -> None:
    """Median and interval of each unit's scale, on a log axis, the units with the largest scales on top."""
    values = {label: _scale(tree, name) for label, tree in trees.items() if name in tree["posterior"]}
    units = _units(next(iter(trees.values())), name)
    size = np.median([np.median(v, axis=0) for v in values.values()], axis=0)
    top = np.argsort(-size)[:UNITS]
    offsets = np.linspace(-0.27, 0.27, len(values)) if len(values) > 1 else [0.0]
    for (label, colour), offset, marker in zip(colours(values).items(), offsets, _markers(), strict=False):
        _interval(ax, values[label][:, top], np.arange(top.size) + offset, colour, marker, label)
    ax.set_yticks(np.arange(top.size), [units[i] for i in top])
    ax.set_ylim(top.size - 0.5, -0.5)
    more = f" (the largest {UNITS} of {len(units)})" if len(units) > UNITS else ""
    ax.set_title(f"{name}{more}", loc="left")
    _scale_axis(ax, "x", values)


def _sorted(ax: Axes, trees: Trees, name: str) -> None:
    """Scales sorted within each draw, so that which unit is which does not matter: median and band."""
    values = {label: _scale(tree, name) for label, tree in trees.items() if name in tree["posterior"]}
    for label, colour in colours(values).items():
        v = -np.sort(-values[label], axis=1)
        low, middle, high = np.quantile(v, [(1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2], axis=0)
        rank = np.arange(1, v.shape[1] + 1)
        ax.fill_between(rank, low, high, color=colour, alpha=0.2, lw=0)
        ax.plot(rank, middle, color=colour, lw=1.8, label=label)
    ax.set_title(f"{name}, sorted", loc="left")
    ax.set_xlabel("unit, by size")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.margins(x=0.02)
    _scale_axis(ax, "y", values)


def _interval(ax: Axes, values: np.ndarray, y: Any, colour: str, marker: str, label: str) -> None:
    low, left, middle, right, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    ax.hlines(y, low, high, color=colour, lw=1)
    ax.hlines(y, left, right, color=colour, lw=2.6)
    ax.plot(middle, y, marker, ms=4, color=colour, label=label, mec="white", mew=0.4)
