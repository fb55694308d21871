"""Compiled blocks for JAX strategies.

A block is one compiled call: a loop over records around a loop over steps, both with trip counts that are arguments,
so that a strategy is traced once however long it runs.  Chains are vectorised in one call, or each has a call of its
own, one after another or in threads (XLA lets go of the interpreter).  Several data sets of one shape are so as well: a
guide is fitted to all of them in one call.  Compiled blocks are kept by algorithm and shape: a second fit of the same
program and settings compiles nothing.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...models.ppl.compiled import keep
from ..strategies.algorithm import Algorithm
from ..target.sites import Arrays

RECORDS = 100  # at most so many records a block
BUFFER = 2**26  # bytes that the records of a block may take
STEP, DRAW, AFTER_WARMUP, PREPARE = range(4)  # streams of random keys


class Engine:
    """The chains of one run, or of one run for each of several data sets.

    `state` is a list of lanes: one for everything that runs in one call, else one a data set and chain.
    """

    def __init__(self, algorithm: Algorithm, seed: int, x: Any, y: Any) -> None:
        self._start(algorithm, [seed], [(x, y)])

    @classmethod
    def of_many(cls, algorithm: Algorithm, seeds: Sequence[int], data: Sequence[tuple[Any, Any]]) -> "Engine":
        """The chains of all these data sets, those of the first one first; its chains are those it has alone."""
        engine = cls.__new__(cls)
        engine._start(algorithm, seeds, data)
        return engine

    def _start(self, algorithm: Algorithm, seeds: Sequence[int], data: Sequence[tuple[Any, Any]]) -> None:
        began = time.perf_counter()
        self._algorithm, self._axes = algorithm, _axes(algorithm, len(data))
        init, _, draw = _jitted(algorithm)
        keys = [list(jax.random.split(jax.random.PRNGKey(seed), algorithm.chains)) for seed in seeds]
        states = [[_as_arrays(init(key, *xy)) for key in chains] for chains, xy in zip(keys, data, strict=True)]
        record = jax.eval_shape(draw, keys[0][0], states[0][0], *data[0])
        size = len(data) * algorithm.chains * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(record))
        self.records = int(np.clip(BUFFER // max(size, 1), 1, RECORDS))
        if None in self._axes:
            keys, states = ([[_stacked(chains)] for chains in part] for part in (keys, states))
        shared = [[xy] * len(chains) for chains, xy in zip(keys, data, strict=True)]
        lanes: list[list] = [[lane for chains in part for lane in chains] for part in (keys, states, shared)]
        self._keys, self.state, self._data = [[_stacked(part)] for part in lanes] if 0 in self._axes else lanes
        self._threads = min(len(self.state), _cores()) if algorithm.method == "parallel" else 1
        lane = (self._keys[0], self.state[0], *self._data[0])
        leaves, tree = jax.tree.flatten(jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), lane))
        self._block = _compiled(algorithm, self._axes, self.records, tuple(leaves), tree)
        self.compile_seconds, self.prepare_seconds = time.perf_counter() - began, 0.0

    def prepare(self) -> None:
        """What the algorithm does before the warmup, for each chain and data set by the host."""
        if self._algorithm.prepare is None:
            return
        began, axes = time.perf_counter(), len(self._axes)
        for lane, (key, state, data) in enumerate(zip(self._keys, self.state, self._data, strict=True)):
            places = list(np.ndindex(key.shape[:axes]))
            prepared = []
            for place in places:
                own = jax.tree.map(lambda leaf, i=place: leaf[i], state)
                xy = jax.tree.map(lambda leaf, i=place[:1]: leaf[i], data) if 0 in self._axes else data
                seed = int(jax.random.bits(jax.random.fold_in(key[place], PREPARE), dtype=jnp.uint32))
                prepared.append(self._algorithm.prepare(seed, own, *xy))
            stacked = _stacked(prepared) if axes else prepared[0]
            self.state[lane] = jax.tree.map(lambda new, old: new.reshape(old.shape), stacked, state)
        self.prepare_seconds = time.perf_counter() - began

    def progress(self) -> Arrays:
        """How far the warmup has come, (chain,) by name."""
        if self._algorithm.progress is None:
            return {}
        lanes = [jax.device_get(self._algorithm.progress(state)) for state in self.state]
        return _joined([jax.tree.map(np.asarray, lane) for lane in lanes], len(self._axes))

    def block(self, step: int, record: int, count: int, thin: int, last: int) -> dict[str, dict[str, np.ndarray]]:
        """Run `count` records of `thin` steps, none beyond step `last`; arrays (chain, count, ...) by part and name.

        Of several data sets, the chains of the first come first.  The part "finite" says of each site whether its draws
        are.  Those of a warmup stay where they are: a big net's take a while to come from the device.
        """
        numbers = [np.int32(n) for n in (step, record, count, thin, last)]

        def run(lane: tuple[Any, Any, Any]) -> tuple[Any, Any]:
            key, state, data = lane
            return jax.block_until_ready(self._block(key, state, *data, *numbers))

        lanes = list(zip(self._keys, self.state, self._data, strict=True))
        if self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                results = list(pool.map(run, lanes))
        else:
            results = [run(lane) for lane in lanes]
        self.state = [state for state, _ in results]
        records = [records for _, records in results]
        if last == self._algorithm.warmup:
            records = [{**recorded, "sites": {}, "stats": {}} for recorded in records]
        return _gather(records, count, len(self._axes))

    def after_warmup(self, step: int) -> None:
        """What the algorithm does between warmup and draws."""
        if self._algorithm.after_warmup is not None:
            after_warmup = _mapped(self._algorithm.after_warmup, self._axes)
            lanes = zip(self._keys, self.state, self._data, strict=True)
            self.state = [after_warmup(key, state, *data) for key, state, data in lanes]

    def moments(self) -> tuple[Arrays, Arrays]:
        """Mean and sd (chain, ...) by site, of a guide that has them."""
        if self._algorithm.moments is None:
            return {}, {}
        moments = _moments(self._algorithm, self._axes)
        lanes = [moments(state, *data) for state, data in zip(self.state, self._data, strict=True)]
        return _joined([jax.tree.map(np.asarray, lane) for lane in lanes], len(self._axes))


def _axes(algorithm: Algorithm, sets: int) -> tuple[int | None, ...]:
    """What one call runs: axes of the data to map over, 0 for the data sets and None for the chains, () for one lane.

    Guides of several data sets run in one call whatever the method of their chains, unless Python has a word between
    warmup and draws: a small net's step costs about the same for many.  A sampler's lanes are of unequal length.
    """
    vectorised = algorithm.method == "vectorised"
    together = sets > 1 and (vectorised or (not algorithm.independent_chains and algorithm.after_warmup is None))
    return (0,) * together + (None,) * ((vectorised or together) and algorithm.chains > 1)


def _mapped(f: Callable, axes: tuple[int | None, ...], keyed: bool = True, numbers: int = 0) -> Callable:
    """``f(key, state, x, y, *numbers)``, or without a key, over these axes, the first one outermost."""
    for axis in reversed(axes):
        f = jax.vmap(f, (0,) * (1 + keyed) + (axis, axis) + (None,) * numbers)
    return f


def _cores() -> int:
    """How many threads this process may use: all cores, or as many as ``NPROC`` says, which XLA reads too."""
    return int(os.environ.get("NPROC") or os.cpu_count() or 1)


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _as_arrays(state: Any) -> Any:
    """Strong types throughout, so that a step gives back what it was given."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), state)


def _compiled(algorithm: Algorithm, axes: tuple[int | None, ...], records: int, leaves: tuple, tree: Any) -> Callable:
    """The block of an algorithm, compiled for arguments of these shapes."""

    def compiled() -> Callable:
        block = _mapped(_block(algorithm, records), axes, numbers=5)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        return jax.jit(block).lower(*jax.tree.unflatten(tree, leaves), *5 * [number]).compile()

    return keep(algorithm.owner, ("block", algorithm, axes, records, leaves, tree), compiled)


def _jitted(algorithm: Algorithm) -> tuple[Callable, Callable, Callable]:
    """Init, step and draw under `jax.jit`, whose cache sees to it that each is traced once."""
    parts = (algorithm.init, algorithm.step, algorithm.draw)
    return keep(algorithm.owner, ("jitted", algorithm), lambda: tuple(map(jax.jit, parts)))


def fingerprint(algorithm: Algorithm, x: Any, y: Any) -> str:
    """The sha256 of what a chain computes on data of these shapes: of init, step and draw as JAX lowers them.

    The constants of the program are in it (scales, precisions, activations), its widths, shapes and types, and the code
    of the strategy, down to NumPyro's; the numbers in the data and the key are not.
    """
    init, step, draw = _jitted(algorithm)
    key = jax.random.PRNGKey(0)
    state = jax.eval_shape(init, key, x, y)
    lowered = [init.lower(key, x, y), step.lower(key, state, x, y), draw.lower(key, state, x, y)]
    return hashlib.sha256("".join(part.as_text() for part in lowered).encode()).hexdigest()


def _moments(algorithm: Algorithm, axes: tuple[int | None, ...]) -> Callable:
    """The moments of a guide, compiled: ``(State, x, y) -> (loc, scale)``."""

    def compiled() -> Callable:
        return jax.jit(_mapped(algorithm.moments, axes, keyed=False)) if algorithm.moments else lambda *_: ({}, {})

    return keep(algorithm.owner, ("moments", algorithm, axes), compiled)


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
            new = {"sites": sites, "stats": stats, "info": {**mean, "step": end}, "finite": _are_finite(sites)}
            return state, end, jax.tree.map(lambda buffer, v: buffer.at[i].set(v), buffers, new)

        info = jax.eval_shape(step_once, key, state, x, y)[1]
        sites, stats = jax.eval_shape(draw, key, state, x, y)
        shapes = {"sites": sites, "stats": stats, "info": {**info, "step": jax.ShapeDtypeStruct((), jnp.int32)}}
        shapes["finite"] = jax.eval_shape(_are_finite, sites)
        state, _, buffers = jax.lax.fori_loop(0, count, one_record, (state, step, _zeros(shapes, (records,))))
        return state, buffers

    return block


def _are_finite(sites: dict[str, Any]) -> dict[str, Any]:
    return {name: jnp.all(jnp.isfinite(value)) for name, value in sites.items()}


def _zeros(shapes: Any, leading: tuple[int, ...] = ()) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(leading + s.shape, s.dtype), shapes)


def _gather(lanes: list, count: int, axes: int) -> dict[str, Arrays]:
    """Arrays (chain, count, ...) from the buffers of the lanes, cut in NumPy: JAX would compile every cut.

    Copies: a view of one record would keep the memory of the whole buffer.
    """
    recorded = (slice(None),) * axes + (slice(count),)
    return _joined([jax.tree.map(lambda a: np.asarray(a)[recorded].copy(), lane) for lane in lanes], axes)


def _joined(lanes: list, axes: int) -> Any:
    """Arrays (chain, ...) from those of the lanes, each of which has so many leading axes of its own."""
    flat = [jax.tree.map(lambda a: a.reshape(int(np.prod(a.shape[:axes])), *a.shape[axes:]), lane) for lane in lanes]
    return flat[0] if len(flat) == 1 else jax.tree.map(lambda *parts: np.concatenate(parts), *flat)
