"""The automatic guides, Pyro's: those of `..guides.automatic`."""

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

AUTOGUIDES = {
    "map": autoguide.AutoDelta,
    "mean_field": autoguide.AutoNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
    "full_rank": autoguide.AutoMultivariateNormal,
    "flow": autoguide.AutoIAFNormal,
}


class State(NamedTuple):
    """The guide, Pyro's SVI with its optimiser, and the content of a parameter store of the chain's own."""

    guide: Callable
    svi: SVI
    params: Any


def algorithm(config: Any, model: Callable, sites: Sites, rate: Callable[[int], float]) -> Algorithm:
    """Bind an automatic guide to a Pyro program; `config` is an `SVI`, `rate` scales its lr."""
    refuse_discrete(f"svi with guide {config.guide.name}", sites)
    refuse_pays_only(f"svi with guide {config.guide.name}", sites)
    program = on_rows(model)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        guide = _autoguide(config.guide.name, program)
        adam = LambdaLR({"optimizer": torch.optim.Adam, "optim_args": {"lr": config.lr}, "lr_lambda": rate})
        svi = SVI(program, guide, adam, Trace_ELBO(num_particles=config.particles))
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
            latent = {name: trace.nodes[name]["value"].detach() for name in sites.latent}
            log_p, values = log_joint(model, latent, x, y)
        if not config.guide.has_density:
            return values, {}
        return values, {"log_p": log_p, "log_q": trace.log_prob_sum()}  # both in the constrained space

    def no_pole(x: Any, y: Any) -> None:
        refuse_pole("svi with guide map", model, sites, x, y)

    kwargs = {"approximation": config.guide.has_density, "method": "sequential"}
    if config.guide.name == "map":
        kwargs["refuse"] = no_pole
    return of_guide(config, init, step, draw, **kwargs)


def _autoguide(name: str, program: Callable) -> Callable:
    settings = {"num_transforms": 3} if name == "flow" else {}  # as many as NumPyro's flow has
    return AUTOGUIDES[name](started(program, radius=0.1), **settings)
