"""A locally reparameterised step against a deterministic one of the same network: run in turn, compared as ratios.

    python tests/benchmarks/local_step.py [--pairs 5] [--networks lenet_300_100,lenet5] [--out FILE.json]

Both are steps on minibatches of 100 MNIST-sized rows, gathered by random numbers, with Adam, in one compiled loop.  The
deterministic one is written by hand in JAX: weights, biases, cross-entropy.  The other is the zoo's `svi` with the
guide ``local``.  Arithmetic alone says 2: twice the matrix products, twice the parameters.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from noisezoo.inference.driver.engine import Engine
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.svi import algorithm
from noisezoo.inference.target.numpyro.density import sites
from noisezoo.models import networks
from noisezoo.models.likelihoods import categorical
from noisezoo.models.papers import empirical_bayes, sparse_vd
from noisezoo.models.ppl import language

BATCH, CLASSES = 100, 10
STEPS = {"lenet_300_100": 200, "lenet5": 20}
PRIORS = {
    "sparse_vd": sparse_vd.prior(),
    "sparse_vd_approximate": sparse_vd.prior(approximate=True),
    "empirical_bayes": empirical_bayes.prior(),
}


def data(number=10_000):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(number, 784)), jnp.float32), jnp.asarray(rng.integers(0, CLASSES, number))


def apply(net, weights, x):
    """The network with these arrays for weights and biases."""
    p = language("numpyro")._replace(sample=lambda name, law, **_: weights[name])
    return net(p, x, lambda p, name, shape: weights[f"{name}.weight"], CLASSES)


def deterministic(net, start, x, y, steps):
    """A function () -> seconds per step."""
    adam = optax.adam(1e-3)

    def loss(weights, key):
        rows = jax.random.randint(key, (BATCH,), 0, x.shape[0])
        return optax.softmax_cross_entropy_with_integer_labels(apply(net, weights, x[rows]), y[rows]).mean()

    @jax.jit
    def block(weights, state, key):
        def step(i, carry):
            weights, state = carry
            updates, state = adam.update(jax.grad(loss)(weights, jax.random.fold_in(key, i)), state)
            return optax.apply_updates(weights, updates), state

        return jax.lax.fori_loop(0, steps, step, (weights, state))

    state = adam.init(start)

    def run():
        at = time.perf_counter()
        jax.block_until_ready(block(start, state, jax.random.PRNGKey(0)))
        return (time.perf_counter() - at) / steps

    return run


def local(model, x, y, steps):
    """A function () -> seconds per step, through the zoo's engine, and the network's first weights."""
    config = svi(guide="local", steps=10**6, lr=1e-3, batch_size=BATCH, init_scale=0.0067, draws=1)
    engine = Engine(algorithm(config, model, sites(model, x, y)), 0, x, y)
    start, _ = engine.moments()

    def run():
        at = time.perf_counter()
        engine.block(0, 0, 1, steps, 10**6)
        return (time.perf_counter() - at) / steps

    return run, {name: jnp.asarray(value[0]) for name, value in start.items()}


def compare(zoo, hand, pairs):
    zoo(), hand()
    times = [(zoo(), hand()) if i % 2 else (hand(), zoo())[::-1] for i in range(pairs)]
    ratios = [z / h for z, h in times]
    return {
        "local_ms": 1e3 * statistics.median(z for z, _ in times),
        "deterministic_ms": 1e3 * statistics.median(h for _, h in times),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "pairs": pairs,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--networks", default="lenet_300_100,lenet5")
    parser.add_argument("--priors", default=",".join(PRIORS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    (x, y), result = data(), {}
    for name in options.networks.split(","):
        net, steps = networks.NETWORKS[name](), STEPS[name]
        for prior in options.priors.split(","):
            zoo, start = local(categorical(net, PRIORS[prior], CLASSES), x, y, steps)
            result[f"{name} {prior}"] = found = compare(zoo, deterministic(net, start, x, y, steps), options.pairs)
            print(name, prior, json.dumps(found), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
