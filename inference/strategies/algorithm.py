"""The contract of a strategy: three functions and how often to call them."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple


class Algorithm(NamedTuple):
    """A strategy bound to a program, ready for the driver.

    Attributes
    ----------
    init : ``(key, x, y) -> State``
    step : ``(key, State, x, y) -> (State, info)``, `info` a dict of scalars such as the loss.
    draw : ``(key, State, x, y) -> (sites, stats)``, one posterior draw in the constrained space, and scalars about it.
    warmup : steps before the first draw.
    thin : steps before each further draw; 0 if every draw comes from the state that the warmup left (a fitted guide).
    draws, chains : how many.
    independent_chains, approximation : see `Fit`.
    prepare : ``(key, State, x, y) -> State``, called once for each chain before the warmup, by the host: `key` is its
        seed, a whole number; None for nothing to do.
    progress : ``(State) -> dict`` of scalars that say how far the warmup has come, with ``converged``, at which it
        ends; None for one that takes all its steps.
    after_warmup : ``(key, State, x, y) -> State``, called once between warmup and draws; None for nothing to do.
    halve, at_half : ``State -> State``, called once after the draws, and how many draws to make from there, 2 `thin`
        steps each: a run at half the step, which shows the bias of the step; None and 0 where there is none.
    method : how chains run: ``"vectorised"``, ``"sequential"`` or ``"parallel"``.
    moments : ``(State, x, y) -> (loc, scale)``, mean and sd by site, of a guide that has them or gathered along
        a chain; None where there are none.
    refuse : ``(x, y) -> None``, which raises ValueError if the strategy does not apply to the program with such data;
        called once; None where there is nothing to see.
    work : multiplications of a step, about: latent numbers times rows.
    owner : that of what is compiled for it (see `models.ppl.compiled`).

    In JAX, `key` is a key and the three functions are pure and traceable.  In torch, `key` is an integer that has
    just seeded torch, so that each call depends on (seed, chain, step) alone.
    """

    init: Callable
    step: Callable
    draw: Callable
    warmup: int
    thin: int
    draws: int
    chains: int
    independent_chains: bool = True
    approximation: bool = False
    prepare: Callable | None = None
    progress: Callable | None = None
    after_warmup: Callable | None = None
    halve: Callable | None = None
    at_half: int = 0
    method: str = "vectorised"
    moments: Callable | None = None
    refuse: Callable | None = None
    work: int = 0
    owner: Hashable = None


def of_guide(config: Any, init: Callable, step: Callable, draw: Callable, **kwargs: Any) -> Algorithm:
    """The algorithm of a guide: `config.steps` steps fit it, and every draw comes from the guide they leave."""
    counts = {"warmup": config.steps, "thin": 0, "draws": config.draws, "chains": config.chains}
    return Algorithm(init, step, draw, **counts, independent_chains=False, **kwargs)


def without_steps(config: Any, init: Callable, draw: Callable, prepare: Callable, **kwargs: Any) -> Algorithm:
    """The algorithm of a normal guide that the host finds before the first draw: it takes no steps."""
    counts = {"warmup": 0, "thin": 0, "draws": config.draws, "chains": config.chains}
    known = {"independent_chains": False, "approximation": True, "prepare": prepare}

    def step(key: Any, state: Any, x: Any, y: Any) -> tuple[Any, dict]:
        return state, {}

    return Algorithm(init, step, draw, **counts, **known, **kwargs)
