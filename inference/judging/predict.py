"""From posterior draws to function values, predictive draws, log likelihoods and log priors, in either language."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ...models.ppl import ppl
from ..target.sites import Arrays


class Prediction(NamedTuple):
    """Arrays `f` (chain, draw, rows[, classes]), `y` and `log_lik` (chain, draw, rows); `log_lik` is None without y."""

    f: np.ndarray
    y: np.ndarray
    log_lik: np.ndarray | None


def predict(model: Callable, draws: Arrays, x: Any, y: Any = None, seed: int = 0) -> Prediction:
    """Run a program at `x` (rows, features) under each draw of its latent sites.

    The program must have the sites ``f`` and ``y``; what is in `draws` beyond its latent sites is ignored.  `draws` are
    NumPy arrays (chain, draw, ...), `x` and `y` arrays of the language to run in.  Raises ValueError if a latent site
    is missing.
    """
    chains, count = next(iter(draws.values())).shape[:2]
    flat = {name: values.reshape(chains * count, *values.shape[2:]) for name, values in draws.items()}
    parts: list[Any] = [
        a if a is None else a.reshape(chains, count, *a.shape[1:])
        for a in _evaluation(x).predict_at_draws(model, flat, x, y, seed)
    ]
    return Prediction(*parts)


def log_prior(model: Callable, draws: Arrays, x: Any, y: Any) -> Arrays:
    """The log prior density (chain, draw) of every site of a program at `draws` (chain, draw, ...) of them.

    Nothing if the prior is improper.  Raises ValueError if a latent site is missing.
    """
    if import_module(f"..target.{ppl(x).name}.density", __package__).sites(model, x, y).improper:
        return {}
    chains, count = next(iter(draws.values())).shape[:2]
    flat = {name: values.reshape(chains * count, *values.shape[2:]) for name, values in draws.items()}
    found = _evaluation(x).log_prior_at_draws(model, flat, x)
    return {name: values.reshape(chains, count) for name, values in found.items()}


def prior_draws(model: Callable, x: Any, count: int, seed: int = 0) -> Arrays:
    """Draws (1, count, ...) of the latent and deterministic sites of a program from its prior, without f and y.

    Raises NotImplementedError, as both languages do, if the prior is improper.
    """
    drawn = _evaluation(x).prior_draws(model, x[:1], count, seed)  # the prior does not depend on the data
    return {name: np.asarray(v)[None] for name, v in drawn.items() if name not in ("f", "y", "data")}


def _evaluation(x: Any) -> Any:
    """How programs are evaluated in the language of these arrays."""
    return import_module(f"..target.{ppl(x).name}.evaluation", __package__)
