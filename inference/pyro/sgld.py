"""Stochastic-gradient Langevin dynamics, that of posteriors, on a Pyro program in unconstrained space.

The update, the step-size schedule and the meaning of the step size are those of the NumPyro `sgld`: posteriors' update
with learning rate e_t / N is z + (e_t / N) grad L~(z) + N(0, 2 T e_t / N).  Source: Welling & Teh (2011).
"""

import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..algorithm import Algorithm
from ..sgld import SGLD
from ..target import Sites, refuse_improper
from .target import draw_rows, initial, log_density, on_device, refuse_discrete


class State(NamedTuple):
    """posteriors' state (where the chain is, unconstrained, and its step); the transforms to the supports."""

    sgld: Any
    transforms: dict


def algorithm(config: SGLD, model: Callable, found: Sites) -> Algorithm:
    """Bind `sgld` to a Pyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    refuse_discrete("sgld", found)
    refuse_improper("sgld", found)
    sgld = _posteriors().sgmcmc.sgld

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        z, transforms = initial(model, x, y)
        return State(sgld.init(z), transforms)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        def posterior(z: dict, rows: Any) -> tuple[Any, dict]:
            return log_density(model, state.transforms, z, x, y, rows)

        rows = draw_rows(x.shape[0], config.batch_size)
        size = config.step_size * (1.0 + state.sgld.step / config.warmup) ** -config.decay / x.shape[0]
        new, _ = sgld.update(state.sgld, rows, posterior, lr=size, temperature=config.temperature)
        return state._replace(sgld=new), {}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        lp, sites = log_density(model, state.transforms, state.sgld.params, x, y)
        return sites, {"lp": lp}

    return Algorithm(init, step, draw, config.warmup, config.thin, config.draws, config.chains, method="sequential")


def _posteriors() -> Any:
    """The library, imported without its warning to its authors and the silence that it imposes on a logger of torch."""
    logger = logging.getLogger("torch.distributed.elastic.multiprocessing.redirects")
    level = logger.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The Tensor default of the field", FutureWarning)
        import posteriors
    logger.setLevel(level)
    return posteriors
