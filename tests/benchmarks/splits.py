"""Twenty splits at once against one, and both against a plain torch loop and Pyro's SVI: run in turn, as ratios.

    python tests/benchmarks/splits.py [--rounds 5] [--whole] [--out FILE.json]

Residual net of 2 x 50 ReLU units on data of yacht's shape (277 x 6), ARD with InverseGamma(3, 3), variational EM,
minibatches of 32, Adam: the steps of the UCI table, without their beginning (compiling) and end (draws, predictions).

many : the zoo's engine, 20 data sets under one vmap; seconds per step of all of them.
one : the same with one data set.
torch : the same objective by hand in torch, one data set: means and log sigmas, local reparameterisation, M-step.
pyro : `pyro.infer.SVI` on the zoo's program of the same prior, an AutoNormal guide, TraceMeanField_ELBO; one data set.

With ``--whole`` instead the 36,000 steps of the table from nothing, compiling and 500 draws included: 20 splits at once
against one, both with caches emptied, in turn.

All on one thread.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import pyro  # noqa: E402
import torch  # noqa: E402
from noisezoo.inference.driver.engine import Engine  # noqa: E402
from noisezoo.inference.driver.fit_many import fit_many  # noqa: E402
from noisezoo.inference.strategies.parse import svi  # noqa: E402
from noisezoo.inference.strategies.svi import algorithm  # noqa: E402
from noisezoo.inference.target.numpyro.density import sites  # noqa: E402
from noisezoo.inference.target.pyro.density import on_rows  # noqa: E402
from noisezoo.models.likelihoods import gaussian  # noqa: E402
from noisezoo.models.networks import residual_mlp  # noqa: E402
from noisezoo.models.noises import inverse_gamma  # noqa: E402
from noisezoo.models.ppl.compiled import let_go  # noqa: E402
from noisezoo.models.weights.parametrisation import prior  # noqa: E402
from pyro.infer import TraceMeanField_ELBO, autoguide  # noqa: E402
from torch import nn  # noqa: E402

SPLITS, ROWS, FEATURES, BATCH, PRECISION, A, B = 20, 277, 6, 32, 20.0, 3.0, 3.0
SIZES = (FEATURES, 50, 50, 1)
MODEL = gaussian(residual_mlp(50, 50), prior(inverse_gamma(A, B), "ard", "hierarchical", 1.0), PRECISION)
STEPS = {"many": 500, "one": 4000, "torch": 400, "pyro": 60}


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SPLITS, ROWS, FEATURES)).astype(np.float32)
    return x, np.tanh(x @ rng.normal(size=FEATURES)).astype(np.float32)


def zoo(x, y, steps):
    """A function () -> seconds per step of the zoo on these data sets."""
    config = svi(guide="em", steps=10**7, lr=1e-3, batch_size=BATCH, init_scale=0.02, draws=1)
    one = jnp.asarray(x[0]), jnp.asarray(y[0])
    bound = algorithm(config, MODEL, sites(MODEL, *one))
    sets = [(jnp.asarray(a), jnp.asarray(b)) for a, b in zip(x, y, strict=True)]
    engine = Engine.of_many(bound, range(len(sets)), sets)

    def run():
        at = time.perf_counter()
        engine.block(0, 0, 1, steps, 10**7)
        return (time.perf_counter() - at) / steps

    return run


class Layer(nn.Module):
    """A locally reparameterised affine layer whose rows have their scales at the M-step."""

    def __init__(self, unit_in, unit_out):
        super().__init__()
        self.loc = nn.Parameter((2 / unit_in) ** 0.5 * torch.randn(unit_in, unit_out))
        self.log_scale = nn.Parameter(torch.full((unit_in, unit_out), -4.0))
        self.bias_loc = nn.Parameter(torch.zeros(unit_out))
        self.bias_log_scale = nn.Parameter(torch.full((unit_out,), -4.0))

    def forward(self, h):
        mean, variance = h @ self.loc, h**2 @ torch.exp(2 * self.log_scale)
        bias = self.bias_loc + torch.exp(self.bias_log_scale) * torch.randn(mean.shape[1])
        return mean + torch.sqrt(variance + 1e-16) * torch.randn(mean.shape) + bias

    def divergence(self):
        second = self.loc**2 + torch.exp(2 * self.log_scale)
        square = (second.sum(1, keepdim=True) + 2 * B) / (self.loc.shape[1] + 2 * A + 2)
        kl = (0.5 * torch.log(square) - self.log_scale + second / (2 * square) - 0.5).sum()
        bias = (torch.exp(2 * self.bias_log_scale) + self.bias_loc**2) / 2 - self.bias_log_scale - 0.5
        return kl + bias.sum() + ((A + 1) * torch.log(square) + B / square).sum()


def by_torch(x, y, steps):
    """A function () -> seconds per step of the loop by hand."""
    x, y = torch.tensor(x), torch.tensor(y)
    layers = nn.ModuleList([Layer(i, o) for i, o in zip(SIZES[:-1], SIZES[1:], strict=True)])
    adam = torch.optim.Adam(layers.parameters(), lr=1e-3)

    def step():
        rows = torch.randint(ROWS, (BATCH,))
        h = torch.relu(layers[0](x[rows]))
        h = torch.relu(layers[1](h)) + h
        square = (y[rows] - layers[2](h)[:, 0]) ** 2
        loss = ROWS / BATCH * 0.5 * PRECISION * square.sum() + sum(layer.divergence() for layer in layers)
        adam.zero_grad()
        loss.backward()
        adam.step()

    return timed(step, steps)


def by_pyro(x, y, steps):
    """A function () -> seconds per step of Pyro's own SVI."""
    x, y = torch.tensor(x), torch.tensor(y)
    program, guide = on_rows(MODEL), autoguide.AutoNormal(on_rows(MODEL), init_scale=0.02)
    svi = pyro.infer.SVI(program, guide, pyro.optim.Adam({"lr": 1e-3}), TraceMeanField_ELBO())

    def step():
        rows = torch.randint(ROWS, (BATCH,))
        svi.step(x, y, rows)

    return timed(step, steps)


def whole(rounds):
    """Seconds of all steps of 20 splits and of one, each from nothing, and their ratios."""
    x, y = data()
    config = svi(guide="em", steps=36_000, lr=1e-3, batch_size=BATCH, init_scale=0.02, draws=500)

    def seconds(count):
        jax.clear_caches()
        let_go()
        at = time.perf_counter()
        fit_many(MODEL, config, list(map(jnp.asarray, x[:count])), list(map(jnp.asarray, y[:count])), range(count))
        return time.perf_counter() - at

    found = [{"many": seconds(SPLITS), "one": seconds(1)} for _ in range(rounds)]
    return {"seconds": found, "many_over_one": [r["many"] / r["one"] for r in found], "rounds": rounds}


def timed(step, steps):
    def run():
        at = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - at) / steps

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tell(whole(options.rounds) if options.whole else steps(options.rounds), options.out)


def steps(rounds):
    """Milliseconds of a step of each, and the ratios."""
    x, y = data()
    runs = {
        "many": zoo(x, y, STEPS["many"]),
        "one": zoo(x[:1], y[:1], STEPS["one"]),
        "torch": by_torch(x[0], y[0], STEPS["torch"]),
        "pyro": by_pyro(x[0], y[0], STEPS["pyro"]),
    }
    for warm in runs.values():
        warm()
    rounds = [{name: f() for name, f in runs.items()} for _ in range(rounds)]
    ratios = {
        "many_over_one": [r["many"] / r["one"] for r in rounds],
        "torch_over_many_per_split": [r["torch"] / (r["many"] / SPLITS) for r in rounds],
        "pyro_over_many_per_split": [r["pyro"] / (r["many"] / SPLITS) for r in rounds],
        "torch_over_one": [r["torch"] / r["one"] for r in rounds],
        "pyro_over_one": [r["pyro"] / r["one"] for r in rounds],
    }
    return {
        "milliseconds": {name: 1e3 * statistics.median(r[name] for r in rounds) for name in runs},
        **{k: {"median": statistics.median(v), "min": min(v), "max": max(v)} for k, v in ratios.items()},
        "rounds": len(rounds),
    }


def tell(result, out):
    print(json.dumps(result, indent=1))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
