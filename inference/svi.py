"""Stochastic variational inference with a guide by name.

The guides are NumPyro's autoguides, and the zoo's own, each in a file of its own: ``dropout`` (noise from its prior,
weights a point), ``laplace``, and ``local``, ``flipout`` and ``em`` (independent normals whose layers sample
pre-activations, not weights; with `scales` at their M-steps).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import optax
from numpyro import handlers
from numpyro.infer import SVI as NumPyroSVI
from numpyro.infer import Trace_ELBO, autoguide
from numpyro.infer.svi import SVIState
from numpyro.infer.util import log_density

from ..models.names import unknown
from . import dropout, laplace, local
from .algorithm import Algorithm, of_guide
from .target import Sites, draw_rows, kept, on_rows, refuse_discrete, refuse_improper, uniform

GUIDES = {
    "map": autoguide.AutoDelta,
    "dropout": None,
    "mean_field": autoguide.AutoNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
    "full_rank": autoguide.AutoMultivariateNormal,
    "laplace": None,
    "flow": autoguide.AutoIAFNormal,
    "local": None,
    "flipout": None,
    "em": None,
}
POINTS = ("map", "dropout")  # guides without a density
NORMALS = ("local", "flipout", "em")  # guides with settings of their own
KNOWN = {  # values of the settings that are words
    "objective": dropout.OBJECTIVES,
    "mask": dropout.MASKS,
    "prediction": dropout.PREDICTIONS,
    "kl": ("sum", "mean"),
    "parameters": ("sigma", "alpha"),
    "plane": ("rows", "batch", "learned"),
}


@dataclass(frozen=True)
class SVI:
    """Settings of `svi`.

    guide : ``map``, ``dropout``, ``mean_field``, ``low_rank``, ``full_rank``, ``laplace``, ``flow``, ``local``,
        ``flipout`` or ``em``.
    steps : gradient steps.
    lr : Adam's learning rate, constant at first.
    decay : the share of the steps, the last ones, over which it then falls to zero, linearly.
    batch_size : rows per step, drawn with replacement; None for all.
    particles : draws of the guide per gradient.
    draws : posterior draws taken from the fitted guide, per chain.
    chains : independent restarts.

    Of the guide ``dropout``, with `particles` draws of the noise a step (see `dropout` for what each is):

    objective : ``average`` (Monte-Carlo dropout), ``importance`` (its importance-weighted bound: marginal MAP) or
        ``tail_adaptive``.
    mask : one draw of the noise for the ``function``, shared by all rows, or one for each ``example``.
    prediction : ``average`` over draws of the noise; the ``mean_weight``, the noise at its mean; or the ``centre``,
        noise that turns weights switched off.

    The others are of the guides ``local``, ``flipout`` and ``em``, with q(w) = N(mu, sigma^2), alpha = sigma^2 / mu^2;
    what they say of weights holds for the magnitudes of the prior direction_magnitude, too, where their law is
    log-uniform.

    sweeps : of ``em``, how often the scales of a weight take turns at their M-steps in each step.
    kl : ``sum`` for the ELBO.  ``mean`` averages the divergence over the weights and the log likelihood over the rows,
        that is, multiplies the divergence by rows / weights, and leaves out the density of a scale under ``em``: the
        objective of the released code of Nalisnick, Hernandez-Lobato & Smyth (2019), which is no bound on the evidence.
    kl_weight : what the divergence is multiplied by; 1 is the ELBO.
    pretrain : steps at the start for which that is zero.
    kl_warmup : steps for which it then rises, linearly.
    init_scale : sigma at the start, in unconstrained space.
    parameters : what is learned beside mu: ``sigma`` (additive, Molchanov et al. 2017) or ``alpha``, with which a mean
        cannot change its sign, for sigma is zero on the way.
    alpha : a fixed alpha of the weights, which makes the guide Gaussian dropout with noise N(1, alpha).
    log_alpha_clip : the weights keep abs(log alpha) below it.
    log_scale_max : log sigma stays below it (Kharitonov et al. 2018: -4, under a Gamma hyperprior).
    plane : of ``local``, for the prior direction_magnitude: whether the plane in which a weight vector is turned is
        drawn for each of the ``rows`` (exactly), for the whole ``batch``, or for the batch with its law ``learned`` (a
        projected Gaussian).  The guide ``flipout`` gives the rows of a batch random signs.
    start : a fit's netCDF file, whose posterior means the weights begin at (a warm start); None for random values.
    """

    guide: str = "mean_field"
    steps: int = 10_000
    lr: float = 0.01
    decay: float = 0.5
    batch_size: int | None = None
    particles: int = 1
    draws: int = 1000
    chains: int = 1
    objective: str = "average"
    mask: str = "function"
    prediction: str = "average"
    sweeps: int = 1
    kl: str = "sum"
    kl_weight: float = 1.0
    pretrain: int = 0
    kl_warmup: int = 0
    init_scale: float = 0.1
    parameters: str = "sigma"
    alpha: float | None = None
    log_alpha_clip: float | None = None
    log_scale_max: float | None = None
    plane: str = "rows"
    start: str | None = None

    def __post_init__(self) -> None:
        if self.guide not in GUIDES:
            raise unknown("guide", self.guide, GUIDES)
        for name, known in KNOWN.items():
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        if not 0 <= self.decay <= 1:
            raise ValueError(f"svi: decay, a share of the steps, must lie between 0 and 1, got {self.decay}")
        for name in ("steps", "lr", "particles", "draws", "chains", "sweeps", "init_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"svi: {name} must be positive, got {getattr(self, name)}")
        for name in ("kl_weight", "pretrain", "kl_warmup"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"svi: {name} must not be negative, got {getattr(self, name)}")
        for name in ("batch_size", "alpha", "log_alpha_clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"svi: {name} must be positive, got {value}")
        if self.alpha is not None and (self.parameters == "alpha" or self.log_alpha_clip is not None):
            raise ValueError("svi: alpha holds it fixed; leave out parameters and log_alpha_clip, which let it vary")
        if self.log_scale_max is not None and (self.parameters == "alpha" or self.alpha is not None):
            raise ValueError("svi: log_scale_max bounds a learned sigma; leave out alpha, or set parameters=sigma")
        for f in fields(self):
            owners = OWNERS.get(f.name, GUIDES)
            if self.guide not in owners and getattr(self, f.name) != f.default:
                raise ValueError(f"svi: {f.name} is a setting of {_either(owners)}, not of the guide {self.guide}")


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"the guides {', '.join(most)} and {last}" if most else f"the guide {last}"


OWNERS = {  # the guides that a setting belongs to, where it is not of all
    **dict.fromkeys(("objective", "mask", "prediction"), ("dropout",)),
    "sweeps": ("em",),
    "plane": ("local",),
    **dict.fromkeys(("kl", "kl_weight", "pretrain", "kl_warmup", "init_scale", "parameters"), NORMALS),
    **dict.fromkeys(("alpha", "log_alpha_clip", "log_scale_max", "start"), NORMALS),
}
State = SVIState  # NumPyro's


@lru_cache(maxsize=32)
def algorithm(config: SVI, model: Callable, found: Sites) -> Algorithm:
    """Bind `svi` to a NumPyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    _refuse(config.guide, found)
    optimiser = optax.adam(_rate(config))
    if config.guide == "laplace":
        return laplace.algorithm(config, model, found, optimiser)
    if config.guide in NORMALS:
        return local.algorithm(config, model, found, optimiser)
    if config.guide == "dropout":
        return dropout.algorithm(config, model, found, optimiser)
    program, auto = on_rows(model), GUIDES[config.guide]
    assert auto is not None  # the others have files of their own
    guide = _on_rows(auto(program, init_loc_fn=uniform(0.1)))
    svi = NumPyroSVI(program, guide, optimiser, Trace_ELBO(num_particles=config.particles))

    def init(key: Any, x: Any, y: Any) -> State:
        return svi.init(key, x, y, draw_rows(key, x.shape[0], config.batch_size))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        state, loss = svi.update(state._replace(rng_key=key), x, y, rows)
        return state, {"loss": loss}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        fitted = handlers.substitute(handlers.seed(guide, key), data=svi.get_params(state))
        trace = handlers.trace(fitted).get_trace(x, y, rows)
        latent = {name: trace[name]["value"] for name in found.latent}
        stats = {}
        if config.guide not in POINTS:  # both densities in the constrained space
            log_q = sum(jnp.sum(s["fn"].log_prob(s["value"])) for s in trace.values() if s["type"] == "sample")
            values = {**svi.get_params(state), **latent}  # the program may have learned values too
            stats = {"log_p": log_density(model, (x, y), {}, values)[0], "log_q": log_q}
        return _with_weights(model, latent, x, y), stats

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        params, names = svi.get_params(state), laplace.real(model, found, x, y)
        return {k: params[f"{k}_auto_loc"] for k in names}, {k: params[f"{k}_auto_scale"] for k in names}

    more = {"moments": moments} if config.guide == "mean_field" else {}
    return of_guide(config, init, step, draw, approximation=config.guide not in POINTS, **more)


def constant(config: SVI) -> int:
    """How many steps the learning rate is constant, before it falls to zero."""
    return int((1 - config.decay) * config.steps)


def _rate(config: SVI) -> Any:
    at = constant(config)
    return optax.linear_schedule(config.lr, 0.0, config.steps - at, at) if at < config.steps else config.lr


def _refuse(guide: str, found: Sites) -> None:
    if guide != "dropout":
        refuse_discrete(f"svi with guide {guide}", found)
    elif found.improper:
        refuse_improper("svi with guide dropout", found)
    elif not any(name.endswith(".base") for name in found.latent):
        raise ValueError("svi with guide dropout needs the weight apart from its noise; use the expanded form")


def _on_rows(auto: Callable) -> Callable:
    """An autoguide called with the model's arguments, its data plate given the same rows."""

    def guide(x: Any, y: Any, rows: Any = None) -> Any:
        if rows is None:
            return auto(x, y, None)
        with handlers.substitute(data={"data": rows}):
            return auto(x, y, rows)

    return guide


def _with_weights(model: Callable, latent: dict, x: Any, y: Any) -> dict:
    """The latent sites and what the program makes of them (expanded weights)."""
    run = handlers.substitute(handlers.seed(model, jax.random.PRNGKey(0)), data=latent)
    trace = handlers.trace(run).get_trace(x, y)
    made = {k: s["value"] for k, s in trace.items() if s["type"] == "deterministic"}
    return kept({**latent, **made})
