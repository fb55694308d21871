"""Variational EM: the scales of a program as points, each at the M-step of its noise under a guide of its weights.

Given the second moments E[w^2] under q, a scale that belongs to J weights is set to the closed-form maximiser of
log p(lambda^k) + E log p(w given lambda) that its noise carries (`models.m_step`); where scales multiply one another
(ARD-ADD) they take turns, each given the others, beginning with all others at 1.  Source: Nalisnick, Hernandez-Lobato &
Smyth (2019), for one sweep; with many sweeps the scales are at a joint mode.

Which weights a scale belongs to is not told but found: w has a standard deviation proportional to its scales, so the
derivative of log sd(w) with respect to log lambda is 1 for the weights of lambda and 0 for others, and pulling back
through it sums over just those.  Any structure will do, a user's own too.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from numpyro import handlers

from ..models.m_step import MStep

Arrays = dict[str, Any]


def optimum(xp: Any, back: Callable, steps: dict[str, MStep], logs: Arrays, second: Arrays, sweeps: int) -> Arrays:
    """The logarithms of the scales at the M-step, by site.

    Parameters
    ----------
    back : ``log scales -> (log sd of the weights, pull)``, all by site; `pull` takes one array for each weight and
        gives one for each scale, the sums over its weights.
    steps : the M-step of each scale.
    logs : log scales to begin with.
    second : E[w^2] by weight.
    sweeps : how often the scales take turns.
    """
    for _ in range(sweeps):
        for name, step in steps.items():
            log_sd, pull = back(logs)
            m = xp.exp(2 * logs[name]) * pull({w: xp.exp(-2 * log_sd[w]) * second[w] for w in second})[name]
            count = pull({w: xp.ones_like(log_sd[w]) for w in second})[name]
            logs = {**logs, name: 0.5 * xp.log(step.update(xp, m, count))}
    return logs


def density(xp: Any, step: MStep, log_scale: Any, log_p: Any, in_kl: bool) -> Any:
    """What the guide adds to the divergence beside -log p(lambda), `log_p` being that density, summed.

    So that the objective has log p(lambda^k), of which the M-step is the mode; or no density of the scale at all.
    """
    if not in_kl:
        return log_p
    return (step.power - 1) * xp.sum(log_scale) + math.prod(log_scale.shape) * math.log(abs(step.power))


def m_steps(found: dict[str, MStep | None]) -> dict[str, MStep]:
    """The M-steps of the scales, from those of all latent sites.

    Raises ValueError if a scale has none, if there are no scales, or if the weights are not centred at them.
    """
    if any(name.endswith(".base") for name in found):
        raise ValueError("svi with guide em sets the scale of a weight, not of its base; use form='hierarchical'")
    scales = {name: step for name, step in found.items() if ".scale" in name}
    if not scales:
        raise ValueError("svi with guide em sets scales, and this program samples none; use svi:guide=local")
    for name, step in scales.items():
        if step is None:
            raise ValueError(
                f"svi with guide em: the noise at {name} has no closed-form M-step; use svi:guide=local, where a scale "
                "has a normal of its own, or a noise that has one, such as inverse_gamma, half_cauchy or rayleigh"
            )
    return {name: step for name, step in scales.items() if step is not None}


def chosen(model: Callable, sweeps: int, in_kl: bool, x: Any, y: Any) -> Callable:
    """How a guide for a NumPyro program comes by its scales: ``(steps, shapes, values, second) -> {scale: point}``.

    `values` are any of the latent sites that are no scales, at which the program is traced; a point is a value and what
    it adds to the divergence (`density`).
    """

    def choose(steps: dict[str, MStep], shapes: dict, values: Arrays, second: Arrays) -> dict[str, tuple[Any, Any]]:
        def trace(logs: Arrays) -> dict:
            data = {**values, **{name: jnp.exp(v) for name, v in logs.items()}}
            with handlers.block():  # the guide that asks is being traced itself
                return handlers.trace(handlers.substitute(model, data=data)).get_trace(x[:1], y[:1])

        def back(logs: Arrays) -> tuple[Arrays, Callable]:
            log_sd, pull = jax.vjp(lambda v: log_sds(jnp, trace(v), second), logs)
            return log_sd, lambda of: pull(of)[0]

        logs = optimum(jnp, back, steps, {name: jnp.zeros(shapes[name]) for name in steps}, second, sweeps)
        sites = trace(logs)
        own = {name: log_prob(jnp, sites, name) for name in steps}
        return {name: (jnp.exp(v), density(jnp, steps[name], v, own[name], in_kl)) for name, v in logs.items()}

    return choose


def log_sds(xp: Any, sites: dict, weights: Arrays) -> Arrays:
    """Log standard deviations of these weights given their scales, from the sites of a trace."""
    return {name: 0.5 * xp.log(sites[name]["fn"].variance) for name in weights}


def log_prob(xp: Any, sites: dict, name: str) -> Any:
    """The log density of a site and of the factors that belong to it (an improper law), from the sites of a trace."""
    own = [s for key, s in sites.items() if s["type"] == "sample" and (key == name or key.startswith(f"{name}."))]
    return sum(xp.sum(s["fn"].log_prob(s["value"])) for s in own)
