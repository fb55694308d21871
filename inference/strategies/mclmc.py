"""Microcanonical Langevin Monte Carlo, BlackJAX's, on a program in unconstrained space.

The velocity v has length one: the gradient of the log density l turns it, and noise makes it forget its direction over
a length L.  With n coordinates u, those in which Pathfinder finds the posterior about a standard normal,

    du = v dt,    dv = (1 - v v') (grad l(u) dt / (n - 1) + noise).

Exactly integrated this keeps an energy and samples the posterior.  Steps of size e do not.  Unadjusted, none is
rejected: the law that is sampled is a little off, the more so the more the energy changes in a step.  The variance of
that change goes as e^6, and the warmup looks for the e at which it is ``n * energy_variance``.  Adjusted, a trajectory
of a few steps is accepted or rejected as a whole, which leaves no bias, and the warmup looks for the e at which
`target_accept` of them are.

The warmup is BlackJAX's tuning, in double precision, for a change of energy is a small difference of large numbers.
Where it fails it begins anew, twice, with smaller steps.  Sources: Robnik, De Luca, Silverstein & Seljak (2023);
Robnik & Seljak (2024); Robnik, Cohn-Gordon & Seljak (2025), for the adjustment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.adaptation.mclmc_adaptation import MCLMCAdaptationState as Tuned
from blackjax.mcmc import adjusted_mclmc_dynamic
from jax.flatten_util import ravel_pytree

from ...errors import unknown
from ...models.ppl.compiled import kept
from ..target.geometry.coordinates import Coordinates, independent, log_volume, place, with_rank
from ..target.geometry.pathfinder import LARGE, for_sampler, rank
from ..target.numpyro.density import constrain, potential, start, unraveller
from ..target.numpyro.energy import double, energy
from ..target.sites import Sites, refuse_discrete, refuse_improper
from .algorithm import Algorithm
from .nuts import METHODS, chain_method
from .settings import check_numbers

MASSES = ("low_rank", "diagonal", "unit")
GRADIENTS = 2  # of a step of BlackJAX's integrator (McLachlan's)
ROUNDS = 2  # of tuning: scales that the first one finds change the step that suits
LEAST = 500  # steps of a round: BlackJAX averages over some 75
TRIES = 3  # of the tuning, each with a hundredth of the energy variance of the one before
NOT_TUNED = (
    "mclmc stopped before its first draw: the density is not finite where its tuning leads, even with small steps; "
    "standardise x and y if they are large; else use nuts, which turns back there"
)


@dataclass(frozen=True)
class MCLMC:
    """Settings of `mclmc`.

    warmup : steps of tuning, per chain; a step takes two gradients.
    draws : posterior draws, per chain.
    thin : steps per draw; none for 20, or for 4 trajectories of an adjusted sampler.
    chains : independent chains, each of which tunes itself.
    adjusted : 1 to accept or reject trajectories, so that there is no bias; 0 not to.
    energy_variance : wanted variance of the energy change of a step, per coordinate; smaller for smaller steps and less
        bias.  Of the unadjusted sampler.
    target_accept : wanted share of accepted trajectories.  Of the adjusted sampler.
    mass : scales of the coordinates: those and the correlations that Pathfinder finds (``low_rank``), its scales alone
        (``diagonal``), or ``unit`` for none.  The warmup scales all but ``unit`` further by standard deviations.
    method : how chains run, as for `nuts`; ``auto`` is vectorised on an accelerator, parallel on a CPU.
    """

    name: ClassVar[str] = "mclmc"
    warmup: int = 5000
    draws: int = 1000
    thin: int | None = None
    chains: int = 4
    adjusted: int = 0
    energy_variance: float = 5e-4
    target_accept: float = 0.9
    mass: str = "low_rank"
    method: str = "auto"

    def __post_init__(self) -> None:
        if self.thin is None:
            object.__setattr__(self, "thin", 4 if self.adjusted else 20)
        check_numbers("mclmc", self)
        if self.mass not in MASSES:
            raise unknown("mass", self.mass, MASSES)
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS)
        if self.adjusted not in (0, 1):
            raise ValueError(f"mclmc: adjusted must be 0 or 1, got {self.adjusted}")
        for name in ("draws", "thin", "chains", "energy_variance"):
            if not getattr(self, name) > 0:
                raise ValueError(f"mclmc: {name} must be positive, got {getattr(self, name)}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"mclmc: target_accept must lie between 0 and 1, got {self.target_accept}")
        if self.warmup < ROUNDS * LEAST:
            raise ValueError(f"mclmc: warmup must be at least {ROUNDS * LEAST}, to tune itself, got {self.warmup}")


class State(NamedTuple):
    """BlackJAX's chain, what was tuned, the coordinates it moves in, and of the last step the change of its energy and
    how likely it was accepted."""

    chain: Any
    tuned: Tuned
    coordinates: Coordinates
    energy_change: Any
    acceptance: Any


def algorithm(config: MCLMC, model: Callable, sites: Sites) -> Algorithm:
    """Bind `mclmc` to a NumPyro program ``model(x, y)``, of whose data it needs all rows."""
    refuse_discrete("mclmc", sites)
    refuse_improper("mclmc", sites)
    if sites.size < 2:
        raise ValueError("mclmc needs a program of two coordinates or more; use nuts")
    kernel, first_chain = _kernel(bool(config.adjusted))
    thin: Any = config.thin
    columns = rank(sites.size) if config.mass == "low_rank" else 0

    def log_density(coordinates: Coordinates, x: Any, y: Any) -> Callable:
        return lambda u: -potential(model, unraveller(model, sites, x, y)(place(coordinates, u)), x, y)

    @jax.jit
    def state_of(key: Any, u: Any, tuned: Tuned, coordinates: Coordinates, x: Any, y: Any) -> State:
        chain = first_chain(u, log_density(coordinates, x, y), key)
        return State(chain, tuned, coordinates, jnp.zeros(()), jnp.ones(()))

    def init(key: Any, x: Any, y: Any) -> State:
        z = ravel_pytree(start(model, sites, key, x, y))[0]
        coordinates = Coordinates(z, jnp.ones(z.shape), jnp.zeros((z.size, columns)), jnp.ones(columns))
        return state_of(key, jnp.zeros(z.shape), _untuned(z.size), coordinates, x, y)

    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        coordinates = state.coordinates
        if config.mass != "unit" and sites.size <= LARGE:
            best = for_sampler(energy(model, sites, key, x, y), key)
            if best is not None:
                best = with_rank(np, independent(best) if config.mass == "diagonal" else best, columns)
                coordinates = jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), best, coordinates)
        tune = _tuning(model, sites.latent, config)
        for attempt in range(TRIES):
            with jax.enable_x64(True):
                args = jax.tree.map(double, (coordinates, x, y))
                u, tuned = jax.device_get(tune(jax.random.PRNGKey(key + attempt), 100.0**-attempt, *args))
            like = (state.coordinates.loc, state.tuned)
            u, tuned = jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), (u, tuned), like)
            if all(bool(jnp.isfinite(leaf).all() & (leaf > 0).all()) for leaf in tuned) and jnp.isfinite(u).all():
                return state_of(jax.random.PRNGKey(key), u, tuned, coordinates, x, y)
        raise FloatingPointError(NOT_TUNED)

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        chain, moved = kernel(key, state.chain, log_density(state.coordinates, x, y), state.tuned)
        return state._replace(chain=chain, **moved), {}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        z = unraveller(model, sites, x, y)(place(state.coordinates, state.chain.position))
        stats = {
            "lp": jnp.where(jnp.isfinite(state.energy_change), state.chain.logdensity, jnp.nan),
            "energy_change": state.energy_change,
            "n_steps": jnp.asarray(GRADIENTS * thin * (_length(state.tuned) if config.adjusted else 1), int),
            "step_size": state.tuned.step_size,
            "L": state.tuned.L,
        }
        if config.adjusted:
            stats["acceptance_rate"] = state.acceptance
        return constrain(model, z, x, y), stats

    method, counts = chain_method(config.method), (thin, config.draws, config.chains)
    return Algorithm(init, step, draw, 0, *counts, prepare=prepare, method=method)


def _untuned(size: int) -> Tuned:
    """What BlackJAX begins with."""
    first: tuple[Any, ...] = (jnp.sqrt(float(size)), jnp.sqrt(float(size)) / 4, jnp.ones(size))
    return Tuned(*first)


def _kernel(adjusted: bool) -> tuple[Callable, Callable]:
    """BlackJAX's step ``(key, chain, log_density, tuned) -> (chain, what State says of it)``, and its first chain."""
    if not adjusted:
        unadjusted = blackjax.mclmc.build_kernel()

        def move(key: Any, chain: Any, log_density: Callable, tuned: Tuned) -> tuple[Any, dict]:
            chain, info = unadjusted(key, chain, log_density, tuned.inverse_mass_matrix, tuned.L, tuned.step_size)
            change = jnp.where(info.nonans, info.energy_change, jnp.nan)
            return chain, {"energy_change": change}

        return move, blackjax.mclmc.init

    dynamic = _trajectories()

    def jump(key: Any, chain: Any, log_density: Callable, tuned: Tuned) -> tuple[Any, dict]:
        chain, info = dynamic(
            key,
            chain,
            log_density,
            tuned.step_size,
            inverse_mass_matrix=tuned.inverse_mass_matrix,
            integration_steps_params=(_length(tuned),),
        )
        return chain, {"energy_change": jnp.zeros(()), "acceptance": info.acceptance_rate}

    return jump, adjusted_mclmc_dynamic.init


def _trajectories() -> Callable:
    """BlackJAX's adjusted kernel, whose trajectories are of random length."""
    lengths = adjusted_mclmc_dynamic.make_random_trajectory_length_fn(True)
    return adjusted_mclmc_dynamic.build_kernel(integration_steps_fn=lengths)


def _length(tuned: Tuned) -> Any:
    """The mean number of steps of the integrator in a trajectory."""
    return tuned.L / tuned.step_size


@kept
def _tuning(model: Callable, latent: tuple[str, ...], config: MCLMC) -> Callable:
    """BlackJAX's tuning, compiled: ``(key, ease, coordinates, x, y) -> (u, Tuned)``; `ease` multiplies the variance of
    the energy change that is aimed at."""
    sites = Sites(latent, ())
    first = _kernel(False)[1]

    @jax.jit
    def tune(key: Any, ease: Any, coordinates: Coordinates, x: Any, y: Any) -> tuple[Any, Tuned]:
        def log_density(u: Any) -> Any:
            return log_volume(jnp, coordinates) - potential(
                model, unraveller(model, sites, x, y)(place(coordinates, u)), x, y
            )

        def unadjusted(i: Any, carry: Any) -> Any:
            chain, tuned = carry
            chain, tuned, _ = blackjax.mclmc_find_L_and_step_size(
                blackjax.mclmc.build_kernel(),
                config.warmup // ROUNDS,
                chain,
                jax.random.fold_in(key, i),
                log_density,
                frac_tune1=0.3,
                frac_tune2=0.3,
                frac_tune3=0.3,
                desired_energy_var=config.energy_variance * ease,
                diagonal_preconditioning=config.mass != "unit",
                params=tuned,
            )
            return chain, tuned

        u = jnp.zeros_like(coordinates.loc)
        chain = first(u, log_density, key)
        rounds = ROUNDS - config.adjusted
        chain, tuned = jax.lax.fori_loop(0, rounds, unadjusted, (chain, _untuned(u.size)))
        if not config.adjusted:
            return chain.position, tuned
        chain, tuned, _ = blackjax.adjusted_mclmc_find_L_and_step_size(
            _trajectories(),
            log_density,
            config.warmup // ROUNDS,
            adjusted_mclmc_dynamic.init(chain.position, log_density, key),
            jax.random.fold_in(key, rounds),
            config.target_accept,
            frac_tune1=0.5,
            frac_tune2=0.0,
            frac_tune3=0.0,
            diagonal_preconditioning=False,
            params=tuned,
        )
        return chain.position, tuned

    return tune
