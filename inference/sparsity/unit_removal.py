"""What a network is without some of the units of a posterior of directions and magnitudes.

Units are removed in the order of the length of their mean weight, abs(m) E[cos e], by magnitude: g = 0.  The *size*
sqrt(E[g^2]) is small for a delta at zero alone; units of noise, whose q(g) is wide around zero, would stay longest.  A
hidden unit among the outputs still adds its bias, passed through the activation: a constant, which a network can fold
into the biases of the next layer.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from ...errors import unknown
from ...models.weights.weight_norm import wide
from ..driver.result import Fit
from ..judging.accuracy import error_and_density
from ..judging.direction_posterior import Learned, by_unit, layers
from ..judging.predict import predict
from ..target.sites import Arrays

FRACTIONS = tuple(np.arange(21) / 20)


def removed(fit: Fit | Learned, threshold: float, chain: int = 0) -> Arrays:
    """The units whose mean weight, of length `shrunk`, is below a threshold: layer -> mask (units,), True if they go.

    The outputs of the network never go; its inputs may, where units are inputs.  Raises ValueError for a threshold that
    is negative or NaN, and as `by_unit` does.
    """
    if not threshold >= 0:
        raise ValueError(f"the threshold of the length of a mean weight must be 0 or more, got {threshold}")
    table = by_unit(fit, chain)
    return _masks(table, ((table["shrunk"] < threshold) & table["layer"].isin(_removable(fit, chain))).to_numpy())


def without(fit: Fit | Learned, masks: Arrays, chain: int = 0) -> Arrays:
    """The draws (1, draw, ...) of a chain with a magnitude of zero, and weights of zero, wherever a mask is True.

    Layers that have no mask stay as they are.  Raises ValueError for a mask of an unknown layer, or one that is not of
    booleans (units,), and as `by_unit` does.
    """
    names = layers(fit, chain)
    draws = {site: values[chain : chain + 1] for site, values in fit.draws.items()}
    for layer, mask in masks.items():
        if layer not in names:
            raise unknown("layer", layer, names)
        mask, magnitude = np.asarray(mask), draws[f"{layer}.magnitude"]
        if mask.dtype != bool or mask.shape != magnitude.shape[2:]:
            raise ValueError(
                f"the mask of {layer} must be {magnitude.shape[2]} booleans, one for each unit; "
                f"got {mask.dtype} of shape {mask.shape}"
            )
        draws[f"{layer}.magnitude"] = np.where(mask, 0, magnitude).astype(magnitude.dtype)
        if f"{layer}.weight" in draws:
            weight = draws[f"{layer}.weight"]
            removed = wide(mask, weight.shape[2:], _unit_side(fit, layer))
            draws[f"{layer}.weight"] = np.where(removed, 0, weight).astype(weight.dtype)
    return draws


def curve(
    model: Callable, fit: Fit | Learned, x: Any, y: Any, fractions: Iterable[float] = FRACTIONS, chain: int = 0
) -> pd.DataFrame:
    """How well a chain predicts once units are removed, the shortest mean weight of the whole network first.

    Parameters
    ----------
    model : the program that was fitted.
    x, y : arrays (rows, features) and (rows,), of the language to run in.
    fractions : of the units that may go: all but the outputs of the network.

    All draws of the chain are used each time.  Returns a row for each fraction, in ascending order, with the columns
    ``fraction``, ``removed`` (units), ``accuracy`` of the mean class probabilities (a share; for a regression ``rmse``
    of the mean of f, in the units of `y`) and ``mlpd`` (mean log predictive density, nats).  Raises ValueError for a
    fraction outside [0, 1], for a network whose only units are its outputs, and as `by_unit` does.
    """
    fractions = sorted({float(fraction) for fraction in fractions})
    if outside := [fraction for fraction in fractions if not 0 <= fraction <= 1] or ["none"] * (not fractions):
        raise ValueError(f"fractions of the units to remove lie between 0 and 1, got {outside[0]}")
    table = by_unit(fit, chain)
    removable = np.flatnonzero(table["layer"].isin(_removable(fit, chain)))
    if not removable.size:
        raise ValueError("the only units of this network are its outputs, which stay; give it a hidden layer")
    order = removable[np.argsort(table["shrunk"].to_numpy()[removable], kind="stable")]
    rows = []
    for fraction in fractions:
        removed = np.isin(np.arange(len(table)), order[: round(fraction * len(order))])
        prediction = predict(model, without(fit, _masks(table, removed), chain), x, y)
        assert prediction.log_lik is not None  # there is a y
        scores = error_and_density(np.asarray(y), prediction.f[0], prediction.log_lik[0])
        rows.append({"fraction": fraction, "removed": int(removed.sum()), **scores})
    return pd.DataFrame(rows)


def _removable(fit: Fit | Learned, chain: int) -> list[str]:
    """The layers whose units are not the outputs of the network."""
    *hidden, last = layers(fit, chain)
    return [*hidden, last] if _unit_side(fit, last) == "inputs" else hidden


def _unit_side(fit: Fit | Learned, layer: str) -> str:
    """What the units of a layer are: as many as its inputs or its outputs, or, if it is square, as long as g says."""
    *_, unit_in, unit_out = shape = fit.draws[f"{layer}.base"].shape[2:]
    magnitude = np.abs(fit.draws[f"{layer}.magnitude"])
    if len(shape) > 2:
        return "outputs"
    if unit_in != unit_out:
        return "outputs" if magnitude.shape[-1] == unit_out else "inputs"
    of_outputs, of_inputs = (np.linalg.norm(fit.draws[f"{layer}.weight"], axis=axis) for axis in (-2, -1))
    return "outputs" if np.abs(of_outputs - magnitude).mean() <= np.abs(of_inputs - magnitude).mean() else "inputs"


def _masks(table: pd.DataFrame, removed: np.ndarray) -> Arrays:
    """A mask for each layer, of one for all rows of `by_unit`."""
    return {str(layer): removed[rows] for layer, rows in table.groupby("layer", sort=False).indices.items()}
