"""What the pictures of fits share: colours, labels, panels.

A strategy has the same colour (Okabe & Ito's, safe for colour-blind readers) and marker in all of them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ....models.views.text import plain

OWN = {"nuts": "#0072B2", "svi": "#D55E00", "sgld": "#009E73", "mclmc": "#CC79A7"}
SPARE = ("#E69F00", "#56B4E9", "#8C564B", "#666666")
MARKERS = "osD^vPX*"
INK, FAINT = "#222222", "#BBBBBB"
INTERVAL = 0.9
PER_ROW = 3  # panels side by side
MARK, LETTER = 0.7, 0.09  # inches that a legend needs for a line's mark and for each letter of its name


Trees = dict[str, Any]


class Picture(NamedTuple):
    """What makes a figure, with a file name (without suffix), a title and a sentence that says how to read it.

    `draw` returns None where there is nothing to show.  It is called where one picture that fails is not the end.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure | None]


def colours(labels: Any) -> dict[str, str]:
    """A colour for each label: the first of a strategy has the strategy's own, any further one a spare."""
    others, used, by_label = list(SPARE), set(), {}
    for label in labels:
        preferred = OWN.get(label.split(":")[0])
        by_label[label] = preferred if preferred and preferred not in used else others.pop(0) if others else INK
        used.add(by_label[label])
    return by_label


def panels(trees: Trees, draw: Callable[[Axes, Any, str], str]) -> Figure:
    """One panel for each fit, with its label and what `draw` says as the title."""
    columns = 2 if len(trees) == 4 else min(len(trees), PER_ROW)
    rows = -(-len(trees) // columns)
    figure = new_figure(max(3.4 * columns, 5), 3.8 * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, (label, colour) in zip(axes, colours(trees).items(), strict=False):
        subtitle = draw(ax, trees[label], colour)
        ax.set_title(f"{plain(label)}\n{subtitle}" if subtitle else plain(label), loc="left")
    for ax in axes[len(trees) :]:
        ax.remove()
    for ax in axes[: len(trees)]:
        ax.label_outer()
    legend(figure, axes[0])
    return figure


def legend(figure: Figure, ax: Axes) -> None:
    """What one panel's lines are called, above all panels, in as many columns as there is room for."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        inches = MARK + LETTER * max(map(len, labels))
        columns = int(np.clip(figure.get_figwidth() / inches, 1, len(labels)))
        figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained", dpi=130)


def percent(ax: Axes, which: str) -> None:
    """Label these axes, such as ``"xy"``, in percent."""
    for name in which:
        getattr(ax, f"{name}axis").set_major_formatter(PercentFormatter(1, decimals=0))


def markers() -> Iterator[str]:
    """The markers in turn, without end."""
    while True:
        yield from MARKERS


def any_of(trees: Trees) -> Any:
    """Any of the fits, for what is the same in all: the data."""
    return next(iter(trees.values()))


def samples(tree: Any, group: str, name: str) -> np.ndarray:
    """Draws of all chains, (sample, ...)."""
    values = tree[group][name].transpose("chain", "draw", ...).values
    return values.reshape(-1, *values.shape[2:])


def chains_of(tree: Any) -> int:
    """How many chains a fit has."""
    return tree["posterior"].sizes["chain"]


def task_of(tree: Any) -> str:
    """The task of a fit's data: regression, binary or categorical."""
    return tree.attrs["task"]


def test_target(tree: Any) -> np.ndarray:
    """The target at the test rows, in its own units."""
    return tree["predictions_constant_data"]["y"].values


def classes_of(tree: Any) -> list[str]:
    """The names of the classes, as a figure shows them."""
    return [plain(name) for name in np.atleast_1d(tree.attrs["classes"])]


def target_label(tree: Any, what: str) -> str:
    """An axis label: ``predicted strength (MPa)``."""
    unit = plain(tree.attrs.get("unit", ""))
    return f"{what} {plain(tree.attrs['target'])}".strip() + (f" ({unit})" if unit else "")
