"""Pictures of fits: pure functions from DataTrees to matplotlib figures.

Every function takes the fits as ``{label: DataTree}`` (see `draws`) and keeps no state, neither in pyplot nor here.  A
strategy has the same colour (Okabe & Ito's, safe for colour-blind readers) and marker in all of them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

OWN = {"nuts": "#0072B2", "svi": "#D55E00", "sgld": "#009E73", "mclmc": "#CC79A7"}
SPARE = ("#E69F00", "#56B4E9", "#8C564B", "#666666")
MARKERS = "osD^vPX*"
INK, FAINT = "#222222", "#BBBBBB"
INTERVAL = 0.9
ROWS = 150  # most test rows in one panel
UNITS = 20  # most units in a forest
PER_ROW = 3  # panels side by side

Trees = dict[str, Any]

PREDICTED = {
    "regression": (
        "Predictions",
        f"Medians and {INTERVAL:.0%} intervals of the predictive distribution at test rows. Hollow: the interval "
        "missed. About one in ten should.",
    ),
    "classes": (
        "Reliability",
        "Of the test rows that were given a probability, the share that turned out so; on the line is calibrated, "
        "below it overconfident. Bars: 95% by chance. Grey: how often each probability was given.",
    ),
}
COVERAGE_CAPTION = "A curve above the line: intervals wider than they need be; below: narrower than they promise."
AGREEMENT_CAPTION = (
    "One point per test row. On the line both inferences say the same; below it in the right panel, the inference is "
    "surer of f(x) than the reference."
)
SCALES_CAPTION = (
    "Medians with 50% and 90% intervals. A scale near zero switches its unit off. Hidden units have no names that "
    "survive a permutation: theirs are sorted by size within each draw."
)
TRACE_CAPTION = (
    "Chains that agree lie on top of one another, and their ranks are level. Shown are the test row whose f(x) mixes "
    "worst, a typical one, and the noise."
)
LOSS_CAPTION = "Level at the end: more steps would not help. The steep beginning is cut off."


class Picture(NamedTuple):
    """A figure with its file name (without suffix), a title and a sentence that says how to read it."""

    name: str
    title: str
    caption: str
    figure: Figure


class Scales(NamedTuple):
    """One panel of scales: draws (sample, unit) by label, and the units' names, [] if they have none."""

    title: str
    units: list[str]
    values: dict[str, np.ndarray]


def pictures(trees: Trees) -> Iterator[Picture]:
    """All pictures that these fits have something to show in, one at a time; the first NUTS is the reference."""
    if not trees:
        return
    reference = next((label for label, tree in trees.items() if tree.attrs["strategy"] == "nuts"), None)
    task = _task(_only(trees))
    title, caption = PREDICTED["regression" if task == "regression" else "classes"]
    yield Picture("predictions", title, caption, predictions(trees))
    if task == "regression":
        yield Picture("calibration", "Calibration", COVERAGE_CAPTION, coverage(trees))
    if reference is not None and len(trees) > 1:
        yield Picture("agreement", f"Agreement with {reference}", AGREEMENT_CAPTION, agreement(trees, reference))
    if (figure := scales(trees)) is not None:
        yield Picture("scales", "Scales of the noise", SCALES_CAPTION, figure)
    for label, tree in trees.items():
        if _chains(tree) > 1 and tree.attrs["independent_chains"]:
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
    if _task(_only(trees)) != "regression":
        return _panels(trees, _reliability)
    if _only(trees)["constant_data"]["x"].shape[1] == 1:
        return _panels(trees, _function)
    return _panels(trees, _predicted)


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
    ax.set_box_aspect(1)
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
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def scales(trees: Trees) -> Figure | None:
    """The scales: a forest for input units and for whole layers, sorted ones where units have no name.

    None if no fit has scales.
    """
    panels = _scale_panels(trees)
    if not panels:
        return None
    units = max(min(len(panel.units), UNITS) for panel in panels)
    figure = _figure(min(4.2 * len(panels) + 0.8, 13), max(3.4, 1.1 + units * (0.12 + 0.13 * len(trees))))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    colour = colours(trees)
    for ax, panel in zip(axes, panels, strict=True):
        (_forest if panel.units else _sorted)(ax, panel, colour)
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
    """The negative ELBO along the way, of the fits that have one; None if no fit has."""
    shown = {label: tree["history"] for label, tree in trees.items() if "loss" in tree.children.get("history", ())}
    if not shown:
        return None
    figure = _figure(7, 3.8)
    ax = figure.add_subplot()
    ends = []
    for label, colour in colours(trees).items():
        if label in shown:
            step, value = shown[label]["step"].values, shown[label]["loss"].values
            ax.plot(step.T, value.T, color=colour, lw=1.3, label=[label] + [None] * (len(value) - 1))
            ends.append((value.min(), np.quantile(value[:, value.shape[1] // 5 :], 0.99)))
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    ax.set_ylim(low - 0.1 * (high - low), high + 0.4 * (high - low))
    ax.set(xlabel="step", ylabel="negative ELBO")
    ax.margins(x=0.01)
    ax.legend(frameon=False)
    return figure


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
    ax.set(xlim=ends, ylim=(observed.min() - 0.3 * span, observed.max() + 0.3 * span))
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
    feature = tree["constant_data"]["x"].coords["feature"].values[0]
    ax.set(xlabel=f"{feature} (standardised)", ylabel=_target(tree, ""))
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
    ax.set_box_aspect(1)
    _percent(ax, "xy")
    return f"calibration error {np.sum(n * np.abs(share - x)) / n.sum():.1%}"


def _forest(ax: Axes, panel: Scales, colour: dict[str, str]) -> None:
    """Median and intervals of each unit's scale, the largest on top."""
    middle = np.mean if all(np.isin(v, (0, 1)).all() for v in panel.values.values()) else np.median
    size = np.median([middle(v, axis=0) for v in panel.values.values()], axis=0)
    top = np.argsort(-size, kind="stable")[:UNITS]
    offsets = np.linspace(-0.27, 0.27, len(panel.values)) if len(panel.values) > 1 else [0.0]
    for (label, values), offset, marker in zip(panel.values.items(), offsets, _markers(), strict=False):
        _interval(ax, values[:, top], np.arange(top.size) + offset, colour[label], marker, label)
    ax.set_yticks(np.arange(top.size), [panel.units[i] for i in top])
    ax.set_ylim(top.size - 0.5, -0.5)
    more = f", the {UNITS} largest of {len(panel.units)}" if len(panel.units) > UNITS else ""
    ax.set_title(f"{panel.title}{more}", loc="left")
    _scale_axis(ax, "x", panel)


def _sorted(ax: Axes, panel: Scales, colour: dict[str, str]) -> None:
    """Scales sorted within each draw, so that which unit is which does not matter: median and band."""
    for label, values in panel.values.items():
        values = -np.sort(-values, axis=1)
        low, middle, high = np.quantile(values, [(1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2], axis=0)
        rank = np.arange(1, values.shape[1] + 1)
        ax.fill_between(rank, low, high, color=colour[label], alpha=0.2, lw=0)
        ax.plot(rank, middle, color=colour[label], lw=1.8, label=label)
    ax.set_title(f"{panel.title}, sorted", loc="left")
    ax.set_xlabel("rank")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.margins(x=0.02)
    _scale_axis(ax, "y", panel)


def _interval(ax: Axes, values: np.ndarray, y: Any, colour: str, marker: str, label: str) -> None:
    """Median, 50% and 90% intervals of the draws (sample, unit); of scales that are 0 or 1, the share of ones."""
    if np.isin(values, (0, 1)).all():
        ax.plot(values.mean(axis=0), y, marker, ms=6, color=colour, label=label)
        return
    low, left, middle, right, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    ax.hlines(y, low, high, color=colour, lw=1)
    ax.hlines(y, left, right, color=colour, lw=2.6)
    ax.plot(middle, y, marker, ms=4, color=colour, label=label, mec="white", mew=0.4)


def _scale_axis(ax: Axes, axis: str, panel: Scales) -> None:
    """A log axis over where most of the scales lie; linear where some are exactly zero (discrete noise)."""
    every = np.concatenate([v.ravel() for v in panel.values.values()])
    if every.min() <= 0:
        kept = np.isin(every, (0, 1)).all()
        ax.set(**{f"{axis}label": "P(scale = 1)" if kept else "scale", f"{axis}lim": (0, 1.02) if kept else None})
        return
    low, high = np.quantile(every, [0.01, 0.995])
    ax.set(**{f"{axis}scale": "log", f"{axis}lim": (low / 1.5, high * 1.5), f"{axis}label": "scale (log axis)"})
    ticks = getattr(ax, f"{axis}axis")
    if high / low < 300:
        ticks.set_major_locator(LogLocator(subs=(1, 3)))
        ticks.set_major_formatter(StrMethodFormatter("{x:g}"))
    ticks.set_minor_formatter(NullFormatter())


def _ranks(ax: Axes, values: np.ndarray, shades: list[str]) -> None:
    """Histogram of each chain's ranks among all draws; level if the chains sample the same law."""
    ranks = np.argsort(np.argsort(values, axis=None)).reshape(values.shape)
    edges = np.linspace(0, values.size, 21)
    for chain, shade in zip(ranks, shades, strict=True):
        ax.stairs(np.histogram(chain, edges)[0] / (values.shape[1] / 20), edges, color=shade, lw=1.1)
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.set_ylim(0, None)
    ax.margins(x=0)
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_locator(MaxNLocator(4))


def _watched(tree: Any) -> dict[str, np.ndarray]:
    """What `trace` shows, (chain, draw) by name: f(x) at the test rows of worst and median R-hat, and the noise sd."""
    from arviz_stats.sampling_diagnostics import rhat

    f = tree["predictions"]["f"]
    if "class" in f.dims:
        f = f - f.mean("class")  # softmax does not see a shift
    found = {}
    spread = rhat(f)
    worst = spread if "class" not in spread.dims else spread.max("class")
    order = np.argsort(np.nan_to_num(worst.values, nan=np.inf))
    for row, word in ((order[-1], "worst"), (order[(order.size - 1) // 2], "typical")):
        at = f.isel(row=row)
        if "class" in at.dims:
            at = at.isel({"class": int(np.argmax(spread.isel(row=row).values))})
        found[f"f(x), {word} row\nR-hat {float(worst[row]):.2f}"] = at.transpose("chain", "draw").values
    if "noise_sd" in tree.children.get("functionals", ()):
        sd = tree["functionals"]["noise_sd"]
        found[f"noise sd\nR-hat {float(rhat(sd)):.2f}"] = sd.transpose("chain", "draw").values
    return found


def _confidence(tree: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """Predicted probability per test row, whether it came true, and of what: class 1 of two, else the likeliest."""
    p, observed = _probabilities(tree).mean(axis=0), _observed(tree).astype(int)
    if p.ndim == 1:
        return p, observed == 1, _classes(tree)[1]
    return p.max(axis=1), p.argmax(axis=1) == observed, "the likeliest class"


def _probabilities(tree: Any) -> np.ndarray:
    """Class probabilities (sample, row, class), or of class 1 where `f` is one logit, at the test rows."""
    from scipy.special import expit, softmax

    f = _draws(tree, "predictions", "f")
    return expit(f) if f.ndim == 2 else softmax(f, axis=-1)


def _moments(tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd over draws, per test row, of what `_quantity` names."""
    if _task(tree) == "regression":
        value = _draws(tree, "predictions", "f")
    else:
        value = _probabilities(tree)
        if value.ndim == 3:
            value = value[:, np.arange(value.shape[1]), _observed(tree).astype(int)]
    return value.mean(axis=0), value.std(axis=0)


def _quantity(tree: Any) -> str:
    if _task(tree) == "regression":
        return "f(x)"
    return "p(observed class)" if "class" in tree["predictions"]["f"].dims else f"p({_classes(tree)[1]})"


def _scale_panels(trees: Trees) -> list[Scales]:
    """The scales of all fits, site by site in order of their layers; those of whole layers together."""
    sites = {str(name) for tree in trees.values() for name in tree["posterior"] if ".scale" in str(name)}
    sites = sorted(name for name in sites if not name.endswith((".raw", ".log_uniform")))
    layers = [name for name in sites if not _unit_dims(trees, name)]
    panels = [_scale_panel(trees, name) for name in sites if name not in layers]
    if layers:
        values = {label: np.hstack([_scale(tree, n) for n in layers]) for label, tree in _with(trees, *layers).items()}
        panels.append(Scales("scales of layers", layers, values))
    return panels


def _scale_panel(trees: Trees, name: str) -> Scales:
    having = _with(trees, name)
    named = _unit_dims(trees, name) == ["layer0.unit_in"]
    units = _only(having)["posterior"][name].coords["layer0.unit_in"].values if named else []
    return Scales(name, [str(unit) for unit in units], {label: _scale(tree, name) for label, tree in having.items()})


def _scale(tree: Any, name: str) -> np.ndarray:
    """Draws (sample, unit) of a scale, at most 1000; its size where it may be negative."""
    values = _draws(tree, "posterior", name)
    values = values[:: max(1, len(values) // 1000)]
    return np.abs(values.reshape(len(values), -1))


def _with(trees: Trees, *names: str) -> Trees:
    return {label: tree for label, tree in trees.items() if all(name in tree["posterior"] for name in names)}


def _unit_dims(trees: Trees, name: str) -> list[str]:
    dims = _only(_with(trees, name))["posterior"][name].dims
    return [str(dim) for dim in dims if dim not in ("chain", "draw")]


def _panels(trees: Trees, draw: Callable[[Axes, Any, str], str]) -> Figure:
    """One panel for each fit, with its label and what `draw` says as the title."""
    wide = 2 if len(trees) == 4 else min(len(trees), PER_ROW)
    tall = -(-len(trees) // wide)
    figure = _figure(max(3.4 * wide, 5), 3.8 * tall)
    axes = figure.subplots(tall, wide, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, (label, colour) in zip(axes, colours(trees).items(), strict=False):
        said = draw(ax, trees[label], colour)
        ax.set_title(f"{label}\n{said}" if said else label, loc="left")
    for ax in axes[len(trees) :]:
        ax.remove()
    for ax in axes[: len(trees)]:
        ax.label_outer()
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", dpi=130)


def _diagonal(ax: Axes, kind: str) -> None:
    """The line y = x over all that is shown; from zero if the points are sds."""
    low, high = min(ax.get_xlim()[0], ax.get_ylim()[0]), max(ax.get_xlim()[1], ax.get_ylim()[1])
    low = 0.0 if kind == "sd" else low
    ax.plot([low, high], [low, high], color=INK, lw=0.8, zorder=0)
    ax.set(xlim=(low, high), ylim=(low, high))
    ax.set_box_aspect(1)


def _percent(ax: Axes, which: str) -> None:
    for name in which:
        getattr(ax, f"{name}axis").set_major_formatter(PercentFormatter(1, decimals=0))


def _wilson(share: np.ndarray, n: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a binomial proportion."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


def _shades(colour: str, count: int) -> list[str]:
    """`count` shades of one colour, from dark to light."""
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    mixes = np.linspace(-0.35, 0.45, count) if count > 1 else [0.0]
    return [to_hex(tuple(rgb * (1 + m) if m < 0 else rgb + (1 - rgb) * m)) for m in mixes]


def _markers() -> Iterator[str]:
    while True:
        yield from MARKERS


def _only(trees: Trees) -> Any:
    """Any of the fits, for what is the same in all: the data."""
    return next(iter(trees.values()))


def _draws(tree: Any, group: str, name: str) -> np.ndarray:
    """Draws of all chains, (sample, ...)."""
    values = tree[group][name].transpose("chain", "draw", ...).values
    return values.reshape(-1, *values.shape[2:])


def _chains(tree: Any) -> int:
    return tree["posterior"].sizes["chain"]


def _task(tree: Any) -> str:
    return tree.attrs["task"]


def _observed(tree: Any) -> np.ndarray:
    """The target at the test rows, in its own units."""
    return tree["predictions_constant_data"]["y"].values


def _classes(tree: Any) -> list[str]:
    return list(tree.attrs["classes"])


def _target(tree: Any, what: str) -> str:
    """An axis label: ``predicted strength (MPa)``."""
    unit = tree.attrs.get("unit")
    return f"{what} {tree.attrs['target']}".strip() + (f" ({unit})" if unit else "")
