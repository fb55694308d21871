"""The Laplace approximation: a mode, and the inverse Hessian of the full-data log joint there as covariance.

Both are taken in unconstrained space, where a positive scale is its logarithm, and in double precision.  It takes no
steps: the mode is where L-BFGS and then Newton's method end.  NumPyro's `AutoLaplaceApproximation` computes the Hessian
anew at every draw and holds on to the first data it saw; this one does it once, on these data.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree

from ...target.geometry.newton import mode
from ...target.geometry.pathfinder import Energy, lowest
from ...target.numpyro.density import constrain, potential, start, unraveller
from ...target.numpyro.energy import energy, energy_at
from ...target.sites import Sites, check_mode, refuse_discrete, refuse_pays_only
from ..algorithm import Algorithm, without_steps
from .layout import real_sites


@dataclass(frozen=True)
class Laplace:
    """The guide ``laplace`` has no settings of its own."""

    name: ClassVar[str] = "laplace"
    has_density: ClassVar[bool] = True


LARGE, TOO_LARGE = 3000, 20_000  # latent numbers whose Hessian takes seconds, and whose Hessian fills the memory
NO_MODE = (
    "svi with guide laplace found no proper mode: {}; "
    "use another form, or another guide such as mean_field or pathfinder"
)
INDEFINITE = "the Hessian there is not positive definite"
STEP = 1.0  # posterior sds
logger = logging.getLogger(__name__)


def check_size(size: int) -> None:
    """Say what the Hessian of so many numbers takes; raise ValueError if that is too much."""
    matrix = f"svi with guide laplace needs a Hessian of {size:,} x {size:,} numbers ({8e-9 * size**2:.1f} GB)"
    if size > TOO_LARGE:
        raise ValueError(f"{matrix}; use guide=mean_field or low_rank")
    if size > LARGE:
        logger.warning(f"{matrix}, several at a time, which takes a while; guide=mean_field or low_rank needs none")


class State(NamedTuple):
    """The mode (n,), flat and unconstrained, and the Cholesky factor of the covariance."""

    mode: Any
    tril: Any


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the approximation to a NumPyro program; `config` is an `SVI`: draws, chains."""
    refuse_discrete("svi with guide laplace", sites)
    refuse_pays_only("svi with guide laplace", sites)
    check_size(sites.size)

    def init(key: Any, x: Any, y: Any) -> State:
        z = ravel_pytree(start(model, sites, key, x, y))[0]
        return State(z, jnp.eye(z.size, dtype=z.dtype))

    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        parts = normal(energy(model, sites, key, x, y, None))
        found = State(*(jnp.asarray(part, state.mode.dtype) for part in parts))
        check_mode("svi with guide laplace", energy_at(model, sites, found.mode, x, y))
        return found

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        law = dist.MultivariateNormal(state.mode, scale_tril=state.tril, validate_args=False)
        flat = law.sample(key)
        z = unraveller(model, sites, x, y)(flat)
        return constrain(model, z, x, y), {"log_p": -potential(model, z, x, y), "log_q": law.log_prob(flat)}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        names, sd = real_sites(model, sites, x, y), jnp.sqrt(jnp.sum(state.tril**2, axis=1))
        loc, scale = (unraveller(model, sites, x, y)(part) for part in (state.mode, sd))
        return {k: loc[k] for k in names}, {k: scale[k] for k in names}

    return without_steps(config, init, draw, prepare=prepare, moments=moments)


def normal(energy: Energy) -> tuple[np.ndarray, np.ndarray]:
    """The mode (n,) and the Cholesky factor (n, n) of the inverse Hessian there.

    Raises ValueError if there is none: without a positive definite Hessian, or where a Newton step would still lead
    further than `STEP`, as along the slope to an infinite spike, which bends ever less.
    """

    def derivatives(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return energy.value_and_gradient(z)[1], energy.hessian(z)

    found = mode(lambda z: float(energy.value_and_gradient(z)[0]), derivatives, lowest(energy))
    try:
        factor = np.linalg.cholesky(energy.hessian(found))
        tril = np.linalg.cholesky(np.linalg.inv(factor).T @ np.linalg.inv(factor))
    except np.linalg.LinAlgError as error:
        raise ValueError(NO_MODE.format(INDEFINITE)) from error
    if not np.isfinite(tril).all():
        raise ValueError(NO_MODE.format(INDEFINITE))
    if not np.linalg.norm(tril.T @ energy.value_and_gradient(found)[1]) < STEP:
        raise ValueError(NO_MODE.format("the log density still rises where the search for one ended"))
    return found, tril
