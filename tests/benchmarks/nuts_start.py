"""NUTS that starts at Pathfinder's normal against NUTS from random values: gradients of the warmup, ESS after it.

    python tests/benchmarks/nuts_start.py [--pairs 3] [--out docs/results/benchmarks/nuts_start.json]

Two regressions whose columns are scaled and correlated as they come (`known_regressions`), and horseshoe and normal
regression on diabetes.  ``plain`` has ``start=none`` and 1,000 steps of warmup, ``started`` is `nuts` with 200;
both draw 1,000 times in four chains.  The gradients of Pathfinder itself, some hundreds, are not counted.  The ESS
is the least bulk ESS of the coefficients.  A pair is one run of either with the same seed; ratios are started / plain.
"""

import argparse
import statistics
import sys
from pathlib import Path

import jax.numpy as jnp
import noisezoo.data
import numpy as np
from arviz_stats import ess, rhat
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.models import catalogue
from told import tell

sys.path.append(str(Path(__file__).parents[1] / "inference" / "helpers"))
from known_regressions import program, regression

DRAWS = 1000
CONFIGS = {"plain": NUTS(start=None, draws=DRAWS), "started": NUTS(warmup=200, draws=DRAWS)}
AXES = {"chain_axis": 0, "draw_axis": 1}


def on_diabetes(name):
    data = noisezoo.data.load("diabetes")
    model = catalogue.model(catalogue.prior(name, "ard", "expanded"), catalogue.network("linear"), data.task, 0)
    return model, jnp.asarray(data.x_train), jnp.asarray(data.y_train)


def known(rows, columns, seed):
    one = regression(rows, columns, seed)
    return program, jnp.asarray(one.x), jnp.asarray(one.y)


PROBLEMS = {
    "regression, 60 rows, 3 columns": lambda: known(60, 3, 0),
    "regression, 1000 rows, 5 columns": lambda: known(1000, 5, 2),
    "horseshoe, diabetes": lambda: on_diabetes("regularised_half_cauchy"),
    "normal, diabetes": lambda: on_diabetes("normal"),
}


def measured(config, problem, seed):
    """Gradients of the warmup and of the draws of all chains, least ESS and largest R-hat."""
    model, x, y = problem
    found = fit(model, config, x, y, seed=seed, progress=False)
    draws = np.concatenate([a.reshape(*a.shape[:2], -1) for a in found.draws.values()], axis=-1).astype(float)
    draws = draws[..., np.ptp(draws, axis=(0, 1)) > 0]
    warmup = found.history["n_steps"].mean() * config.warmup * config.chains
    return {
        "warmup_gradients": float(warmup),
        "draw_gradients": float(found.stats["n_steps"].sum()),
        "ess": float(np.min(ess(draws, method="bulk", **AXES))),
        "rhat": float(np.max(rhat(draws, **AXES))),
    }


def compared(problem, pairs):
    """Medians over pairs, and the range of the ratios."""
    runs = [{name: measured(c, problem, seed) for name, c in CONFIGS.items()} for seed in range(1, pairs + 1)]
    found = {f"{n}_{k}": statistics.median(r[n][k] for r in runs) for n in CONFIGS for k in runs[0][n]}
    for key in ("warmup_gradients", "ess"):
        ratios = [run["started"][key] / run["plain"][key] for run in runs]
        found |= {f"{key}_ratio_{f.__name__}": f(ratios) for f in (statistics.median, min, max)}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {}
    for name, make in PROBLEMS.items():
        found[name] = compared(make(), options.pairs)
        tell({"pairs": options.pairs, **found}, options.out)


if __name__ == "__main__":
    main()
