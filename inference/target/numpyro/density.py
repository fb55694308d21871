"""A NumPyro program as a target: what it samples, its minibatch form, its density in unconstrained space."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer.gibbs import latent_sample_sites, prototype_trace
from numpyro.infer.initialization import init_to_uniform
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

from ..sites import Sites, described, without_function
from .discrete import is_countable


def sites(model: Callable, x: Any, y: Any) -> Sites:
    """What `model` samples, found by tracing it abstractly (no number is computed)."""
    traced = []

    def trace_sites(x: Any, y: Any) -> None:
        trace = prototype_trace(model, jax.random.PRNGKey(0), (x, y), {})
        learned = any(s["type"] == "param" for s in trace.values())
        latent = latent_sample_sites(trace)
        discrete = tuple(name for name in latent if trace[name]["fn"].support.is_discrete)
        endless = tuple(name for name in discrete if not is_countable(trace[name]["fn"]))
        traced.append(described(latent, discrete, trace, learned, endless))

    jax.eval_shape(trace_sites, x, y)
    found = traced[0]
    bounds = jax.tree.leaves(found.support)  # those of a uniform y lie about f, and are not known here
    return found._replace(support=None) if any(isinstance(b, Tracer) for b in bounds) else found


def uniform(radius: float) -> Any:
    """NumPyro's initial values, uniform within `radius` of zero in unconstrained space."""
    strategy: Any = init_to_uniform  # annotated as if a radius were a whole number
    return strategy(radius=radius)


def start(model: Callable, sites: Sites, key: Any, x: Any, y: Any, path: str | None = None) -> dict:
    """An unconstrained starting point: at the posterior means in a fit's file, or uniform within 0.5 of zero."""
    run = handlers.substitute(handlers.seed(model, key), substitute_fn=uniform(0.5))
    trace = handlers.trace(run).get_trace(x, y)
    values = {name: trace[name]["value"] for name in sites.latent}
    if path:
        from ..warm_start import means

        found = means(path, {k: v.shape for k, v in values.items()})
        values = {k: jnp.asarray(found[k], v.dtype) for k, v in values.items()}  # a fit of the other precision, too
    return unconstrain_fn(model, (x, y), {}, values)


def start_and_constrain(model: Callable, sites: Sites, x: Any, y: Any) -> tuple[dict, Callable]:
    """An unconstrained starting point, and the map from there to the values of the latent sites."""

    def constrained(z: dict) -> dict:
        values = constrain(model, z, x, y)
        return {name: values[name] for name in sites.latent}

    return start(model, sites, jax.random.PRNGKey(0), x, y), constrained


def unraveller(model: Callable, sites: Sites, x: Any, y: Any) -> Callable:
    """The map from flat unconstrained numbers (n,) to the sites of a program, in the order of `ravel_pytree`."""
    like = jax.eval_shape(lambda: start(model, sites, jax.random.PRNGKey(0), x, y))
    return ravel_pytree(jax.tree.map(_zeros, like))[1]


def _zeros(like: Any) -> Any:
    return jnp.zeros(like.shape, jax.dtypes.canonicalize_dtype(like.dtype))  # traced in double, called in single


def unconstrained_draws(model: Callable, sites: Sites, path: str, x: Any, y: Any) -> np.ndarray:
    """The draws in a fit's file, unconstrained and flat, (chain, draw, n).

    Raises FileNotFoundError or ValueError if there is no such file, it is of another program, or its draws are outside
    the support of this one.
    """
    from ..warm_start import draws_of

    values = start_and_constrain(model, sites, x, y)[1](start(model, sites, jax.random.PRNGKey(0), x, y))
    draws = draws_of(path, {name: value.shape for name, value in values.items()})

    def flat(draw: dict) -> Any:
        return ravel_pytree(unconstrain_fn(model, (x, y), {}, draw))[0]

    z = np.asarray(jax.jit(jax.vmap(jax.vmap(flat)))(draws))
    if not np.isfinite(z).all():
        raise ValueError(f"{path} holds draws outside the support of this program; start from a fit of the same one")
    return z


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
    return without_function(constrain_fn(model, (x, y), {}, z, return_deterministic=True))
