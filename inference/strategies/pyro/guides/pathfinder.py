"""Pathfinder as a guide in Pyro: the counterpart of `..guides.pathfinder`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ....target.geometry.coordinates import Coordinates, place
from ....target.geometry.pathfinder import PATHS, pathfinder, rank
from ....target.pyro.density import initial, log_density, on_device
from ....target.pyro.energy import energy, flatten, unflatten
from ....target.sites import Sites, check_mode
from ...algorithm import Algorithm, without_steps
from ...guides.pathfinder import log_density as log_normal
from ...guides.pathfinder import mixture, refuse


class State(NamedTuple):
    """The components of the mixture as coordinates in which each is standard normal, and their log weights (path,); the
    shapes of the sites, and the transforms to their supports."""

    components: list[Coordinates]
    log_weights: Any
    like: dict[str, Any]
    transforms: dict[str, Any]


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind Pathfinder to a Pyro program; `config` is an `SVI`."""
    refuse(sites)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        return State([], None, *initial(model, x, y))

    @on_device
    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        stacked, log_weights = mixture(pathfinder(energy(model, key, x, y, None), key, PATHS), rank(sites.size))
        like = flatten(state.like)
        components = [
            Coordinates(*(torch.as_tensor(part).to(like) for part in own)) for own in zip(*stacked, strict=True)
        ]
        at_mode = log_density(model, state.transforms, unflatten(components[0].loc, state.like), x, y)[0]
        check_mode("svi with guide pathfinder", float(at_mode.detach()))
        return state._replace(components=components, log_weights=torch.as_tensor(log_weights).to(like))

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        own = state.components[int(torch.distributions.Categorical(logits=state.log_weights).sample())]
        flat = place(own, torch.randn(own.loc.shape))
        log_q = torch.stack([log_normal(torch, component, flat) for component in state.components])
        log_p, values = log_density(model, state.transforms, unflatten(flat, state.like), x, y)
        return values, {"log_p": log_p, "log_q": torch.logsumexp(state.log_weights + log_q, 0)}

    return without_steps(config, init, draw, prepare=prepare, method="sequential")
