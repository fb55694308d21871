"""How long pruning curves take: every rule, 47 fractions and the band, LeNet-300-100 on the 10,000 test rows of MNIST.

    python tests/benchmarks/prune.py [--draws 20] [--rows 10000] [--out FILE.json]

The moments and draws are made up; without MNIST, so are the rows.  GFLOP/s counts the multiplications and additions of
the nets that have to be evaluated, rules of one order (snr and log_alpha) once.
"""

import argparse
import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import xarray as xr
from noisezoo.data import load
from noisezoo.inference.sparsity import pruning
from noisezoo.models import catalogue
from noisezoo.models.networks.bare import bare_program

UNITS = (784, 300, 100, 10)
ORDERS = 6  # of the seven rules


def made(draws, seed=0):
    """A DataTree with `draws` of a net, some of its weights switched off in some draws."""
    rng, found = np.random.default_rng(seed), {}
    for i, (unit_in, unit_out) in enumerate(zip(UNITS[:-1], UNITS[1:], strict=True)):
        mean = rng.normal(size=(unit_in, unit_out)) / unit_in**0.5
        sd = 0.05 * rng.gamma(2, size=mean.shape) / unit_in**0.5
        on = rng.uniform(size=(draws, unit_in, 1)) < rng.beta(8, 1, size=(unit_in, 1))
        found[f"layer{i}.weight"] = on * (mean + sd * rng.normal(size=(draws, *mean.shape)))
        found[f"layer{i}.bias"] = 0.01 * rng.normal(size=(draws, unit_out))
    dims = {site: ("chain", "draw", *(f"{site}.{k}" for k in range(v.ndim - 1))) for site, v in found.items()}
    sites = {site: (dims[site], v[None].astype(np.float32)) for site, v in found.items()}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(sites)})


def rows(count):
    try:
        data = load("mnist")
        return SimpleNamespace(x_test=data.x_test[:count], y_test=data.y_test[:count], task=data.task, y_scale=1.0)
    except (OSError, ValueError):
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(count, UNITS[0])).astype(np.float32), rng.integers(0, 10, count)
        return SimpleNamespace(x_test=x, y_test=y, task="categorical", y_scale=1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=pruning.DRAWS)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tree, data = made(max(options.draws, 20)), rows(options.rows)
    model = bare_program(catalogue.network("lenet_300_100"), UNITS[-1])
    result = {}
    for name, draws in (("mean weights", 0), ("with the band", options.draws)):
        at = time.perf_counter()
        found = pruning.curve(model, tree, data, draws=draws)
        seconds = time.perf_counter() - at
        weights = sum(a * b for a, b in zip(UNITS[:-1], UNITS[1:], strict=True))
        evaluated = len(data.x_test) + draws * min(pruning.BAND_ROWS, len(data.x_test))
        flop = 2 * weights * evaluated * found["fraction"].nunique() * ORDERS
        result[name] = {"seconds": round(seconds, 2), "gflop_per_second": round(flop / seconds / 1e9, 1)}
        print(name, json.dumps(result[name]), f"{found['rule'].nunique()} rules", flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
