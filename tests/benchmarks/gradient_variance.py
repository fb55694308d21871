"""How noisy is the gradient: weights sampled, flipout, local reparameterisation, at the same parameters.

    python tests/benchmarks/gradient_variance.py [--draws 200] [--steps 3000] [--out FILE.json]

A network 784-300-100-10 on MNIST in minibatches of 100, the guide of sparse variational dropout.  For each way to
sample, the variance of the gradient of the expected log likelihood (that of the divergence has none) by the means and
by the log standard deviations, summed over all weights and biases.  Once over the guide's noise alone, at fixed rows,
averaged over four minibatches; once with the rows drawn too, as in training.  At random first values and after so many
steps of `svi`.  Needs MNIST where `noisezoo.load` looks for it.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from noisezoo import load
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.guides import elbo, flipout, local, normals
from noisezoo.inference.strategies.guides.layout import layout
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.target.numpyro import density
from noisezoo.models.likelihoods import categorical
from noisezoo.models.networks import mlp
from noisezoo.models.papers import sparse_vd
from noisezoo.models.ppl import language

BATCH, MINIBATCHES, INIT_SCALE = 100, 4, 0.05
KINDS = {"sampled": None, "flipout": flipout.FlipoutNormal, "local": local.LocalNormal}
GROUPS = {"means": ".loc", "log_sds": ".log_scale"}


def gradient(model, kind, x, y):
    """A function (params, key, rows, x, y) -> the gradient of the log likelihood, by the name of the parameter."""
    found, program = density.sites(model, x[:1], y[:1]), density.on_rows(model)

    def guide(x, y, rows):
        sites = layout(model, found, x, y)
        normals.sample(language("numpyro"), sites, local.Local(), lambda *_: None, KINDS[kind])

    def log_lik(params, key, rows, x, y):
        return elbo.parts(key, params, program, guide, (x, y, rows), {}).log_lik

    return jax.grad(log_lik)


def moments(gradient):
    """A compiled function (params, key, draws, rows, x, y) -> (sum, sum of squares) of the gradients less their first.

    `rows` are row numbers; None draws them anew each time.
    """

    def one(params, key, rows, x, y):
        return gradient(params, key, density.draw_rows(key, x.shape[0], BATCH) if rows is None else rows, x, y)

    @jax.jit
    def sums(params, key, draws, rows, x, y):
        first = one(params, key, rows, x, y)  # taken away so that single precision is enough
        zeros = jax.tree.map(jnp.zeros_like, first)

        def add(i, total):
            change = jax.tree.map(jnp.subtract, one(params, jax.random.fold_in(key, i), rows, x, y), first)
            squares = jax.tree.map(jnp.square, change)
            return jax.tree.map(jnp.add, total, (change, squares))

        return jax.lax.fori_loop(0, draws, add, (zeros, zeros))

    return sums


def variances(sums, params, draws, rows, x, y):
    """The variance of each parameter's gradient over `draws`, summed by group."""
    first, square = sums(params, jax.random.PRNGKey(0), draws, rows, x, y)
    each = {name: float(jnp.sum(square[name] - first[name] ** 2 / draws)) / (draws - 1) for name in first}
    return {group: sum(v for k, v in each.items() if k.endswith(end)) for group, end in GROUPS.items()}


def measured(model, params, x, y, draws):
    """Summed variances by way of sampling and by group, and their ratios to sampled weights."""
    result = {}
    batches = [density.draw_rows(jax.random.PRNGKey(i), x.shape[0], BATCH) for i in range(MINIBATCHES)]
    for kind in KINDS:
        sums = moments(gradient(model, kind, x, y))
        fixed = [variances(sums, params, draws, rows, x, y) for rows in batches]
        noise = {group: float(np.mean([f[group] for f in fixed])) for group in GROUPS}
        result[kind] = {"noise": noise, "noise_and_rows": variances(sums, params, draws, None, x, y)}
        for what, sampled in list(result["sampled"].items())[:2]:
            result[kind][f"{what}_ratio"] = {group: result[kind][what][group] / sampled[group] for group in GROUPS}
        print(kind, json.dumps(result[kind]), flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = load("mnist")
    x, y = jnp.asarray(data.x_train, jnp.float32), jnp.asarray(data.y_train)
    model, result = categorical(mlp(300, 100, activation="relu"), sparse_vd.prior(), 10), {}
    for steps in (1, options.steps):
        config = svi(guide="local", steps=steps, lr=1e-3, batch_size=BATCH, init_scale=INIT_SCALE, draws=1)
        found = fit(model, config, x, y, progress=False)
        params = {f"{name}.loc": v[0] for name, v in found.loc.items()}
        params |= {f"{name}.log_scale": np.log(v[0]) for name, v in found.scale.items()}
        print(f"after {steps} steps, loss {found.history['loss'][0, -1]:.0f}", flush=True)
        result[f"after_{steps}_steps"] = measured(model, jax.tree.map(jnp.asarray, params), x, y, options.draws)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
