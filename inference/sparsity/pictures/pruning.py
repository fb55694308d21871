"""Pictures of pruning: the error along the way, and the moments that the rules look at.

After figure 2 of Nalisnick, Anandkumar & Smyth (2015).
"""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ....models.views.text import plain
from ...judging.pictures.style import FAINT, INK, SPARE, legend
from ...target.sites import Arrays
from .. import trimming

# colour, width, dashes of a rule's line
LINES: dict[str, tuple[str, float, Any]] = {
    "snr": ("#0072B2", 2.4, "-"),
    "spr": ("#D55E00", 2.4, "-"),
    "second_moment": ("#E69F00", 1.4, "-"),
    "magnitude": ("#009E73", 1.4, "-"),
    "log_alpha": ("#56B4E9", 1.4, (0, (2, 2))),  # lies on that of snr
    "inclusion": ("#CC79A7", 1.4, "-"),
    "random": ("#777777", 1.4, (0, (5, 3))),
}
NEAR = {"%": 5.0, "RMSE": 0.25}  # the close view: points above the unpruned error, or a share of it
NETS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", *SPARE)
POINTS = 20_000  # weights of one net that are drawn
CAPTION = "Test error against the share of weights removed. Bands: 90% of posterior draws without the same weights."
SEEN = 0.999  # of the weights lie within the axes


def curves(curve: pd.DataFrame, title: str = "") -> Figure:
    """Test error against the share of weights removed, from `pruning.curve`: a line with its band for each rule.

    Left everything; right, without bands, the part near the unpruned error, the dotted line.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained", dpi=130)
    whole, near = figure.subplots(1, 2)
    unit = str(curve["unit"].iloc[0])
    start = float(np.asarray(curve["error"])[np.argmin(curve["fraction"])])
    parts = {str(rule): part.sort_values("fraction") for rule, part in curve.groupby("rule", sort=False)}
    for rule, part in parts.items():
        if rule != "log_alpha" or "snr" not in parts:  # which has the same
            whole.fill_between(part["fraction"], part["low"], part["high"], color=_style(rule)[0], alpha=0.13, lw=0)
    for ax in (whole, near):
        for rule, part in parts.items():
            colour, width, dashes = _style(rule)
            ax.plot(part["fraction"], part["error"], color=colour, lw=width, ls=dashes, label=plain(rule))
        ax.axhline(start, color=INK, lw=0.9, ls=":", label="nothing removed", zorder=1)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set(xlabel="weights removed", xlim=(curve["fraction"].min(), curve["fraction"].max() or 1))
    whole.set(ylabel=f"test error ({unit})", ylim=_limits(curve))
    whole.set_title(plain(title), loc="left")
    margin = NEAR["%"] if unit == "%" else NEAR["RMSE"] * start
    near.set_ylim(max(0.0, float(np.min(curve["error"])) - 0.25 * margin), start + margin)
    near.set_title("close to the unpruned error", loc="left")
    legend(figure, whole)
    return figure


def moments(pairs: dict[str, tuple[Arrays, Arrays]]) -> Figure:
    """Posterior mean against sd of the weights of one or more nets, ``{label: (loc, scale)}``, and densities.

    At most 20,000 weights of a net are drawn, always the same; the densities are of all.
    """
    figure = Figure(figsize=(6.4, 5.2), layout="constrained", dpi=130)
    axes = figure.subplots(2, 2, width_ratios=(4, 1), height_ratios=(1, 4), sharex="col", sharey="row")
    (top, corner), (main, side) = axes
    corner.remove()
    flat = {label: _flat(*pair) for label, pair in pairs.items()}
    wide = max(float(np.quantile(np.abs(loc), SEEN)) for loc, _ in flat.values()) or 1.0
    tall = max(float(np.quantile(scale, SEEN)) for _, scale in flat.values()) or 1.0
    points, shades, rng = [], [], np.random.default_rng(0)
    for (label, (loc, scale)), colour in zip(flat.items(), cycle(NETS), strict=False):
        subset = rng.permutation(loc.size)[:POINTS]
        points.append(np.stack([loc[subset], scale[subset]]))
        shades += [colour] * len(subset)
        main.scatter([], [], s=24, color=colour, label=plain(label))
        for ax, values, low, high, orientation in (
            (top, loc, -wide, wide, "vertical"),
            (side, scale, 0, tall, "horizontal"),
        ):
            heights, edges = np.histogram(values, 80, (1.05 * low, 1.05 * high), density=True)
            ax.stairs(heights, edges, orientation=orientation, color=colour, lw=1.4)
    x, y = np.concatenate(points, axis=1)
    order = rng.permutation(x.size)  # so that no net hides another
    main.scatter(x[order], y[order], s=2, c=np.array(shades)[order], alpha=0.3, lw=0, rasterized=True)
    main.set(xlim=(-1.05 * wide, 1.05 * wide), ylim=(0, 1.05 * tall), xlabel="mean of the weight", ylabel="sd")
    main.axvline(0, color=FAINT, lw=0.8, zorder=0)
    for ax, which in ((top, "y"), (side, "x")):
        ax.set(**{f"{which}ticks": []})
        ax.spines[["top", "right", "left" if which == "y" else "bottom"]].set_visible(False)
    main.legend(frameon=False, loc="upper right")
    return figure


def _style(rule: str) -> tuple[str, float, Any]:
    return LINES.get(rule, (INK, 1.4, "-."))


def _limits(curve: pd.DataFrame) -> tuple[float, float]:
    """From below the least error to somewhat above that of the emptiest nets: an error may explode in between."""
    error, last = curve["error"].to_numpy(), curve["fraction"].to_numpy() == curve["fraction"].max()
    low, high = float(np.nanmin(curve[["error", "low"]])), float(error.max())
    top = min(high, 1.3 * float(error[last].max()))
    if str(curve["unit"].iloc[0]) == "%":
        return 0.0, min(100.0, 1.05 * top) or 1.0
    margin = 0.05 * (top - low) or 0.05 * top or 1.0
    return max(0.0, low - margin), top + margin


def _flat(loc: Arrays, scale: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of all weights in one row."""
    sites = trimming.weights(loc)
    mean, sd = (np.concatenate([np.ravel(part[site]) for site in sites]) for part in (loc, scale))
    return mean, sd
