"""Pictures of sparsity: pure functions from means, standard deviations and masks to matplotlib figures.

They look like those of `judging.pictures` and keep no state either.  White is what was trimmed away.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from ....models.views.text import plain
from ...judging.functionals import log_alpha as alphas
from ...judging.pictures.style import FAINT, INK, MARKERS, PER_ROW, Picture, Trees, colours, legend, new_figure
from ...target import warm_start
from ...target.sites import Arrays
from .. import report, trimming

KEPT, CUT, OTHER = "#0072B2", "#D55E00", "#009E73"
SHOWN = (-20.0, 20.0)  # log alpha beyond is drawn at the end
BINS = 60
CELLS = (160, 400)  # most rows and columns of an image
NAMES = 20  # most inputs with their names on the axis


FIRST_CAPTION = (
    "The first layer after trimming. Left, where the inputs make a square: the size of the weights that leave each, "
    "summed over units. Then every weight, units from the most to the least used; of a large layer one cell shows the "
    "largest of a few neighbours. White: trimmed."
)
LOG_ALPHA_CAPTION = (
    "How many weights have which log alpha = log(sigma^2 / mu^2); counts on a log axis. Right of the line the noise "
    "outweighs the mean, and the rule trims the weight."
)
TRAINING_CAPTION = (
    "Compression and test error (in %, or RMSE; of at most 2,000 test rows) along the way, were the net trimmed there; "
    "the last point is the net that is kept."
)


def pictures(trees: Trees) -> Iterator[Picture]:
    """The pictures of all fits that have a guide of independent normals over weights, one at a time."""
    with_guide = {label: tree for label, tree in trees.items() if "guide" in tree.children}
    for label, tree in with_guide.items():
        if any(str(site).endswith(".weight") for site in tree["guide"]):
            yield Picture(f"log-alpha-{label}", f"log alpha of {label}", LOG_ALPHA_CAPTION, partial(_log_alpha, tree))
            yield Picture(f"first-layer-{label}", f"First layer of {label}", FIRST_CAPTION, partial(_first_layer, tree))
    yield Picture("sparsity-training", "Sparsity along the way", TRAINING_CAPTION, partial(_training, with_guide))


def first_layer(
    weight: np.ndarray, mask: np.ndarray, title: str = "layer0.weight", names: Sequence[str] = ()
) -> Figure:
    """The first layer's weights (..., unit_in, unit_out): as an image of its inputs where they make a square, and all.

    A kernel (kh, kw, in, out) is shown as its kh kw in inputs.  `names` of the inputs are shown if they are few.
    """
    kept = np.where(mask, weight, 0.0).reshape(-1, weight.shape[-1])
    size = np.abs(kept).sum(axis=1)
    side = math.isqrt(size.size)
    square = side > 1 and side**2 == size.size
    figure = new_figure(10 if square else 7.6, 4.3)
    axes = figure.subplots(1, 1 + square, squeeze=False, width_ratios=(1, 1.55) if square else (1,))[0]
    if square:
        _image(axes[0], size.reshape(side, side), f"{np.sum(size > 0)} of {size.size} inputs alive")
    _matrix(axes[-1], kept, f"{plain(title)}: {np.count_nonzero(kept):,} of {kept.size:,} kept", names)
    return figure


def log_alpha(loc: Arrays, scale: Arrays, threshold: float = trimming.RULES["log_alpha"].threshold) -> Figure:
    """Histogram of log alpha of each layer's weights, with the threshold; inf lies in the last bin."""
    sites = trimming.weights(loc)
    values = {site: np.clip(alphas(loc[site], scale[site]).ravel(), *SHOWN) for site in sites}
    low, high = min(v.min() for v in values.values()), max(v.max() for v in values.values())
    low, high = min(low, threshold - 1) - 0.5, max(high, threshold + 1) + 0.5
    edges = np.unique(np.concatenate([np.linspace(low, high, BINS + 1), [threshold]]))
    columns = 2 if len(sites) == 4 else min(len(sites), PER_ROW)
    tall = -(-len(sites) // columns)
    figure = new_figure(max(3.2 * columns, 5), 2.9 * tall)
    axes = figure.subplots(tall, columns, squeeze=False).ravel()
    for ax, site in zip(axes, sites, strict=False):
        kept = values[site] < threshold
        for part, colour, name in ((kept, KEPT, "kept"), (~kept, FAINT, "trimmed")):
            ax.hist(values[site][part], edges, color=colour, label=name)
        ax.axvline(threshold, color=INK, lw=0.9, ls="--", label=f"threshold {threshold:g}")
        ax.set(yscale="log", xlim=(low, high), xlabel="log alpha", ylabel="weights")
        ax.set_ylim(0.7, max(ax.get_ylim()[1], 15))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_title(f"{plain(site.removesuffix('.weight'))}: {kept.mean():.2%} of {kept.size:,} kept", loc="left")
    for ax in axes[len(sites) :]:
        ax.remove()
    legend(figure, axes[0])
    return figure


def training(histories: dict[str, Arrays]) -> Figure | None:
    """Compression and error along the way, and the one against the other.

    `histories` has ``step``, ``compression`` and ``error`` (record,) by label, whichever are there; records of NaN are
    left out.  None if no label has a compression or an error.
    """
    panels = [("step", "compression"), ("step", "error"), ("compression", "error")]
    available = [pair for pair in panels if any(set(pair) <= set(h) for h in histories.values())]
    if not available:
        return None
    figure = new_figure(max(3.6 * len(available), 5), 3.6)
    axes = figure.subplots(1, len(available), squeeze=False)[0]
    for ax, (x, y) in zip(axes, available, strict=True):
        for (label, colour), marker in zip(colours(histories).items(), MARKERS * len(histories), strict=False):
            if {x, y} <= set(histories[label]):
                _path(ax, histories[label], x, y, label, colour, marker)
        ax.set(xlabel=_axis(x), ylabel=_axis(y))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        for name, axis_name in (("x", x), ("y", y)):
            if axis_name == "compression":
                _log_axis(ax, name)
    legend(figure, axes[0])
    return figure


def _log_alpha(tree: Any) -> Figure:
    return log_alpha(*report.moments(tree))


def _first_layer(tree: Any) -> Figure:
    loc, scale = report.moments(tree)
    site = trimming.weights(loc)[0]
    return first_layer(loc[site], trimming.kept(loc, scale)[site], site, _inputs(tree, loc[site]))


def _training(trees: Trees) -> Figure | None:
    return training({label: _history(tree) for label, tree in trees.items() if "history" in tree.children})


def _image(ax: Axes, size: np.ndarray, title: str) -> None:
    """Non-negative numbers in a square, zero white."""
    drawn = ax.imshow(np.ma.masked_equal(size, 0), cmap=_shade(), vmin=0, interpolation="nearest")
    ax.set_title(title, loc="left")
    ax.set(xticks=[], yticks=[], xlabel="inputs, row by row")
    ax.figure.colorbar(drawn, ax=ax, shrink=0.75, pad=0.03, label="sum of |mean| over units")


def _matrix(ax: Axes, weight: np.ndarray, title: str, names: Sequence[str]) -> None:
    """Weights (unit_in, unit_out), the most used unit on top; red above zero, blue below, white where trimmed."""
    order = np.argsort(-np.abs(weight).sum(axis=0), kind="stable")
    nonzero = np.abs(weight[weight != 0])
    top = np.quantile(nonzero, 0.98) if nonzero.size else 1.0
    image, (units, inputs) = np.ma.masked_equal(_visible(weight.T[order]), 0), weight.T.shape
    drawn = ax.imshow(image, cmap=_signs(), vmin=-top, vmax=top, aspect="auto", interpolation="nearest")
    drawn.set_extent((-0.5, inputs - 0.5, units - 0.5, -0.5))
    ax.set_title(title, loc="left")
    ax.set(xlabel="input", ylabel="unit, by size")
    if 0 < len(names) <= NAMES:
        ax.set_xticks(range(len(names)), [plain(name) for name in names], rotation=90)
        ax.set_xlabel("")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.figure.colorbar(drawn, ax=ax, pad=0.02, extend="both", label="mean of the weight")


def _visible(image: np.ndarray) -> np.ndarray:
    """An image of no more cells than can be drawn: of each block the value furthest from zero, so that none is lost."""
    for axis, limit in enumerate(CELLS):
        block = -(-image.shape[axis] // limit)
        pad = [(0, 0)] * image.ndim
        pad[axis] = (0, -image.shape[axis] % block)
        wide = np.moveaxis(np.pad(image, pad), axis, 0)
        wide = wide.reshape(-1, block, wide.shape[1])
        furthest = np.abs(wide).argmax(axis=1)[:, None]
        image = np.moveaxis(np.take_along_axis(wide, furthest, axis=1)[:, 0], 0, axis)
    return image


def _path(ax: Axes, history: Arrays, x: str, y: str, label: str, colour: str, marker: str) -> None:
    """One run's records in order, its last one marked."""
    x_values, y_values = np.ravel(history[x]), np.ravel(history[y])
    finite = np.isfinite(x_values) & np.isfinite(y_values)
    style: dict[str, Any] = {"color": colour, "lw": 1.5, "marker": marker, "markevery": [-1], "ms": 6}
    ax.plot(x_values[finite], y_values[finite], label=plain(label), **style)


def _inputs(tree: Any, weight: np.ndarray) -> list[str]:
    """Names of the inputs of the first layer, [] where they have none."""
    names = tree["posterior"].coords.get("layer0.unit_in", ())
    return [str(n) for n in np.asarray(names)] if len(names) == weight.shape[0] and weight.ndim == 2 else []


def _history(tree: Any) -> Arrays:
    """The history of the chain that is trimmed."""
    chain = warm_start.best_chain(tree)
    return {str(k): v.isel(chain=chain).values for k, v in tree["history"].data_vars.items() if "chain" in v.dims}


def _axis(name: str) -> str:
    return {"compression": "compression (log axis)", "error": "test error"}.get(name, name)


def _log_axis(ax: Axes, name: str) -> None:
    ax.set(**{f"{name}scale": "log"})
    axis = getattr(ax, f"{name}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _shade() -> Any:
    """White, where nothing is, then from a visible red to a dark one."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("alive", ["#FBD3C0", "#D55E00", "#5A1E00"]).with_extremes(bad="white")


def _signs() -> Any:
    """Blue below zero, red above, white where nothing is; grey, not white, close to zero."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "signs", ["#08306B", "#2F7FBC", "#D0D0D0", "#D6503B", "#67000D"]
    ).with_extremes(bad="white")
