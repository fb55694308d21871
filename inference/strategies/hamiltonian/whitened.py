"""NumPyro's NUTS in coordinates in which the posterior is about a standard normal: where a start tells them.

The kernel sees a program of one site, u, whose density is that of the program at z(u); a diagonal mass matrix that it
adapts there keeps the directions that the start found.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.distributions import constraints

from ...target.geometry.coordinates import Coordinates, place
from ...target.numpyro.density import constrain, potential, unraveller
from ...target.numpyro.density import start as random_start
from ...target.sites import Sites
from .start import Start, columns, plain


class State(NamedTuple):
    """NumPyro's state, and the coordinates of its u."""

    hmc: Any
    coordinates: Coordinates


def functions(
    config: Any, model: Callable, sites: Sites, kernel_of: Callable, stats: Callable
) -> tuple[Callable, Callable, Callable]:
    """``begin(key, x, y, start)``, step and draw of a `NUTS`: `start` is a `Start`, or None for a random one.

    kernel_of : ``program -> kernel``.
    stats : ``HMCState -> dict``, what is told of a step.
    """

    def program(x: Any, y: Any, coordinates: Coordinates) -> None:
        u = numpyro.sample("u", dist.ImproperUniform(constraints.real_vector, (), coordinates.loc.shape))
        with handlers.block():  # the sites of the program are its own affair
            nats = potential(model, unraveller(model, sites, x, y)(place(coordinates, u)), x, y)
        numpyro.factor("joint", -nats)

    kernel = kernel_of(program)

    def begin(key: Any, x: Any, y: Any, start: Start | None) -> State:
        u = ravel_pytree(random_start(model, sites, key, x, y))[0]
        coordinates = plain(jnp, u.size, columns(config.start, config.mass, u.size), u.dtype)
        if start is not None:
            u, coordinates = start
        return State(kernel.init(key, config.warmup, {"u": u}, (x, y, coordinates), {}), coordinates)

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        hmc = kernel.sample(state.hmc._replace(rng_key=key), (x, y, state.coordinates), {})
        return state._replace(hmc=hmc), {"lp": -hmc.potential_energy, "n_steps": hmc.num_steps.astype(float)}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        z = unraveller(model, sites, x, y)(place(state.coordinates, state.hmc.z["u"]))
        return constrain(model, z, x, y), stats(state.hmc)

    return begin, step, draw
