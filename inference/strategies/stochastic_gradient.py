"""What the stochastic-gradient samplers share: settings, step sizes, minibatch gradients, moments along the way.

With N rows and a log joint L, the step size is e / N: that of gradient descent on the mean loss, whatever the size of
the data.  By default it is found in a pilot, as are scales of the coordinates (`..target.pilot`).  Two schedules:

- ``polynomial`` (Welling & Teh 2011): e_t = step_size (1 + t / warmup)^-decay; constant by default.
- ``cyclical`` (Zhang et al. 2020): every draw has a cycle of its own.  Over its `thin` steps e_t falls from step_size
  to zero along half a cosine; for the first `explore` of them there is no noise, so that the chain can leave a mode.
  The rest of the cycle must be long enough to forget that, or the law is too narrow: `thin` of a thousand or more.

As the step size goes to zero all of them have the stationary law p(z given y)^(1 / T) in unconstrained space, with
explore = 0.  T is the temperature; Nalisnick, Anandkumar & Smyth (2015) inject noise of variance lr / 2 beside a
gradient step of lr, which is T = 1/4 (1/2 if lr is Welling & Teh's step).

A step of any size widens the law.  A run at half the step, after the draws and half as long, tells by how much: the
bias of all these samplers is proportional to a small step.  It goes through the schedule twice as fast.

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
from ..target.geometry import pilot
from ..target.moments import Moments, all_updated, mean_and_sd, no_moments, updated_moments
from ..target.numpyro.density import constrain, draw_rows, potential, start
from ..target.numpyro.pilot import normals, run
from ..target.schedule import schedule
from ..target.sites import Sites, refuse_discrete, refuse_improper
from .algorithm import Algorithm
from .settings import check_choice, check_not_negative, check_numbers

SCHEDULES = ("polynomial", "cyclical")
AUTO = "auto"
MOST = 5.0  # sds of the momentum that a gradient may change it by, or sds of the noise over sqrt 2
QUARTER = 4  # as many draws at half the step by default, twice as many steps apart


@dataclass(frozen=True)
class SGMCMC:
    """Settings of every stochastic-gradient sampler.

    warmup : steps before the first draw.
    draws : posterior draws, per chain.
    thin : steps per draw.
    step_size : e_0, in units of a learning rate on the mean loss; ``auto`` to find it, and scales of the coordinates,
        in a pilot of 500 steps before the warmup and in another one after it.
    tolerance : with ``step_size=auto``, the share by which the sd along the steepest direction may be too large.
    decay : exponent of the ``polynomial`` schedule; 0 for a constant step.
    schedule : ``polynomial`` or ``cyclical``.
    explore : share of a cycle, its beginning, without noise.
    batch_size : rows per step, drawn with replacement; None for all.
    temperature : T; 1 for the posterior.
    chains : independent chains.
    half_draws : draws, per chain, of a run at half the step after the others, which tells the bias of the step; each
        takes 2 `thin` steps.  A quarter of `draws` by default, so that it takes half as long as they do; 0 for none.
    start : a fit's netCDF file (no commas in its path); every chain begins at the posterior means of its best chain, a
        warm start, from which R-hat is optimistic, as the chains begin together.  None for random values.
    """

    name: ClassVar[str]
    warmup: int = 20_000
    draws: int = 1000
    thin: int = 50
    step_size: float | str = AUTO
    tolerance: float = 0.06
    decay: float = 0.0
    schedule: str = "polynomial"
    explore: float = 0.0
    batch_size: int | None = None
    temperature: float = 1.0
    chains: int = 4
    half_draws: int | None = None
    start: str | None = None

    def __post_init__(self) -> None:
        name = self.name
        check_numbers(name, self)
        for setting in ("warmup", "draws", "thin", "step_size", "tolerance", "temperature", "chains"):
            value = getattr(self, setting)
            if isinstance(value, str):
                check_choice(self, **{setting: (AUTO,)})
            elif not 0 < value < math.inf:
                raise ValueError(f"{name}: {setting} must be positive and finite, got {value}")
        if not self.automatic and self.tolerance != type(self).tolerance:
            raise ValueError(f"{name}: tolerance is a setting of step_size={AUTO}; leave one of them out")
        check_not_negative(name, self, "half_draws")
        if self.half_draws and self.schedule == "cyclical":
            raise ValueError(
                f"{name}: half_draws is a setting of the polynomial schedule; leave it out of the cyclical"
            )
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

    @property
    def automatic(self) -> bool:
        """Whether the step size is to be found."""
        return self.step_size == AUTO

    @property
    def at_half(self) -> int:
        """Draws of the run at half the step."""
        half_draws = self.draws // QUARTER if self.half_draws is None else self.half_draws
        return 0 if self.schedule == "cyclical" else half_draws

    @property
    def widening(self) -> tuple[float, float]:
        """How much of its variance a direction gains, for small steps: per step size times its curvature, and per step
        size times the variance of the minibatch gradient along it (at T = 1)."""
        return 0.5, 0.5


@dataclass(frozen=True)
class Frictional(SGMCMC):
    """Settings of the samplers with a momentum, which loses the share `friction` at each step."""

    friction: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.friction < 1:
            raise ValueError(f"{self.name}: friction must lie between 0 and 1, got {self.friction}")

    @property
    def widening(self) -> tuple[float, float]:
        """As that of `SGMCMC`; the momentum keeps the noise of a gradient for 1 / friction steps."""
        return 0.25, 0.5 / self.friction


class Kernel(NamedTuple):
    """An update, written once for both languages; positions, gradients, noise and so on are dicts by site.

    init : ``(xp, noise, size) -> auxiliary``: auxiliary variables, such as a momentum; `noise` is standard normal,
        `size` that of the first step.
    update : ``(xp, z, auxiliary, gradient, noise, step) -> (z, auxiliary)``, `gradient` that of the log joint (or an
        estimate of it), `step` a `Step`.
    """

    init: Callable
    update: Callable


class State(NamedTuple):
    """A chain.

    z : where it is, unconstrained.
    auxiliary : of its kernel.
    t : where it is in the schedule.
    moments : of its steps.
    size, root : e_0, and the scales of the coordinates, by site.
    gathered : moments of z and of the gradient over the second half of the warmup; these and `root` are empty where the
        step size was given.
    share : of the step size that is taken: 1, or a half.
    """

    z: Any
    auxiliary: Any
    t: Any
    moments: Moments
    size: Any
    root: dict
    gathered: dict[str, Moments]
    share: Any


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
        size, root, gathered = first_size(jnp, config, z)
        auxiliary = kernel.init(jnp, noise, size / x.shape[0])
        moments = no_moments(jnp, constrain(model, z, x[:1], y[:1]))
        return State(z, auxiliary, jnp.zeros((), int), moments, size, root, gathered, jnp.ones_like(size))

    def gradient(z: dict, x: Any, y: Any, rows: Any) -> dict:
        return jax.grad(lambda z: -potential(model, z, x, y, rows))(z)

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        row_key, noise_key = jax.random.split(key)
        rows = draw_rows(row_key, x.shape[0], config.batch_size)
        noise, found = normals(noise_key, state.z), gradient(state.z, x, y, rows)
        if config.automatic:  # a loop of one turn or none, as a vectorised `cond` would do both
            gathers, gather = gathering(jnp, config, state, found)
            state = jax.lax.fori_loop(0, gathers.astype(int), lambda _, state: gather(state), state)
        state, weight = moved(jnp, config, kernel, state, found, noise, x.shape[0])
        moments = updated_moments(jnp, state.moments, constrain(model, state.z, x[:1], y[:1]), weight)
        return state._replace(moments=moments), {}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)  # all rows at each draw would cost more than the steps
        stats = {"lp": -potential(model, state.z, x, y, rows), "step_size": size_now(jnp, state)}
        return constrain(model, state.z, x[:1], y[:1]), stats

    @jax.jit
    def piloted(key: Any, z: dict, root: Any, x: Any, y: Any) -> pilot.Pilot:
        rows, batch_size = x.shape[0], config.batch_size
        return run(lambda z, some: gradient(z, x, y, some), key, z, root, rows, batch_size, config.temperature)

    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        chain = piloted(jax.random.PRNGKey(key), state.z, None, x, y)
        state = with_size(jnp, config, state, chain, x.shape[0])
        return state if config.start else state._replace(z=chain.z)

    def after_warmup(key: Any, state: State, x: Any, y: Any) -> State:
        root = pilot.scales(jnp, state.gathered, state.root)
        chain = piloted(jax.random.fold_in(key, 2), state.z, root, x, y)
        return with_size(jnp, config, state, chain, x.shape[0])

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        return mean_and_sd(jnp, state.moments)

    return Algorithm(init, step, draw, moments=moments, **counted(jnp, config, prepare, after_warmup))


def counted(xp: Any, config: Any, prepare: Callable, after_warmup: Callable) -> dict[str, Any]:
    """What the algorithms of both languages have in common."""
    pilots = {"prepare": prepare, "after_warmup": after_warmup} if config.automatic else {}
    counts = {name: getattr(config, name) for name in ("warmup", "thin", "draws", "chains", "at_half")}
    return {**counts, **pilots, "halve": lambda state: halved(xp, config, state)}


def first_size(xp: Any, config: Any, z: dict) -> tuple[Any, dict, dict]:
    """Step size, scales and moments before a pilot."""
    if not config.automatic:
        return xp.asarray(float(config.step_size)), {}, {}
    gathered = {name: no_moments(xp, z) for name in ("gradient", "z")}
    return xp.asarray(1.0), {name: xp.ones_like(v) for name, v in z.items()}, gathered


def with_size(xp: Any, config: Any, state: Any, chain: pilot.Pilot, rows: int) -> Any:
    """The state with the pilot's scales, and the step size that keeps the steepest direction within `tolerance`."""
    size = pilot.step_size(xp, chain, config.widening, (1 + config.tolerance) ** 2 - 1, config.temperature)
    return state._replace(size=size * rows, root=chain.root)


def size_now(xp: Any, state: Any) -> Any:
    """e_0 at this share of it; with scales, the geometric mean of that of every coordinate."""
    return state.size * state.share * (pilot.geometric_mean(xp, state.root) ** 2 if state.root else 1.0)


def gathering(xp: Any, config: Any, state: Any, gradient: dict) -> tuple[Any, Callable]:
    """Whether a step is in the second half of the warmup, and what it then does to the state."""
    values = {"z": state.z, "gradient": gradient}
    gathers = (state.t >= config.warmup // 2) & (state.t < config.warmup)
    return gathers, lambda s: s._replace(gathered=all_updated(xp, s.gathered, values, xp.ones_like(s.share)))


def halved(xp: Any, config: Any, state: Any) -> Any:
    """The state at the beginning of the run at half the step, which begins where the draws ended."""
    return state._replace(t=xp.full_like(state.t, config.warmup), share=xp.full_like(state.share, 0.5))


def moved(xp: Any, config: Any, kernel: Kernel, state: Any, gradient: dict, noise: dict, rows: int) -> tuple[Any, Any]:
    """The state after a step, but for its moments, and the weight that it has in these: none at half the step.

    With scales no gradient moves a coordinate by more than some `MOST` times the noise of a step, or a chain would be
    lost where a heavy tail is steeper than all that the pilot saw: "tamed" (Brosse, Durmus, Moulines & Sabanis 2019).
    """
    step, weight = schedule(xp, config, state.size * state.share, state.t, rows)
    z, root = state.z, state.root
    if root:
        z = {k: v / root[k] for k, v in z.items()}
        most = MOST / xp.sqrt(step.size)
        gradient = {k: xp.clip(v * root[k], -most, most) for k, v in gradient.items()}
    z, auxiliary = kernel.update(xp, z, state.auxiliary, gradient, noise, step)
    if root:
        z = {k: v * root[k] for k, v in z.items()}
    whole = state.share == 1
    return state._replace(z=z, auxiliary=auxiliary, t=state.t + xp.where(whole, 1, 2)), xp.where(whole, weight, 0.0)
