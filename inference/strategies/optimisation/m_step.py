"""Variational EM: the scales of a program as points, each at the M-step of its noise under a guide of its weights.

Given the second moments E[w^2] under q, a scale that belongs to J weights is set to the closed-form maximiser of
log p(lambda^k) + E log p(w given lambda) that its noise carries (`laws.m_steps`); where scales multiply one another
(ARD-ADD) they take turns, each given the others, beginning with all others at 1.  Source: Nalisnick, Hernandez-Lobato &
Smyth (2019), for one sweep; with many sweeps the scales are at a joint mode.

EM proper (`maximiser`) begins at the scales that are there.  A scale whose noise has no closed form is at a mode of the
density of its own site, found numerically.

Which weights a scale belongs to is found by differentiation: w has a standard deviation proportional to its scales, so
the derivative of log sd(w) with respect to log lambda is 1 for the weights of lambda and 0 for others, and a
vector-Jacobian product sums over just those.  Any structure will do, a user's own too.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.distributions import biject_to, constraints

from ....models.laws.m_steps import MStep
from ...target.numpyro.density import uniform

Arrays = dict[str, Any]
EDGE = 15.0  # unconstrained coordinates of a bounded scale stay within: single precision has it inside its support
FLAT = MStep(lambda xp, m, count: m / count, 1)  # the scale of the largest likelihood alone


def optimum(
    xp: Any, linearise: Callable, steps: dict[str, MStep], log_scales: Arrays, second: Arrays, sweeps: int
) -> Arrays:
    """The logarithms of the scales at the M-step, by site.

    Parameters
    ----------
    linearise : ``log scales -> (log sd of the weights, vjp)``, all by site; `vjp` takes one array for each weight and
        gives one for each scale, the sums over its weights.
    steps : the M-step of each scale.
    log_scales : to begin with.
    second : E[w^2] by weight.
    sweeps : how often the scales take turns.
    """
    for _ in range(sweeps):
        for name, step in steps.items():
            log_sd, vjp = linearise(log_scales)
            m = xp.exp(2 * log_scales[name]) * vjp({w: xp.exp(-2 * log_sd[w]) * second[w] for w in second})[name]
            count = vjp({w: xp.ones_like(log_sd[w]) for w in second})[name]
            log_scales = {**log_scales, name: 0.5 * xp.log(step.update(xp, m, count))}
    return log_scales


def density(xp: Any, step: MStep, log_scale: Any, log_p: Any, in_kl: bool) -> Any:
    """What the guide adds to the divergence beside -log p(lambda), `log_p` being that density, summed.

    So that the objective has log p(lambda^k), of which the M-step is the mode; or no density of the scale at all.
    """
    if not in_kl:
        return log_p
    return (step.power - 1) * xp.sum(log_scale) + math.prod(log_scale.shape) * math.log(abs(step.power))


def m_steps(by_site: dict[str, MStep | None]) -> dict[str, MStep]:
    """The M-steps of the scales, from those of all latent sites.

    Raises ValueError if a scale has none, if there are no scales, or if the weights are not centred at them.
    """
    scales = {name: by_site[name] for name in named("svi with guide em", by_site, "use svi:guide=local")}
    for name, step in scales.items():
        if step is None:
            raise ValueError(
                f"svi with guide em: the noise at {name} has no closed-form M-step; use svi:guide=local, where a scale "
                "has a normal of its own, or a noise that has one, such as inverse_gamma, half_cauchy or rayleigh"
            )
    return {name: step for name, step in scales.items() if step is not None}


def named(strategy: str, latent: Iterable[str], fix: str) -> list[str]:
    """The scales among the latent sites; raises ValueError if there are none or the weights are not centred at them."""
    latent = list(latent)
    if any(name.endswith(".base") for name in latent):
        raise ValueError(f"{strategy} sets the scale of a weight, not of its base; use form='hierarchical'")
    scales = [name for name in latent if is_scale(name)]
    if not scales:
        raise ValueError(f"{strategy} sets scales, and this program samples none; {fix}")
    return scales


def is_scale(name: str) -> bool:
    """Whether a site belongs to the scales of a weight."""
    return ".scale" in name


def scale_optimiser(model: Callable, sweeps: int, in_kl: bool, x: Any, y: Any) -> Callable:
    """What optimises the scales under a NumPyro guide: ``(steps, shapes, values, second) -> {scale: point}``.

    `values` are any of the latent sites that are no scales, at which the program is traced; a point is a value and what
    it adds to the divergence (`density`).
    """

    def optimise(steps: dict[str, MStep], shapes: dict, values: Arrays, second: Arrays) -> dict[str, tuple[Any, Any]]:
        def trace(log_scales: Arrays) -> dict:
            data = {**values, **{name: jnp.exp(v) for name, v in log_scales.items()}}
            with handlers.block():  # the guide that asks is being traced itself
                return handlers.trace(handlers.substitute(model, data=data)).get_trace(x[:1], y[:1])

        ones = {name: jnp.zeros(shapes[name]) for name in steps}
        log_scales = optimum(jnp, _linearised(trace, second), steps, ones, second, sweeps)
        sites = trace(log_scales)
        log_p = {name: log_prob(jnp, sites, name) for name in steps}
        return {name: (jnp.exp(v), density(jnp, steps[name], v, log_p[name], in_kl)) for name, v in log_scales.items()}

    return optimise


def _linearised(trace: Callable, second: Arrays) -> Callable:
    """The `linearise` of `optimum`, from ``log scales -> sites``."""

    def linearise(log_scales: Arrays) -> tuple[Arrays, Callable]:
        log_sd, vjp = jax.vjp(lambda v: log_sds(jnp, trace(v), second), log_scales)
        return log_sd, lambda v: vjp(v)[0]

    return linearise


def tracer(model: Callable, x: Any, y: Any) -> Callable:
    """``values -> sites`` of a NumPyro program on one row, `values` being those of any sites; others are arbitrary."""
    arbitrary = uniform(0.5)

    def fill(site: dict) -> Any:
        return arbitrary(site) if site["value"] is None else None

    def trace(values: Arrays) -> dict:
        conditioned = handlers.substitute(handlers.seed(model, jax.random.PRNGKey(0)), data=values)
        return handlers.trace(handlers.substitute(conditioned, substitute_fn=fill)).get_trace(x[:1], y[:1])

    return trace


def transforms(sites: dict, names: Iterable[str]) -> dict[str, Any]:
    """The bijections from the reals to the supports of these sites; None for the reals themselves."""
    bijections = {}
    for name in names:
        support = sites[name]["fn"].support
        base = getattr(support, "base_constraint", support)
        bijections[name] = None if base is constraints.real else biject_to(support)
    return bijections


def at_ends(sites: dict, names: Iterable[str], values: Arrays) -> list[str]:
    """Those of these sites without a closed form that have a scale at an end of its interval, in single precision."""
    with_closed_form = closed_forms(sites, names)
    bijections = transforms(sites, [name for name in names if name not in with_closed_form])
    bijections = {name: bijection for name, bijection in bijections.items() if bijection is not None}
    return [name for name, bijection in bijections.items() if (np.abs(bijection.inv(values[name])) > 0.99 * EDGE).any()]


def closed_forms(sites: dict, names: Iterable[str]) -> dict[str, MStep]:
    """The M-steps of those scales whose noise carries one."""
    return {name: sites[name]["infer"]["m_step"] for name in names if sites[name]["infer"].get("m_step")}


def log_prior(steps: dict[str, MStep], sites: dict) -> Any:
    """log p of all scales, from the sites of a trace: of the power of each that its M-step means, else of its site."""
    scale_sites = [s for name, s in sites.items() if s["type"] == "sample" and is_scale(name)]
    log_scales = {name: jnp.log(jnp.abs(sites[name]["value"])) for name in steps}
    powers = sum(density(jnp, step, log_scales[name], 0.0, True) for name, step in steps.items())
    return sum(jnp.sum(s["fn"].log_prob(s["value"])) for s in scale_sites) - powers


def maximiser(trace: Callable, names: list[str], sweeps: int) -> Callable:
    """The M-step of EM: ``(scales, second) -> scales``, by site; call it in double precision.

    The scales without a closed form move together, to the better of the modes that lie uphill from where they are and
    from the scales of the largest likelihood: log p(lambda) + E log p(w given lambda) does not decrease.

    Parameters
    ----------
    trace : see `tracer`.
    names : the scales.
    sweeps : how often they take turns.
    """
    first = trace({})
    steps = closed_forms(first, names)
    bijections = transforms(first, [name for name in names if name not in steps])

    def optima(values: Arrays, second: Arrays, steps: dict[str, MStep]) -> Arrays:
        def sites_at(log_scales: Arrays) -> dict:
            return trace({**values, **{name: jnp.exp(v) for name, v in log_scales.items()}})

        log_scales = {name: jnp.log(jnp.abs(values[name])) for name in steps}
        log_scales = optimum(jnp, _linearised(sites_at, second), steps, log_scales, second, 1)
        return {name: jnp.exp(v) for name, v in log_scales.items()}

    def loss(z: Arrays, values: Arrays, second: Arrays) -> Any:
        constrained = {name: v if bijections[name] is None else bijections[name](v) for name, v in z.items()}
        sites = trace({**values, **constrained})
        log_sd = log_sds(jnp, sites, second)
        fit = sum(jnp.sum(log_sd[w] + 0.5 * jnp.exp(-2 * log_sd[w]) * second[w]) for w in second)
        return fit - log_prior({}, sites)

    closed_form_optima = jax.jit(lambda values, second: optima(values, second, steps))
    likeliest_scales = jax.jit(lambda values, second: optima(values, second, dict.fromkeys(bijections, FLAT)))
    slope = jax.jit(jax.value_and_grad(loss))

    def maximise(values: Arrays, second: Arrays) -> Arrays:
        for _ in range(sweeps):
            if steps:
                values = {**values, **closed_form_optima(values, second)}
            if bijections:
                values = {**values, **_uphill(bijections, slope, values, likeliest_scales(values, second), second)}
        return {name: np.asarray(v) for name, v in values.items()}

    return maximise


def _uphill(bijections: dict[str, Any], slope: Callable, values: Arrays, likeliest: Arrays, second: Arrays) -> Arrays:
    """Minimise ``slope(z, values, second)`` over unconstrained `z` of these sites, from `values` and `likeliest`."""
    from scipy.optimize import minimize

    def inverse(name: str, value: Any) -> np.ndarray:
        return np.asarray(value if bijections[name] is None else bijections[name].inv(value))

    current = {name: inverse(name, values[name]) for name in bijections}
    alternative = {name: inverse(name, likeliest[name]) for name in bijections}
    alternative = {name: np.where(np.isfinite(z), z, current[name]) for name, z in alternative.items()}
    edges = {name: jnp.full(z.shape, jnp.inf if bijections[name] is None else EDGE) for name, z in current.items()}
    bound, unravel = ravel_pytree(edges)

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = slope(unravel(jnp.asarray(z)), values, second)
        return np.nan_to_num(float(value), nan=1e100), np.nan_to_num(np.asarray(ravel_pytree(gradient)[0]))

    options = {"maxiter": 2000, "maxfun": 5000, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-9}
    limits = list(zip(-np.asarray(bound), np.asarray(bound), strict=True))
    starts = [np.clip(np.asarray(ravel_pytree(z)[0]), -np.asarray(bound), bound) for z in (current, alternative)]
    ends = [minimize(objective, z, jac=True, method="L-BFGS-B", bounds=limits, options=options) for z in starts]
    best = unravel(jnp.asarray(min(ends, key=lambda end: end.fun).x))
    return {name: z if bijections[name] is None else bijections[name](z) for name, z in best.items()}


def log_sds(xp: Any, sites: dict, weights: Arrays) -> Arrays:
    """Log standard deviations of these weights given their scales, from the sites of a trace."""
    return {name: 0.5 * xp.log(sites[name]["fn"].variance) for name in weights}


def log_prob(xp: Any, sites: dict, name: str) -> Any:
    """The log density of a site and of the factors that belong to it (an improper law), from the sites of a trace."""
    factors = [s for key, s in sites.items() if s["type"] == "sample" and (key == name or key.startswith(f"{name}."))]
    return sum(xp.sum(s["fn"].log_prob(s["value"])) for s in factors)
