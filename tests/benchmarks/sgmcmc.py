"""What stochastic-gradient sampling costs: steps per second as the data grow, and memory of a large network.

python tests/benchmarks/sgmcmc.py [--pairs 3] [--out FILE.json]

Rows: LeNet-300-100 on made-up images, minibatches of 100, N from 1,000 to 1,000,000 in turn; the ratio is that of the
seconds of a step to those at the smallest N of the same round.  Features are 90, as in the Million Songs, so that a
million rows fit into memory.  Memory: a process of its own takes 10,000 samples of LeNet-300-100 on 50,000 rows of 784
features, four chains, 20 draws of each, and tells the most it ever held.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import jax.numpy as jnp
import numpy as np
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.models.likelihoods import categorical
from noisezoo.models.networks import lenet_300_100
from noisezoo.models.weights.parametrisation import normal

ROWS = (1_000, 10_000, 100_000, 1_000_000)
MODEL = categorical(lenet_300_100(), normal(), 10)


def made_up(rows, features):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, features), dtype=np.float32)
    return jnp.asarray(x), jnp.asarray(rng.integers(0, 10, rows).astype(np.int32))


def seconds(x, y):
    """Of a step, the draw after every 100 included."""
    config = SGLD(warmup=1, draws=10, thin=100, batch_size=100, step_size=1e-3, chains=1)
    return fit(MODEL, config, x, y, progress=False).seconds["sample"] / (config.draws * config.thin)


def memory():
    """Take the samples, and print the gigabytes that this process held at most."""
    config = SGLD(warmup=100, draws=20, thin=500, batch_size=100, step_size=1e-3, chains=4)
    found = fit(MODEL, config, *made_up(50_000, 784), progress=False)
    assert found.scale["layer0.weight"].shape == (4, 784, 300)
    print(json.dumps({"GB": peak(), "seconds": found.seconds}))


def peak():
    """Gigabytes, of Linux: getrusage would tell those of the process that started this one, if it held more."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--out")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    if given.memory:
        return memory()
    data = {rows: made_up(rows, 90) for rows in ROWS}
    for x, y in data.values():
        seconds(x, y)  # compiles
    rounds = [{rows: seconds(*data[rows]) for rows in ROWS} for _ in range(given.pairs)]
    found: dict = {}
    for rows in ROWS:
        ratios = [one[rows] / one[ROWS[0]] for one in rounds]
        found[f"step at N = {rows} over N = {ROWS[0]}"] = [median(ratios), min(ratios), max(ratios)]
        found[f"steps per second at N = {rows}"] = 1 / median(one[rows] for one in rounds)
    told = subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True)
    found["memory of 10,000 samples, 4 chains"] = json.loads(told.stdout.splitlines()[-1])
    text = json.dumps(found, indent=2)
    print(text)
    if given.out:
        Path(given.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
