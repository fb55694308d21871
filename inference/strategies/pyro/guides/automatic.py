"""The automatic guides with a density, Pyro's: the counterpart of `..guides.automatic`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import autoguide
from torch.distributions import constraints, kl_divergence

from ....target.geometry.coordinates import Coordinates, independent, log_volume, place, variances, with_rank
from ....target.geometry.pathfinder import DENSE, LARGE, pathfinder, rank
from ....target.pyro.density import draw_rows, initial, log_density, on_device, refuse_discrete, vmap_or_loop
from ....target.pyro.energy import energy, flatten, unflatten
from ....target.sites import Sites, refuse_pays_only
from ...algorithm import Algorithm, of_guide
from ...guides.automatic import CORRELATED, SPREAD, particle_count
from ..optimisation import Adam

DRAWS = 128  # that tell how far one flow is from another
PATHS = 2  # of Pathfinder: a step of a path costs ten times as much as in JAX
AUTOGUIDES = {
    "mean_field": autoguide.AutoDiagonalNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
    "full_rank": autoguide.AutoMultivariateNormal,
    "flow": autoguide.AutoIAFNormal,
}


class State(NamedTuple):
    """The guide and its parameters in a store of the chain's own, the optimiser, the coordinates in which the guide
    lives, the shapes of the sites, and the transforms to their supports."""

    guide: Any
    params: Any
    adam: Adam
    coordinates: Coordinates
    like: dict[str, Any]
    transforms: dict[str, Any]


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind an automatic guide to a Pyro program; `config` is an `SVI`."""
    refuse_discrete(f"svi with guide {config.guide.name}", sites)
    refuse_pays_only(f"svi with guide {config.guide.name}", sites)
    columns = rank(sites.size) if config.guide.name in CORRELATED else 0

    def program(*_: Any) -> None:
        pyro.sample("u", dist.Normal(torch.zeros(sites.size), 1.0).to_event(1).mask(False))

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        like, transforms = initial(model, x, y)
        z = flatten(like)
        coordinates = Coordinates(z, torch.full_like(z, SPREAD), z.new_zeros((z.numel(), columns)), z.new_ones(columns))
        guide = _autoguide(config.guide.name, program, z.numel())
        with pyro.get_param_store().scope() as params:
            guide()
            log_density(model, transforms, like, x, y)  # the program may have values to learn too
        leaves = list({id(leaf): leaf for leaf in params["params"].values()}.values())  # a flow shares some
        adam = Adam(config, leaves, _distance(guide, params, leaves, sites.size))
        return State(guide, params, adam, coordinates, like, transforms)

    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        found = (
            pathfinder(energy(model, key % 2**32, x, y), key, PATHS if sites.size <= DENSE else 1)
            if sites.size <= LARGE
            else []
        )
        if not found:
            return state
        best = found[0].coordinates
        best = with_rank(np, independent(best) if columns == 0 else best, columns)
        coordinates = Coordinates(*(torch.as_tensor(part).to(state.coordinates.loc) for part in best))
        return state._replace(coordinates=coordinates)

    def log_joint(state: State, u: Any, x: Any, y: Any, rows: Any = None) -> tuple[Any, dict]:
        z = unflatten(place(state.coordinates, u), state.like)
        return log_density(model, state.transforms, z, x, y, rows)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        with pyro.get_param_store().scope(state.params):
            rows = draw_rows(x.shape[0], config.batch_size)
            number = particle_count(config, sites.size, x.shape[0] if rows is None else len(rows))
            us, log_q = _draws(state.guide.get_posterior(), number)
            loss = (log_q - vmap_or_loop(lambda u: log_joint(state, u, x, y, rows)[0], us)).mean()
            state.adam.zero_grad()
            loss.backward()
            state.adam.step()
        volume = log_volume(torch, state.coordinates)
        return state, {"loss": loss.detach() - volume, "ended": float(state.adam.converged)}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        with pyro.get_param_store().scope(state.params):
            law = state.guide.get_posterior()
            u = law.sample()
            log_p, values = log_joint(state, u, x, y)
            log_q = law.log_prob(u) - log_volume(torch, state.coordinates)
        return values, {"log_p": log_p, "log_q": log_q}

    @on_device
    @torch.no_grad()
    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        with pyro.get_param_store().scope(state.params):
            law = state.guide.get_posterior()
        real = [name for name, t in state.transforms.items() if t.domain == t.codomain == constraints.real]
        loc = unflatten(place(state.coordinates, law.mean), state.like)
        sd = unflatten((law.variance * variances(state.coordinates)).sqrt(), state.like)
        return {name: loc[name] for name in real}, {name: sd[name] for name in real}

    optional = {"moments": moments} if config.guide.name == "mean_field" else {}
    return of_guide(
        config,
        init,
        step,
        draw,
        prepare=prepare,
        progress=lambda state: state.adam.summary() if config.tolerance is not None else {},
        approximation=True,
        method="sequential",
        **optional,
    )


def _autoguide(name: str, program: Callable, size: int) -> Any:
    if name == "flow":
        return AUTOGUIDES[name](program, num_transforms=3)  # as many as NumPyro's flow has
    start = autoguide.init_to_value(values={"u": torch.zeros(size)})
    return AUTOGUIDES[name](program, init_loc_fn=start, init_scale=1.0)


def _draws(law: Any, number: int) -> tuple[Any, Any]:
    """Draws u (number, n) of a guide, and log q (number,) there without the score; see `guides.elbo.PathELBO`."""
    us = law.rsample((number,))
    return us, (law if isinstance(law, dist.TransformedDistribution) else _still(law)).log_prob(us)


def _still(law: Any) -> Any:
    """The same normal, of which no gradient is taken."""
    if isinstance(law, dist.Independent):
        return dist.Normal(law.base_dist.loc.detach(), law.base_dist.scale.detach()).to_event(1)
    if isinstance(law, dist.LowRankMultivariateNormal):
        return dist.LowRankMultivariateNormal(law.loc.detach(), law.cov_factor.detach(), law.cov_diag.detach())
    return dist.MultivariateNormal(law.loc.detach(), scale_tril=law.scale_tril.detach())


def _distance(guide: Any, params: Any, leaves: list[Any], size: int) -> Callable[[Any, Any], float]:
    """As `guides.elbo.symmetrised_divergence`, of two settings of all parameters."""

    def law(flat: Any) -> Any:
        torch.nn.utils.vector_to_parameters(flat, leaves)
        with pyro.get_param_store().scope(params):
            found = guide.get_posterior()
        return found if isinstance(found, dist.TransformedDistribution) else _still(found)

    def one_way(p: Any, q: Any) -> float:
        try:
            return float(kl_divergence(p, q))
        except NotImplementedError:
            values = p.sample((DRAWS,))
            return float((p.log_prob(values) - q.log_prob(values)).mean())

    def distance(one: Any, other: Any) -> float:
        now = torch.nn.utils.parameters_to_vector(leaves).detach().clone()
        p, q = law(one.clone()), law(other.clone())
        found = abs(one_way(p, q) + one_way(q, p)) / size
        torch.nn.utils.vector_to_parameters(now, leaves)
        return found

    return distance
