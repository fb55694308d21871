"""The automatic guides with a density, NumPyro's: independent normals, normals with covariance, a flow.

They are fitted in coordinates in which the posterior is about a standard normal (`target.geometry.coordinates`): those
of the best normal that Pathfinder finds, or for a program too large for that, of a random start.  Full covariances and
flows take its covariance, the others the scale of each number alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer import SVI, autoguide, init_to_value
from numpyro.infer.svi import SVIState

from ...target.geometry.coordinates import Coordinates, independent, log_volume, place, variances, with_rank
from ...target.geometry.pathfinder import LARGE, pathfinder, rank
from ...target.numpyro.density import constrain, draw_rows, potential, start, unraveller
from ...target.numpyro.energy import energy
from ...target.sites import Sites, refuse_discrete, refuse_pays_only
from ..algorithm import Algorithm, of_guide
from ..optimisation.adam import adam, ended, summary
from .elbo import PathELBO, posterior, symmetrised_divergence
from .layout import real_sites


@dataclass(frozen=True)
class Automatic:
    """The automatic guides have no settings of their own."""

    name: ClassVar[str]
    has_density: ClassVar[bool] = True
    ends_by_itself: ClassVar[bool] = True
    lr: ClassVar[float] = 0.01  # of a step that moves every entry of a covariance, of which many make a variance


class MeanField(Automatic):
    """Independent normals."""

    name = "mean_field"
    lr = 0.1


class LowRank(Automatic):
    """A normal with low-rank plus diagonal covariance."""

    name = "low_rank"


class FullRank(Automatic):
    """A normal with full covariance."""

    name = "full_rank"


class Flow(Automatic):
    """Inverse autoregressive flow."""

    name = "flow"


CORRELATED = ("full_rank", "flow")  # that take Pathfinder's directions too
SPREAD = 0.1  # sd of the guide where Pathfinder has not told it
MANY = 10  # draws for a gradient, by default, where those of a step are at most
WORK = 10_000_000  # multiplications, about: latent numbers times rows
AUTOGUIDES = {
    "mean_field": autoguide.AutoDiagonalNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
    "full_rank": autoguide.AutoMultivariateNormal,
    "flow": autoguide.AutoIAFNormal,
}


class State(NamedTuple):
    """NumPyro's state of SVI, and the coordinates in which the guide lives."""

    svi: SVIState
    coordinates: Coordinates


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind an automatic guide to a NumPyro program; `config` is an `SVI`."""
    refuse_discrete(f"svi with guide {config.guide.name}", sites)
    refuse_pays_only(f"svi with guide {config.guide.name}", sites)
    columns = rank(sites.size) if config.guide.name in CORRELATED else 0

    def unravel(flat: Any, x: Any, y: Any) -> dict:
        return unraveller(model, sites, x, y)(flat)

    def program(x: Any, y: Any, rows: Any, coordinates: Coordinates) -> None:
        u = numpyro.sample("u", dist.ImproperUniform(dist.constraints.real_vector, (), (sites.size,)))
        with handlers.block(hide_fn=lambda site: site["type"] != "param"):
            nats = potential(model, unravel(place(coordinates, u), x, y), x, y, rows)
        numpyro.factor("joint", log_volume(jnp, coordinates) - nats)

    guide: Any = AUTOGUIDES[config.guide.name](
        program, init_loc_fn=init_to_value(values={"u": jnp.zeros(sites.size)}), **_scale(config)
    )
    distance = symmetrised_divergence(lambda params: posterior(guide, svi.constrain_fn(params)), sites.size)
    svi: Any = SVI(program, guide, adam(config, distance), PathELBO(partial(particle_count, config, sites.size)))

    def init(key: Any, x: Any, y: Any) -> State:
        guide.prototype_trace = None  # NumPyro's guides keep values of the tracing that they were first called in
        z = ravel_pytree(start(model, sites, key, x, y))[0]
        coordinates = Coordinates(z, jnp.full(z.shape, SPREAD), jnp.zeros((z.size, columns)), jnp.ones(columns))
        return State(svi.init(key, x, y, draw_rows(key, x.shape[0], config.batch_size), coordinates), coordinates)

    def prepare(key: Any, state: State, x: Any, y: Any) -> State:
        found = pathfinder(energy(model, sites, key, x, y), key) if sites.size <= LARGE else []
        if not found:
            return state
        best = found[0].coordinates
        best = with_rank(np, independent(best) if columns == 0 else best, columns)
        return state._replace(coordinates=jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), best, state.coordinates))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        new, loss = svi.update(state.svi._replace(rng_key=key), x, y, rows, state.coordinates)
        return state._replace(svi=new), {"loss": loss, **ended(new.optim_state)}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        law = posterior(guide, svi.get_params(state.svi))
        u = law.sample(key)
        z = unravel(place(state.coordinates, u), x, y)
        with handlers.substitute(data=svi.get_params(state.svi)):  # the program may have learned values too
            values, log_p = constrain(model, z, x, y), -potential(model, z, x, y)
        return values, {"log_p": log_p, "log_q": law.log_prob(u) - log_volume(jnp, state.coordinates)}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        law, names = guide.get_posterior(svi.get_params(state.svi)), real_sites(model, sites, x, y)
        loc, sd = place(state.coordinates, law.mean), jnp.sqrt(law.variance * variances(state.coordinates))
        means, sds = unravel(loc, x, y), unravel(sd, x, y)
        return {k: means[k] for k in names}, {k: sds[k] for k in names}

    optional = {"moments": moments} if config.guide.name == "mean_field" else {}
    return of_guide(
        config,
        init,
        step,
        draw,
        prepare=prepare,
        progress=lambda state: summary(state.svi.optim_state),
        approximation=True,
        **optional,
    )


def particle_count(config: Any, size: int, rows: int) -> int:
    """How many draws of a guide of `size` numbers make a gradient on so many rows, where the settings leave it open."""
    return config.particles or (MANY if MANY * size * rows <= WORK else 1)


def _scale(config: Any) -> dict[str, float]:
    return {} if config.guide.name == "flow" else {"init_scale": 1.0}
