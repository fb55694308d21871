"""Type-II maximum likelihood by EM: scales that the data choose, the weights under any strategy.

With w given lambda ~ N(0, lambda^2 sigma0^2), maximise log p(y given lambda) + log p(lambda^k) over the scales, by
turns:

- E-step: a strategy infers the weights at fixed scales, for their moments E w^2 = mean^2 + variance.
- M-step: lambda maximises log p(lambda^k) - sum over its weights of [log sd(w) + E w^2 / (2 sd(w)^2)], in closed form
  where the noise has one, else numerically (`m_step`).  k is that of `laws.m_steps`; 1 without a closed form.

Every E-step begins afresh with the same seed.  So it is a function of the scales alone, random numbers and all, and EM
has a fixed point even if the moments are Monte-Carlo estimates: that of those estimates.

Source: Nalisnick, Anandkumar & Smyth (2015), section 4, with eqs 9, 12 and 13 put right
(`papers.scale_mixture`); Tipping (2001) for the relevance vector machine.

See ``docs/gotchas.md#chains-of-a-network-are-different-networks``.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from ...errors import unknown
from ...models.ppl.compiled import kept
from ..strategies.guides.normals import is_weight
from ..strategies.optimisation import m_step as by_site
from ..target.numpyro.density import sites
from ..target.precision import widened
from ..target.sites import Arrays, refuse_discrete
from .fit import checked, fit_checked
from .progress import Progress, progress_bar
from .result import Fit, last_elbo

FIX = "use a prior with a noise, in form='hierarchical'"
logger = logging.getLogger(__name__)


class Estimate(NamedTuple):
    """What EM found.

    scales : site -> lambda after the last M-step.
    loc, scale : site -> posterior mean and sd of weights and biases, given the scales of the last E-step: those of the
        M-step before it, within the last `change`.
    trace : a row per iteration: `bound`, `log_joint` (nats, at the scales of its E-step) and `change`, the largest
        change of log lambda in its M-step.
    fit : of the last E-step.
    converged : whether the last change was below the tolerance.
    """

    scales: Arrays
    loc: Arrays
    scale: Arrays
    trace: Any
    fit: Fit
    converged: bool


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Given:
    """Inputs and the scales that hold for all of their rows: what a strategy is given for its inputs."""

    x: Any
    scales: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    def __getitem__(self, rows: Any) -> "Given":
        return Given(self.x[rows], self.scales)


def em(
    model: Callable,
    config: Any,
    x: Any,
    y: Any,
    *,
    iterations: int = 50,
    tolerance: float = 1e-3,
    sweeps: int = 1,
    seed: int = 0,
    progress: bool | Progress = True,
    start: Arrays | None = None,
) -> Estimate:
    """Choose the scales of a program by EM.

    Parameters
    ----------
    model : a NumPyro program whose weights are in hierarchical form.
    config : settings of the strategy of the E-step: `SVI`, `NUTS`, `SGLD`, ...
    x, y : JAX arrays (rows, features) and (rows,).
    iterations : at most.
    tolerance : EM ends where no log lambda changes by as much.
    sweeps : how often scales that multiply one another take turns in an M-step.
    seed : of every E-step.
    progress : show a bar; or a function ``(done, total, message)`` to call instead.
    start : scales to begin with, by site; by default 1, or the middle of their interval.

    `bound` in the trace is E_q log p(y, w given lambda) + H[q] + log p(lambda^k): never above the logarithm of what is
    maximised, and equal to it where the E-step is exact.  It is NaN for samplers, whose q has no density.  `log_joint`,
    the same without H[q], is in the coordinates that the strategy works in, and NaN for the guides ``local`` and
    ``flipout``.

    Raises ValueError if a scale is discrete, if the program has none or is in expanded form, or for torch tensors.
    Where an E-step fails or Ctrl-C ends it, after the first iteration, the iterations before it are returned.
    """
    _check(config, x, y, iterations, tolerance, sweeps, start)
    x, y = widened(x, y)
    if hasattr(config, "half_draws"):
        config = replace(config, half_draws=0)  # an E-step has no use for the bias of its steps
    latent_sites = sites(model, x, y)
    refuse_discrete("em", latent_sites)
    names = by_site.named("em", latent_sites.latent, FIX)
    trace = by_site.tracer(model, x, y)
    with jax.enable_x64(True):
        first = trace({})
        steps = by_site.closed_forms(first, names)
        weights = [name for name in latent_sites.latent if is_weight(name, first[name]["value"].shape)]
        values = _first(first, names, start)
        maximise = by_site.maximiser(trace, names, sweeps)
        log_prior = jax.jit(lambda values: by_site.log_prior(steps, trace(values)))
    rows: list[dict[str, float]] = []
    last: Any = None
    with progress_bar("em", progress) as report_progress:
        try:
            while len(rows) < iterations and not _converged(rows, tolerance):
                given = Given(x, {name: jnp.asarray(v, x.dtype) for name, v in values.items()})
                fitted = fit_checked("numpyro", _held(model), config, given, y, seed)
                if fitted.stopped:
                    raise KeyboardInterrupt
                loc, scale = moments(fitted)
                with jax.enable_x64(True):
                    new = maximise(values, {name: loc[name] ** 2 + scale[name] ** 2 for name in weights})
                    prior = float(log_prior(values))
                change = _change(values, new, x.dtype)
                bound, joint = (prior + part for part in bounds(fitted))
                values, last = new, (loc, scale, fitted)
                rows.append({"iteration": len(rows) + 1, "bound": bound, "log_joint": joint, "change": change})
                message = f"change {change:.3g}, bound {bound:.6g}".removesuffix(", bound nan")
                report_progress(len(rows), iterations, message)
        except (KeyboardInterrupt, FloatingPointError, ValueError) as error:
            if not rows:
                raise
            logger.warning(f"em ends after {len(rows)} of {iterations} iterations: {str(error) or 'interrupted'}")
    with jax.enable_x64(True):
        ends = by_site.at_ends(first, names, values)
    if ends:
        logger.warning(
            f"em: {ends[0]} ran to an end of its interval, where the density of its noise has a pole; the scales there "
            "are the last that single precision holds; with beta take both parameters above 1"
        )
    return _estimate(trace, values, last, rows, _converged(rows, tolerance) and not ends)


def _converged(rows: list[dict[str, float]], tolerance: float) -> bool:
    return bool(rows) and rows[-1]["change"] < tolerance


def _check(config: Any, x: Any, y: Any, iterations: int, tolerance: float, sweeps: int, start: Any) -> None:
    if checked(config, x, y) != "numpyro":
        raise ValueError("em runs in NumPyro only; give it JAX arrays")
    for name, value in {"iterations": iterations, "sweeps": sweeps, "tolerance": tolerance}.items():
        if not isinstance(value, (int, float)) or not value > 0:
            raise ValueError(f"em: {name} must be positive, got {value!r}")
    if start is not None and not isinstance(start, dict):
        raise TypeError(f"em: start is a dict of scales by site, such as found.scales, not a {type(start).__name__}")


@kept
def _held(model: Callable) -> Callable:
    """The program of `Given` inputs, its scales held: to all who look at it there are none."""

    def given(x: Given, y: Any = None, **kwargs: Any) -> Any:
        program = handlers.substitute(model, data=x.scales)
        with handlers.block(hide_fn=lambda site: by_site.is_scale(site.get("name") or "")):
            return program(x.x, y, **kwargs)

    return given


def _first(sites: dict, names: list[str], start: Arrays | None) -> Arrays:
    """The scales to begin with; raises ValueError for a start that cannot be."""
    values = {}
    for name, bijection in by_site.transforms(sites, names).items():
        shape = sites[name]["value"].shape
        middle = np.ones(shape) if bijection is None else bijection(jnp.zeros(shape))
        values[name] = np.asarray((start or {}).get(name, middle), np.float64)
        if values[name].shape != shape:
            raise ValueError(f"em: start of {name} has shape {values[name].shape}; it needs {shape}")
        unconstrained = values[name] if bijection is None else bijection.inv(jnp.asarray(values[name]))
        if not (np.isfinite(unconstrained).all() and values[name].all()):
            raise ValueError(f"em: start of {name} must lie inside the support of its noise, and not be 0")
    for name in start or {}:
        if name not in values and not any(site.startswith(f"{name}.") for site in values):  # made of those
            raise unknown("scale", name, values)
    return values


def moments(fitted: Fit) -> tuple[Arrays, Arrays]:
    """Posterior mean and sd of each site over all chains: the strategy's own where it has them, else of the draws."""
    loc, scale = {}, {}
    for name, draws in fitted.draws.items():
        if name in fitted.loc:
            means, sds = fitted.loc[name].astype(np.float64), fitted.scale[name].astype(np.float64)
            loc[name], scale[name] = means.mean(0), np.sqrt((sds**2).mean(0) + means.var(0))
        else:
            loc[name], scale[name] = (f(draws.astype(np.float64), (0, 1)) for f in (np.mean, np.std))
    return loc, scale


def bounds(fitted: Fit) -> tuple[float, float]:
    """E_q [log p - log q] and E_q log p of a fit, in nats; NaN where it does not know."""
    log_p = fitted.stats.get("log_p", fitted.stats.get("lp"))
    joint = np.nan if log_p is None else float(log_p.astype(np.float64).mean())
    if "log_q" in fitted.stats:
        return joint - float(fitted.stats["log_q"].astype(np.float64).mean()), joint
    if "kl" in fitted.history:
        return last_elbo(fitted.history["log_lik"].astype(np.float64), fitted.history["kl"]), joint
    return np.nan, joint


def _change(old: Arrays, new: Arrays, dtype: Any) -> float:
    """The largest change of log lambda; raises FloatingPointError if a scale is zero or not finite as a `dtype`."""
    for name, value in new.items():
        with np.errstate(over="ignore"):
            rounded = value.astype(dtype)
        if not (np.isfinite(rounded).all() and rounded.all()):
            raise FloatingPointError(f"{name} is zero or not finite; a proper noise keeps it from running there")
    return max(float(np.max(np.abs(np.log(np.abs(new[name] / old[name]))))) for name in new)


def _estimate(trace: Callable, values: Arrays, last: tuple, rows: list[dict[str, float]], converged: bool) -> Estimate:
    import pandas as pd

    loc, scale, fitted = last
    with jax.enable_x64(True):
        deterministic = {k: s for k, s in trace(values).items() if by_site.is_scale(k) and s["type"] == "deterministic"}
    scales = {**values, **{name: np.asarray(site["value"]) for name, site in deterministic.items()}}
    return Estimate(scales, loc, scale, pd.DataFrame(rows), fitted, converged)
