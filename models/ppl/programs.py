"""Running a program of either language: its sites, its log joint, draws of them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import ppl
from .compiled import kept


class Improper(ValueError):
    """A prior that cannot be drawn from."""


def simulate(program: Any, seed: int, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """One run of `program` from its prior: the value of every sample and deterministic site, by name.

    The language is that of ``args[0]``.  In Pyro the global random state is left as it was.
    """
    sites = trace(program, seed, *args, **kwargs)
    return {k: s["value"] for k, s in sites.items() if s["type"] in ("sample", "deterministic")}


def trace(program: Any, seed: int, *args: Any, values: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    """The sites of one run of `program` as its language records them, with `values` put in place of what it draws."""
    if ppl(args[0]).name == "numpyro":
        import jax
        from numpyro import handlers

        run = handlers.seed(handlers.substitute(program, data=values or {}), jax.random.key(seed))
        return dict(handlers.trace(run).get_trace(*args, **kwargs))
    import torch
    from pyro import poutine

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        run = poutine.condition(program, data=values or {})
        return dict(poutine.trace(run).get_trace(*args, **kwargs).nodes)


def log_joint(program: Any, values: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """log p(values, data): the log joint density of `program` at `values` (constrained space), a scalar array."""
    if ppl(args[0]).name == "numpyro":
        from numpyro.infer.util import log_density

        return log_density(program, args, kwargs, values)[0]
    from pyro import poutine

    return poutine.trace(poutine.condition(program, data=values)).get_trace(*args, **kwargs).log_prob_sum()


def draw_sites(model: Callable, sites: tuple[str, ...], n: int, seed: int, name: str, x: Any) -> dict[str, np.ndarray]:
    """Draws (n, ...) of these sites of a NumPyro program from its prior; raises Improper if it has none."""
    import jax

    try:
        draws = _compiled_draws(model, sites, n)(jax.random.key(seed), x)
    except NotImplementedError as error:
        raise Improper(f"{name} is improper: it has no draws") from error
    return {site: np.asarray(draws[site]) for site in sites}


@kept
def _compiled_draws(model: Callable, sites: tuple[str, ...], n: int) -> Callable:
    """``(key, x) -> {site: draws}``, compiled once, and of the model only what these sites need."""
    import jax
    from numpyro.infer import Predictive

    return jax.jit(Predictive(model, num_samples=n, return_sites=list(sites), parallel=True))
