"""A step under direction and magnitude noise against a deterministic one of the same weight-normalised network.

    python tests/benchmarks/rotation_step.py [--pairs 5] [--networks lenet_300_100,mlp_1024_1024_2048] [--out FILE.json]

Both are steps on minibatches of 100 MNIST-sized rows, gathered by random numbers, with Adam, in one compiled loop; run
in turn, compared as ratios.  The deterministic one is written by hand in JAX: weights g v / norm(v), biases,
cross-entropy.  The other is the zoo's `svi` under the prior `direction_magnitude`, the plane drawn by each row or once
for the batch (guide ``local``), or with signs of each row's own (``flipout``).  The parts are what a step of `rows`
adds, in loops of their own: the noise of all rows, their angles with derivatives, the divergence with its gradient.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
from local_step import BATCH, CLASSES, compare, data
from noisezoo.inference.driver.engine import Engine
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.svi import algorithm
from noisezoo.inference.target.numpyro.density import sites
from noisezoo.inference.target.random import normal
from noisezoo.models.laws import divergences as divergence
from noisezoo.models.likelihoods import categorical
from noisezoo.models.networks import lenet_300_100, mlp
from noisezoo.models.papers import direction_magnitude
from noisezoo.models.ppl import language, truncated_integrals, truncated_quantile

INIT_SCALE, QUARTER = 0.05, 0.5 * math.pi
NETWORKS = {  # the network, its widths and how many steps make a run
    "lenet_300_100": (lenet_300_100(), (784, 300, 100, CLASSES), 200),
    "mlp_1024_1024_2048": (mlp(1024, 1024, 2048, activation="relu"), (784, 1024, 1024, 2048, CLASSES), 10),
}
GUIDES = {
    "rows": {"guide": "local"},
    "batch": {"guide": "local", "plane": "batch"},
    "flipout": {"guide": "flipout"},
}


def seconds(body, start, steps):
    """A function () -> seconds per step of ``body(i, carry) -> carry`` in a compiled loop."""
    loop = jax.jit(lambda carry: jax.lax.fori_loop(0, steps, body, carry))

    def run():
        at = time.perf_counter()
        jax.block_until_ready(loop(start))
        return (time.perf_counter() - at) / steps

    return run


def deterministic(net, widths, x, y, steps):
    """A function () -> seconds per step of the network with weights g v / norm(v)."""
    key, adam, start = jax.random.PRNGKey(0), optax.adam(1e-3), {}
    for i, (n, units) in enumerate(zip(widths, widths[1:], strict=False)):
        base = jax.random.normal(jax.random.fold_in(key, i), (n, units))
        start |= {f"layer{i}.base": base, f"layer{i}.magnitude": jnp.ones(units), f"layer{i}.bias": jnp.zeros(units)}

    def loss(params, key):
        def weight(p, name, shape):
            v = params[f"{name}.base"]
            return params[f"{name}.magnitude"] * v / jnp.sqrt(jnp.sum(v**2, axis=0))

        rows = jax.random.randint(key, (BATCH,), 0, x.shape[0])
        p = language("numpyro")._replace(sample=lambda name, law, **_: params[name])
        return optax.softmax_cross_entropy_with_integer_labels(net(p, x[rows], weight, CLASSES), y[rows]).mean()

    def step(i, carry):
        params, state = carry
        updates, state = adam.update(jax.grad(loss)(params, jax.random.fold_in(key, i)), state)
        return optax.apply_updates(params, updates), state

    return seconds(step, (start, adam.init(start)), steps)


def zoo(net, settings, x, y, steps):
    """A function () -> seconds per step, through the zoo's engine."""
    config = svi(steps=10**6, lr=1e-3, batch_size=BATCH, init_scale=INIT_SCALE, draws=1, **settings)
    model = categorical(net, direction_magnitude.prior(), CLASSES)
    engine = Engine(algorithm(config, model, sites(model, x, y)), 0, x, y)

    def run():
        at = time.perf_counter()
        engine.block(0, 0, 1, steps, 10**6)
        return (time.perf_counter() - at) / steps

    return run


def parts(widths, steps):
    """Functions () -> seconds per step of what `rows` adds, by name, at the first values of the guide."""
    key, units = jax.random.PRNGKey(0), sum(widths[1:])
    loc, scale = 0.1 * jax.random.normal(key, (units,)), jnp.full((units,), INIT_SCALE)
    zeros = jnp.zeros(units)

    def noise(i, carry):
        one, two = jax.random.split(jax.random.fold_in(key, i))
        return carry + normal(one, (3, BATCH, units)).sum((0, 1)) + jax.random.uniform(two, (BATCH, units)).sum(0)

    def angles(carry):
        e = truncated_quantile.ppf(jnp, uniforms, loc + 1e-9 * carry, scale, 0.0, QUARTER)
        return jnp.sum(jnp.sin(e))

    def divergences(carry):
        angle = truncated_integrals.divergence(jnp, loc + 1e-9 * carry, scale, 0.0, QUARTER)
        return jnp.sum(angle) + jnp.sum(divergence.log_uniform(jnp, 1 + loc + 1e-9 * carry, scale))

    uniforms = jax.random.uniform(key, (BATCH, units)) + 1e-7
    bodies = {"noise": noise}
    bodies |= {f.__name__: lambda i, carry, f=f: carry + jax.grad(f)(carry) for f in (angles, divergences)}
    return {name: seconds(body, zeros, steps) for name, body in bodies.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--networks", default="lenet_300_100")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    (x, y), result = data(), {}
    for name in options.networks.split(","):
        net, widths, steps = NETWORKS[name]
        hand = deterministic(net, widths, x, y, steps)
        for way, settings in GUIDES.items():
            result[f"{name} {way}"] = found = compare(zoo(net, settings, x, y, steps), hand, options.pairs)
            print(name, way, json.dumps(found), flush=True)
        found = {part: [run() for _ in range(options.pairs + 1)][1:] for part, run in parts(widths, steps).items()}
        result[f"{name} parts"] = found = {f"{k}_ms": 1e3 * statistics.median(v) for k, v in found.items()}
        print(name, "parts", json.dumps(found), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
