"""The pilot in JAX: see `..geometry.pilot`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..geometry import pilot
from .density import draw_rows


def run(
    gradient: Callable, key: Any, z: dict, root: Any, rows: int, batch_size: int | None, temperature: float
) -> pilot.Pilot:
    """A pilot from `z`, or its last window with scales `root`.

    ``gradient(z, rows)`` is that of the log joint on some of so many rows, None for all.
    """
    rows_key, step_key, direction_key = jax.random.split(key, 3)
    few = batch_size is not None and rows > pilot.ROWS
    fixed = draw_rows(rows_key, rows, pilot.ROWS) if few else None

    def step(t: Any, chain: pilot.Pilot) -> pilot.Pilot:
        batch_key, noise_key = jax.random.split(jax.random.fold_in(step_key, t))
        points = jax.tree.map(lambda *v: jnp.stack(v), chain.z, pilot.ahead(jnp, chain))
        both = jax.vmap(lambda z: gradient(z, fixed))(points)
        here, ahead = ({name: v[i] for name, v in both.items()} for i in range(2))
        batch = draw_rows(batch_key, rows, batch_size)
        of_batch = here if batch is None else gradient(chain.z, batch)
        return pilot.advanced(jnp, chain, here, ahead, of_batch, normals(noise_key, chain.z), temperature)

    begun = pilot.begin(jnp, z, normals(direction_key, z), jnp.zeros((), int), root)
    return jax.lax.fori_loop(0 if root is None else pilot.ENDS[-1], pilot.STEPS, step, begun)


def normals(key: Any, z: dict) -> dict:
    """Standard normals for every site: one draw each, for a long vector cut into sites costs five times as much."""
    keys = jax.random.split(key, len(z))
    return {name: jax.random.normal(k, z[name].shape, z[name].dtype) for k, name in zip(keys, z, strict=True)}
