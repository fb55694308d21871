"""What is identified in a network: sorted scales, effective sparsity, the noise sd."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..target.sites import Arrays


def functionals(draws: Arrays, y_scale: float = 1.0) -> Arrays:
    """What is identified in a network, from draws (chain, draw, ...).

    ``<site>.sorted`` : the scales of a site in descending order.
    ``sparsity`` (chain, draw, layer) : 1 - (sum w^2)^2 / (n sum w^4) over the n weights of a layer, the share that its
    inverse participation ratio leaves out: 0 if all weights are of one size, 1 - 1/n if a single one is not zero.
    ``noise_sd`` : of the target, in its own units, where the precision is learned.
    """
    values_of = {}
    for name, values in draws.items():
        if ".scale" in name and values.ndim >= 3:
            values_of[f"{name}.sorted"] = -np.sort(-np.abs(values.reshape(*values.shape[:2], -1)), axis=-1)
    weights = [draws[f"{layer}.weight"] for layer in layers_with(draws, ".weight")]
    if weights:
        values_of["sparsity"] = np.stack([_sparsity(w.reshape(*w.shape[:2], -1)) for w in weights], axis=-1)
    if "precision" in draws:
        values_of["noise_sd"] = y_scale * draws["precision"] ** -0.5
    return values_of


def layers_with(names: Iterable[str], *ends: str) -> list[str]:
    """The layers that have such a site, in the order of their numbers."""
    layers = {name.partition(".")[0] for name in names if name.endswith(ends)}
    return sorted(layers, key=lambda layer: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", layer)])


def _sparsity(w: np.ndarray) -> np.ndarray:
    square = w.astype(np.float64) ** 2
    square /= np.maximum(square.max(axis=-1, keepdims=True), np.finfo(np.float64).tiny)  # no overflow
    return 1 - square.sum(-1) ** 2 / np.maximum(w.shape[-1] * (square**2).sum(-1), np.finfo(np.float64).tiny)


def log_alpha(loc: Any, scale: Any) -> np.ndarray:
    """log(scale^2 / loc^2), elementwise, in double precision; inf where `loc` is zero, whatever the `scale`."""
    loc, scale = np.abs(np.asarray(loc, np.float64)), np.asarray(scale, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(loc > 0, 2 * (np.log(scale) - np.log(loc)), np.inf)
