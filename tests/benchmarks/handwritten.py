"""The zoo's program against the same model written by hand in NumPyro: run in turn, compared as ratios.

    python tests/benchmarks/handwritten.py [--pairs 7] [--out docs/results/benchmarks/handwritten.json]

NUTS: seconds per leapfrog step, one chain, a horseshoe net of 50 units on diabetes (trees differ in length between
runs, so draws per second would compare luck).  SVI: seconds per step of the mean-field guide.  Each pair is one run of
either, in alternating order, after both are compiled; the ratio of a pair is zoo / hand.
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import noisezoo.data
import numpyro
import numpyro.distributions as dist
import optax
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy
from noisezoo.models.weights.parametrisation import prior
from numpyro import infer
from told import tell

UNITS, DRAWS, STEPS = 50, 150, 10_000


def by_hand(x, y):
    """The same net as `zoo_model`, in plain NumPyro."""

    def layer(name, h, out):
        size = h.shape[1]
        scale = numpyro.sample(f"{name}.scale", dist.HalfCauchy(1.0).expand((size,)).to_event(1))
        base = numpyro.sample(f"{name}.base", dist.Normal(0.0, size**-0.5).expand((size, out)).to_event(2))
        bias = numpyro.sample(f"{name}.bias", dist.Normal(0.0, 1.0).expand((out,)).to_event(1))
        return h @ (scale[:, None] * base) + bias

    f = layer("layer1", jnp.tanh(layer("layer0", x, UNITS)), 1)[:, 0]
    precision = numpyro.sample("precision", dist.Gamma(1.0, 0.1))
    with numpyro.plate("data", x.shape[0]):
        numpyro.sample("y", dist.Normal(f, precision**-0.5), obs=y)


def zoo_model():
    return gaussian(mlp(UNITS), prior(half_cauchy()))


def nuts_pair(x, y):
    """Two functions seed -> seconds per leapfrog step while drawing.

    By hand the kernel runs in one compiled scan; `MCMC.run` does the same, but every call of it costs seconds more.
    """
    warm = 200
    start = infer.init_to_uniform(radius=0.5)
    kernel = infer.NUTS(by_hand, target_accept_prob=0.9, init_strategy=start)
    model, config = zoo_model(), NUTS(warmup=warm, draws=DRAWS, chains=1)

    @partial(jax.jit, static_argnames="count")
    def steps(state, x, y, count):
        def one(state, _):
            state = kernel.sample(state, (x, y), {})
            return state, (kernel.postprocess_fn((x, y), {})(state.z), state.num_steps)

        return jax.lax.scan(one, state, length=count)

    def hand(seed):
        state = kernel.init(jax.random.PRNGKey(seed), warm, None, (x, y), {})
        state, _ = jax.block_until_ready(steps(state, x, y, warm))
        at = time.perf_counter()
        _, (_, taken) = jax.block_until_ready(steps(state, x, y, DRAWS))
        return (time.perf_counter() - at) / float(taken.sum())

    def zoo(seed):
        found = fit(model, config, x, y, seed=seed, progress=False)
        return found.seconds["sample"] / found.stats["n_steps"].sum()

    return zoo, hand


def svi_pair(x, y):
    """Two functions seed -> seconds per step."""
    guide = infer.autoguide.AutoNormal(by_hand, init_loc_fn=infer.init_to_uniform(radius=0.1))
    rate = optax.linear_schedule(0.01, 0.0, STEPS // 2, STEPS // 2)
    svi = infer.SVI(by_hand, guide, optax.adam(rate), infer.Trace_ELBO())
    steps = jax.jit(lambda s, x, y: jax.lax.scan(lambda s, _: svi.update(s, x, y), s, length=STEPS))
    model, config = zoo_model(), svi(steps=STEPS, draws=1)

    def hand(seed):
        state = svi.init(jax.random.PRNGKey(seed), x, y)
        at = time.perf_counter()
        jax.block_until_ready(steps(state, x, y))
        return (time.perf_counter() - at) / STEPS

    def zoo(seed):
        return fit(model, config, x, y, seed=seed, progress=False).seconds["adapt"] / STEPS

    return zoo, hand


def compare(pair, count):
    """Medians of either and of their ratio over `count` pairs, the first of each thrown away (it compiles)."""
    zoo, hand = pair
    zoo(0), hand(0)
    times = []
    for i in range(1, count + 1):
        first, second = (zoo, hand) if i % 2 else (hand, zoo)
        a, b = first(i), second(i)
        times.append((a, b) if i % 2 else (b, a))
    ratios = [z / h for z, h in times]
    return {
        "zoo_us_per_step": 1e6 * statistics.median(z for z, _ in times),
        "hand_us_per_step": 1e6 * statistics.median(h for _, h in times),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "pairs": count,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = noisezoo.data.load("diabetes")
    x, y = jnp.asarray(data.x_train), jnp.asarray(data.y_train)
    result = {name: compare(pair(x, y), options.pairs) for name, pair in (("nuts", nuts_pair), ("svi", svi_pair))}
    tell(result, options.out)


if __name__ == "__main__":
    main()
