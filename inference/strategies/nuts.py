"""The No-U-Turn sampler, NumPyro's; with Gibbs over the discrete scales where a noise has them.

Source: Hoffman & Gelman (2014).  The warmup adapts the step size and the mass matrix (Stan's windows).  It may begin at
the draws of an earlier fit, or at those of Pathfinder, and with their scales.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from numpyro.infer import NUTS as NumPyroNUTS
from numpyro.infer import DiscreteGibbs, Gibbs
from numpyro.infer.gibbs import discrete_latent_sites

from ...errors import unknown
from ..target.numpyro.density import unconstrained_draws, uniform
from ..target.numpyro.discrete import by_coordinate
from ..target.numpyro.energy import energy
from ..target.sites import Sites, refuse_discrete, refuse_endless, refuse_improper, without_function
from .algorithm import Algorithm
from .hamiltonian import low_rank, whitened
from .hamiltonian.start import AUTO, SEARCHES, keeps_metric, of_draws, resolved
from .settings import check_numbers

METHODS = ("auto", "vectorised", "sequential", "parallel")
MASSES = ("diagonal", "dense", "low_rank")
DEEPEST = 30  # tree, whose leaves are still counted in 32 bits


State = Any  # NumPyro's HMCState, or GibbsState


@dataclass(frozen=True)
class NUTS:
    """Settings of `nuts`.

    warmup : steps of adaptation, per chain.
    draws : posterior draws after that, per chain.
    chains : independent chains.
    mass : ``diagonal``, ``dense`` or ``low_rank`` mass matrix; the last is diagonal but for ten directions at most, for
        many coordinates of which a few are strongly correlated.
    start : where chains begin, and the scales that the mass matrix begins with: ``auto`` for the normal that a path of
        Pathfinder finds, where it can stand for the posterior of 256 numbers or fewer, and random values elsewhere;
        ``pathfinder`` for the best of several paths in any case; or a fit's netCDF file (no commas in its path).  The
        scales of a sampler's fit are kept, and the warmup finds the step size alone.  With a start a warmup of 100 to
        300 steps is enough.  None for random values.
    target_accept : acceptance probability that the step size aims at; nearer 1 for fewer divergences.
    max_tree_depth : at most 2**max_tree_depth - 1 leapfrog steps a draw.
    method : how chains run: ``vectorised``, ``sequential``, ``parallel`` (a thread each), or ``auto``: vectorised on an
        accelerator, parallel on a CPU, where a vectorised sampler waits for the longest tree at every draw.
    """

    name: ClassVar[str] = "nuts"
    warmup: int = 1000
    draws: int = 1000
    chains: int = 4
    mass: str = "diagonal"
    start: str | None = AUTO
    target_accept: float = 0.9
    max_tree_depth: int = 10
    method: str = "auto"

    def __post_init__(self) -> None:
        check_numbers("nuts", self)
        if self.mass not in MASSES:
            raise unknown("mass", self.mass, MASSES)
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS)
        if not 0 < self.target_accept < 1:
            raise ValueError(f"nuts: target_accept must lie between 0 and 1, got {self.target_accept}")
        for name in ("warmup", "draws", "chains", "max_tree_depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"nuts: {name} must be at least 1, got {getattr(self, name)}")
        if self.max_tree_depth > DEEPEST:
            raise ValueError(f"nuts: max_tree_depth must be at most {DEEPEST}, got {self.max_tree_depth}")


def algorithm(config: NUTS, model: Callable, sites: Sites) -> Algorithm:
    """Bind `nuts` to a NumPyro program ``model(x, y)``; raises ValueError if its prior is improper or endless."""
    refuse_improper("nuts", sites)
    refuse_endless("nuts", sites)
    config = replace(config, start=resolved(config.start, sites))
    begin, step, draw = _functions(config, model, sites)
    draws = {}  # of the fit to start from

    def init(key: Any, x: Any, y: Any) -> Any:
        return begin(key, x, y, None)

    def read(x: Any, y: Any) -> None:
        if config.start is not None and config.start not in SEARCHES:
            draws["z"] = unconstrained_draws(model, sites, config.start, x, y)
            of_draws(draws["z"], 0, config.mass == "dense", config.start)

    def prepare(seed: int, state: Any, x: Any, y: Any) -> Any:
        if config.start in SEARCHES:
            start = SEARCHES[config.start](energy(model, sites, seed, x, y), seed)
            if start is None:
                return state
        else:
            start = of_draws(draws["z"], seed, config.mass == "dense", str(config.start))
        start = jax.tree.map(lambda part: jnp.asarray(part, state.coordinates.loc.dtype), start)
        new = jax.jit(begin)(jax.random.PRNGKey(seed), x, y, start)
        return jax.tree.map(lambda a, like: jnp.asarray(a, like.dtype), new, state)

    counts = (1 if config.mass == "low_rank" else config.warmup, 1, config.draws, config.chains)
    optional: dict[str, Any] = {"prepare": prepare, "refuse": read} if config.start else {}
    return Algorithm(init, step, draw, *counts, method=chain_method(config.method), **optional)


def _functions(config: NUTS, model: Callable, sites: Sites) -> tuple[Callable, Callable, Callable]:
    """``begin(key, x, y, start)``, step and draw, in whatever coordinates."""
    if config.start:
        refuse_discrete(f"nuts:start={config.start}", sites, "nuts without start (Gibbs inside)")
    if config.mass == "low_rank":
        return low_rank.functions(config, model, sites)
    if config.start:
        adapt = not keeps_metric(config.start)
        return whitened.functions(config, model, sites, lambda program: _nuts(config, program, adapt), _stats)
    program = by_coordinate(model) if sites.discrete else model
    nuts = _nuts(config, program)
    kernel = Gibbs([(DiscreteGibbs(program), discrete_latent_sites), (nuts, None)]) if sites.discrete else nuts

    def begin(key: Any, x: Any, y: Any, start: None) -> State:
        return kernel.init(key, config.warmup, None, (x, y), {})

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        state = kernel.sample(state._replace(rng_key=key), (x, y), {})
        hmc = _hmc(state)
        return state, {"lp": -hmc.potential_energy, "n_steps": hmc.num_steps.astype(float)}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        return without_function(kernel.postprocess_fn((x, y), {})(state.z)), _stats(state)

    return begin, step, draw


def chain_method(method: str) -> str:
    """How chains run, where that is left to us."""
    if method != "auto":
        return method
    return "parallel" if jax.default_backend() == "cpu" else "vectorised"


def _nuts(config: NUTS, model: Callable, adapt: bool = True) -> Any:
    return NumPyroNUTS(
        model,
        adapt_mass_matrix=adapt,
        dense_mass=config.mass == "dense" and adapt,
        target_accept_prob=config.target_accept,
        max_tree_depth=config.max_tree_depth,
        init_strategy=uniform(0.5),
    )


def _hmc(state: State) -> Any:
    """NumPyro's state of NUTS itself, beside Gibbs or alone."""
    return state.block_states[1] if hasattr(state, "block_states") else state


def _stats(state: State) -> dict:
    """ArviZ's names for what NumPyro records of a step."""
    hmc = _hmc(state)
    return {
        "diverging": hmc.diverging,
        "energy": hmc.energy,
        "lp": -hmc.potential_energy,
        "n_steps": hmc.num_steps,
        "acceptance_rate": hmc.accept_prob,
        "step_size": hmc.adapt_state.step_size,
    }
