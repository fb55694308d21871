"""Every reader, given files that were damaged at random: what was written is read, or one sentence says what is wrong.

`make fuzz FUZZ=100000` tries so many; the tests try 2,000, the same ones each time.
"""

import os
import random
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nets import random_net
from noisezoo import data as datasets
from noisezoo.inference import seals
from noisezoo.inference.driver.checkpoint import Checkpoint
from noisezoo.inference.driver.records import Records
from noisezoo.inference.judging import datatree
from noisezoo.inference.references import stored
from noisezoo.inference.runs import folder
from noisezoo.inference.sparsity import coordinate_format, net_files
from noisezoo.inference.sweeps import plan, store
from noisezoo.inference.sweeps.store import Cell
from noisezoo.inference.target import warm_start

OURS = (ValueError, TypeError, ImportError, OSError)  # what the command line says in one sentence
TOML = """
[models.ard]
prior = "half_cauchy:scale=0.5"
network = "mlp:5"
precision = 4.0
[strategies]
map = "svi:guide=map,steps=20"
local = {with = "svi:guide=local,batch_size=10", epochs = 3}
[[grid]]
data = ["yacht", "boston"]
splits = [0, 2]
seeds = 2
"""
CELL = Cell("m", "s", "d", 0, 0)
FACTS = {"models": {"m": {"prior": "p"}}, "strategies": {"s": {}}, "files": {}, "ppl": "numpyro", "cells": [list(CELL)]}


def toml(path):
    (path / "s.toml").write_text(TOML)
    return path / "s.toml", lambda: plan.read(path / "s.toml").facts()


def run_json(path):
    fit = {"settings": {"draws": 9}, "file": "svi.nc", "sha256": "0" * 64, "status": "done", "why": ""}
    words = {"title": "a run", "prior": "p", "started": "now", "versions": {"jax": "1"}, "data_sha256": "0"}
    options = {"data": "yacht", "split": 0, "network": "linear"}
    folder.write_run(path, {**words, "options": options, "fits": {"svi": fit}})
    return path / "run.json", lambda: folder.read_run(path)


def sweep_json(path):
    store.create(path, FACTS, {"file": "s.toml", "text": TOML, "versions": {"jax": "1"}}).close()
    return path / "sweep.json", lambda: store.read(path)


def cell(path):
    (path / "cells").mkdir()
    (key,) = store.keys(FACTS).values()
    facts = {"cell": CELL._asdict(), "status": "done", "reason": "", "seconds": 1.5, "scores": {"rmse": 0.25}}
    store.write(path, key, facts)

    def read():
        found = store.finished(path, {CELL: key})
        if not found:
            raise ValueError(store.changed(path, {CELL: key}, found))  # it counts as missing, and the sweep says so
        return found[CELL]

    return path / "cells" / f"{key}.json", read


def netcdf(path):
    rng = np.random.default_rng(0)
    group = xr.Dataset({"layer0.weight": (("chain", "draw", "unit"), rng.normal(size=(2, 30, 5)))})
    tree = xr.DataTree.from_dict({"posterior": group.assign_coords(unit=list("abcde"))})
    tree.attrs.update(strategy="svi", settings='{"draws": 30}', seed=3, y_mean=1.5)
    datatree.save(tree, path / "svi.nc")

    def read():
        found = warm_start.load(path / "svi.nc")
        return {group.path: group.to_dataset().to_dict() for group in found.subtree}

    return path / "svi.nc", read


def net(path):
    loc = random_net(6, 4, 1)
    masks = {site: v > 0 for site, v in loc.items() if site.endswith("weight")}
    scaling = {"x_mean": np.zeros(6), "x_scale": np.ones(6)}
    content = coordinate_format.to_bytes({**coordinate_format.encode(loc, masks), **scaling})
    (path / net_files.TENSORS).write_bytes(content)
    shapes = {site: list(v.shape) for site, v in loc.items() if site.endswith("weight")}
    facts = {"format": net_files.FORMAT, "network": "mlp:4", "task": "regression", "classes": [], "compact": None}
    sha256 = {net_files.TENSORS: net_files._sha256(content)}
    seals.write_json(path / net_files.NET, {**facts, "shapes": shapes, "y_mean": 0.5, "sha256": sha256})

    def read():
        found = net_files.load_net(path)
        return {k: v.tolist() for k, v in found.arrays.items()}, found.description, found.x_mean.tolist()

    return read


def net_json(path):
    read = net(path)
    return path / net_files.NET, read


def net_safetensors(path):
    read = net(path)
    return path / net_files.TENSORS, read


def checkpoint(path):
    saved = Checkpoint(path / "state", {"program": "0", "settings": "svi"})
    records = Records(5, {"warmup": 5, "draws": 0})
    state = [np.arange(40.0), np.int32(3)]
    saved.save(state, records.with_block("warmup", {"info": {"loss": np.arange(5.0)[None]}}, 5, 10), now=True)

    def read():
        found, log = saved.load(state)
        return [v.tolist() for v in found], log.step, log.done, log.joined("info")["loss"].tolist()

    return path / "state", read


def table(path, suffix, write):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)).round(3), columns=["a", "b c", "y"]).assign(kind=["u", "v"] * 20)
    write(frame, path / f"t.{suffix}")
    return path / f"t.{suffix}", lambda: str(datasets.load(f"{path}/t.{suffix}:y").x_train.sum())


def csv(path):
    return table(path, "csv", lambda frame, file: frame.to_csv(file, index=False))


def parquet(path):
    return table(path, "parquet", lambda frame, file: frame.to_parquet(file, index=False))


def reference(path):
    stored.write(stored.load("diabetes-ridge"), path)
    return path / "diabetes-ridge.json", lambda: stored.load("diabetes-ridge", path)


SEALED = (run_json, sweep_json, cell, netcdf, net_json, net_safetensors, checkpoint, reference)
TEXTS = (toml, csv, parquet)  # somebody's own: another text is another table, so that it need not be the same
READERS = {reader.__name__: reader for reader in (*SEALED, *TEXTS)}
COUNT = int(os.environ.get("FUZZ", "2000")) // len(READERS)


def damaged(content, dice):
    """The content of a file after one to three accidents."""
    content = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 3))):
        first = dice.randrange(len(content) + 1)
        last = min(first + dice.choice((1, 1, 2, 8, 64, 512)), len(content))
        accident = dice.choice(("flip", "byte", "insert", "delete", "repeat", "cut", "zeros", "move", "tail"))
        if accident == "flip" and first < last:
            content[first] ^= 1 << dice.randrange(8)
        elif accident == "byte" and first < last:
            content[first] = dice.choice((dice.randrange(256), *b"0919-.eE\"'{}[],:=\n"))
        elif accident == "insert":
            content[first:first] = dice.choice((dice.randbytes(last - first), b"[" * 5000, b"9" * 5000, b"\0", b"null"))
        elif accident == "delete":
            del content[first:last]
        elif accident == "repeat":
            content[last:last] = content[first:last]
        elif accident == "cut":
            del content[first:]
        elif accident == "zeros":
            content[first:last] = bytes(last - first)
        elif accident == "tail":
            content[first:] = bytes(len(content) - first)
        else:
            piece = content[first:last]
            del content[first:last]
            at = dice.randrange(len(content) + 1)
            content[at:at] = piece
    return bytes(content)


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_as_it_was_or_refused_in_one_sentence(name, tmp_path):
    path, read = READERS[name](tmp_path)
    whole, expected = path.read_bytes(), read()
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(COUNT):
            path.write_bytes(damaged(whole, random.Random(f"{name} {i}")))
            try:
                found = read()
            except OURS as error:
                assert str(error), (name, i)
                refused += 1
            except BaseException as error:
                raise AssertionError(f"{name} {i}: {type(error).__name__}: {error}") from error
            else:
                assert READERS[name] in TEXTS or found == expected, f"{name} {i} was changed without a word"
    assert refused > COUNT // 4, refused
