"""Random numbers of the inner loop against JAX's own, in one compiled call each, run in turn, compared as ratios.

    python tests/benchmarks/random_numbers.py [--pairs 9] [--size 1000000] [--out FILE.json]

`normal` is the zoo's, of 16 bits; the others are a distribution's own sampler, with a quick key and with JAX's.
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import jax
from noisezoo.inference.target.random import normal, quick
from numpyro import distributions as dist
from told import tell

LAWS = {
    "bernoulli": dist.Bernoulli(0.995),
    "uniform": dist.Uniform(0.0, 1.0),
    "normal_of_32_bits": dist.Normal(0.0, 1.0),
}


def seconds(f, key):
    start = time.perf_counter()
    f(key).block_until_ready()
    return time.perf_counter() - start


def measured(ours, theirs, pairs):
    """Ratios of the seconds of a call, and the nanoseconds of a number, medians over pairs."""
    key = jax.random.PRNGKey(0)
    both = [jax.jit(f) for f in (ours, theirs)]
    size = both[0](key).size
    both[1](key)
    times = [[seconds(f, key) for f in both] for _ in range(pairs)]
    ratios = [a / b for a, b in times]
    own, other = (statistics.median(column) / size * 1e9 for column in zip(*times, strict=True))
    found = {"ratio": statistics.median(ratios), "min": min(ratios), "max": max(ratios), "ns": own, "ns_jax": other}
    return {name: round(value, 3) for name, value in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    shape, pairs = (options.size,), options.pairs
    result = {"normal": measured(lambda key: normal(key, shape), lambda key: jax.random.normal(key, shape), pairs)}
    for name, law in LAWS.items():
        draw = partial(law.sample, sample_shape=shape)
        result[name] = measured(lambda key, draw=draw: draw(quick(key)), draw, pairs)
    tell({"size": options.size, "pairs": pairs, **result}, options.out)


if __name__ == "__main__":
    main()
