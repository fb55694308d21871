"""MCLMC against NUTS: effective draws of f(x) for each gradient, run in turn, compared as ratios.

    python tests/benchmarks/mclmc.py [--pairs 3] [--prior half_cauchy] [--warmup 500] [--draws 500]
        [--out docs/results/benchmarks/mclmc.json]

A net of 50 units on diabetes, one scale per input unit.  The ESS is the bulk ESS of f(x) at the test rows, at the worst
row and at the median one, of two chains; the gradients are those of the draws, without the warmup.  Each pair is one
run of either with the same seed, in alternating order; the ratio of a pair is mclmc / nuts.  An ESS means nothing where
R-hat of f(x) is above 1.05, so that is given too, and `mixed` counts the pairs in which neither is.  Whether they
sample the same is in `distance_mean` and `distance_sd`: of mclmc to nuts, in posterior sds of f(x), and as a ratio of
sds.
"""

import argparse
import statistics
from pathlib import Path

import jax.numpy as jnp
import noisezoo.data
import numpy as np
from arviz_stats import ess, rhat
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.convergence import RHAT
from noisezoo.inference.judging.predict import predict
from noisezoo.inference.strategies.mclmc import MCLMC
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.models import catalogue
from told import tell

CHAINS = 2
AXES = {"chain_axis": 0, "draw_axis": 1}


def measured(model, config, data, seed):
    """f(x) at the test rows (chain, draw, row), and numbers about it."""
    x, y, x_test, y_test = (jnp.asarray(a) for a in (data.x_train, data.y_train, data.x_test, data.y_test))
    found = fit(model, config, x, y, seed=seed, progress=False)
    f = np.asarray(predict(model, found.draws, x_test, y_test).f, float)
    size, gradients = ess(f, method="bulk", **AXES), float(found.stats["n_steps"].sum())
    return f, {
        "ess_per_1000_gradients_worst": float(1000 * size.min() / gradients),
        "ess_per_1000_gradients_median": float(1000 * np.median(size) / gradients),
        "gradients_per_draw": gradients / found.stats["n_steps"].size,
        "us_per_gradient": 1e6 * found.seconds["sample"] / gradients,
        "rhat_f": float(np.max(rhat(f, **AXES))),
    }


def distance(ours, theirs):
    """Of the means of f(x), in sds of the second, and the ratio of the sds."""
    ours, theirs = (f.reshape(-1, f.shape[-1]) for f in (ours, theirs))
    sd = theirs.std(axis=0)
    away = (ours.mean(axis=0) - theirs.mean(axis=0)) / sd
    return {
        "distance_mean": float(np.sqrt(np.mean(away**2))),
        "distance_sd": float(np.median(ours.std(axis=0) / sd)),
    }


def pair(model, configs, data, seed):
    names = list(configs) if seed % 2 else list(configs)[::-1]
    runs = {name: measured(model, configs[name], data, seed) for name in names}
    (f_ours, ours), (f_theirs, theirs) = runs["mclmc"], runs["nuts"]
    ratios = {k: ours[k] / theirs[k] for k in ours if k.startswith("ess")}
    return {"mclmc": ours, "nuts": theirs, "ratio": ratios, **distance(f_ours, f_theirs)}


def summary(pairs):
    """Medians over pairs, and the range of the ratios."""
    found = {
        f"{name}_{key}": statistics.median(p[name][key] for p in pairs)
        for name in ("mclmc", "nuts")
        for key in pairs[0][name]
    }
    for key in pairs[0]["ratio"]:
        ratios = [p["ratio"][key] for p in pairs]
        found |= {f"{key}_ratio_{f.__name__}": f(ratios) for f in (statistics.median, min, max)}
    found |= {key: statistics.median(p[key] for p in pairs) for key in ("distance_mean", "distance_sd")}
    mixed = sum(max(p["mclmc"]["rhat_f"], p["nuts"]["rhat_f"]) <= RHAT for p in pairs)
    return {**found, "pairs": len(pairs), "mixed": mixed}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--prior", default="regularised_half_cauchy")
    parser.add_argument("--warmup", type=int, default=500, help="of nuts; mclmc has its own default")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = noisezoo.data.load("diabetes")
    net = catalogue.network("mlp:50")
    model = catalogue.model(catalogue.prior(options.prior, "ard", "expanded"), net, data.task, len(data.classes))
    configs = {
        "mclmc": MCLMC(draws=options.draws, chains=CHAINS),
        "nuts": NUTS(warmup=options.warmup, draws=options.draws, chains=CHAINS),
    }
    result = summary([pair(model, configs, data, seed) for seed in range(1, options.pairs + 1)])
    tell({"prior": options.prior, **result}, options.out)


if __name__ == "__main__":
    main()
