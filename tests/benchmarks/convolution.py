"""The zoo's LeNet-5 in JAX against the same step written by hand in torch: run in turn, compared as ratios.

    python tests/benchmarks/convolution.py [--pairs 15] [--out docs/results/benchmarks/convolution.json]

One step is the gradient of the mean cross-entropy of 100 images of 28 x 28 in the weights and biases of LeNet-5 (20 and
50 kernels of 5 x 5, 500 units), and Adam; no noise, no prior.  The zoo's steps are one compiled loop.  Torch's are
eager, with its own convolutions and pools, in its default layout of images and in the faster one, the channel last.

Each pair is one run of either, in alternating order, after both are warm; the ratio of a pair is zoo / torch.  Before
the clock runs, the two have the same loss and gradient at the same weights.  Torch suffers more from other work on the
same cores, so the ratios mean something on an idle machine, or with ``OMP_NUM_THREADS=1 taskset -c 0`` before the line.
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import torch.nn.functional as F
from noisezoo.models import networks
from noisezoo.models.ppl import language
from told import tell

BATCH, ROWS, CLASSES, RATE = 100, 2000, 10, 1e-3
LAYOUTS = ("channels_first", "channels_last")
SHAPES = {"layer0": (5, 5, 1, 20), "layer1": (5, 5, 20, 50), "layer2": (800, 500), "layer3": (500, CLASSES)}


def start():
    """Weights N(0, 1 / fan_in) and biases of zero, as NumPy arrays by site."""
    rng = np.random.default_rng(0)
    arrays = {f"{k}.weight": rng.normal(size=s) / np.sqrt(np.prod(s[:-1])) for k, s in SHAPES.items()}
    arrays |= {f"{k}.bias": np.zeros(s[-1]) for k, s in SHAPES.items()}
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(ROWS, 784)).astype(np.float32), rng.integers(0, CLASSES, ROWS)


def zoo_loss(weights, x, y):
    """The mean cross-entropy of the zoo's network with these weights."""
    p = language("numpyro")._replace(sample=lambda name, law: weights[name])
    f = networks.lenet5()(p, x, lambda p, name, shape: weights[f"{name}.weight"], CLASSES)
    return optax.softmax_cross_entropy_with_integer_labels(f, y).mean()


def zoo_run(arrays, x, y, steps):
    """A function () -> seconds per step."""
    adam, weights = optax.adam(RATE), {name: jnp.asarray(value) for name, value in arrays.items()}

    @jax.jit
    def loop(weights, state, x, y):
        def step(i, carry):
            weights, state = carry
            rows = partial(jax.lax.dynamic_slice_in_dim, start_index=i * BATCH % ROWS, slice_size=BATCH)
            updates, state = adam.update(jax.grad(zoo_loss)(weights, rows(x), rows(y)), state)
            return optax.apply_updates(weights, updates), state

        return jax.lax.fori_loop(0, steps, step, (weights, state))

    def run():
        at = time.perf_counter()
        jax.block_until_ready(loop(weights, adam.init(weights), x, y))
        return (time.perf_counter() - at) / steps

    x, y = jnp.asarray(x), jnp.asarray(y)
    return run


def as_torch(name, array):
    """A weight as torch has it: kernels (out, in, height, width), images flattened with the channel first."""
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1).copy()
    if name == "layer2.weight":
        return array.reshape(4, 4, 50, 500).transpose(2, 0, 1, 3).reshape(800, 500)
    return array


def torch_loss(w, x, y):
    h = F.max_pool2d(F.relu(F.conv2d(x, w["layer0.weight"], w["layer0.bias"])), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, w["layer1.weight"], w["layer1.bias"])), 2)
    h = F.relu(h.flatten(1) @ w["layer2.weight"] + w["layer2.bias"])
    return F.cross_entropy(h @ w["layer3.weight"] + w["layer3.bias"], y)


def torch_images(x, layout):
    """Rows as images (rows, 1, 28, 28), in memory with the channel first or last; all that follows keeps the layout."""
    x = torch.tensor(x)
    return x.reshape(-1, 1, 28, 28) if layout == "channels_first" else x.reshape(-1, 28, 28, 1).permute(0, 3, 1, 2)


def torch_run(arrays, x, y, steps, layout):
    """A function () -> seconds per step."""
    weights = {k: torch.tensor(as_torch(k, v), requires_grad=True) for k, v in arrays.items()}
    adam = torch.optim.Adam(weights.values(), RATE, fused=True)
    x, y = torch_images(x, layout), torch.tensor(y)

    def run():
        at = time.perf_counter()
        for i in range(steps):
            rows = slice(i * BATCH % ROWS, i * BATCH % ROWS + BATCH)
            adam.zero_grad()
            torch_loss(weights, x[rows], y[rows]).backward()
            adam.step()
        return (time.perf_counter() - at) / steps

    return run


def check(arrays, x, y):
    """Raise AssertionError unless both have the same loss and gradient."""
    x, y = x[:BATCH], y[:BATCH]
    ours = {k: jnp.asarray(v) for k, v in arrays.items()}
    loss, grad = jax.value_and_grad(zoo_loss)(ours, jnp.asarray(x), jnp.asarray(y))
    weights = {k: torch.tensor(as_torch(k, v), requires_grad=True) for k, v in arrays.items()}
    other = torch_loss(weights, torch_images(x, "channels_last"), torch.tensor(y))
    other.backward()
    np.testing.assert_allclose(loss, other.item(), rtol=1e-5)
    for name, weight in weights.items():
        found = as_torch(name, np.asarray(grad[name]))
        np.testing.assert_allclose(found, weight.grad, rtol=1e-3, atol=1e-5 * np.abs(found).max())


def compare(zoo, hand, pairs):
    """Medians of either and of their ratio over so many pairs, after a first run of both that is thrown away."""
    zoo(), hand()
    times = [(zoo(), hand()) if i % 2 else (hand(), zoo())[::-1] for i in range(pairs)]
    ratios = [z / h for z, h in times]
    return {
        "zoo_ms_per_step": 1e3 * statistics.median(z for z, _ in times),
        "torch_ms_per_step": 1e3 * statistics.median(h for _, h in times),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "pairs": pairs,
        "threads": torch.get_num_threads(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    arrays, (x, y) = start(), data()
    check(arrays, x, y)
    zoo = zoo_run(arrays, x, y, options.steps)
    hand = {layout: torch_run(arrays, x, y, options.steps, layout) for layout in LAYOUTS}
    tell({f"lenet5 {k}": compare(zoo, run, options.pairs) for k, run in hand.items()}, options.out)


if __name__ == "__main__":
    main()
