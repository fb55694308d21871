"""Stochastic variational inference in Pyro with a guide by name: Pyro's autoguides, and the zoo's own.

The guides, the ELBO and the learning-rate schedule are those of the NumPyro `svi`, which says what each guide is.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer import SVI as PyroSVI
from pyro.infer import Trace_ELBO, autoguide
from pyro.optim import LambdaLR  # type: ignore[attr-defined]

from ..algorithm import Algorithm, of_guide
from ..svi import NORMALS, POINTS, SVI, constant
from ..target import Sites
from . import dropout, local
from .target import draw_rows, log_joint, on_device, on_rows, refuse_discrete, started

AUTOGUIDES = {
    "map": autoguide.AutoDelta,
    "mean_field": autoguide.AutoNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
    "full_rank": autoguide.AutoMultivariateNormal,
    "laplace": autoguide.AutoLaplaceApproximation,
    "flow": autoguide.AutoIAFNormal,
}


class State(NamedTuple):
    """The guide, Pyro's SVI with its optimiser, and the content of a parameter store of the chain's own."""

    guide: Callable
    svi: PyroSVI
    params: Any


def algorithm(config: SVI, model: Callable, found: Sites) -> Algorithm:
    """Bind `svi` to a Pyro program ``model(x, y)`` (with ``batch_size=`` if the config has one).

    Raises ValueError if the guide does not apply to the program.
    """
    _refuse(config.guide, found)
    if config.guide in NORMALS:
        return local.algorithm(config, model, found, rate(config))
    if config.guide == "dropout":
        return dropout.algorithm(config, model, found, rate(config))
    program = on_rows(model)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        guide = _autoguide(config.guide, program)
        svi = PyroSVI(program, guide, _adam(config), Trace_ELBO(num_particles=config.particles))
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
    def ready(key: int, state: State, x: Any, y: Any) -> State:
        with pyro.get_param_store().scope(state.params):
            return state._replace(guide=_at_mode(state.guide, x, y))

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        with pyro.get_param_store().scope(state.params):
            trace: Any = poutine.trace(state.guide).get_trace(x, y, draw_rows(x.shape[0], config.batch_size))
            latent = {name: trace.nodes[name]["value"].detach() for name in found.latent}
            log_p, sites = log_joint(model, latent, x, y)
        if config.guide in POINTS:
            return sites, {}
        return sites, {"log_p": log_p, "log_q": trace.log_prob_sum()}  # both in the constrained space

    return of_guide(
        config,
        init,
        step,
        draw,
        approximation=config.guide not in POINTS,
        ready=ready if config.guide == "laplace" else None,
        method="sequential",
    )


def _refuse(guide: str, found: Sites) -> None:
    if guide != "dropout":
        return refuse_discrete(f"svi with guide {guide}", found)
    if not any(name.endswith(".base") for name in found.latent):
        raise ValueError("svi with guide dropout needs the weight apart from its noise; use the expanded form")
    if found.improper:
        raise ValueError(f"svi with guide dropout draws its noise, and the {found.improper} prior is improper")


def _adam(config: SVI) -> Any:
    return LambdaLR({"optimizer": torch.optim.Adam, "optim_args": {"lr": config.lr}, "lr_lambda": rate(config)})


def rate(config: SVI) -> Callable[[int], float]:
    """What the learning rate is multiplied by at a step: 1, then over the share `decay` of the steps linear to zero."""
    at = constant(config)
    falling = config.steps - at
    return lambda t: min(1.0, max(0.0, 1.0 - (t - at) / falling)) if falling else 1.0


def _autoguide(name: str, program: Callable) -> Callable:
    settings = {"num_transforms": 3} if name == "flow" else {}  # as many as NumPyro's flow has
    return AUTOGUIDES[name](started(program, radius=0.1), **settings)


def _at_mode(guide: Any, x: Any, y: Any) -> Callable:
    """The normal guide around the mode that `guide` has found, its covariance from the Hessian over all rows.

    Raises FloatingPointError where the log joint is not concave.
    """
    try:
        normal = guide.laplace_approximation(x, y)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        normal = None
    if normal is None or not torch.isfinite(normal.scale_tril).all():
        raise FloatingPointError(
            "svi with guide laplace found no mode: the Hessian there is not positive definite; "
            "take more steps, the expanded form, or guide=mean_field"
        )
    return normal
