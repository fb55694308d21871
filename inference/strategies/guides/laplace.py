"""The Laplace approximation: a mode, and the inverse Hessian of the full-data log joint there as covariance.

Both are taken in unconstrained space, where a positive scale is its logarithm.  NumPyro's `AutoLaplaceApproximation`
computes the Hessian anew at every draw and holds on to the first data it saw; this one does it once, on these data.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
from jax.flatten_util import ravel_pytree
from numpyro.distributions.util import cholesky_of_inverse

from ...target.numpyro.density import constrain, draw_rows, potential, start
from ...target.sites import Sites, refuse_discrete, refuse_pays_only
from ..algorithm import Algorithm, of_guide
from .layout import real_sites
from .newton import mode


@dataclass(frozen=True)
class Laplace:
    """The guide ``laplace`` has no settings of its own."""

    name: ClassVar[str] = "laplace"
    has_density: ClassVar[bool] = True


LARGE, TOO_LARGE = 3000, 20_000  # latent numbers whose Hessian takes seconds, and whose Hessian fills the memory
NO_MODE = (
    "svi with guide laplace found no proper mode: the Hessian there is not positive definite; "
    "use another form, or another guide such as mean_field"
)
logger = logging.getLogger(__name__)


def check_size(size: int) -> None:
    """Say what the Hessian of so many numbers takes; raise ValueError if that is too much."""
    matrix = f"svi with guide laplace needs a Hessian of {size:,} x {size:,} numbers ({4e-9 * size**2:.1f} GB)"
    if size > TOO_LARGE:
        raise ValueError(f"{matrix}; use guide=mean_field or low_rank")
    if size > LARGE:
        logger.warning(f"{matrix}, several at a time, which takes a while; guide=mean_field or low_rank needs none")


class State(NamedTuple):
    """The mode so far (a dict, unconstrained), the optimiser's state, and the Cholesky factor of the covariance."""

    z: Any
    optimiser: Any
    tril: Any


def algorithm(config: Any, model: Callable, sites: Sites, optimiser: optax.GradientTransformation) -> Algorithm:
    """Bind the approximation to a NumPyro program; `config` is an `SVI`: steps, batch_size, draws, chains."""
    refuse_discrete("svi with guide laplace", sites)
    refuse_pays_only("svi with guide laplace", sites)
    check_size(sites.size)

    def init(key: Any, x: Any, y: Any) -> State:
        z = start(model, sites, key, x, y)
        size = ravel_pytree(z)[0].shape[0]
        return State(z, optimiser.init(z), jnp.zeros((size, size)))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        loss, gradient = jax.value_and_grad(lambda z: potential(model, z, x, y, rows))(state.z)
        updates, new = optimiser.update(gradient, state.optimiser, state.z)
        return State(optax.apply_updates(state.z, updates), new, state.tril), {"loss": loss}

    @jax.jit
    def value(z: Any, x: Any, y: Any) -> Any:
        return potential(model, z, x, y)

    @jax.jit
    def derivatives(z: Any, x: Any, y: Any) -> tuple[Any, Any]:
        flat, unravel = ravel_pytree(z)
        loss = lambda v: potential(model, unravel(v), x, y)  # noqa: E731
        return jax.grad(loss)(flat), jax.hessian(loss)(flat)

    def after_warmup(key: Any, state: State, x: Any, y: Any) -> State:
        flat, unravel = ravel_pytree(state.z)
        z = lambda v: unravel(jnp.asarray(v, flat.dtype))  # noqa: E731
        start = np.asarray(flat, np.float64)
        found = z(mode(lambda v: float(value(z(v), x, y)), lambda v: derivatives(z(v), x, y), start))
        tril = cholesky_of_inverse(derivatives(found, x, y)[1])
        if not jnp.all(jnp.isfinite(tril)):
            raise ValueError(NO_MODE)
        return state._replace(z=found, tril=tril)

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        mode, unravel = ravel_pytree(state.z)
        law = dist.MultivariateNormal(mode, scale_tril=state.tril, validate_args=False)
        flat = law.sample(key)
        z = unravel(flat)
        return constrain(model, z, x, y), {"log_p": -potential(model, z, x, y), "log_q": law.log_prob(flat)}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        names = real_sites(model, sites, x, y)
        sd = ravel_pytree(state.z)[1](jnp.sqrt(jnp.sum(state.tril**2, axis=1)))
        return {k: state.z[k] for k in names}, {k: sd[k] for k in names}

    kwargs = {"after_warmup": after_warmup, "moments": moments, "method": "sequential"}
    return of_guide(config, init, step, draw, approximation=True, **kwargs)
