"""How noisy are estimates under direction and magnitude noise: the argument of Kirichenko (2018), section 4.2, measured.

    python tests/benchmarks/rotation_gradient.py [--draws 100] [--steps 3000] [--out FILE.json]

A network 784-300-100-10 on MNIST with the prior `direction_magnitude`, at the same parameters for four ways to draw
what turns and stretches its weight vectors: all once for a minibatch (`sampled`); angle and magnitude by each row, the
plane once (`batch`, what the thesis does); the plane with signs of each row's own (`flipout`); everything by each row
(`rows`).  There are no biases, whose noise rows would share in any way.

1. The likelihood estimator.  Var[L_i] and Cov[L_i, L_j] (eq 43, over noise and rows) from batches of 1000 rows, what
   eq 42 predicts from them for batches of M rows, and the variance that other batches of M rows have.  All variances
   are of the mean over a batch, that is, of eq 42 without its N^2, in nats^2.  Errors are standard errors.
2. The gradient of the expected log likelihood (that of the divergence has no variance): its variance, summed over
   parameters of a kind; over the noise alone, averaged over four minibatches of 100 rows, and with the rows drawn too.

At random first values and after so many steps of `svi`.  Needs MNIST where `noisezoo.load` looks for it.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from gradient_variance import BATCH, MINIBATCHES, moments
from noisezoo import load
from noisezoo.inference import local, normals, target
from noisezoo.inference.run import fit
from noisezoo.inference.svi import SVI
from noisezoo.models import direction_magnitude
from noisezoo.models.likelihood import categorical
from noisezoo.models.network import mlp
from noisezoo.models.ppl import language
from numpyro import handlers

INIT_SCALE, LARGE, SIZES = 0.05, 1000, (1, 10, 100, 1000)
FORWARD, PARTS = 5, 10  # draws of the likelihood for each of the gradient; of as many parts, whose spread is the error
WAYS = {
    "sampled": (SVI(guide="local"), None),
    "batch": (SVI(guide="local", plane="batch"), local.LocalNormal),
    "flipout": (SVI(guide="flipout"), local.FlipoutNormal),
    "rows": (SVI(guide="local"), local.LocalNormal),
}
GROUPS = ("base.loc", "magnitude.loc", "magnitude.log_scale", "angle.loc", "angle.log_scale")


def log_liks(model, way, x, y):
    """A function (params, key, rows, x, y) -> log p(y_i given x_i, one draw of the noise) of each of these rows."""
    found, program = target.sites(model, x[:1], y[:1]), target.on_rows(model)

    def guide(x, y, rows):
        normals.sample(language("numpyro"), local.layout(model, found, x, y), WAYS[way][0], None, WAYS[way][1])

    def each(params, key, rows, x, y):
        q = handlers.trace(handlers.substitute(local.Seeds(guide, key), data=params)).get_trace(x, y, rows)
        site = handlers.trace(handlers.replay(program, q)).get_trace(x, y, rows)["y"]
        return site["fn"].log_prob(site["value"])

    return each


def batches(each, size, number):
    """A compiled function (params, key, x, y) -> L_i of so many batches of `size` rows, each with noise of its own."""

    def one(params, x, y, key):
        key_rows, key = jax.random.split(key)
        return each(params, key, target.draw_rows(key_rows, x.shape[0], size), x, y)

    return jax.jit(lambda params, key, x, y: jax.lax.map(partial(one, params, x, y), jax.random.split(key, number)))


def components(likelihoods):
    """Unbiased estimates of Var[L_i] and Cov[L_i, L_j], i not j, from L_i (batches, rows): an analysis of variance."""
    within = likelihoods.var(axis=1, ddof=1).mean()
    between = likelihoods.mean(axis=1).var(ddof=1) - within / likelihoods.shape[1]
    return within + between, between


def by_part(estimate, likelihoods):
    """Mean and standard error of an unbiased estimate, made for each of some parts of the batches."""
    found = np.array([estimate(part) for part in np.array_split(np.asarray(likelihoods, np.float64), PARTS)])
    return found.mean(axis=0).tolist(), (found.std(axis=0, ddof=1) / np.sqrt(PARTS)).tolist()


def predicted(size, likelihoods):
    var, cov = components(likelihoods)
    return var / size + (size - 1) / size * cov


def likelihood(each, params, x, y, draws):
    """Eq 42: its two components, the variance it predicts for each size of batch, and the variance there is."""
    key, found = jax.random.PRNGKey(0), {}
    large = batches(each, LARGE, draws)(params, key, x, y)
    (var, cov), (var_error, cov_error) = by_part(components, large)
    for size in SIZES:
        other = batches(each, size, draws)(params, jax.random.fold_in(key, size), x, y)
        pairs = {"predicted": by_part(partial(predicted, size), large)}
        pairs["measured"] = by_part(lambda own: own.mean(axis=1).var(ddof=1), other)
        apart = pairs["measured"][0] - pairs["predicted"][0]
        found[size] = {f"{k}{end}": v[i] for k, v in pairs.items() for i, end in enumerate(("", "_error"))}
        found[size]["errors_apart"] = apart / float(np.hypot(*(error for _, error in pairs.values())))
    result = {"var": var, "var_error": var_error, "cov": cov, "cov_error": cov_error, "correlation": cov / var}
    return {**result, "of_batches": found}


def gradient(each):
    """A function (params, key, rows, x, y) -> the gradient of the log likelihood of all rows, as a batch estimates it."""
    return jax.grad(lambda params, key, rows, x, y: x.shape[0] * jnp.mean(each(params, key, rows, x, y)))


def variances(sums, params, draws, rows, x, y):
    """The variance of each parameter's gradient over `draws`, summed by group."""
    first, square = sums(params, jax.random.PRNGKey(0), draws, rows, x, y)
    each = {name: float(jnp.sum(square[name] - first[name] ** 2 / draws)) / (draws - 1) for name in first}
    return {group: sum(v for k, v in each.items() if k.endswith(group)) for group in GROUPS}


def measured(model, params, x, y, draws):
    """Both measurements for each way, the gradient's also as ratios to `sampled`."""
    result = {}
    rows = [target.draw_rows(jax.random.PRNGKey(i), x.shape[0], BATCH) for i in range(MINIBATCHES)]
    for way in WAYS:
        each = log_liks(model, way, x, y)
        sums = moments(gradient(each))
        fixed = [variances(sums, params, draws, own, x, y) for own in rows]
        noise = {group: float(np.mean([f[group] for f in fixed])) for group in GROUPS}
        found = {"noise": noise, "noise_and_rows": variances(sums, params, draws, None, x, y)}
        first = result["sampled"]["gradient"] if result else found
        ratios = {
            f"{what}_ratio": {group: v[group] / first[what][group] for group in GROUPS} for what, v in found.items()
        }
        result[way] = {"likelihood": likelihood(each, params, x, y, FORWARD * draws), "gradient": {**found, **ratios}}
        print(way, json.dumps(result[way]), flush=True)
    return result


def fitted(model, steps, x, y):
    """The parameters of the guide ``local`` after so many steps."""
    config = SVI(guide="local", steps=steps, lr=1e-3, batch_size=BATCH, init_scale=INIT_SCALE, draws=1)
    found = fit(model, config, x, y, progress=False)
    print(f"after {steps} steps, loss {found.history['loss'][0, -1]:.0f}", flush=True)
    params = {f"{name}.loc": v[0] for name, v in found.loc.items()}
    params |= {f"{name}.log_scale": np.log(v[0]) for name, v in found.scale.items()}
    params |= {f"{name}.loc": v[0, 0] for name, v in found.draws.items() if name.endswith(".base")}
    return jax.tree.map(jnp.asarray, params)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = load("mnist")
    x, y = jnp.asarray(data.x_train, jnp.float32), jnp.asarray(data.y_train)
    network = mlp(300, 100, activation="relu", bias=False)
    model, result = categorical(network, direction_magnitude.prior(), 10), {}
    for steps in (1, options.steps):
        found = measured(model, fitted(model, steps, x, y), x, y, options.draws)
        result[f"after_{steps}_steps"] = found
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
