"""How many of thirty badly scaled regressions, whose posteriors are known, a strategy gets right with its defaults.

    python tests/benchmarks/regressions.py [--with nuts,mclmc,...] [--seeds 6]
        [--out docs/results/benchmarks/regressions.csv]

The regressions are those of tests/inference/helpers/known_regressions.py.  Right is a fit whose means of the
coefficients and the intercept are all within 0.1 posterior sds, and their sds within 10%.  A row is a fit: the largest
errors of these, those of the noise sd, the verdict that the zoo gives without knowing the answer, and the seconds.
"""

import argparse
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import noisezoo.data
import numpy as np
import pandas as pd
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import to_datatree
from noisezoo.inference.judging.diagnose import diagnose
from noisezoo.inference.judging.verdict import verdict
from noisezoo.inference.strategies.parse import parse

sys.path.append(str(Path(__file__).parents[1] / "inference" / "helpers"))
from known_regressions import errors, is_right, program, regressions

STRATEGIES = "svi:guide=full_rank,svi:guide=pathfinder,svi:guide=laplace,mclmc,mclmc:adjusted=1,nuts"


def as_data(regression):
    """The zoo's `Data` of a regression, as it stands."""
    names = tuple(f"x{i}" for i in range(regression.x.shape[1]))
    x, y, unit = regression.x, regression.y, np.ones(len(names))
    return noisezoo.data.Data(
        "regression", "regression", (), x, x[:50], y, y[:50], names, "y", "", 0 * unit, unit, 0.0, 1.0, 0
    )


def judged(regression, label, config):
    """A row of the table."""
    data, began = as_data(regression), time.perf_counter()
    row = {"regression": regression.name, "strategy": label}
    try:
        found = fit(program, config, jnp.asarray(data.x_train), jnp.asarray(data.y_train), progress=False)
    except (ValueError, FloatingPointError) as error:
        return {**row, "right": False, "verdict": "failed", "reason": str(error)}
    seconds = time.perf_counter() - began
    tree = to_datatree(found, program, data)
    word, reason = verdict(diagnose(tree), tree)
    means, sds = errors(regression, found.draws)
    row |= {"right": is_right(regression, found.draws), "mean_off": means[:-1].max(), "sd_off": sds[:-1].max()}
    row |= {"noise_mean_off": means[-1], "noise_sd_off": sds[-1]}
    return {**row, "verdict": word, "reason": reason, "seconds": round(seconds, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="strategies", default=STRATEGIES)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for regression in regressions(range(args.seeds)):
        for label, config in parse(args.strategies).items():
            rows.append(judged(regression, label, config))
            print(rows[-1], flush=True)
            table = pd.DataFrame(rows)
            if args.out:
                table.to_csv(args.out, index=False, float_format="%.3g")
    print(table.groupby("strategy", sort=False)["right"].sum().to_string())


if __name__ == "__main__":
    main()
