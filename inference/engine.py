"""Compiled blocks for JAX strategies.

A block is one compiled call: a loop over records around a loop over steps, both with trip counts that are arguments,
so that a strategy is traced once however long it runs.  Chains are vectorised in one call, or each has a call of its
own, one after another or in threads (XLA lets go of the interpreter).  Compiled blocks are kept by algorithm and shape:
a second fit of the same program and settings compiles nothing.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .algorithm import Algorithm
from .fit import Arrays

RECORDS = 100  # at most so many records a block
BUFFER = 2**26  # bytes that the records of a block may take
STEP, DRAW, READY = range(3)  # streams of random keys


class Engine:
    """The chains of one run: `state` is a list of lanes, one for all chains if vectorised, else one a chain."""

    def __init__(self, algorithm: Algorithm, seed: int, x: Any, y: Any) -> None:
        at = time.perf_counter()
        self._algorithm, self._data = algorithm, (x, y)
        keys = jax.random.split(jax.random.PRNGKey(seed), algorithm.chains)
        self._vectorised = algorithm.method == "vectorised" and algorithm.chains > 1
        init, _, draw = _jitted(algorithm)
        states = [_as_arrays(init(key, x, y)) for key in keys]
        if self._vectorised:
            self._keys, self.state = [keys], [jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)]
        else:
            self._keys, self.state = list(keys), states
        self._threads = min(len(self.state), os.cpu_count() or 1) if algorithm.method == "parallel" else 1
        one = jax.eval_shape(draw, keys[0], states[0], x, y)
        size = algorithm.chains * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(one))
        self.records = int(np.clip(BUFFER // max(size, 1), 1, RECORDS))
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (self._keys[0], self.state[0], x, y))
        leaves, tree = jax.tree.flatten(shapes)
        self._block = _compiled(algorithm, self._vectorised, self.records, tuple(leaves), tree)
        self.compile_seconds = time.perf_counter() - at

    def block(self, step: int, record: int, count: int, thin: int, last: int) -> dict[str, dict[str, np.ndarray]]:
        """Run `count` records of `thin` steps, none beyond step `last`; arrays (chain, count, ...) by part and name."""
        numbers = [np.int32(n) for n in (step, record, count, thin, last)]

        def run(lane: tuple[Any, Any]) -> tuple[Any, Any]:
            key, state = lane
            return jax.block_until_ready(self._block(key, state, *self._data, *numbers))

        lanes = list(zip(self._keys, self.state, strict=True))
        if self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                results = list(pool.map(run, lanes))
        else:
            results = [run(lane) for lane in lanes]
        self.state = [state for state, _ in results]
        return _gather([records for _, records in results], count, self._vectorised)

    def ready(self, step: int) -> None:
        """What the algorithm does between warmup and draws."""
        if self._algorithm.ready is not None:
            ready = jax.vmap(self._algorithm.ready, (0, 0, None, None)) if self._vectorised else self._algorithm.ready
            self.state = [ready(k, s, *self._data) for k, s in zip(self._keys, self.state, strict=True)]

    def moments(self) -> tuple[Arrays, Arrays]:
        """Mean and sd (chain, ...) by site, of a guide that has them."""
        if self._algorithm.moments is None:
            return {}, {}
        moments = jax.jit(self._algorithm.moments)
        lanes = [moments(state, *self._data) for state in self.state]
        loc, scale = jax.tree.map(lambda *parts: np.stack([np.asarray(a) for a in parts]), *lanes)
        return loc, scale


def _as_arrays(state: Any) -> Any:
    """Strong types throughout, so that a step gives back what it was given."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), state)


@lru_cache(maxsize=64)
def _compiled(algorithm: Algorithm, vectorised: bool, records: int, leaves: tuple, tree: Any) -> Callable:
    """The block of an algorithm, compiled for arguments of these shapes."""
    block = _block(algorithm, records)
    if vectorised:
        block = jax.vmap(block, (0, 0) + 7 * (None,))
    number = jax.ShapeDtypeStruct((), jnp.int32)
    return jax.jit(block).lower(*jax.tree.unflatten(tree, leaves), *5 * [number]).compile()


@lru_cache(maxsize=64)
def _jitted(algorithm: Algorithm) -> tuple[Callable, Callable, Callable]:
    """Init, step and draw under `jax.jit`, whose cache sees to it that each is traced once."""
    return jax.jit(algorithm.init), jax.jit(algorithm.step), jax.jit(algorithm.draw)


def _block(algorithm: Algorithm, records: int) -> Callable:
    """One chain's block: ``(key, state, x, y, step, record, count, thin, last) -> (state, records)``."""
    _, step_once, draw = _jitted(algorithm)

    def block(key: Any, state: Any, x: Any, y: Any, step: Any, record: Any, count: Any, thin: Any, last: Any) -> Any:
        step_key, draw_key = jax.random.fold_in(key, STEP), jax.random.fold_in(key, DRAW)

        def one_step(t: Any, carry: Any) -> Any:
            state, total = carry
            state, info = step_once(jax.random.fold_in(step_key, t), state, x, y)
            return state, jax.tree.map(jnp.add, total, info)

        def one_record(i: Any, carry: Any) -> Any:
            state, t, buffers = carry
            end = jnp.minimum(t + thin, last)
            state, total = jax.lax.fori_loop(t, end, one_step, (state, _zeros(info)))
            sites, stats = draw(jax.random.fold_in(draw_key, record + i), state, x, y)
            mean = jax.tree.map(lambda v: v / jnp.maximum(end - t, 1), total)
            new = {"sites": sites, "stats": stats, "info": {**mean, "step": end}}
            return state, end, jax.tree.map(lambda buffer, v: buffer.at[i].set(v), buffers, new)

        info = jax.eval_shape(step_once, key, state, x, y)[1]
        sites, stats = jax.eval_shape(draw, key, state, x, y)
        shapes = {"sites": sites, "stats": stats, "info": {**info, "step": jax.ShapeDtypeStruct((), jnp.int32)}}
        state, _, buffers = jax.lax.fori_loop(0, count, one_record, (state, step, _zeros(shapes, (records,))))
        return state, buffers

    return block


def _zeros(shapes: Any, leading: tuple[int, ...] = ()) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(leading + s.shape, s.dtype), shapes)


def _gather(lanes: list, count: int, vectorised: bool) -> dict[str, Arrays]:
    """Arrays (chain, count, ...) from the buffers of the lanes, cut in NumPy: JAX would compile every cut."""
    if vectorised:
        return jax.tree.map(lambda a: np.asarray(a)[:, :count], lanes[0])
    return jax.tree.map(lambda *parts: np.stack([np.asarray(a)[:count] for a in parts]), *lanes)
