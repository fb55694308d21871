"""How noisy are estimates under direction and magnitude noise: section 4.2 of Kirichenko (2018), measured.

    python tests/benchmarks/rotation_gradient.py [--draws 200] [--steps 3000] [--out FILE.json]

A network 784-300-100-10 on MNIST with the prior `direction_magnitude`, at the same parameters for four ways to draw
what turns and stretches its weight vectors: all once for a minibatch (`sampled`); angle and magnitude by each row, the
plane once (`batch`, what the thesis does); the plane with signs of each row's own (`flipout`); everything by each row
(`rows`).  There are no biases: rows would share their noise in every way.

1. The likelihood estimator.  Var[L_i] and Cov[L_i, L_j] (eq 43: over the noise and over rows, i.i.d.) from pairs of
   batches of 1000 rows; what eq 42 predicts from them for batches of M rows; and the variance that batches of M rows
   have, those into which other batches of 1000 fall.  All variances are of the mean over a batch, that is, of eq 42
   without its N^2, in nats^2.  Errors are standard errors.
2. The gradient of the expected log likelihood (that of the divergence has no variance): its variance, summed over
   parameters of a kind; over the noise alone, averaged over four minibatches of 100 rows, and with the rows drawn too.

At random first values and after so many steps of `svi`.  Needs MNIST where `noisezoo.load` looks for it.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
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
from noisezoo.models.papers import direction_magnitude
from noisezoo.models.ppl import language
from numpyro import handlers

BATCH, MINIBATCHES = 100, 4
LARGE, SIZES, PARTS = 1000, (1, 10, 100, 1000), 10  # as many parts of the draws, whose spread is the error
LOCAL = svi(guide="local", lr=1e-3, batch_size=BATCH, init_scale=0.05, draws=1)
WAYS = {
    "sampled": (LOCAL, None),
    "batch": (local.Local(init_scale=0.05, plane="batch"), local.LocalNormal),
    "flipout": (flipout.Flipout(init_scale=0.05), flipout.FlipoutNormal),
    "rows": (LOCAL.guide, local.LocalNormal),
}
GROUPS = ("base.loc", "magnitude.loc", "magnitude.log_scale", "angle.loc", "angle.log_scale")


def guide_of(model, way, x, y):
    sites = layout(model, density.sites(model, x[:1], y[:1]), x, y)

    def start(name, shape, mean, sd):
        return lambda key: mean + sd * jax.random.normal(key, shape)

    return lambda *_: normals.sample(language("numpyro"), sites, WAYS[way][0], start, WAYS[way][1])


def log_liks(model, way, x, y):
    """A function (params, key, rows, x, y) -> log p(y_i given x_i, one draw of the noise) of each of these rows."""
    guide, program = guide_of(model, way, x, y), density.on_rows(model)

    def each(params, key, rows, x, y):
        q = handlers.trace(handlers.substitute(elbo.OneSplit(guide, key), data=params)).get_trace()
        site = handlers.trace(handlers.replay(program, q)).get_trace(x, y, rows)["y"]
        return site["fn"].log_prob(site["value"])

    return each


def batches(each, number):
    """A compiled function (params, key, draws, x, y) -> L_i of so many large batches, each with noise of its own.

    As many batches as `draws` says, one after another, have the same rows.
    """

    def one(params, key, draws, x, y, i):
        key_rows, key = jax.random.split(key)
        rows = density.draw_rows(jax.random.fold_in(key_rows, i // draws), x.shape[0], LARGE)
        return each(params, jax.random.fold_in(key, i), rows, x, y)

    return jax.jit(lambda *args: jax.lax.map(partial(one, *args), jnp.arange(number)))


def components(pairs):
    """Unbiased estimates of Var[L_i] and Cov[L_i, L_j], i not j, from L_i (2 n, rows), n pairs of batches.

    A pair has the same rows, so that what it differs by is noise: rows being i.i.d., the mean covariance of noise at
    two of them is that of eq 43.  Within a batch rows vary by Var - Cov.
    """
    rows, change = pairs.shape[1], pairs[::2] - pairs[1::2]
    cov = 0.5 * np.mean(change.sum(axis=1) ** 2 - (change**2).sum(axis=1)) / (rows * (rows - 1))
    return pairs.var(axis=1, ddof=1).mean() + cov, cov


def predicted(size, pairs):
    """The variance of the mean of so many L_i, by eq 42."""
    var, cov = components(pairs)
    return var / size + (size - 1) / size * cov


def measured(size, large):
    """The same as it is, unbiased: of the batches at each place of the large ones, which are independent; averaged."""
    return large.reshape((len(large), -1, size)).mean(axis=2).var(axis=0, ddof=1).mean()


def by_part(estimate, large):
    """Mean and standard error of an unbiased estimate, made from each of some parts of the batches."""
    found = np.array([estimate(part) for part in np.split(large, PARTS)])
    return found.mean(axis=0).tolist(), (found.std(axis=0, ddof=1) / np.sqrt(PARTS)).tolist()


def likelihood(draw, params, x, y):
    """Eq 42: its two components, the variance it predicts for each size of batch, and the variance there is."""
    pairs, large = (np.asarray(draw(params, jax.random.PRNGKey(i), i, x, y), np.float64) for i in (2, 1))
    (var, cov), (var_error, cov_error) = by_part(components, pairs)
    result = {"var": var, "var_error": var_error, "cov": cov, "cov_error": cov_error, "correlation": cov / var, "M": {}}
    for size in SIZES:
        ours, error = by_part(partial(predicted, size), pairs)
        theirs, their_error = by_part(partial(measured, size), large)
        apart = (theirs - ours) / np.hypot(error, their_error)
        about = {"predicted": ours, "predicted_error": error, "measured": theirs, "measured_error": their_error}
        result["M"][size] = {**about, "errors_apart": apart}
    return result


def squares(each, draws):
    """A compiled function (params, key, anew, x, y) -> summed squares of the gradients less their mean (Welford 1962).

    `anew` is 1 to draw the rows anew each time and 0 to keep them.
    """

    def log_lik(params, key, rows, x, y):
        return x.shape[0] * jnp.mean(each(params, key, rows, x, y))

    @jax.jit
    def sums(params, key, anew, x, y):
        key_rows, key = jax.random.split(key)

        def add(i, carry):
            mean, square = carry
            rows = density.draw_rows(jax.random.fold_in(key_rows, i * anew), x.shape[0], BATCH)
            new = jax.grad(log_lik)(params, jax.random.fold_in(key, i), rows, x, y)
            next_mean = jax.tree.map(lambda m, g: m + (g - m) / (i + 1), mean, new)
            return next_mean, jax.tree.map(lambda s, g, m, n: s + (g - m) * (g - n), square, new, mean, next_mean)

        zeros = jax.tree.map(jnp.zeros_like, params)
        return jax.lax.fori_loop(0, draws, add, (zeros, zeros))[1]

    return sums


def gradient(sums, params, x, y, draws):
    """The variance of each parameter's gradient, summed by group."""

    def variances(seed, anew):
        found = sums(params, jax.random.PRNGKey(seed), anew, x, y)
        each = {name: float(jnp.sum(square)) / (draws - 1) for name, square in found.items()}
        return {group: sum(v for k, v in each.items() if k.endswith(group)) for group in GROUPS}

    fixed = [variances(seed, 0) for seed in range(MINIBATCHES)]
    noise = {group: float(np.mean([f[group] for f in fixed])) for group in GROUPS}
    return {"noise": noise, "noise_and_rows": variances(MINIBATCHES, 1)}


def ratios(found, sampled):
    return {f"{what}_ratio": {k: v[k] / sampled[what][k] for k in GROUPS} for what, v in found.items()}


def fitted(model, x, y, steps):
    """The guide's parameters after so many steps of ``local``; 0 for the first values."""
    if not steps:
        trace = handlers.trace(handlers.seed(guide_of(model, "rows", x, y), 0)).get_trace()
        return {name: site["value"] for name, site in trace.items() if site["type"] == "param"}
    found = fit(model, replace(LOCAL, steps=steps), x, y, progress=False)
    print(f"after {steps} steps, loss {found.history['loss'][0, -1]:.0f}", flush=True)
    params = {f"{name}.loc": v[0] for name, v in found.loc.items()}
    params |= {f"{name}.log_scale": np.log(v[0]) for name, v in found.scale.items()}
    params |= {f"{name}.loc": v[0, 0] for name, v in found.draws.items() if name.endswith(".base")}
    return jax.tree.map(jnp.asarray, params)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.draws < 2 * PARTS or options.draws % (2 * PARTS):
        parser.error(f"--draws must be a multiple of {2 * PARTS}, {PARTS} parts of pairs")
    data = load("mnist")
    x, y = jnp.asarray(data.x_train, jnp.float32), jnp.asarray(data.y_train)
    network = mlp(300, 100, activation="relu", bias=False)
    model = categorical(network, direction_magnitude.prior(), 10)
    points = {f"after_{steps}_steps": fitted(model, x, y, steps) for steps in (0, options.steps)}
    result = {when: {} for when in points}
    for way in WAYS:
        each = log_liks(model, way, x, y)
        draw, sums = batches(each, options.draws), squares(each, options.draws)
        for when, params in points.items():
            found = gradient(sums, params, x, y, options.draws)
            found |= ratios(found, result[when].get("sampled", {}).get("gradient", found))
            result[when][way] = {"likelihood": likelihood(draw, params, x, y), "gradient": found}
            print(when, way, json.dumps(result[when][way]), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
