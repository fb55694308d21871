"""The Laplace approximation in Pyro: the counterpart of `..guides.laplace`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.distributions import constraints

from ....target.pyro.density import initial, log_density, on_device, refuse_discrete
from ....target.pyro.energy import energy, flatten, unflatten
from ....target.sites import Sites, check_mode, refuse_pays_only
from ...algorithm import Algorithm, without_steps
from ...guides.laplace import check_size, normal


class State(NamedTuple):
    """The mode (n,), flat and unconstrained; the Cholesky factor of the covariance; the shapes of the sites, and the
    transforms to their supports."""

    mode: Any
    tril: Any
    like: dict[str, Any]
    transforms: dict[str, Any]


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the approximation to a Pyro program; `config` is an `SVI`."""
    refuse_discrete("svi with guide laplace", sites)
    refuse_pays_only("svi with guide laplace", sites)
    check_size(sites.size)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        like, transforms = initial(model, x, y)
        z = flatten(like)
        return State(z, torch.eye(z.numel()), like, transforms)

    @on_device
    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        mode, tril = (torch.as_tensor(part).to(state.mode) for part in normal(energy(model, key, x, y, None)))
        at_mode = log_density(model, state.transforms, unflatten(mode, state.like), x, y)[0]
        check_mode("svi with guide laplace", float(at_mode.detach()))
        return state._replace(mode=mode, tril=tril)

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        law = torch.distributions.MultivariateNormal(state.mode, scale_tril=state.tril, validate_args=False)
        flat = law.sample()
        log_p, values = log_density(model, state.transforms, unflatten(flat, state.like), x, y)
        return values, {"log_p": log_p, "log_q": law.log_prob(flat)}

    @on_device
    @torch.no_grad()
    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        real = [name for name, t in state.transforms.items() if t.domain == t.codomain == constraints.real]
        loc, sd = (unflatten(part, state.like) for part in (state.mode, (state.tril**2).sum(1).sqrt()))
        return {name: loc[name] for name in real}, {name: sd[name] for name in real}

    return without_steps(config, init, draw, prepare=prepare, moments=moments, method="sequential")
