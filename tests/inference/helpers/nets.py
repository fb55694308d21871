"""Nets drawn at random or written down, and runs of them."""

import numpy as np
import xarray as xr
from made_trees import made_tree
from noisezoo import data as datasets
from noisezoo.inference import provenance
from noisezoo.inference.judging import datatree
from noisezoo.inference.runs import folder

ACT = {"tanh": np.tanh, "relu": lambda h: np.maximum(h, 0)}


def random_net(*units, seed=0, dtype=np.float32):
    """Means of the weights and biases of a dense net with these units, the inputs first."""
    rng, loc = np.random.default_rng(seed), {}
    for i, (unit_in, unit_out) in enumerate(zip(units[:-1], units[1:], strict=True)):
        loc[f"layer{i}.weight"] = rng.normal(size=(unit_in, unit_out)).astype(dtype)
        loc[f"layer{i}.bias"] = rng.normal(size=unit_out).astype(dtype)
    return loc


def by_hand(loc, x, act="tanh"):
    h, layers = x, len(loc) // 2
    for i in range(layers):
        h = h @ loc[f"layer{i}.weight"] + loc[f"layer{i}.bias"]
        h = ACT[act](h) if i < layers - 1 else h
    return h[:, 0] if h.shape[1] == 1 else h


def guided(strategy="svi", loss=((5.0, 9.0), (7.0, 3.0)), chains=2):
    tree = made_tree(strategy, chains=chains, seed=1).copy(deep=True)
    rng = np.random.default_rng(0)
    dims = ("chain", "layer0.unit_in", "layer0.unit_out")
    group = {
        "layer0.weight": (dims, rng.normal(size=(chains, 6, 1))),
        "layer0.weight.sd": (dims, np.exp(rng.normal(size=(chains, 6, 1)))),
        "layer0.bias": (dims[::2], rng.normal(size=(chains, 1))),
        "layer0.bias.sd": (dims[::2], np.ones((chains, 1))),
    }
    tree["guide"] = xr.DataTree(xr.Dataset(group))
    step = np.tile([10, 20], (chains, 1))
    history = {"step": step, "loss": np.array(loss), "compression": step / 10, "error": 5.0 / step}
    tree["history"] = xr.DataTree(xr.Dataset({k: (("chain", "record"), v) for k, v in history.items()}))
    return tree


def made_run(path, labels=("svi",), network="mlp:5"):
    """A run folder as `compare` leaves it, with fits of known guides."""
    data = datasets.load("diabetes", split=2)
    entry = {"status": "done", "why": "", "settings": {}}
    fits = {label: {**entry, "file": f"{label}.nc"} for label in labels}
    for seed, label in enumerate(labels):
        loc = random_net(10, 5, 1, seed=seed)
        group = {}
        for site, v in loc.items():
            dims = ("chain", *[f"{site}.{i}" for i in range(v.ndim)])
            group[site] = (dims, v[None])
            group[f"{site}.sd"] = (dims, np.full((1, *v.shape), 0.5, np.float32))
        tree = xr.DataTree.from_dict({"posterior": xr.Dataset(), "guide": xr.Dataset(group)})
        tree.attrs["strategy"] = "svi"
        fits[label]["sha256"] = datatree.save(tree, path / f"{label}.nc")
    options = {"data": "diabetes", "split": 2, "network": network}
    words = {"title": "a net", "prior": "half_cauchy", "started": "now", "versions": {}}
    record = {**words, "fits": fits, "options": options, "data_sha256": provenance.checksum(data)}
    folder.write_run(path, record)
    return data


def random_tree(words=(6, 8, 3), draws=30, seed=0, spread=0.3, zeros=0.0, chains=2):
    """A posterior of independent draws around a random net, of which a share is exactly zero."""
    rng, data = np.random.default_rng(seed), {}
    for site, loc in random_net(*words, seed=seed).items():
        values = loc + spread * rng.normal(size=(chains, draws, *loc.shape))
        values *= rng.uniform(size=values.shape) >= zeros if site.endswith("weight") else 1
        data[site] = (("chain", "draw", *(f"{site}.{i}" for i in range(loc.ndim))), values.astype(np.float32))
    return xr.DataTree.from_dict({"posterior": xr.Dataset(data)})
