"""Four ways to predict with a network under noise.

- ``ensemble``: the mean predictive density over draws of the weights (Kirichenko 2018, eq 49, with its 1 / n).
- ``one_draw``: that of a single draw; its numbers are means over the same draws.
- ``mean_weights``: the network with E[w] for its weights.
- ``centre``: the network with the noise switched off.  Noise that multiplies weights has mean one, and this is the same
  network.  A direction has no mean on the sphere: E[g v_hat] = g E[cos(e)] v is shorter than g v, which is what the
  thesis calls the deterministic network.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ...models.ppl import ppl
from ...models.ppl.compiled import kept
from ...models.ppl.programs import trace
from ..strategies.guides.dropout import NoKnownMean, is_noise
from ..target.sites import Arrays
from .accuracy import error_and_density


def prediction_modes(model: Callable, points: Arrays, x: Any, y: Any, draws: int = 50, seed: int = 0) -> pd.DataFrame:
    """How well a fit predicts in each way.

    Parameters
    ----------
    points : value of every latent site that is no noise, by name (`points`); noise is drawn from its prior.
    x, y : JAX arrays or tensors (rows, features) and (rows,).
    draws : how many networks.

    Returns a frame with a row for each way and the columns ``accuracy`` (a share; for a regression ``rmse``) and
    ``mlpd`` (mean log predictive density, nats); no numbers where they need a mean that is not known.  Raises
    ValueError unless `draws` is positive.
    """

    def without_noise(prediction: str) -> dict[str, float]:
        try:
            return error_and_density(targets, *_network(model, prediction, points, seed, x, y))
        except NoKnownMean:
            return {}

    if draws < 1:
        raise ValueError(f"draws must be positive, got {draws}")
    targets = np.asarray(y)
    drawn = [_network(model, "average", points, seed * draws + i, x, y) for i in range(draws)]
    per_draw = pd.DataFrame([error_and_density(targets, *network) for network in drawn])
    rows = {
        "ensemble": error_and_density(targets, *map(np.concatenate, zip(*drawn, strict=True))),
        "one_draw": dict(per_draw.mean()),
        "mean_weights": without_noise("mean_weight"),
        "centre": without_noise("centre"),
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def networks(model: Callable, points: Arrays, x: Any, y: Any, draws: int = 50, seed: int = 0) -> np.ndarray:
    """Function values (draws, rows[, classes]) of so many networks, noise drawn from its prior."""
    return np.concatenate([_network(model, "average", points, seed * draws + i, x, y)[0] for i in range(draws)])


def points(fit: Any) -> Arrays:
    """The points of the first chain of a fit of the guide ``dropout``: its sites that are no noise.

    Raises ValueError for a fit of anything else.
    """
    if fit.settings.get("guide") != "dropout":
        raise ValueError("the points of a fit are those of svi:guide=dropout; other fits have draws")
    return {name: values[0, 0] for name, values in fit.draws.items() if is_point(name)}


def is_point(name: str) -> bool:
    """Whether a site is neither noise nor, as the weight is, what the program makes of others."""
    return not is_noise(name) and not name.endswith(".weight")


def _network(model: Callable, prediction: str, points: Arrays, seed: int, x: Any, y: Any) -> tuple[Any, Any]:
    """f (1, rows[, classes]) and log likelihoods (1, rows) of one network."""
    if ppl(x, y).name == "numpyro":
        f, log_lik = _compiled(model, prediction)(seed, points, x, y)
        return np.asarray(f)[None], np.asarray(log_lik)[None]
    import torch

    from ..strategies.pyro.guides.dropout import noise_without_draws

    with torch.no_grad():
        tensors = {name: torch.as_tensor(np.asarray(v), device=x.device) for name, v in points.items()}
        f, log_lik = _run(model, prediction, noise_without_draws, seed, tensors, x, y)
    return f.cpu().numpy()[None], log_lik.cpu().numpy()[None]


@kept
def _compiled(model: Callable, prediction: str) -> Callable:
    import jax

    from ..strategies.guides.dropout import noise_without_draws

    return jax.jit(lambda seed, points, x, y: _run(model, prediction, noise_without_draws, seed, points, x, y))


def _run(
    model: Callable, prediction: str, noise_at: Callable, seed: Any, points: dict, x: Any, y: Any
) -> tuple[Any, Any]:
    if prediction != "average":
        sites = trace(model, seed, x[:1], values=points)
        noise = {name: site for name, site in sites.items() if site["type"] == "sample" and is_noise(name)}
        points = {**points, **{name: noise_at(site, prediction) for name, site in noise.items()}}
    sites = trace(model, seed, x, values=points)
    f = sites["f"]["value"]
    return f, sites["y"]["fn"].log_prob(y if f.ndim == 2 else ppl(x).xp.astype(y, f.dtype))
