"""What the stochastic-gradient samplers share: settings, step sizes, minibatch gradients, moments along the way.

With N rows and a log joint L, the step size is e / N: that of gradient descent on the mean loss, whatever the size of
the data.  Two schedules:

- ``polynomial`` (Welling & Teh 2011): e_t = step_size (1 + t / warmup)^-decay; constant by default.
- ``cyclical`` (Zhang et al. 2020): every draw has a cycle of its own.  Over its `thin` steps e_t falls from step_size
  to zero along half a cosine; for the first `explore` of them there is no noise, so that the chain can leave a mode.
  The rest of the cycle must be long enough to forget that, or the law is too narrow: `thin` of a thousand or more.

As the step size goes to zero all of them have the stationary law p(z given y)^(1 / T) in unconstrained space, with
explore = 0.  T is the temperature; Nalisnick, Anandkumar & Smyth (2015) inject noise of variance lr / 2 beside a
gradient step of lr, which is T = 1/4 (1/2 if lr is Welling & Teh's step).

Mean and sd of every site are gathered over all steps after the warmup, each weighted by its step size (Welling & Teh,
eq 11), so that the moments of ten thousand samples of a large network take the memory of two, and draws may be few.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from ...errors import unknown
from ..target.numpyro.density import constrain, draw_rows, potential, start
from ..target.sites import Sites, refuse_discrete, refuse_improper
from .algorithm import Algorithm
from .settings import check_numbers

SCHEDULES = ("polynomial", "cyclical")


@dataclass(frozen=True)
class SGMCMC:
    """Settings of every stochastic-gradient sampler.

    warmup : steps before the first draw.
    draws : posterior draws, per chain.
    thin : steps per draw.
    step_size : e_0, in units of a learning rate on the mean loss.
    decay : exponent of the ``polynomial`` schedule; 0 for a constant step.
    schedule : ``polynomial`` or ``cyclical``.
    explore : share of a cycle, its beginning, without noise.
    batch_size : rows per step, drawn with replacement; None for all.
    temperature : T; 1 for the posterior.
    chains : independent chains.
    start : a fit's netCDF file (no commas in its path); every chain begins at the posterior means of its best chain, a
        warm start, from which R-hat is optimistic, as the chains begin together.  None for random values.
    """

    name: ClassVar[str]
    warmup: int = 20_000
    draws: int = 1000
    thin: int = 50
    step_size: float = 0.03
    decay: float = 0.0
    schedule: str = "polynomial"
    explore: float = 0.0
    batch_size: int | None = None
    temperature: float = 1.0
    chains: int = 4
    start: str | None = None

    def __post_init__(self) -> None:
        name = self.name
        check_numbers(name, self)
        for setting in ("warmup", "draws", "thin", "step_size", "temperature", "chains"):
            if not 0 < getattr(self, setting) < math.inf:
                raise ValueError(f"{name}: {setting} must be positive and finite, got {getattr(self, setting)}")
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        if not 0 <= self.decay < math.inf:
            raise ValueError(f"{name}: decay must not be negative, got {self.decay}")
        if self.decay and self.schedule == "cyclical":
            raise ValueError(f"{name}: decay is a setting of the polynomial schedule; leave it out of the cyclical one")
        if not 0 <= self.explore < 1:
            raise ValueError(f"{name}: explore, a share of a cycle, must be at least 0 and below 1, got {self.explore}")
        if self.explore and self.schedule != "cyclical":
            raise ValueError(
                f"{name}: explore is a setting of the cyclical schedule; set schedule=cyclical or leave it out"
            )
        if self.schedule == "cyclical" and (self.thin < 2 or self.explore > (self.thin - 1) / self.thin):
            raise ValueError(
                f"{name}: a cycle of thin={self.thin} steps with explore={self.explore} has no noise; raise thin"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"{name}: batch_size must be positive, got {self.batch_size}")


@dataclass(frozen=True)
class Frictional(SGMCMC):
    """Settings of the samplers with a momentum, which loses the share `friction` at each step."""

    friction: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.friction < 1:
            raise ValueError(f"{self.name}: friction must lie between 0 and 1, got {self.friction}")


class Step(NamedTuple):
    """A step: its `size` e_t / N, its temperature, whether it is of the warmup, and N."""

    size: Any
    temperature: Any
    warm: Any
    rows: int


class Kernel(NamedTuple):
    """An update, written once for both languages; positions, gradients, noise and so on are dicts by site.

    init : ``(xp, noise, size) -> auxiliary``: auxiliary variables, such as a momentum; `noise` is standard normal,
        `size` that of the first step.
    update : ``(xp, z, auxiliary, gradient, noise, step) -> (z, auxiliary)``, `gradient` that of the log joint (or an
        estimate of it), `step` a `Step`.
    """

    init: Callable
    update: Callable


class Moments(NamedTuple):
    """Weighted sums along a chain: total weight, mean by site, and weighted squares of the deviations from it."""

    weight: Any
    mean: dict
    squares: dict


class State(NamedTuple):
    """Where the chain is (unconstrained), its kernel's auxiliary variables, how many steps it took, and its moments."""

    z: Any
    auxiliary: Any
    t: Any
    moments: Moments


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind a sampler to a NumPyro program ``model(x, y)``, called with ``batch_size=`` for minibatches.

    Sites other than f and y must not depend on the rows: they are evaluated with the first one alone.
    """
    refuse_discrete(config.name, sites)
    refuse_improper(config.name, sites)
    kernel = config.kernel()

    def init(key: Any, x: Any, y: Any) -> State:
        z = start(model, sites, key, x, y, config.start)
        noise = normals(jax.random.fold_in(key, 1), z)
        auxiliary = kernel.init(jnp, noise, jnp.asarray(config.step_size / x.shape[0]))
        return State(z, auxiliary, jnp.zeros((), int), no_moments(jnp, constrain(model, z, x[:1], y[:1])))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        row_key, noise_key = jax.random.split(key)
        rows = draw_rows(row_key, x.shape[0], config.batch_size)
        gradient = jax.grad(lambda z: -potential(model, z, x, y, rows))(state.z)
        this_step, weight = schedule(jnp, config, state.t, x.shape[0])
        noise = normals(noise_key, state.z)
        z, auxiliary = kernel.update(jnp, state.z, state.auxiliary, gradient, noise, this_step)
        moments = updated_moments(jnp, state.moments, constrain(model, z, x[:1], y[:1]), weight)
        return State(z, auxiliary, state.t + 1, moments), {}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)  # all rows at each draw would cost more than the steps
        return constrain(model, state.z, x[:1], y[:1]), {"lp": -potential(model, state.z, x, y, rows)}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        return mean_and_sd(jnp, state.moments)

    return Algorithm(init, step, draw, config.warmup, config.thin, config.draws, config.chains, moments=moments)


def normals(key: Any, z: dict) -> dict:
    """Standard normals for every site: one draw each, for a long vector cut into sites costs five times as much."""
    keys = jax.random.split(key, len(z))
    return {name: jax.random.normal(k, z[name].shape, z[name].dtype) for k, name in zip(keys, z, strict=True)}


def schedule(xp: Any, config: Any, t: Any, rows: int) -> tuple[Step, Any]:
    """Step `t` (an array; it counts from that of the warmup) on so many rows, and its weight in the moments."""
    after = xp.where(t >= config.warmup, 1.0, 0.0)
    if config.schedule == "polynomial":
        size = config.step_size * (1.0 + t / config.warmup) ** -config.decay
        noisy = xp.ones_like(after)
    else:
        place = ((t - config.warmup) % config.thin) / config.thin
        size = 0.5 * config.step_size * (1.0 + xp.cos(xp.pi * place))
        noisy = xp.where(place >= config.explore, 1.0, 0.0)
    return Step(size / rows, config.temperature * noisy, t < config.warmup, rows), after * noisy * size


def no_moments(xp: Any, values: dict) -> Moments:
    """The moments of nothing yet, for sites like these."""
    return Moments(xp.asarray(0.0), *({name: xp.zeros_like(v) for name, v in values.items()} for _ in range(2)))


def updated_moments(xp: Any, moments: Moments, values: dict, weight: Any) -> Moments:
    """The moments with one more value of each site, by West's (1979) update."""
    total = moments.weight + weight
    share = weight / xp.where(total > 0, total, xp.ones_like(total))
    deviations = {name: values[name] - mean for name, mean in moments.mean.items()}
    mean = {name: moments.mean[name] + share * d for name, d in deviations.items()}
    squares = {name: moments.squares[name] + weight * (1 - share) * d**2 for name, d in deviations.items()}
    return Moments(total, mean, squares)


def mean_and_sd(xp: Any, moments: Moments) -> tuple[dict, dict]:
    """Mean and sd by site."""
    return moments.mean, {name: xp.sqrt(square / moments.weight) for name, square in moments.squares.items()}
