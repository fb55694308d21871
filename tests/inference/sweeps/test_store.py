"""A sweep's folder from elsewhere, or with something else where a file should be."""

import json
import os
import time

import pytest
from noisezoo.inference import seals
from noisezoo.inference.sweeps import plan, report, store
from noisezoo.inference.sweeps.store import Cell

CELLS = [Cell("m", "s", "d", split, 0) for split in range(3)]
FACTS = {
    "models": {"m": {"prior": "p"}},
    "strategies": {"s": {}},
    "files": {},
    "ppl": "numpyro",
    "cells": [list(cell) for cell in CELLS],
}


def facts(cell, rmse=0.5):
    return {"cell": cell._asdict(), "status": "done", "reason": "", "seconds": 1.0, "scores": {"rmse": rmse}}


@pytest.fixture
def made(tmp_path):
    """A sweep of three cells that are finished, and the files of these."""
    folder = tmp_path / "sweep"
    store.create(folder, FACTS, {"file": "s.toml", "text": "", "versions": {}}).close()
    keys = store.keys(FACTS)
    for cell, key in keys.items():
        store.write(folder, key, facts(cell, 0.5 + cell.split))
    return folder, [folder / "cells" / f"{keys[cell]}.json" for cell in CELLS]


def test_a_cell_of_another_place_is_found_and_named(made):
    folder, (first, second, _) = made
    assert len(store.finished(folder, store.keys(FACTS))) == 3
    first.write_bytes(second.read_bytes())
    found = store.finished(folder, store.keys(FACTS))
    assert set(found) == set(CELLS[1:])
    title, _, rows = report.make(folder)[-1]
    assert title == "Cells that count as missing" and f"cells/{first.name}" in rows[0][0]
    assert f"not whole, changed or of another cell: cells/{first.name}" in (folder / "report.html").read_text()


def test_a_cell_of_another_sweep_is_found_though_it_has_the_same_name(made, tmp_path):
    folder, (first, *_) = made
    other = tmp_path / "other"
    theirs = FACTS | {"models": {"m": {"prior": "another"}}}
    store.create(other, theirs, {"file": "s.toml", "text": "", "versions": {}}).close()
    key = store.keys(theirs)[CELLS[0]]
    store.write(other, key, facts(CELLS[0]))
    first.write_bytes((other / "cells" / f"{key}.json").read_bytes())
    assert CELLS[0] not in store.finished(folder, store.keys(FACTS))


def test_a_cell_that_does_not_say_its_key_is_of_old_and_counts(made):
    folder, (first, *_) = made
    first.write_text(json.dumps(facts(CELLS[0]) | {"sha256": seals.digest(facts(CELLS[0]))}))
    assert store.finished(folder, store.keys(FACTS))[CELLS[0]] == facts(CELLS[0])


@pytest.mark.parametrize(
    "change",
    [{"status": 1}, {"scores": [1]}, {"scores": {"rmse": "a"}}, {"seconds": None}, {"reason": None}, {"cell": []}],
)
def test_a_cell_of_other_kinds_counts_as_missing(made, change):
    folder, (first, *_) = made
    result = facts(CELLS[0]) | change
    first.write_text(json.dumps(result | {"sha256": seals.digest(result)}))
    assert CELLS[0] not in store.finished(folder, store.keys(FACTS))
    report.make(folder)


@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"a"', "[" * 100_000, '{"sha256": 1}', "\0"])
def test_a_malformed_cell_counts_as_missing(made, text):
    folder, (first, *_) = made
    first.write_text(text)
    assert set(store.finished(folder, store.keys(FACTS))) == set(CELLS[1:])


@pytest.mark.parametrize("what", ["cell", "sweep.json"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(made, what, kind):
    folder, (first, *_) = made
    path = first if what == "cell" else folder / what
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    began = time.monotonic()
    with pytest.raises(ValueError, match=rf"{path.name} is a {kind}.*, not a file; remove it"):
        report.make(folder)
    assert time.monotonic() - began < 5


def test_a_pipe_in_the_place_of_the_lock_does_not_hang(made):
    folder, _ = made
    (folder / "lock").unlink()
    os.mkfifo(folder / "lock")
    with pytest.raises(OSError, match="cannot write to the folder"):
        store.create(folder, FACTS, {})


@pytest.mark.parametrize("name", ["cells", "sweep.json", "lock"])
def test_links_out_of_the_folder_are_refused(made, name):
    folder, _ = made
    outside = folder.parent / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    before = outside.stat()
    with pytest.raises(ValueError, match=f"{name} is a link that leads out of its folder"):
        store.create(folder, FACTS, {}).close()
        report.make(folder)
    assert (outside.stat().st_size, outside.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize(
    "change",
    [
        *({name: value} for name in store.KINDS for value in (None, [1], 1)),
        *({"facts": {k: v for k, v in FACTS.items() if k != name}} for name in FACTS),
        *({"facts": FACTS | {"cells": cells}} for cells in (1, [1], [["m"]], [["m", "s", "d", "a", 0]], [[[]] * 5])),
        {"facts": FACTS | {"models": {"m": 1}}},
        {"facts": FACTS | {"models": []}},
    ],
)
def test_a_malformed_sweep_is_one_sentence(made, change):
    folder, _ = made
    record = {k: v for k, v in (store.read(folder) | change).items() if v is not None}
    seals.write_json(folder / "sweep.json", record)
    with pytest.raises(ValueError, match="sweep.json is not whole .*; remove it and run the sweep again"):
        report.make(folder)


def test_a_sweep_that_was_edited_is_refused(made):
    folder, _ = made
    text = (folder / "sweep.json").read_text()
    (folder / "sweep.json").write_text(text.replace('"s.toml"', '"t.toml"'))
    with pytest.raises(ValueError, match="sweep.json was changed since it was written"):
        report.make(folder)


TOML = """
[models.m]
prior = "half_cauchy"
network = "linear"
[strategies]
map = "svi:guide=map,steps=20"
[[grid]]
data = ["yacht"]
"""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("seeds = 100000000", r"seeds = 100000000 is a count of more than 100,000; write seeds = \[100000000\]"),
        ("seeds = 1" + "0" * 400, "is a count of more than"),
        ("seeds = 1" + "0" * 9999, "is not TOML: Exceeds the limit"),
        ("seeds = 60000\nsplits = 2", "asks for 120,000 cells, and a grid has 100,000 at most"),
        ("seeds = [4294967296]", "a seed must lie between 0 and 4294967295, got 4294967296"),
        ("[models.n]\nprior = 'half_cauchy'\nsigma0 = 1" + "0" * 400, "sigma0 is a number of 401 digits"),
        ("[strategies.local]\nwith = 'svi:guide=local'\nepochs = 1000000", "epochs must be at least 1, and less than"),
        ("splits = 100000000", "splits = 100000000 is a count"),
        ("seeds = " + "[" * 100_000, "nests too deeply|is not TOML"),
        ("a = " + "{a = " * 50_000, "nests too deeply|is not TOML"),
        ("[models.n]\nprior = 'half_cauchy'\nprecision = inf", "precision must be positive and finite"),
        ("[models.n]\nprior = 'half_cauchy'\nsigma0 = 1e400", "sigma0 must be positive and finite"),
    ],
)
def test_a_plan_without_bounds_is_one_sentence_at_once(tmp_path, more, says):
    path, began = tmp_path / "s.toml", time.monotonic()
    path.write_text(TOML + more)
    with pytest.raises(ValueError, match=says):
        plan.read(path)
    assert time.monotonic() - began < 20


def test_a_plan_that_is_no_file_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "s.toml")
    (tmp_path / "t.toml").mkdir()
    for name, kind in {"s.toml": "a pipe or a device", "t.toml": "a folder"}.items():
        with pytest.raises(ValueError, match=f"{name} is {kind}, not a file"):
            plan.read(tmp_path / name)
