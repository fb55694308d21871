"""The energy of a NumPyro program in double precision, for what runs in NumPy (`..geometry.pathfinder`)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ....models.ppl.compiled import kept
from ..geometry.pathfinder import ROWS, Energy
from ..sites import Sites
from .density import potential, start, unraveller


def energy(model: Callable, sites: Sites, seed: int, x: Any, y: Any, most: int | None = ROWS) -> Energy:
    """The energy of `model` on these data, or on `most` rows of them, drawn at random."""
    functions = _functions(model, sites.latent)
    with jax.enable_x64(True):
        data = jax.tree.map(double, (x, y))
        rows = None
        if most is not None and x.shape[0] > most:
            rows = jnp.asarray(np.random.default_rng(seed).choice(x.shape[0], most, replace=False))

    def called(function: Callable) -> Callable:
        def call(argument: Any) -> Any:
            with jax.enable_x64(True):
                return jax.device_get(function(argument, *data, rows))

        return call

    starting, *others = map(called, functions)
    return Energy(lambda path: starting(np.asarray([seed, path], np.uint32)), *others)


def energy_at(model: Callable, sites: Sites, flat: Any, x: Any, y: Any) -> Any:
    """-log p(z, y given x) at a flat z, in the precision of these."""
    return _energy_at(model, sites.latent)(flat, x, y)


@kept
def _energy_at(model: Callable, latent: tuple[str, ...]) -> Callable:
    sites = Sites(latent, ())
    return jax.jit(lambda flat, x, y: potential(model, unraveller(model, sites, x, y)(flat), x, y))


def double(a: Any) -> Any:
    """An array in double precision, if it is of floating type; under ``jax.enable_x64``."""
    return jnp.asarray(np.asarray(a), float if jnp.issubdtype(a.dtype, jnp.floating) else a.dtype)


@kept
def _functions(model: Callable, latent: tuple[str, ...]) -> tuple[Callable, ...]:
    """`Energy`'s four, compiled, each called with the data and rows as well."""
    sites = Sites(latent, ())

    def first(key: Any, x: Any, y: Any, rows: Any) -> Any:
        return ravel_pytree(start(model, sites, key, x, y))[0]

    def value(flat: Any, x: Any, y: Any, rows: Any) -> Any:
        return potential(model, unraveller(model, sites, x, y)(flat), x, y, rows)

    def values(draws: Any, *data: Any) -> Any:
        return jax.lax.map(lambda flat: value(flat, *data), draws)

    def hessian(flat: Any, *data: Any) -> Any:
        gradient = jax.grad(lambda flat: value(flat, *data))
        return jax.lax.map(lambda v: jax.jvp(gradient, (flat,), (v,))[1], jnp.eye(flat.size))

    return tuple(map(jax.jit, (first, jax.value_and_grad(value), values, hessian)))
