"""Heat maps of the weights of a network: what shrinkage does to rows, and to whole layers.

As in the poster of Nalisnick, Hernandez-Lobato & Smyth (2019): under ARD rows fade, under ADD matrices, under ARD-ADD
both.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ....models.views.text import plain
from .style import Picture, Trees

MOST = 256  # units in and out that still can be seen
LAYERS = 6  # most layers in one figure
CAPTION = (
    "The size of each weight: of its mean where a guide has one, else on average over the draws. One row of pixels for "
    "each input unit; the largest are first. Dark rows are units that are switched off, a dark matrix is a layer."
)


def pictures(trees: Trees) -> Iterator[Picture]:
    """The heat maps of the fits whose networks are small enough to be seen."""
    yield Picture("weights", "Sizes of the weights", CAPTION, partial(_small, trees))


def weights(sizes: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Heat maps of matrices (unit_in, unit_out) of sizes, a row of panels for each label and a column for each layer.

    All panels of a layer have one colour scale, which ends at the 99th percentile so that one large weight does not
    darken the rest.
    """
    layers = list(next(iter(sizes.values())))
    figure = Figure(figsize=(1.0 + 2.6 * len(layers), 0.6 + 2.3 * len(sizes)), layout="constrained")
    axes = figure.subplots(len(sizes), len(layers), squeeze=False)
    for column, layer in zip(axes.T, layers, strict=True):
        top = max(float(np.quantile(matrices[layer], 0.99)) for matrices in sizes.values() if layer in matrices)
        for ax, (label, matrices) in zip(column, sizes.items(), strict=True):
            if layer not in matrices:
                ax.set_axis_off()
                continue
            image = ax.imshow(
                _ordered(matrices[layer]), vmin=0, vmax=top or 1.0, cmap="magma", aspect="auto", interpolation="nearest"
            )
            ax.set_xticks([])
            ax.set_yticks([])
            rows, units = matrices[layer].shape
            ax.set_xlabel(f"{units} out", fontsize=8)
            ax.set_ylabel(f"{plain(label)}\n{rows} in" if ax in axes[:, 0] else f"{rows} in", fontsize=8)
        column[0].set_title(plain(layer), fontsize=9)
        figure.colorbar(image, ax=list(column), location="bottom", shrink=0.8, pad=0.02).ax.tick_params(labelsize=7)
    return figure


def _small(trees: Trees) -> Figure | None:
    sizes_of = {label: sizes for label, tree in trees.items() if (sizes := _sizes(tree))}
    return weights(sizes_of) if sizes_of else None


def _sizes(tree: Any) -> dict[str, np.ndarray]:
    """Sizes of the dense layers' weights, by layer; none if a layer is too large to be seen."""
    sizes = {}
    for name, values in tree["posterior"].data_vars.items():
        layer, _, parameter = str(name).partition(".")
        if parameter != "weight" or values.ndim != 4:  # chain, draw, unit_in, unit_out
            continue
        if name in tree.children.get("guide", {}):
            sizes[layer] = np.abs(tree["guide"][name].values).mean(axis=0)
        else:
            sizes[layer] = np.abs(values.transpose("chain", "draw", ...).values).mean(axis=(0, 1))
    if not sizes or len(sizes) > LAYERS or max(max(size.shape) for size in sizes.values()) > MOST:
        return {}
    return dict(sorted(sizes.items()))


def _ordered(size: np.ndarray) -> np.ndarray:
    """Rows and columns by falling size."""
    size = size[np.argsort(-size.mean(axis=1), kind="stable")]
    return size[:, np.argsort(-size.mean(axis=0), kind="stable")]
