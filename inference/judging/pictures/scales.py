"""Pictures of the scales: forests of named units, sorted ones elsewhere."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from ....models.views.text import plain
from .style import INTERVAL, Trees, any_of, colours, legend, markers, new_figure, samples

UNITS = 20  # most units in a forest
SCALES_CAPTION = (
    "Single scales: medians with 50% and 90% intervals; of noise that is 0 or 1, how often it is 1. Sorted ones: the "
    "median of the largest, of the second largest, ... with 90% bands, for hidden units have no names that survive "
    "a permutation. A scale near zero switches its unit off."
)


class Scales(NamedTuple):
    """One panel of scales: draws (sample, unit) by label, and the units' names, [] if they have none."""

    title: str
    units: list[str]
    values: dict[str, np.ndarray]


def scales(trees: Trees) -> Figure | None:
    """The scales: a forest for input units and for whole layers, sorted ones where units have no name.

    None if no fit has scales.
    """
    panels = _scale_panels(trees)
    if not panels:
        return None
    units = max(min(len(panel.units), UNITS) for panel in panels)
    figure = new_figure(min(4.2 * len(panels) + 0.8, 13), max(3.4, 1.1 + units * (0.12 + 0.13 * len(trees))))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    colour = colours(trees)
    for ax, panel in zip(axes, panels, strict=True):
        (_forest if panel.units else _sorted)(ax, panel, colour)
    legend(figure, axes[0])
    return figure


def _forest(ax: Axes, panel: Scales, colour: dict[str, str]) -> None:
    """Median and intervals of each unit's scale, the largest on top."""
    middle = np.mean if all(np.isin(v, (0, 1)).all() for v in panel.values.values()) else np.median
    size = np.median([middle(v, axis=0) for v in panel.values.values()], axis=0)
    top = np.argsort(-size, kind="stable")[:UNITS]
    offsets = np.linspace(-0.27, 0.27, len(panel.values)) if len(panel.values) > 1 else [0.0]
    for (label, values), offset, marker in zip(panel.values.items(), offsets, markers(), strict=False):
        _interval(ax, values[:, top], np.arange(top.size) + offset, colour[label], marker, plain(label))
    ax.set_yticks(np.arange(top.size), [plain(panel.units[i]) for i in top])
    ax.set_ylim(top.size - 0.5, -0.5)
    shown_units = f", the {UNITS} largest of {len(panel.units)}" if len(panel.units) > UNITS else ""
    ax.set_title(f"{plain(panel.title)}{shown_units}", loc="left")
    _scale_axis(ax, "x", panel)


def _sorted(ax: Axes, panel: Scales, colour: dict[str, str]) -> None:
    """Scales sorted within each draw, so that which unit is which does not matter: median and band."""
    for label, values in panel.values.items():
        values = -np.sort(-values, axis=1)
        low, middle, high = np.quantile(values, [(1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2], axis=0)
        rank = np.arange(1, values.shape[1] + 1)
        ax.fill_between(rank, low, high, color=colour[label], alpha=0.2, lw=0)
        ax.plot(rank, middle, color=colour[label], lw=1.8, label=plain(label))
    ax.set_title(f"{plain(panel.title)}, sorted", loc="left")
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
    scales = np.concatenate([v[np.isfinite(v)] for v in panel.values.values()])
    if not scales.size or scales.min() <= 0:
        kept = np.isin(scales, (0, 1)).all()
        ax.set(**{f"{axis}label": "P(scale = 1)" if kept else "scale", f"{axis}lim": (0, 1.02) if kept else None})
        return
    low, high = np.quantile(scales, [0.01, 0.995])
    ax.set(**{f"{axis}scale": "log", f"{axis}lim": (low / 1.5, high * 1.5), f"{axis}label": "scale (log axis)"})
    ticks = getattr(ax, f"{axis}axis")
    if high / low < 300:
        ticks.set_major_locator(LogLocator(subs=(1, 3)))
        ticks.set_major_formatter(StrMethodFormatter("{x:g}"))
    ticks.set_minor_formatter(NullFormatter())


def _scale_panels(trees: Trees) -> list[Scales]:
    """The scales of all fits, site by site in order of their layers; those of whole layers together."""
    sites = {str(name) for tree in trees.values() for name in tree["posterior"] if ".scale" in str(name)}
    sites = sorted(name for name in sites if not name.endswith((".raw", ".log_uniform")))
    layers = [name for name in sites if _is_one(trees, name)]
    panels = [_scale_panel(trees, name) for name in sites if name not in layers]
    if layers:
        values = {label: np.hstack([_scale(tree, n) for n in layers]) for label, tree in _with(trees, *layers).items()}
        panels.append(Scales("single scales", layers, values))
    return panels


def _is_one(trees: Trees, name: str) -> bool:
    """Whether a site is a single scale without the name of a feature: a whole layer's."""
    values = any_of(_with(trees, name))["posterior"][name]
    return values[0, 0].size == 1 and _unit_dims(trees, name) != ["layer0.unit_in"]


def _scale_panel(trees: Trees, name: str) -> Scales:
    with_site = _with(trees, name)
    named = _unit_dims(trees, name) == ["layer0.unit_in"]
    units = any_of(with_site)["posterior"][name].coords["layer0.unit_in"].values if named else []
    return Scales(name, [str(unit) for unit in units], {label: _scale(tree, name) for label, tree in with_site.items()})


def _scale(tree: Any, name: str) -> np.ndarray:
    """Draws (sample, unit) of a scale, at most 1000; its size where it may be negative."""
    values = samples(tree, "posterior", name)
    values = values[:: max(1, len(values) // 1000)]
    return np.abs(values.reshape(len(values), -1))


def _with(trees: Trees, *names: str) -> Trees:
    return {label: tree for label, tree in trees.items() if all(name in tree["posterior"] for name in names)}


def _unit_dims(trees: Trees, name: str) -> list[str]:
    dims = any_of(_with(trees, name))["posterior"][name].dims
    return [str(dim) for dim in dims if dim not in ("chain", "draw")]
