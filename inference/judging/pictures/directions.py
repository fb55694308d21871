"""Pictures of what a posterior of directions and magnitudes learned of each unit, after Kirichenko (2018, figure 6).

They look like those of the other pictures and keep no state either.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from ....errors import unknown
from ....models.ppl import truncated_integrals
from ....models.views.text import plain
from ...driver.result import Fit
from ..direction_posterior import (
    QUARTER,
    Learned,
    angle_law,
    by_unit,
    direction_layers,
    from_tree,
    layers,
    magnitude_law,
)
from .style import FAINT, INK, PER_ROW, Picture, Trees, new_figure

MAGNITUDE, ANGLE = "#0072B2", "#D55E00"
SHOWN = (-5.0, 5.0)  # log alpha beyond has the colour of the end
LEAST = 1e-4  # of the largest abs(m) of a layer; what is less is drawn there
REACH = 4.0  # standard deviations of g that are drawn
POINTS, BINS = 400, 30
DEGREES = 180 / np.pi


LAWS_CAPTION = "What was learned of some units of the first layer, the smallest magnitude on top."
MAGNITUDES_CAPTION = (
    "Every unit of every layer. On top, near 45 degrees: directions of which little is known. On the left: magnitudes "
    "near zero."
)


def pictures(trees: Trees) -> Iterator[Picture]:
    """The pictures of all fits whose layers have angles and magnitudes, of the first chain."""
    for label, tree in trees.items():
        if direction_layers(tree["posterior"].data_vars):
            for name, title, caption, draw in (
                ("units", "Units", LAWS_CAPTION, laws),
                ("magnitudes", "Angles", MAGNITUDES_CAPTION, magnitudes),
            ):
                yield Picture(f"{name}-{label}", f"{title} of {label}", caption, partial(_of_tree, draw, tree))


def laws(fit: Fit | Learned, chosen: int = 4, layer: str | None = None, chain: int = 0) -> Figure:
    """q(g) on the left and q(e) on the right of some units of a layer, by default of the first (figure 6).

    The units are spread evenly over the ranks of sqrt(E[g^2]), the smallest on top.  Dashed: the prior of e.  Laws that
    only draws tell are drawn as histograms.  Raises ValueError for an unknown layer or fewer than one unit, and as
    `by_unit` does.
    """
    names = layers(fit, chain)
    layer = names[0] if layer is None else layer
    if layer not in names:
        raise unknown("layer", layer, names)
    if chosen < 1:
        raise ValueError(f"chosen, how many units are drawn, must be 1 or more, got {chosen}")
    table = by_unit(fit, chain).query("layer == @layer").sort_values("size", kind="stable")
    table = table.iloc[np.unique(np.linspace(0, len(table) - 1, chosen).round().astype(int))]
    figure = new_figure(8.6, 1.45 * len(table) + 0.7)
    axes = figure.subplots(len(table), 2, squeeze=False, sharex="col")
    low, high = (table["m"] - REACH * table["sd"]).min(), (table["m"] + REACH * table["sd"]).max()
    for (left, right), (_, row) in zip(axes, table.iterrows(), strict=True):
        _magnitude(left, fit, row, chain, (min(0.0, float(low)), max(0.0, float(high))))
        _angle(right, fit, row, chain)
        left.set_title(f"{plain(layer)}, unit {row['unit']}: alpha = {np.exp(row['log_alpha']):.2g}", loc="left")
        right.set_title(f"mean angle {row['angle'] * DEGREES:.0f}°", loc="left")
    axes[-1, 0].set_xlabel("magnitude g")
    axes[-1, 1].set_xlabel("angle e (degrees)")
    handles = [axes[0, 0].lines[-1], axes[0, 1].lines[-1]]
    figure.legend(handles, ["zero", "prior of e"], loc="outside upper center", ncols=2, frameon=False)
    return figure


def magnitudes(fit: Fit | Learned, chain: int = 0) -> Figure:
    """The mean angle of every unit against abs(m), a panel for each layer; the colour is log alpha.

    The dashed line is the mean of the prior of e, 45 degrees.  An abs(m) of less than 1e-4 of the layer's largest is
    drawn as that.  Raises ValueError as `by_unit` does.
    """
    table = by_unit(fit, chain)
    parts = list(table.groupby("layer", sort=False))
    wide = min(len(parts), PER_ROW)
    tall = -(-len(parts) // wide)
    figure = new_figure(max(3.1 * wide, 4.2) + 0.8, 3.3 * tall)
    axes = figure.subplots(tall, wide, squeeze=False, sharey=True)
    for ax, (layer, part) in zip(axes.flat, parts, strict=False):
        size = np.abs(part["m"].to_numpy())
        size = np.maximum(size, LEAST * (size.max() or 1.0))
        shade = {"c": part["log_alpha"].clip(*SHOWN), "vmin": SHOWN[0], "vmax": SHOWN[1], "cmap": "viridis"}
        drawn = ax.scatter(size, DEGREES * part["angle"], s=16, **shade)
        ax.axhline(45, color=INK, lw=0.9, ls="--", zorder=0)
        ax.set(ylim=(0, 90), yticks=range(0, 91, 15), xlabel="|m| (log axis)")
        ax.set_title(f"{plain(layer)}: {len(part)} units", loc="left")
        _log_axis(ax, float(size.min()), float(size.max()))
    for ax in axes[:, 0]:
        ax.set_ylabel("mean angle (degrees)")
    for ax in axes.flat[len(parts) :]:
        ax.remove()
    figure.colorbar(drawn, ax=axes.flat[: len(parts)], extend="both", label="log alpha")
    return figure


def curve(table: pd.DataFrame) -> Figure:
    """Accuracy, or RMSE, and log predictive density against the share of units removed, from `unit_removal.curve`.

    Dotted: nothing removed, where the table begins with that.
    """
    error = "rmse" if "rmse" in table else "accuracy"
    names = {"rmse": "RMSE", "accuracy": "accuracy", "mlpd": "mean log predictive density"}
    figure = new_figure(8.6, 3.5)
    for ax, column in zip(figure.subplots(1, 2), (error, "mlpd"), strict=True):
        ax.plot(table["fraction"], table[column], color=MAGNITUDE, lw=1.8, marker="o", ms=3.5)
        if table["fraction"].iloc[0] == 0:
            ax.axhline(table[column].iloc[0], color=INK, lw=0.9, ls=":", zorder=1)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set(xlabel="units removed", ylabel=names[column])
    return figure


def _of_tree(draw: Callable[[Learned], Figure], tree: Any) -> Figure:
    return draw(from_tree(tree))


def _magnitude(ax: Axes, fit: Fit | Learned, row: Any, chain: int, ends: tuple[float, float]) -> None:
    law, unit = magnitude_law(fit, row["layer"], chain), row["unit"]
    if law is None:
        _histogram(ax, fit.draws[f"{row['layer']}.magnitude"][chain, :, unit], MAGNITUDE)
    else:
        m, sd = (float(part[unit]) for part in law)
        grid = _grid(m, sd, *ends)
        _density(ax, grid, np.exp(-(((grid - m) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi)), MAGNITUDE)
    ax.axvline(0, color=FAINT, lw=1, ls=":", zorder=0)
    _bare(ax)


def _angle(ax: Axes, fit: Fit | Learned, row: Any, chain: int) -> None:
    law, unit = angle_law(fit, row["layer"], chain), row["unit"]
    if law is None:
        _histogram(ax, DEGREES * fit.draws[f"{row['layer']}.angle"][chain, :, unit], ANGLE)
    else:
        loc, scale = (part[unit] for part in law)
        grid = _grid(row["angle"], row["angle_sd"], 0.0, QUARTER)
        density = np.exp(truncated_integrals.log_prob(np, grid, loc, scale, 0.0, QUARTER))
        _density(ax, DEGREES * grid, density / DEGREES, ANGLE)
    ax.axhline(1 / 90, color=INK, lw=0.9, ls="--", zorder=1)
    ax.set(xlim=(0, 90), xticks=range(0, 91, 15))
    _bare(ax)


def _log_axis(ax: Axes, low: float, high: float) -> None:
    """A log axis around these values, of a decade at least, so that it has labels."""
    middle, half = np.sqrt(low * high), max(1.15 * np.sqrt(high / low), np.sqrt(10))
    ax.set(xscale="log", xlim=(middle / half, middle * half))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if half < 10 else (1,), numticks=6))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _grid(mean: float, sd: float, low: float, high: float) -> np.ndarray:
    """Points in [low, high], denser around the mean, so that a narrow law among wide ones keeps its shape."""
    near = mean + sd * np.linspace(-2 * REACH, 2 * REACH, POINTS)
    return np.unique(np.clip(np.concatenate([np.linspace(low, high, POINTS), near]), low, high))


def _density(ax: Axes, grid: np.ndarray, density: np.ndarray, colour: str) -> None:
    ax.fill_between(grid, density, color=colour, alpha=0.2, lw=0)
    ax.plot(grid, density, color=colour, lw=1.6)


def _histogram(ax: Axes, draws: np.ndarray, colour: str) -> None:
    heights, edges = np.histogram(draws, BINS, density=True)
    ax.stairs(heights, edges, color=colour, fill=True, alpha=0.5)


def _bare(ax: Axes) -> None:
    """Densities from zero, without numbers: rows have heights of their own."""
    ax.set_ylim(0, 1.12 * ax.get_ylim()[1])
    ax.spines[["top", "right"]].set_visible(False)
    ax.yaxis.set_major_locator(MaxNLocator(3))
