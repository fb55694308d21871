"""A point at the mode of all sites, Pyro's: the counterpart of `..guides.map`."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO, autoguide
from pyro.optim import LambdaLR  # type: ignore[attr-defined]

from ....target.pole import refuse_pole
from ....target.pyro.density import draw_rows, log_joint, on_device, on_rows, refuse_discrete, started
from ....target.sites import Sites, refuse_pays_only
from ...algorithm import Algorithm, of_guide
from ...optimisation.schedule import falling


class State(NamedTuple):
    """The guide, Pyro's SVI with its optimiser, and the content of a parameter store of the chain's own."""

    guide: Callable
    svi: SVI
    params: Any


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the point to a Pyro program; `config` is an `SVI`."""
    refuse_discrete("svi with guide map", sites)
    refuse_pays_only("svi with guide map", sites)
    program = on_rows(model)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        guide = autoguide.AutoDelta(started(program, radius=0.1))
        rate = {"optim_args": {"lr": config.lr}, "lr_lambda": lambda t: falling(config, t)}
        svi = SVI(program, guide, LambdaLR({"optimizer": torch.optim.Adam, **rate}), Trace_ELBO(config.particles))
        with pyro.get_param_store().scope() as params:
            guide(x, y, draw_rows(x.shape[0], config.batch_size))
        return State(guide, svi, params)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(x.shape[0], config.batch_size)
        with pyro.get_param_store().scope(state.params), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Encountered NaN: loss", UserWarning)  # the driver says it
            loss = state.svi.step(x, y, rows)
            state.svi.optim.step()
        return state, {"loss": loss}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        with pyro.get_param_store().scope(state.params):
            trace: Any = poutine.trace(state.guide).get_trace(x, y, draw_rows(x.shape[0], config.batch_size))
            return log_joint(model, {name: trace.nodes[name]["value"].detach() for name in sites.latent}, x, y)[1], {}

    def no_pole(x: Any, y: Any) -> None:
        refuse_pole("svi with guide map", model, sites, x, y)

    return of_guide(config, init, step, draw, refuse=no_pole, method="sequential")
