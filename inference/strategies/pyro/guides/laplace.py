"""The Laplace approximation in Pyro: a mode, and the inverse Hessian of the full-data log joint there as covariance."""

from collections.abc import Callable
from typing import Any

import torch

from ....target.sites import Sites
from ...algorithm import Algorithm
from . import automatic


def algorithm(config: Any, model: Callable, sites: Sites, rate: Callable[[int], float]) -> Algorithm:
    """Bind the guide to a Pyro program; `config` is an `SVI`, `rate` scales its lr."""
    return automatic.algorithm(config, model, sites, rate, after_warmup=_at_mode)


def _at_mode(guide: Any, x: Any, y: Any) -> Callable:
    """The normal guide around the mode that `guide` has found, its covariance from the Hessian over all rows.

    Raises FloatingPointError where the log joint is not concave.
    """
    try:
        normal = guide.laplace_approximation(x, y)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        normal = None
    if normal is None or not torch.isfinite(normal.scale_tril).all():
        raise FloatingPointError(
            "svi with guide laplace found no mode: the Hessian there is not positive definite; "
            "take more steps, the expanded form, or guide=mean_field"
        )
    return normal
