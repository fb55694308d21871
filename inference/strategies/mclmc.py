"""Microcanonical Langevin Monte Carlo, BlackJAX's, on a program in unconstrained space.

The velocity u has length one: the gradient of the log density l turns it, and noise makes it forget its direction over
a length L.  With d coordinates, in units of the scales that the warmup sites,

    dz = u dt,    du = (1 - u u') (grad l(z) dt / (d - 1) + noise).

Exactly integrated this keeps an energy and samples the posterior.  Steps of size e do not, and none is rejected: the
law that is sampled is a little off, the more so the more the energy changes in a step.  The variance of that change
goes as e^6, and the warmup looks for the e at which it is ``d * energy_variance``.  It does so in rounds of BlackJAX's
tuning, each of which begins where the one before it ended; to the driver, a round is a step.  Sources: Robnik, De Luca,
Silverstein & Seljak (2023); Robnik & Seljak (2024).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
from blackjax.adaptation.mclmc_adaptation import MCLMCAdaptationState as Tuned

from ...errors import unknown
from ..target.numpyro.density import constrain, potential, start
from ..target.sites import Sites, refuse_discrete, refuse_improper
from .algorithm import Algorithm
from .nuts import METHODS, chain_method
from .settings import check_numbers

MASSES = ("diagonal", "unit")
GRADIENTS = 2  # of a step of BlackJAX's integrator (McLachlan's)
ROUNDS = 5  # of tuning: the first begins far from the posterior, and one alone left the steps too large
LEAST = 200  # steps of a round: BlackJAX averages over some 75
SHARES = {"diagonal": (0.3, 0.3, 0.3), "unit": (0.3, 0.4, 0.3)}  # of a round: step size, scales, L; see `_tuning`


@dataclass(frozen=True)
class MCLMC:
    """Settings of `mclmc`.

    warmup : steps of tuning, per chain; a step takes two gradients.
    draws : posterior draws, per chain.
    thin : steps per draw.
    chains : independent chains, each of which tunes itself.
    energy_variance : wanted variance of the energy change of a step, per coordinate; smaller for smaller steps and less
        bias.  BlackJAX's own default is 5e-4.
    mass : ``diagonal`` to scale the coordinates by their standard deviations, ``unit`` not to.
    method : how chains run, as for `nuts`; ``auto`` is vectorised on an accelerator, parallel on a CPU.
    """

    name: ClassVar[str] = "mclmc"
    warmup: int = 10_000
    draws: int = 1000
    thin: int = 20
    chains: int = 4
    energy_variance: float = 1e-5
    mass: str = "diagonal"
    method: str = "auto"

    def __post_init__(self) -> None:
        check_numbers("mclmc", self)
        if self.mass not in MASSES:
            raise unknown("mass", self.mass, MASSES)
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS)
        for name in ("draws", "thin", "chains", "energy_variance"):
            if not getattr(self, name) > 0:
                raise ValueError(f"mclmc: {name} must be positive, got {getattr(self, name)}")
        if self.warmup < ROUNDS * LEAST:
            raise ValueError(f"mclmc: warmup must be at least {ROUNDS * LEAST}, to tune itself, got {self.warmup}")


class State(NamedTuple):
    """BlackJAX's chain (unconstrained), what was tuned, the energy change of the last step, the steps so far."""

    chain: Any
    tuned: Tuned
    energy_change: Any
    t: Any


def algorithm(config: MCLMC, model: Callable, sites: Sites) -> Algorithm:
    """Bind `mclmc` to a NumPyro program ``model(x, y)``, of whose data it needs all rows."""
    refuse_discrete("mclmc", sites)
    refuse_improper("mclmc", sites)
    kernel = blackjax.mclmc.build_kernel()
    tuning = _tuning(config, kernel)

    def log_density(x: Any, y: Any) -> Callable:
        return lambda z: -potential(model, z, x, y)

    def init(key: Any, x: Any, y: Any) -> State:
        start_key, velocity_key = jax.random.split(key)
        z = start(model, sites, start_key, x, y)
        size = sum(leaf.size for leaf in jax.tree.leaves(z))
        if size < 2:
            raise ValueError("mclmc needs a program of two coordinates or more; use nuts")
        chain = blackjax.mclmc.init(z, log_density(x, y), velocity_key)
        untuned: Any = (jnp.sqrt(size), jnp.sqrt(size) / 4, jnp.ones(size))  # as BlackJAX does
        return State(chain, Tuned(*untuned), jnp.zeros(()), jnp.zeros((), int))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        def tune(state: State) -> State:
            chain, tuned, _ = tuning(
                state=state.chain, params=state.tuned, rng_key=key, logdensity_fn=log_density(x, y)
            )
            return state._replace(chain=chain, tuned=tuned)

        def move(state: State) -> State:
            size, length, mass = state.tuned.step_size, state.tuned.L, state.tuned.inverse_mass_matrix
            chain, info = kernel(key, state.chain, log_density(x, y), mass, length, size)
            return state._replace(chain=chain, energy_change=jnp.where(info.nonans, info.energy_change, jnp.nan))

        in_warmup = state.t < ROUNDS
        state = _apply_if(~in_warmup, move, _apply_if(in_warmup, tune, state))
        return state._replace(t=state.t + 1), _info(state)

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        stats = {
            "lp": state.chain.logdensity,
            "energy_change": state.energy_change,
            "n_steps": jnp.asarray(GRADIENTS * config.thin),
            "step_size": state.tuned.step_size,
            "L": state.tuned.L,
        }
        return constrain(model, state.chain.position, x, y), stats

    method = chain_method(config.method)
    return Algorithm(init, step, draw, ROUNDS, config.thin, config.draws, config.chains, method=method)


def _tuning(config: MCLMC, kernel: Callable) -> Callable:
    """A round of BlackJAX's tuning: the step size, then the scales (with a third as many steps again for the step size
    that goes with them), then L."""
    size, scales, length = SHARES[config.mass]

    def tuning(**kwargs: Any) -> Any:
        return blackjax.mclmc_find_L_and_step_size(
            kernel,
            config.warmup // ROUNDS,
            frac_tune1=size,
            frac_tune2=scales,
            frac_tune3=length,
            desired_energy_var=config.energy_variance,
            diagonal_preconditioning=config.mass == "diagonal",
            **kwargs,
        )

    return tuning


def _apply_if(condition: Any, update: Callable, state: State) -> State:
    """``update(state)`` where the condition holds: a loop of one turn or none, as a vectorised `cond` would do both."""
    return jax.lax.fori_loop(0, condition.astype(int), lambda _, state: update(state), state)


def _info(state: State) -> dict:
    """What was tuned and where the chain is: NaN where it cannot go on, which the driver reports."""
    size, length, mass = state.tuned.step_size, state.tuned.L, state.tuned.inverse_mass_matrix
    tuned = jnp.concatenate([jnp.stack([size, length]), mass])
    valid = jnp.all(jnp.isfinite(tuned) & (tuned > 0))
    return {
        "lp": jnp.where(jnp.isfinite(state.energy_change), state.chain.logdensity, jnp.nan),
        "step_size": jnp.where(valid, size, jnp.nan),
        "L": length,
    }
