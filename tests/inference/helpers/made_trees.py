"""DataTrees of fits without an inference: known draws around the weights of a known linear function."""

from functools import cache

import numpy as np
import pandas as pd
from noisezoo.data import from_frame
from noisezoo.inference.driver.result import Fit
from noisezoo.inference.judging.datatree import to_datatree
from noisezoo.models import catalogue

CHAINS, DRAWS, ROWS = 4, 200, 200


@cache
def made_data(task="regression", features=6):
    rng = np.random.default_rng(99)
    x = rng.normal(size=(ROWS, features))
    score = x @ np.linspace(0, 2, features) if features > 1 else np.sin(2 * x[:, 0])
    y = {
        "regression": 300 + 10 * (score + rng.normal(size=ROWS)),
        "binary": np.where(rng.uniform(size=ROWS) < 1 / (1 + np.exp(-score)), "yes", "no"),
        "categorical": np.digitize(score + rng.logistic(size=ROWS), [-1, 1]),
    }[task]
    frame = pd.DataFrame(x, columns=[f"feature {i}" for i in range(features)]).assign(strength=y)
    unit = "MPa" if task == "regression" else ""
    return from_frame(frame, "strength", task, test_fraction=0.3, name="made", unit=unit)


@cache
def made_model(task="regression"):
    weights = catalogue.prior("half_cauchy", "ard", "hierarchical")
    return catalogue.model(weights, catalogue.network("linear"), task, 3)


@cache
def made_tree(strategy="nuts", task="regression", features=6, spread=1.0, apart=0.0, seed=0, chains=CHAINS):
    """A fit whose weights lie around least squares with sd 0.1 `spread`, its chains `apart` (in weights)."""
    data, rng = made_data(task, features), np.random.default_rng(seed)
    out = 3 if task == "categorical" else 1
    target = np.eye(3)[data.y_train] if out == 3 else data.y_train[:, None]
    best = np.linalg.lstsq(data.x_train, (1 if task == "regression" else 4) * target, rcond=None)[0]
    weight = best + 0.1 * spread * rng.normal(size=(chains, DRAWS, *best.shape))
    weight += apart * np.arange(chains)[:, None, None, None]
    draws = {
        "layer0.weight": weight,
        "layer0.scale": np.exp(0.3 * rng.normal(size=(chains, DRAWS, features))) * (0.05 + np.abs(best[:, 0])),
        "layer0.bias": 0.05 * rng.normal(size=(chains, DRAWS, out)),
    }
    if task == "regression":
        noise = np.var(data.y_train - data.x_train @ best[:, 0])
        draws["precision"] = rng.gamma(100, 0.01 / noise, size=(chains, DRAWS))
    guide = strategy == "svi"
    step = np.tile(np.arange(1, 101) * 50, (chains, 1))
    history = {"step": step, "loss": 400 + 4000 * np.exp(-step / 200) + 5 * rng.normal(size=step.shape)}
    fit = Fit(
        strategy=strategy,
        settings={"guide": "mean_field"} if guide else {},
        ppl="numpyro",
        draws={name: values.astype(np.float32) for name, values in draws.items()},
        history=history if guide else {},
        seconds={"compile": 1.0, "adapt": 2.0, "sample": 3.0},
        independent_chains=not guide,
    )
    return to_datatree(fit, made_model(task), data, seed)


AWKWARD = "spend_$_per_$_won"  # which matplotlib would take for a formula, and a wrong one


def renamed(tree, name=AWKWARD):
    """The same fit with this in every name that a user gives: features, target, unit, classes."""
    tree = tree.copy(deep=True)
    for group in list(tree.children):
        found = tree[group].to_dataset()
        named = {k: [f"{name} {v}" for v in found[k].values] for k in ("feature", "layer0.unit_in") if k in found}
        tree[group] = found.assign_coords(named)
    classes = {"classes": [f"{name} {c}" for c in tree.attrs["classes"]]} if "classes" in tree.attrs else {}
    tree.attrs.update(target=name, unit=name, **classes)
    return tree
