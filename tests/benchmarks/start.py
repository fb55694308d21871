"""From process start to the first draw: without and with JAX's persistent compilation cache, cold and warm.

    python tests/benchmarks/start.py [--pairs 3] [--out docs/results/benchmarks/start.json]

Each run is a fresh process that imports noisezoo and takes one NUTS draw of a horseshoe net of 50 units on diabetes.
`first` fills an empty cache, `second` finds it filled, `off` has none.  Ratios are within one round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from told import tell

PROGRAM = """
import sys
from noisezoo.inference.driver.compilation_cache import persistent_cache
if sys.argv[1]:
    persistent_cache(sys.argv[1])
import jax.numpy as jnp
import noisezoo.data
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.driver.fit import fit
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy
from noisezoo.models.weights.parametrisation import prior
data = noisezoo.data.load("diabetes")
x, y = jnp.asarray(data.x_train), jnp.asarray(data.y_train)
config = NUTS(warmup=1, draws=1, chains=1, max_tree_depth=1)
found = fit(gaussian(mlp(50), prior(half_cauchy())), config, x, y, progress=False)
print(found.seconds["compile"])
"""


def start(cache):
    """Seconds of the whole process, and of compilation within it."""
    at = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, cache], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return time.perf_counter() - at, float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rounds = []
    for _ in range(options.pairs):
        with tempfile.TemporaryDirectory() as cache:
            rounds.append({"off": start(""), "first": start(cache), "second": start(cache)})
    result = {
        f"{name}_{what}_seconds": statistics.median(r[name][i] for r in rounds)
        for name in ("off", "first", "second")
        for i, what in enumerate(("process", "compile"))
    }
    for i, what in enumerate(("process", "compile")):
        result[f"second_over_first_{what}"] = statistics.median(r["second"][i] / r["first"][i] for r in rounds)
    tell(result, options.out)


if __name__ == "__main__":
    main()
