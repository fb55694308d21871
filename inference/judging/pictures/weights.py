"""Heat maps of the weights of a network: what shrinkage does to rows, and to whole layers.

As in the poster of Nalisnick, Hernandez-Lobato & Smyth (2019): under ARD rows fade, under ADD matrices, under ARD-ADD
both.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ....models.views.text import plain
from .style import Picture, Trees, any_of, new_figure

MOST = 256  # units in and out that still can be seen
LAYERS = 6  # most layers in one figure
NAMES = 20  # most inputs with their names
DRAWS = 400  # most draws of a mean
CAPTION = (
    "The mean size of each weight, |w|. Inputs are one row each, the largest first. Hidden units have no names that "
    "survive a permutation: rows and columns of theirs are sorted by size within each draw, so that the picture is of "
    "the largest, the second largest, ... and not of one unit. Of a guide that has means of its weights, their size. "
    "Dark rows are units that are switched off, a dark matrix is a layer."
)


def pictures(trees: Trees) -> Iterator[Picture]:
    """The heat maps of the fits whose networks are small enough to be seen."""
    yield Picture("weights", "Sizes of the weights", CAPTION, partial(_small, trees))


def weights(sizes: dict[str, dict[str, np.ndarray]], names: Sequence[str] = ()) -> Figure:
    """Heat maps of matrices (unit_in, unit_out) of sizes, a row of panels for each label and a column for each layer.

    Rows and columns are in the order of their means.  All panels of a layer have one colour scale, which ends at the
    99th percentile so that one large weight does not darken the rest.  `names` of the inputs of the first layer are
    shown if they are few.
    """
    layers = list(next(iter(sizes.values())))
    named = 0 < len(names) <= NAMES
    tall = max(2.3, 0.16 * len(names) + 0.6) if named else 2.3
    figure = new_figure(1.0 + 2.6 * len(layers) + 1.2 * named, 0.8 + tall * len(sizes))
    axes = figure.subplots(len(sizes), len(layers), squeeze=False)
    for column, layer in zip(axes.T, layers, strict=True):
        shown = [matrices[layer] for matrices in sizes.values() if layer in matrices]
        top = max(float(np.quantile(matrix, 0.99)) for matrix in shown)
        for ax, (label, matrices) in zip(column, sizes.items(), strict=True):
            if layer not in matrices:
                ax.set_axis_off()
                continue
            matrix, first = matrices[layer], ax in axes[:, 0]
            order = np.argsort(-matrix.mean(axis=1), kind="stable")
            style = {"vmin": 0, "vmax": top or 1.0, "cmap": "magma", "aspect": "auto", "interpolation": "nearest"}
            image = ax.imshow(_sorted(matrix[order][None])[0], **style)
            rows, units = matrix.shape
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"{units} unit{'s' * (units > 1)} out", fontsize=8)
            ax.set_ylabel(f"{plain(label)}\n{rows} in" if first else f"{rows} in", fontsize=8)
            if first and named:
                ax.set_yticks(range(rows), [plain(names[i]) for i in order], fontsize=7)
        column[0].set_title(plain(layer), fontsize=9)
        bar = figure.colorbar(image, ax=list(column), location="bottom", shrink=0.8, pad=0.02, extend="max")
        bar.set_label("mean |w|", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def _small(trees: Trees) -> Figure | None:
    sizes_of = {label: sizes for label, tree in trees.items() if (sizes := _sizes(tree))}
    if not sizes_of:
        return None
    names = any_of(trees)["posterior"].coords.get("layer0.unit_in", ())
    return weights(sizes_of, [str(name) for name in np.asarray(names)])


def _sizes(tree: Any) -> dict[str, np.ndarray]:
    """Mean sizes of the dense layers' weights, by layer; none if a layer is too large to be seen."""
    posterior, guide = tree["posterior"], tree.children.get("guide", {})
    sites = sorted(str(name) for name, values in posterior.data_vars.items() if _dense(str(name), values))
    if not sites or len(sites) > LAYERS or max(max(posterior[name].shape[2:]) for name in sites) > MOST:
        return {}
    sizes = {}
    for name in sites:
        draws = guide[name].values if name in guide else posterior[name].transpose("chain", "draw", ...).values
        draws = draws.reshape(-1, *draws.shape[-2:])
        draws = np.abs(draws[:: max(1, len(draws) // DRAWS)])
        draws = draws if name == "layer0.weight" else np.swapaxes(_sorted(np.swapaxes(draws, 1, 2)), 1, 2)
        draws = draws if name == sites[-1] else _sorted(draws)
        sizes[name.partition(".")[0]] = draws.mean(axis=0)
    return sizes


def _dense(name: str, values: Any) -> bool:
    """Whether these are the weights of a dense layer, (chain, draw, unit_in, unit_out)."""
    return name.partition(".")[2] == "weight" and values.ndim == 4


def _sorted(draws: np.ndarray) -> np.ndarray:
    """Draws (draw, row, column), the columns of each by falling size."""
    order = np.argsort(-draws.mean(axis=1), axis=1, kind="stable")
    return np.take_along_axis(draws, order[:, None], axis=2)
