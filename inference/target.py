"""A NumPyro program as a target: what it samples, its minibatch form, its density in unconstrained space."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpyro import handlers
from numpyro.infer.gibbs import discrete_latent_sites, latent_sample_sites, prototype_trace
from numpyro.infer.initialization import init_to_uniform
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

LEARNED = "empirical-Bayes"  # a program with learned scales has no prior that is fixed before the data
FUNCTION = "f"  # the deterministic site of function values: recomputed where needed, never stored


class Sites(NamedTuple):
    """Names of the latent sites of a program, the discrete ones, and why its prior is improper ("" if it is proper)."""

    latent: tuple[str, ...]
    discrete: tuple[str, ...]
    improper: str


def sites(model: Callable, x: Any, y: Any) -> Sites:
    """What `model` samples, found by tracing it abstractly (no number is computed)."""
    found = []

    def look(x: Any, y: Any) -> None:
        trace = prototype_trace(model, jax.random.PRNGKey(0), (x, y), {})
        improper = [s["infer"].get("improper") for s in trace.values() if s["type"] == "sample"]
        improper += [LEARNED for s in trace.values() if s["type"] == "param"]
        found.append(Sites(latent_sample_sites(trace), discrete_latent_sites(trace), next(filter(None, improper), "")))

    jax.eval_shape(look, x, y)
    return found[0]


def uniform(radius: float) -> Any:
    """NumPyro's initial values, uniform within `radius` of zero in unconstrained space."""
    strategy: Any = init_to_uniform  # annotated as if a radius were a whole number
    return strategy(radius=radius)


def start(model: Callable, found: Sites, key: Any, x: Any, y: Any, path: str | None = None) -> dict:
    """An unconstrained starting point: at the posterior means in a fit's file, or uniform within 0.5 of zero."""
    run = handlers.substitute(handlers.seed(model, key), substitute_fn=uniform(0.5))
    trace = handlers.trace(run).get_trace(x, y)
    values = {name: trace[name]["value"] for name in found.latent}
    if path:
        from .draws import means

        values = {k: jnp.asarray(v) for k, v in means(path, {k: v.shape for k, v in values.items()}).items()}
    return unconstrain_fn(model, (x, y), {}, values)


def refuse_discrete(strategy: str, found: Sites) -> None:
    """Raise ValueError if the program has discrete sites, which a gradient cannot move."""
    if found.discrete:
        raise ValueError(
            f"{strategy} needs continuous scales, and {found.discrete[0]} is discrete; use nuts (Gibbs inside), "
            "svi:guide=dropout, or the continuous stand-in, beta"
        )


def refuse_improper(strategy: str, found: Sites) -> None:
    """Raise ValueError if the prior is improper, so that there is no posterior to sample."""
    if found.improper:
        raise ValueError(
            f"{strategy} cannot sample: the {found.improper} prior is improper and so is its posterior; "
            "use a proper relative such as half_cauchy or gamma_precision, or direction_magnitude:magnitude=half_cauchy"
        )


def on_rows(program: Callable) -> Callable:
    """``(x, y, rows) -> program(x, y)`` on these rows of the data plate, scaled to all; on all rows if None."""

    def minibatch(x: Any, y: Any, rows: Any = None) -> Any:
        if rows is None:
            return program(x, y)
        with handlers.substitute(data={"data": rows}):
            return program(x, y, batch_size=rows.shape[0])

    return minibatch


def draw_rows(key: Any, size: int, batch_size: int | None) -> Any:
    """Row numbers of a minibatch, uniform with replacement; None for all rows."""
    return None if batch_size is None else jax.random.randint(key, (batch_size,), 0, size)


def potential(model: Callable, z: dict, x: Any, y: Any, rows: Any = None) -> Any:
    """-log p(z, y given x) at the unconstrained `z`, Jacobian included; an unbiased estimate of it for some `rows`."""
    return potential_energy(on_rows(model), (x, y, rows), {}, z)


def constrain(model: Callable, z: dict, x: Any, y: Any) -> dict:
    """The sites of the program at the unconstrained `z`: the sampled ones and the deterministic weights."""
    return kept(constrain_fn(model, (x, y), {}, z, return_deterministic=True))


def kept(values: dict) -> dict:
    """The sites that a fit stores: all but the function values."""
    return {name: value for name, value in values.items() if name != FUNCTION}
