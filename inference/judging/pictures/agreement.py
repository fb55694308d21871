"""Agreement with a reference: mean and sd of f(x) at the test rows."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....models.views.text import plain
from .style import INK, Trees, any_of, classes_of, colours, legend, markers, new_figure, samples, task_of, test_target

AGREEMENT_CAPTION = (
    "One point per test row. On the line both inferences say the same; below it in the right panel, the inference is "
    "surer than the reference."
)


def agreement(trees: Trees, reference: str) -> Figure:
    """Mean and sd of f(x) at the test rows (of the observed class's probability for classes), against `reference`."""
    figure = new_figure(9, 4.4)
    axes = figure.subplots(1, 2)
    colour = colours(trees)
    moments = {label: _moments(tree) for label, tree in trees.items()}
    quantity = _quantity(any_of(trees))
    for ax, name, part in zip(axes, ("mean", "sd"), (0, 1), strict=True):
        for label, marker in zip(trees, markers(), strict=False):
            if label != reference:
                x, y = moments[reference][part], moments[label][part]
                ax.scatter(x, y, s=16, marker=marker, color=colour[label], alpha=0.6, lw=0, label=plain(label))
        _diagonal(ax, "sd" if part else "mean")
        ax.set(xlabel=f"{name} of {quantity}, {plain(reference)}", ylabel=f"{name} of {quantity}")
    legend(figure, axes[0])
    return figure


def probabilities(tree: Any) -> np.ndarray:
    """Class probabilities (sample, row, class), or of class 1 where `f` is one logit, at the test rows."""
    from scipy.special import expit, softmax

    f = samples(tree, "predictions", "f")
    return expit(f) if f.ndim == 2 else softmax(f, axis=-1)


def _moments(tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd over draws, per test row, of what `_quantity` names."""
    if task_of(tree) == "regression":
        value = samples(tree, "predictions", "f")
    else:
        value = probabilities(tree)
        if value.ndim == 3:
            value = value[:, np.arange(value.shape[1]), test_target(tree).astype(int)]
    return value.mean(axis=0), value.std(axis=0)


def _quantity(tree: Any) -> str:
    if task_of(tree) == "regression":
        return "f(x)"
    return "p(observed class)" if "class" in tree["predictions"]["f"].dims else f"p({classes_of(tree)[1]})"


def _diagonal(ax: Axes, kind: str) -> None:
    """The line y = x over all that is shown; from zero if the points are sds."""
    low, high = min(ax.get_xlim()[0], ax.get_ylim()[0]), max(ax.get_xlim()[1], ax.get_ylim()[1])
    low = 0.0 if kind == "sd" else low
    ax.plot([low, high], [low, high], color=INK, lw=0.8, zorder=0)
    ax.set(xlim=(low, high), ylim=(low, high))
    ax.set_box_aspect(1)
