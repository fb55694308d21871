"""A stochastic-gradient sampler's kernel on a Pyro program in unconstrained space: see `..stochastic_gradient`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ....models.ppl import language
from ...target.geometry import pilot
from ...target.moments import Moments, mean_and_sd, no_moments, updated_moments
from ...target.pyro.density import draw_rows, initial, log_density, on_device, refuse_discrete
from ...target.pyro.pilot import normals, run
from ...target.sites import Sites, refuse_improper
from ..algorithm import Algorithm
from ..stochastic_gradient import counted, first_size, gathering, moved, size_now, with_size


class State(NamedTuple):
    """As that of NumPyro, with the transforms to the supports."""

    z: dict
    auxiliary: Any
    t: torch.Tensor
    moments: Moments
    size: torch.Tensor
    root: dict
    gathered: dict[str, Moments]
    share: torch.Tensor
    transforms: dict


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind a sampler to a Pyro program ``model(x, y)``, called with ``batch_size=`` for minibatches."""
    refuse_discrete(config.name, sites)
    refuse_improper(config.name, sites)
    kernel, xp = config.kernel(), language("pyro").xp

    @on_device
    @torch.no_grad()
    def init(key: int, x: Any, y: Any) -> State:
        z, transforms = initial(model, x, y, config.start)
        size, root, gathered = first_size(xp, config, z)
        auxiliary = kernel.init(xp, normals(z), size / x.shape[0])
        moments = no_moments(xp, log_density(model, transforms, z, x, y)[1])
        return State(z, auxiliary, torch.tensor(0), moments, size, root, gathered, torch.ones_like(size), transforms)

    def gradient(transforms: dict, z: dict, x: Any, y: Any, rows: Any) -> dict:
        return torch.func.grad(lambda z: log_density(model, transforms, z, x, y, rows), has_aux=True)(z)[0]

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(x.shape[0], config.batch_size)
        found = gradient(state.transforms, state.z, x, y, rows)
        with torch.no_grad():
            gathers, gather = gathering(xp, config, state, found)
            if config.automatic and gathers:
                state = gather(state)
            state, weight = moved(xp, config, kernel, state, found, normals(state.z), x.shape[0])
            if weight > 0:
                values = log_density(model, state.transforms, state.z, x[:1], y[:1])[1]
                state = state._replace(moments=updated_moments(xp, state.moments, values, weight))
        return state, {}

    def piloted(state: State, root: dict | None, x: Any, y: Any) -> pilot.Pilot:
        def on_rows(z: dict, rows: Any) -> dict:
            return gradient(state.transforms, z, x, y, rows)

        return run(on_rows, state.z, root, x.shape[0], config.batch_size, config.temperature)

    @on_device
    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        chain = piloted(state, None, x, y)
        state = with_size(xp, config, state, chain, x.shape[0])
        return state if config.start else state._replace(z=chain.z)

    @on_device
    def after_warmup(key: int, state: State, x: Any, y: Any) -> State:
        root = pilot.scales(xp, state.gathered, state.root)
        return with_size(xp, config, state, piloted(state, root, x, y), x.shape[0])

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        rows = draw_rows(x.shape[0], config.batch_size)
        lp, sites = log_density(model, state.transforms, state.z, x, y, rows)
        return sites, {"lp": lp, "step_size": size_now(xp, state)}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        return mean_and_sd(xp, state.moments)

    common = counted(xp, config, prepare, after_warmup)
    return Algorithm(init, step, draw, method="sequential", moments=moments, **common)
