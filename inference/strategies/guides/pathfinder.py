"""Pathfinder as a guide: a mixture of the normals that several paths found (`target.geometry.pathfinder`).

It takes no steps.  Each path counts by the evidence that its ELBO bounds, so that modes of a posterior are weighed
against each other; k-hat says whether the mixture can stand for the posterior.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ...target.geometry.coordinates import Coordinates, log_volume, numbers, place, with_rank
from ...target.geometry.pathfinder import LARGE, PATHS, Normal, pathfinder, rank
from ...target.numpyro.density import constrain, potential, start, unraveller
from ...target.numpyro.energy import energy, energy_at
from ...target.sites import Sites, check_mode, refuse_discrete, refuse_pays_only
from ..algorithm import Algorithm, without_steps


@dataclass(frozen=True)
class Pathfinder:
    """The guide ``pathfinder`` has no settings of its own."""

    name: ClassVar[str] = "pathfinder"
    has_density: ClassVar[bool] = True


class State(NamedTuple):
    """Coordinates (path, ...) in which a component of the mixture is standard normal, and its log weight (path,)."""

    coordinates: Coordinates
    log_weights: Any


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind Pathfinder to a NumPyro program; `config` is an `SVI`: draws, chains."""
    refuse(sites)

    def init(key: Any, x: Any, y: Any) -> State:
        z = ravel_pytree(start(model, sites, key, x, y))[0]
        columns = rank(z.size)
        parts = Coordinates(z, jnp.ones(z.shape), jnp.zeros((z.size, columns)), jnp.ones(columns))
        return State(jax.tree.map(lambda part: jnp.stack(PATHS * [part]), parts), jnp.zeros(PATHS))

    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        found = mixture(pathfinder(energy(model, sites, key, x, y, None), key, PATHS), rank(sites.size))
        new = State(*jax.tree.map(lambda part, like: jnp.asarray(part, like.dtype), found, tuple(state)))
        check_mode("svi with guide pathfinder", energy_at(model, sites, new.coordinates.loc[0], x, y))
        return new

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        path_key, u_key = jax.random.split(key)
        path = jax.random.categorical(path_key, state.log_weights)
        own = jax.tree.map(lambda part: part[path], state.coordinates)
        flat = place(own, jax.random.normal(u_key, own.loc.shape))
        log_q = jax.vmap(lambda c: log_density(jnp, c, flat))(state.coordinates)
        z = unraveller(model, sites, x, y)(flat)
        stats = {"log_p": -potential(model, z, x, y), "log_q": jax.nn.logsumexp(state.log_weights + log_q)}
        return constrain(model, z, x, y), stats

    return without_steps(config, init, draw, prepare=prepare)


def refuse(sites: Sites) -> None:
    """Raise ValueError for a program that Pathfinder does not apply to."""
    refuse_discrete("svi with guide pathfinder", sites)
    refuse_pays_only("svi with guide pathfinder", sites)
    if sites.size > LARGE:
        raise ValueError(
            f"svi with guide pathfinder takes at most {LARGE:,} latent numbers, and this program has {sites.size:,}; "
            "use guide=mean_field"
        )


def mixture(found: Sequence[Normal], columns: int) -> tuple[Coordinates, np.ndarray]:
    """Stacked coordinates of `PATHS` normals and their log weights; raises ValueError if there is none."""
    if not found:
        raise ValueError(
            "svi with guide pathfinder: no path has a normal of finite ELBO; use another form, or guide=mean_field"
        )
    elbos = np.array([normal.elbo for normal in found] + [-np.inf] * (PATHS - len(found)))
    ranked = [with_rank(np, normal.coordinates, columns) for normal in found]
    ranked += ranked[:1] * (PATHS - len(found))
    with np.errstate(divide="ignore"):
        log_weights = elbos - elbos.max() - np.log(np.exp(elbos - elbos.max()).sum())
    return Coordinates(*map(np.stack, zip(*ranked, strict=True))), log_weights


def log_density(xp: Any, coordinates: Coordinates, z: Any) -> Any:
    """log q(z) of the normal that is standard in these coordinates."""
    u = numbers(coordinates, z)
    return -0.5 * (u**2).sum(-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi) - log_volume(xp, coordinates)
