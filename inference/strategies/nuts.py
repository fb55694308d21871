"""The No-U-Turn sampler, NumPyro's; with Gibbs over the discrete scales where a noise has them.

Source: Hoffman & Gelman (2014).  The warmup adapts the step size and the mass matrix (Stan's windows).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
from numpyro.infer import NUTS as NumPyroNUTS
from numpyro.infer import DiscreteGibbs, Gibbs
from numpyro.infer.gibbs import discrete_latent_sites

from ...errors import unknown
from ..target.numpyro.density import uniform
from ..target.numpyro.discrete import by_coordinate
from ..target.sites import Sites, refuse_endless, refuse_improper, without_function
from .algorithm import Algorithm
from .settings import check_numbers

METHODS = ("auto", "vectorised", "sequential", "parallel")
MASSES = ("diagonal", "dense")
DEEPEST = 30  # tree, whose leaves are still counted in 32 bits


State = Any  # NumPyro's HMCState, or GibbsState


@dataclass(frozen=True)
class NUTS:
    """Settings of `nuts`.

    warmup : steps of adaptation, per chain.
    draws : posterior draws after that, per chain.
    chains : independent chains.
    mass : ``diagonal`` or ``dense`` mass matrix.
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
    kernel = _kernel(config, by_coordinate(model) if sites.discrete else model, bool(sites.discrete))

    def init(key: Any, x: Any, y: Any) -> State:
        return kernel.init(key, config.warmup, None, (x, y), {})

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        state = kernel.sample(state._replace(rng_key=key), (x, y), {})
        return state, {"lp": -_hmc(state).potential_energy}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        return without_function(kernel.postprocess_fn((x, y), {})(state.z)), _stats(state)

    method = chain_method(config.method)
    return Algorithm(init, step, draw, config.warmup, 1, config.draws, config.chains, method=method)


def chain_method(method: str) -> str:
    """How chains run, where that is left to us."""
    if method != "auto":
        return method
    return "parallel" if jax.default_backend() == "cpu" else "vectorised"


def _kernel(config: NUTS, model: Callable, discrete: bool) -> Any:
    nuts = NumPyroNUTS(
        model,
        dense_mass=config.mass == "dense",
        target_accept_prob=config.target_accept,
        max_tree_depth=config.max_tree_depth,
        init_strategy=uniform(0.5),
    )
    return Gibbs([(DiscreteGibbs(model), discrete_latent_sites), (nuts, None)]) if discrete else nuts


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
