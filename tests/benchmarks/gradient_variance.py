"""How noisy is the gradient: weights sampled, flipout, local reparameterisation, at the same parameters.

    python tests/benchmarks/gradient_variance.py [--draws 200] [--steps 3000] [--out FILE.json]

A network 784-300-100-10 on MNIST in minibatches of 100, the guide of sparse variational dropout.  For each way to sample:
the variance of the gradient of the expected log likelihood (the divergence has none) by the means and by the log standard
deviations, summed over all weights and biases.  Once over the guide's noise alone, at fixed rows, averaged over four
minibatches; once with the rows drawn too, as in training.  At random first values and after so many steps of `svi`.
Needs MNIST where `noisezoo.load` looks for it.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from noisezoo import load
from noisezoo.inference import local, normals, target
from noisezoo.inference.run import fit
from noisezoo.inference.svi import SVI
from noisezoo.models import sparse_vd
from noisezoo.models.likelihood import categorical
from noisezoo.models.network import mlp
from noisezoo.models.ppl import language

BATCH, MINIBATCHES, INIT_SCALE = 100, 4, 0.05
KINDS = {"sampled": None, "flipout": local.FlipoutNormal, "local": local.LocalNormal}
GROUPS = {"means": ".loc", "log_sds": ".log_scale"}


def gradient(model, kind, x, y):
    """A function (key, params, rows) -> the gradient of the log likelihood, by the name of the parameter."""
    found, program = target.sites(model, x[:1], y[:1]), target.on_rows(model)

    def guide(x, y, rows):
        sites = local.layout(model, found, x, y)
        normals.sample(language("numpyro"), sites, SVI(guide="local"), lambda *_: None, KINDS[kind])

    def log_lik(params, key, rows):
        return local.parts(key, params, program, guide, (x, y, rows), {}).log_lik

    return lambda key, params, rows: jax.grad(log_lik)(params, key, rows)


def variances(grad, params, key, draws, rows):
    """The variance of each parameter's gradient over `draws`, summed by group; `rows` is a function of the key."""

    @partial(jax.jit, static_argnames="draws")
    def sums(params, key, draws):
        def one(key):
            return grad(key, params, rows(key))

        centre = one(jax.random.fold_in(key, draws))  # so that single precision is enough

        def add(i, total):
            change = jax.tree.map(jnp.subtract, one(jax.random.fold_in(key, i)), centre)
            return jax.tree.map(
                lambda t, c: (t[0] + c, t[1] + c**2), total, change, is_leaf=lambda t: isinstance(t, tuple)
            )

        total = jax.lax.fori_loop(0, draws, add, jax.tree.map(lambda c: (jnp.zeros_like(c), jnp.zeros_like(c)), centre))
        return {name: jnp.sum(square - first**2 / draws) / (draws - 1) for name, (first, square) in total.items()}

    found = sums(params, key, draws)
    return {group: float(sum(v for k, v in found.items() if k.endswith(end))) for group, end in GROUPS.items()}


def measured(model, params, x, y, draws):
    """Summed variances by way of sampling and by group, and their ratios to sampled weights."""
    result = {}
    for kind in KINDS:
        grad, key = gradient(model, kind, x, y), jax.random.PRNGKey(0)
        batches = [target.draw_rows(jax.random.PRNGKey(i), x.shape[0], BATCH) for i in range(MINIBATCHES)]
        fixed = [variances(grad, params, key, draws, lambda _, rows=rows: rows) for rows in batches]
        drawn = variances(grad, params, key, draws, lambda key: target.draw_rows(key, x.shape[0], BATCH))
        noise = {group: float(np.mean([f[group] for f in fixed])) for group in GROUPS}
        result[kind] = {"noise": noise, "noise_and_rows": drawn}
    for kind in KINDS:
        for what in ("noise", "noise_and_rows"):
            of = result["sampled"][what]
            result[kind][f"{what}_ratio"] = {group: result[kind][what][group] / of[group] for group in GROUPS}
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
        config = SVI(guide="local", steps=steps, lr=1e-3, batch_size=BATCH, init_scale=INIT_SCALE, draws=1)
        found = fit(model, config, x, y, progress=False)
        params = {f"{name}.loc": v[0] for name, v in found.loc.items()}
        params |= {f"{name}.log_scale": np.log(v[0]) for name, v in found.scale.items()}
        print(f"after {steps} steps, {dict((k, float(v[0, -1])) for k, v in found.history.items())}", flush=True)
        result[f"after_{steps}_steps"] = measured(model, jax.tree.map(jnp.asarray, params), x, y, options.draws)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
