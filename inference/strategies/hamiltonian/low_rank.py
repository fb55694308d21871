"""NUTS with a low-rank mass matrix, under BlackJAX's kernel and its staged warmup.

The inverse mass matrix is diag(s) (I + U (L - 1) U') diag(s): s the standard deviations of the draws, U a few
directions in units of s.  Long ones are those in which the draws vary most, short ones those in which the gradients do;
the length of either is the sd of the draws over that of the gradients, which for a normal posterior is exact.
BlackJAX's own low-rank metric keeps the directions of the largest abs(L - 1), and so loses short ones among many.  To
the driver, all of the warmup is one step.  Source: Seyboldt, Carlson & Carpenter (2026), whose subspace this is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
from blackjax.adaptation.metric_recipes import MetricCore
from blackjax.adaptation.staged_adaptation import staged_adaptation
from blackjax.mcmc.metrics import LowRankInverseMassMatrix as Mass
from jax.flatten_util import ravel_pytree

from ...target.geometry.coordinates import Coordinates, place
from ...target.numpyro.density import constrain, potential, unraveller
from ...target.numpyro.density import start as random_start
from ...target.sites import Sites, refuse_discrete
from .start import Start, columns, plain

RANK = 10  # directions, at most
PLAIN = 2.0  # variances that differ by less than this factor are not worth a direction


class State(NamedTuple):
    """BlackJAX's chain in some coordinates, what was tuned, what is told of the last step, the steps so far."""

    chain: Any
    step_size: Any
    mass: Mass
    coordinates: Coordinates
    stats: dict
    t: Any


class Window(NamedTuple):
    """The draws and gradients of a window of the warmup, (size, n), and how many there are."""

    inverse_mass_matrix: Mass
    draws: Any
    gradients: Any
    count: Any


def functions(config: Any, model: Callable, sites: Sites) -> tuple[Callable, Callable, Callable]:
    """``begin(key, x, y, start)`` and step and draw (see `Algorithm`) of a `NUTS`; `start` is a `Start` or None.

    Raises ValueError if a site is discrete.
    """
    refuse_discrete("nuts:mass=low_rank", sites, "nuts:mass=diagonal")
    kernel: Any = blackjax.nuts.build_kernel()

    def log_density(coordinates: Coordinates, x: Any, y: Any) -> Callable:
        unravel = unraveller(model, sites, x, y)
        return lambda u: -potential(model, unravel(place(coordinates, u)), x, y)

    def begin(key: Any, x: Any, y: Any, start: Start | None) -> State:
        u = ravel_pytree(random_start(model, sites, key, x, y))[0]
        n, dtype = u.size, u.dtype
        coordinates = plain(jnp, n, columns(config.start, config.mass, n), dtype)
        if start is not None:
            u, coordinates = start
        chain = blackjax.nuts.init(u, log_density(coordinates, x, y))
        return State(chain, jnp.ones((), dtype), _unit(n, dtype), coordinates, _stats(chain), jnp.zeros((), int))

    def tuned(key: Any, state: State, x: Any, y: Any) -> State:
        density, position = log_density(state.coordinates, x, y), state.chain.position
        warmup: Any = staged_adaptation(
            blackjax.nuts,
            density,
            metric(config.warmup, position.dtype),
            target_acceptance_rate=config.target_accept,
            adaptation_info_fn=lambda state, info, _: info.num_integration_steps,
            max_num_doublings=config.max_tree_depth,
        )
        (chain, found), told = warmup.run(key, position, config.warmup)
        stats = {**state.stats, "n_steps": jnp.mean(told.astype(float))}
        return state._replace(chain=chain, step_size=found["step_size"], mass=found["inverse_mass_matrix"], stats=stats)

    def moved(key: Any, state: State, x: Any, y: Any) -> State:
        density = log_density(state.coordinates, x, y)
        chain, info = kernel(key, state.chain, density, state.step_size, state.mass, config.max_tree_depth)
        return state._replace(chain=chain, stats=_stats(chain, info))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        warmup = state.t == 0
        for condition, update in ((warmup, tuned), (~warmup, moved)):  # loops of one turn or none, as in `mclmc`
            state = jax.lax.fori_loop(0, condition.astype(int), lambda _, s, f=update: f(key, s, x, y), state)
        return state._replace(t=state.t + 1), {"lp": state.chain.logdensity, "n_steps": state.stats["n_steps"]}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        z = unraveller(model, sites, x, y)(place(state.coordinates, state.chain.position))
        return constrain(model, z, x, y), {"lp": state.chain.logdensity, **state.stats, "step_size": state.step_size}

    return begin, step, draw


def metric(steps: int, dtype: Any) -> MetricCore:
    """The adaptation of the mass matrix in the windows of a warmup of so many steps."""
    size = max(steps // 2, 1)  # of the longest window, about; of a longer one the last draws count

    def init(n: int) -> Window:
        empty = jnp.zeros((size, n), dtype)
        return Window(_unit(n, dtype), empty, empty, jnp.zeros((), int))

    def update(window: Window, position: Any, gradient: Any) -> Window:
        i = window.count % size
        return window._replace(
            draws=window.draws.at[i].set(position),
            gradients=window.gradients.at[i].set(gradient),
            count=window.count + 1,
        )

    def final(window: Window) -> Window:
        used = (jnp.arange(size) < window.count)[:, None]
        return init(window.draws.shape[1])._replace(inverse_mass_matrix=low_rank(window.draws, window.gradients, used))

    return MetricCore(init, update, final)


def low_rank(draws: Any, gradients: Any, used: Any) -> Mass:
    """The inverse mass matrix of draws and gradients of the log density there, (size, n) both.

    used : (size, 1), which of the rows there are.
    """
    count, rank = used.sum(), min(RANK, draws.shape[1])
    tiny = jnp.finfo(draws.dtype).tiny
    centred = [jnp.where(used, part - part.sum(0, where=used) / count, 0.0) for part in (draws, gradients)]
    scales = jnp.sqrt((centred[0] ** 2).sum(0) / count)
    scales = jnp.where(scales > 0, scales, 1.0)
    parts = centred[0] / scales, centred[1] * scales
    spectra = [jnp.linalg.svd(part, full_matrices=False)[1:] for part in parts]
    extents = jnp.concatenate([values[:rank] for values, _ in spectra])
    directions = jnp.concatenate([vectors[:rank] for _, vectors in spectra])
    chosen = jnp.argsort(-extents)[:rank]
    basis = jnp.linalg.qr(directions[chosen].T)[0]
    lengths, pulls = (((part @ basis) ** 2).sum(0) for part in parts)
    variances = jnp.sqrt(lengths / jnp.maximum(pulls, tiny))
    plain = (variances < PLAIN) & (variances > 1 / PLAIN) | ~(variances > 0)
    return Mass(scales, basis, jnp.where(plain, 1.0, variances))


def _unit(n: int, dtype: Any) -> Mass:
    rank = min(RANK, n)
    return Mass(jnp.ones(n, dtype), jnp.zeros((n, rank), dtype), jnp.ones(rank, dtype))


def _stats(chain: Any, info: Any | None = None) -> dict:
    """ArviZ's names for what BlackJAX tells of a step; before there is one, of none."""
    told = ("is_divergent", "energy", "num_integration_steps", "acceptance_rate")
    values = [getattr(info, name) for name in told] if info else [False, *3 * [jnp.zeros_like(chain.logdensity)]]
    names = ("diverging", "energy", "n_steps", "acceptance_rate")
    kinds = (bool, *3 * [chain.logdensity.dtype])
    return {name: jnp.asarray(v, kind) for name, v, kind in zip(names, values, kinds, strict=True)}
