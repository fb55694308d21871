"""What is ranked: quantities that are identified in a network, of a draw of all sites.

Any function of the sites and the data can be ranked.  Single weights of a network are not: hidden units change places.
The log likelihood is there because it sees what no parameter does, such as a posterior that is the prior (Modrak et al.
2023, Simulation-based calibration checking for Bayesian computation: the choice of test quantities shapes sensitivity).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...models.ppl import ppl
from ..judging.functionals import layers_with
from ..judging.predict import predict
from ..target.sites import Arrays

TINY = 1e-30  # instead of zero, where a logarithm is taken
LOG_LIKELIHOOD, NOISE_SD, WEIGHTS = "log likelihood", "noise sd", "size of the weights"


def quantities(model: Callable, draws: Arrays, x: Any, y: Any, new: Any) -> Arrays:
    """Quantities (draw,) by name, of `draws` (draw, ...) of the sites.

    Parameters
    ----------
    x, y : the data, (rows, features) and (rows,).
    new : inputs (points, features), at each of which f is ranked; of several logits the first, less their mean.

    Of a layer's scales it is the mean of log abs(scale), and of all weights that of log abs(weight): no change of
    places and no sign is seen in it.
    """
    p = ppl(x, y)
    rows, points = x.shape[0], new.shape[0]
    filled = p.xp.concat([y, *[y[:1]] * points])  # whatever y is: its likelihood is not looked at
    at = predict(model, {name: v[None] for name, v in draws.items()}, p.xp.concat([x, new]), filled)
    assert at.log_lik is not None  # it was given y
    f = at.f[0].astype(np.float64)
    f = f[..., 0] - f.mean(axis=-1) if f.ndim == 3 else f
    values = {f"f(x{i + 1})": f[:, rows + i] for i in range(points)}
    if "precision" in draws:
        values[NOISE_SD] = draws["precision"].astype(np.float64) ** -0.5
    for name in (name for name in draws if ".scale" in name):
        values[name] = _log_size(draws[name])
    weights = [draws[f"{layer}.weight"] for layer in layers_with(draws, ".weight")]
    if weights:
        values[WEIGHTS] = _log_size(np.concatenate([w.reshape(len(w), -1) for w in weights], axis=1))
    values[LOG_LIKELIHOOD] = at.log_lik[0, :, :rows].astype(np.float64).sum(axis=-1)
    return values


def _log_size(values: np.ndarray) -> np.ndarray:
    return np.log(np.abs(values.astype(np.float64)) + TINY).reshape(len(values), -1).mean(axis=1)
