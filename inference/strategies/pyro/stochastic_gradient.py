"""A stochastic-gradient sampler's kernel on a Pyro program in unconstrained space: see `..stochastic_gradient`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ....models.ppl import language
from ...target.pyro.density import draw_rows, initial, log_density, on_device, refuse_discrete
from ...target.sites import Sites, refuse_improper
from ..algorithm import Algorithm
from ..stochastic_gradient import Moments, mean_and_sd, no_moments, schedule, updated_moments


class State(NamedTuple):
    """As that of NumPyro, with the transforms to the supports."""

    z: dict
    auxiliary: Any
    t: torch.Tensor
    moments: Moments
    transforms: dict


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind a sampler to a Pyro program ``model(x, y)``, called with ``batch_size=`` for minibatches."""
    refuse_discrete(config.name, sites)
    refuse_improper(config.name, sites)
    kernel, xp = config.kernel(), language("pyro").xp

    def noise(z: dict) -> dict:
        return {name: torch.randn_like(v) for name, v in z.items()}

    @on_device
    @torch.no_grad()
    def init(key: int, x: Any, y: Any) -> State:
        z, transforms = initial(model, x, y, config.start)
        auxiliary = kernel.init(xp, noise(z), torch.tensor(config.step_size / x.shape[0]))
        moments = no_moments(xp, log_density(model, transforms, z, x, y)[1])
        return State(z, auxiliary, torch.tensor(0), moments, transforms)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(x.shape[0], config.batch_size)

        def density(z: dict) -> tuple[Any, dict]:
            return log_density(model, state.transforms, z, x, y, rows)

        gradient, _ = torch.func.grad(density, has_aux=True)(state.z)
        this_step, weight = schedule(xp, config, state.t, x.shape[0])
        moments = state.moments
        with torch.no_grad():
            z, auxiliary = kernel.update(xp, state.z, state.auxiliary, gradient, noise(state.z), this_step)
            if weight > 0:
                moments = updated_moments(xp, moments, log_density(model, state.transforms, z, x[:1], y[:1])[1], weight)
        return State(z, auxiliary, state.t + 1, moments, state.transforms), {}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        rows = draw_rows(x.shape[0], config.batch_size)
        lp, sites = log_density(model, state.transforms, state.z, x, y, rows)
        return sites, {"lp": lp}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        return mean_and_sd(xp, state.moments)

    counts = config.warmup, config.thin, config.draws, config.chains
    return Algorithm(init, step, draw, *counts, method="sequential", moments=moments)
