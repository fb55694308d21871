"""Cheap random numbers for the inner loop, where noise is a good part of a small network's step.

JAX rolls the rounds of its generator into a loop on a CPU, which compiles sooner and streams its numbers through memory
at every turn, and takes one word from each hash instead of two.  `quick` gives a key whose numbers come from the same
hash unrolled.  It is for laws that are drawn in one pass: JAX draws gamma variates element by element with any key but
its own, and Poisson ones not at all.
"""

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # Salmon et al. 2011, table 2
PARITY = np.uint32(0x1BD11BDA)


def quick(key: Any) -> Any:
    """The same key, or keys (..., 2), of a generator that is faster in a compiled program; a typed key or keys (...).

    Its numbers are others than those of the key that is given, and splits of it are quick as well.
    """
    return jax.random.wrap_key_data(_data(key), impl=_generator())


def normal(key: Any, shape: tuple[int, ...]) -> Any:
    """Standard normals of 16 random bits each, two of a word: 65536 equally likely values, up to 4.2 either way.

    They are looked up: XLA makes what takes arithmetic anew for everyone who uses it.
    """
    size = math.prod(shape)
    barrier = jax.lax.optimization_barrier  # or words are made more than once
    words = barrier(jax.random.bits(quick(key), (-(-size // 2),), jnp.uint32))
    quantiles = jnp.asarray(_quantiles())
    drawn = [quantiles.at[halves].get(mode="promise_in_bounds") for halves in (words & 0xFFFF, words >> 16)]
    return jnp.concatenate(drawn)[:size].reshape(shape)


def threefry(key: Any, counts: tuple[Any, Any]) -> tuple[Any, Any]:
    """Threefry-2x32 of 20 rounds (Salmon, Moraes, Dror & Shaw 2011): two words for each pair of counts.

    `key` is (2,), all are uint32.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    a, b = counts[0] + keys[0], counts[1] + keys[1]
    for i in range(5):
        for bits in ROTATIONS[i % 2]:
            a = a + b
            b = a ^ ((b << bits) | (b >> (32 - bits)))
        a, b = a + keys[(i + 1) % 3], b + keys[(i + 2) % 3] + np.uint32(i + 1)
    return a, b


def _bits(key: Any, width: int, shape: tuple[int, ...]) -> Any:
    """Random unsigned integers of 8, 16, 32 or 64 bits."""
    size = math.prod(shape)
    words = -(-size * width // 32)
    count = jax.lax.iota(jnp.uint32, -(-words // 2))
    drawn = jnp.concatenate(threefry(key, (count, jnp.zeros_like(count))))[:words]
    if width == 64:
        drawn = drawn.reshape(-1, 2)
    return jax.lax.bitcast_convert_type(drawn, f"uint{width}").reshape(-1)[:size].reshape(shape)


@cache
def _quantiles() -> np.ndarray:
    """The 65536 normals (float32), the least one first."""
    with jax.ensure_compile_time_eval():
        unit = (jnp.arange(2**16, dtype=jnp.float32) + 0.5) * 2.0**-15 - 1
        return np.asarray(math.sqrt(2) * jax.lax.erf_inv(unit))


@cache
def _generator() -> Any:
    from jax.extend.random import define_prng_impl, threefry_prng_impl

    functions = {name: getattr(threefry_prng_impl, name) for name in ("seed", "split", "fold_in")}
    return define_prng_impl(key_shape=(2,), random_bits=_bits, name="threefry2x32_unrolled", tag="fry2", **functions)


def _data(key: Any) -> Any:
    """The words of a key, typed or not."""
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
