"""A sweep: every cell exactly once whatever happens, and a report of what is there."""

import dataclasses
import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from noisezoo import data as datasets
from noisezoo.inference import files as files_module
from noisezoo.inference import seals
from noisezoo.inference.driver import engine
from noisezoo.inference.sweeps import report, store, worker
from noisezoo.inference.sweeps import run as sweep
from noisezoo.inference.sweeps.store import Cell

QUICK = "svi:guide=map,steps=20,draws=20"
TOML = """
[models.{name}]
prior = "half_cauchy"
network = "linear"
[strategies]
{strategies}
[[grid]]
data = {data}
splits = {splits}
seeds = {seeds}
"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Compiled programs go neither to the user's cache, nor, in this process, to any."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)


@pytest.fixture
def file(tmp_path):
    """A function that writes a sweep over a table of 40 rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x @ (1, -2) + rng.normal(size=40)})
    table.to_csv(tmp_path / "mine.csv", index=False)

    def write(strategies=f'map = "{QUICK}"', data='["mine.csv:y"]', splits=2, seeds=1, name="ard"):
        path = tmp_path / "s.toml"
        path.write_text(TOML.format(name=name, strategies=strategies, data=data, splits=splits, seeds=seeds))
        return path

    return write


def report_lines(folder):
    from noisezoo.inference.sweeps import report

    report.make(folder)
    return (folder / "report.html").read_text().splitlines()


def run(file, out, workers=1, **more):
    """Run a sweep in this process; what it counted and what it said."""
    said = []
    return sweep.run(sweep.prepare(file, out, **more), workers, progress=False, print_line=said.append), said


def test_cells_have_the_scores_that_compare_gives(file, tmp_path):
    from noisezoo.inference.driver.fit import fit
    from noisezoo.inference.judging.datatree import arrays, to_datatree
    from noisezoo.inference.judging.diagnose import diagnose
    from noisezoo.inference.strategies.parse import parse

    methods = {"local": "svi:guide=local,steps=30,draws=20", "sgld": "sgld:warmup=50,draws=20,thin=2"}
    path = file("\n".join(f'{name} = "{text}"' for name, text in methods.items()))
    counts, said = run(path, tmp_path / "out")
    assert counts == {"done": 4}
    assert [line.split()[1] for line in said] == ["sgld", "local"]  # the longest first
    known = store.keys(store.read(tmp_path / "out")["facts"])
    results = store.finished(tmp_path / "out", known)
    data = datasets.load(f"{tmp_path / 'mine.csv'}:y", split=1)
    settings = {**sweep.plans.DEFAULTS, "prior": "half_cauchy", "network": "linear"}
    program = worker.program(tuple(settings.items()), data.task, 0)
    scores = results[Cell("ard", "sgld", "mine.csv:y", 1, 0)]["scores"]
    (config,) = parse(methods["sgld"]).values()
    alone = fit(program, config, *arrays("numpyro", data.x_train, data.y_train), seed=0, progress=False)
    tree = to_datatree(alone, program, data, 0)
    f, y = tree["predictions"]["f"].values, tree["predictions_constant_data"]["y"].values
    theirs = diagnose(tree) | {"mae_samples": np.abs(f - y).mean()}
    assert set(scores) == {"rmse", "mae", "mae_samples", "mlpd", "calibration", "rhat_f", "ess_bulk_f"}
    for score, value in scores.items():
        assert value == pytest.approx(theirs[score], rel=5e-3), score
    assert "elbo" in results[Cell("ard", "local", "mine.csv:y", 0, 0)]["scores"]
    doubts = results[Cell("ard", "sgld", "mine.csv:y", 1, 0)]["reason"]
    assert doubts.startswith(("not converged: R-hat", "too few draws: bulk ESS"))  # as `compare` says
    assert not results[Cell("ard", "local", "mine.csv:y", 0, 0)]["reason"]
    assert any("Cells not to be believed as they are" in line for line in report_lines(tmp_path / "out"))
    diverging = dataclasses.replace(alone, stats={"diverging": np.ones((4, 20), bool)})
    assert worker.score(diverging, program, data, 0)["divergences"] == 80


def test_a_table_is_read_as_its_file_says_and_computed_in_double_precision(file, tmp_path, monkeypatch):
    path = file(data='["mine"]', splits=1)
    table = pd.read_csv(tmp_path / "mine.csv").assign(id=[f"row {i}" for i in range(40)])
    table.to_csv(tmp_path / "mine.csv", index=False, sep=";")
    named = '[data.mine]\ntable = "mine.csv:y"\nsep = ";"\ndrop = ["id"]\ntest_fraction = 0.25\n[[grid]]'
    path.write_text("x64 = true\n" + path.read_text().replace("[[grid]]", named))
    seen, score = [], worker.score
    monkeypatch.setattr(worker, "score", lambda fit, *of: seen.append((fit, of[1])) or score(fit, *of))
    assert run(path, tmp_path / "out")[0] == {"done": 1}
    ((fit, data),) = seen
    assert data.features == ("a", "b") and len(data.y_test) == 10
    assert {values.dtype for values in fit.draws.values()} == {np.dtype("float64")}
    assert jnp.ones(1).dtype == "float32"  # as before
    path.write_text(path.read_text().replace('["id"]', '["idd"]'))
    with pytest.raises(ValueError, match=r"^\[data.mine\]: .*'idd'"):
        sweep.prepare(path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_classes_have_accuracy(file, tmp_path):
    counts, said = run(file(data='["breast_cancer"]', splits=1), tmp_path / "out")
    assert counts == {"done": 1} and "accuracy" in said[0]
    report.make(tmp_path / "out")
    row = pd.read_csv(tmp_path / "out" / "results.csv").iloc[0]
    assert 0.5 < row["accuracy"] <= 1 and np.isnan(row["rmse"]) and 0 <= row["calibration"] <= 1


def test_only_what_is_missing_runs_again(file, tmp_path, monkeypatch):
    path, out = file(splits=4), tmp_path / "out"
    run(path, out)
    files = sorted((out / "cells").iterdir())
    files[0].unlink()
    files[1].write_text(files[1].read_text()[:100])  # truncated
    files[2].write_text(files[2].read_text().replace('"split": ', '"split": 1'))  # edited
    ran = []
    monkeypatch.setattr(worker, "run", lambda job, run=worker.run: ran.extend(job.cells) or run(job))
    counts, said = run(path, out)
    assert counts == {"done": 4} and len(ran) == 3 and said[1] == "1 of 4 cells are finished already"
    assert (
        said[0].startswith("not whole, changed or of another cell: cells/") and "given again, runs them anew" in said[0]
    )
    assert run(path, out)[0] == {"done": 4} and len(ran) == 3


def test_nan_in_one_split_fails_that_cell_alone(file, tmp_path, monkeypatch):
    path, out, load = file(splits=3), tmp_path / "out", datasets.load

    def broken(name, split=0):
        found = load(name, split=split)
        if split == 1:
            found.x_train[0, 0] = 1e38  # finite, but its square is not
        return found

    monkeypatch.setattr(datasets, "load", broken)
    counts, said = run(path, out)
    assert counts == {"done": 2, "failed": 1} and "1 of 3 failed: svi stopped soon after step 0" in said[0]
    (text,) = (out / "cells").glob("*.error.txt")
    assert "FloatingPointError" in text.read_text()
    monkeypatch.setattr(datasets, "load", load)
    assert run(path, out)[0]["failed"] == 1  # not again, unless asked
    tables = report.make(out)
    assert tables[-1][0] == "Failed cells" and tables[-1][2][0][:3] == ["ard/map", "mine.csv:y", "1"]
    assert run(path, out, retry=True)[0] == {"done": 3}


def test_a_strategy_that_does_not_apply_fails_and_the_others_go_on(file, tmp_path):
    strategies = 'svi = "svi:steps=20,draws=20"\nnuts = "nuts"'
    path = file(strategies).with_name("improper.toml")
    path.write_text(file(strategies).read_text().replace('"half_cauchy"', '"log_uniform"'))
    counts, said = run(path, tmp_path / "out")
    assert counts == {"done": 2, "failed": 2}
    assert any("nuts cannot sample: the log-uniform prior is improper" in line for line in said), said


def test_each_shape_is_compiled_once(file, tmp_path, monkeypatch):
    plan, block, compiled = sweep.prepare(file(seeds=3, name="other"), tmp_path / "out"), engine._block, []
    assert len(plan.jobs) == 3
    monkeypatch.setattr(engine, "_block", lambda *of: compiled.append(of) or block(*of))
    sweep.run(plan, 1, progress=False, print_line=lambda text: None)
    assert len(compiled) <= 1  # none, if another test was there first


def test_a_full_disk_keeps_what_is_finished(file, tmp_path, monkeypatch):
    path, out, write, written = file(seeds=3), tmp_path / "out", files_module.write, []

    def full(where, content):
        if where.parent.name == "cells":
            written.append(where)
            if len(written) > 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        write(where, content)

    monkeypatch.setattr(files_module, "write", full)
    with pytest.raises(OSError, match="is full; what is finished is kept: make room") as error:
        run(path, out)
    assert "\n" not in str(error.value) and len(list((out / "cells").iterdir())) == 3
    monkeypatch.undo()
    monkeypatch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)
    assert run(path, out)[0] == {"done": 6}


def test_a_folder_of_something_else_is_refused(file, tmp_path):
    run(file(), tmp_path / "out")
    with pytest.raises(FileExistsError, match="holds another sweep"):
        sweep.prepare(file(splits=3), tmp_path / "out")
    (tmp_path / "compared").mkdir()
    (tmp_path / "compared" / "run.json").write_text("{}")
    with pytest.raises(FileExistsError, match="holds a run of compare"):
        sweep.prepare(file(), tmp_path / "compared")
    (tmp_path / "out" / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match="not whole"):
        sweep.prepare(file(), tmp_path / "out")


def test_two_sweeps_in_one_folder(file, tmp_path):
    first = sweep.prepare(file(), tmp_path / "out")
    with pytest.raises(BlockingIOError, match="another process is running the sweep"):
        sweep.prepare(file(), tmp_path / "out")
    first.lock.close()
    sweep.prepare(file(), tmp_path / "out").lock.close()


def test_what_does_not_go_with_the_data_is_said_before_anything_is_computed(file, tmp_path):
    with pytest.raises(ValueError, match=r"\[strategies\] s: batch_size 37 is more than the 36"):
        sweep.prepare(file('s = "svi:batch_size=37"'), tmp_path / "out")
    path = file(data='["breast_cancer"]')
    path.write_text(path.read_text().replace('network = "linear"', "precision = 2"))
    with pytest.raises(ValueError, match=r"\[models.ard\] on breast_cancer: precision belongs to a regression"):
        sweep.prepare(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_splits_go_together_and_the_longest_job_is_first(file, tmp_path):
    path = file(f'short = "{QUICK}"\nlong = "svi:steps=500"', '["mine.csv:y", "diabetes"]', 20, 2)
    plan = sweep.prepare(path, tmp_path / "out")
    plan.lock.close()
    assert [len(job.cells) for job in plan.jobs] == [20] * 8
    assert [(job.options["steps"], job.rows) for job in plan.jobs[::2]] == [(500, 397), (500, 36), (20, 397), (20, 36)]
    assert len(worker.grouped(Cell("m", "s", "d", split, 0) for split in range(45))) == 3


def test_devices_are_claimed_one_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "CLAIMED", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    locks = sweep._locks(tmp_path, sweep._devices())
    assert [worker.claim_device(Path(locks)), os.environ["CUDA_VISIBLE_DEVICES"]] == ["3", "3"]
    assert worker.claim_device(Path(locks)) == "5"
    with pytest.raises(RuntimeError, match="all devices .* are taken"):
        worker.claim_device(Path(locks))
    worker.CLAIMED[0].close()  # its process has ended
    assert worker.claim_device(Path(locks)) == "3"
    for lock in worker.CLAIMED:
        lock.close()


def test_ten_thousand_finished_cells_are_listed_reading_each_once(tmp_path, monkeypatch):
    facts = {
        "models": {"m": {"prior": "p"}},
        "strategies": {"s": {}},
        "files": {},
        "ppl": "numpyro",
        "cells": [["m", "s", "d", split, seed] for split in range(100) for seed in range(100)],
    }
    known = store.keys(facts)
    (tmp_path / "cells").mkdir()
    for cell, key in known.items():
        result = {"cell": cell._asdict(), "status": "done", "reason": "", "seconds": 1.0, "scores": {"rmse": 0.5}}
        text = json.dumps(result | {"sha256": seals.digest(result)})
        (tmp_path / "cells" / f"{key}.json").write_text(text)
    read = []
    one = store._result
    monkeypatch.setattr(store, "_result", lambda path, *of: read.append(path) or one(path, *of))
    start = time.perf_counter()
    found = store.finished(tmp_path, known)
    seconds = time.perf_counter() - start
    assert len(found) == len(read) == len(set(read)) == 10_000
    assert seconds < 10  # 0.5 s on an idle machine
    print(f"{seconds:.2f} s")


def start(file, out, *words):
    """A sweep in a process group of its own."""
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also where tests run detached
    code = f"{listen}; from noisezoo.cli import app; app()"
    options = ("--out", str(out), "--no-progress", *words)
    command = [sys.executable, "-c", code, "sweep", str(file), *options]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def written(out):
    """The cells on disk, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").glob("[!.]*.json")}


@pytest.mark.slow
def test_killed_three_times_every_cell_is_computed_exactly_once(file, tmp_path):
    path, out, dice = file(splits=20, seeds=5), tmp_path / "out", random.Random(1)
    (out / "cells").mkdir(parents=True)
    before = {}
    for _ in range(3):
        process = start(path, out, "--jobs", "2")
        until, end = len(before) + dice.randint(1, 27), time.monotonic() + 120
        while len(written(out)) < until and process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        after = written(out)
        assert len(after) >= until and before.items() <= after.items()
        before = after
    process = start(path, out, "--jobs", "2")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert f"{len(before)} of 100 cells are finished already" in said
    assert len(written(out)) == 100 and before.items() <= written(out).items()
    results = pd.read_parquet(out / "results.parquet")
    assert len(results) == len(results.drop_duplicates(["split", "seed"])) == 100 and set(results["status"]) == {"done"}
    assert results["rmse"].between(0, 10).all()


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(file, tmp_path):
    path, out = file(splits=20, seeds=30), tmp_path / "out"  # more than are done before the signal comes
    process = start(path, out, "--jobs", "2")
    end = time.monotonic() + 120
    while not (out / "cells").is_dir() or len(written(out)) < 20 and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "stopped; what is finished is in" in said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # the last helper may still be on its way out
            os.killpg(process.pid, 0)
            time.sleep(0.1)


@pytest.mark.slow
def test_a_sweep_that_is_left_right_after_a_job_is_handed_out_ends_quietly(file, tmp_path, monkeypatch):
    failed = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    plan = sweep.prepare(file(splits=1, seeds=8), tmp_path / "out")
    todo = [job._replace(data="nowhere.csv:y") for job in plan.jobs]  # they fail at once
    with plan.lock, closing(sweep._on_processes(todo, 2, None)) as found:
        (result,) = next(found)
    assert result.facts["status"] == "failed" and not failed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_a_cluster_that_is_killed_loses_nothing(file, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs="CRITICAL"
    ) as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            (victim, _) = client.run(os.getpid).values()
        plan, said = sweep.prepare(file(splits=20, seeds=8), tmp_path / "out"), []

        def say(text):
            if not said:
                os.kill(victim, signal.SIGKILL)
            said.append(text)

        assert sweep.run(plan, cluster=cluster.scheduler_address, progress=False, print_line=say) == {"done": 160}
    assert len(said) == 8 and len(written(tmp_path / "out")) == 160


@pytest.mark.filterwarnings("ignore")
def test_no_scheduler_there(file, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(sweep, "PATIENCE", 1)
    said = "no Dask scheduler answers at tcp://127.0.0.1:9: start one with 'dask scheduler'"
    with pytest.raises(OSError, match=said):
        sweep.prepare(file(), tmp_path / "out", cluster="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()
    with pytest.raises(OSError, match=said):  # nor where it went away since
        sweep.run(sweep.prepare(file(), tmp_path / "out"), cluster="tcp://127.0.0.1:9", progress=False)


def test_a_cluster_without_dask_names_the_install(file, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'noisezoo\[cluster\]'"):
        sweep.prepare(file(), tmp_path / "out", cluster="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()


def made(folder, scores):
    """A sweep's folder with these scores: {(model, data): {split: rmse, or None for a failure}}."""
    models = {model: {"prior": model} for model, _ in scores}
    cells = [[m, "s", d, split, 0] for (m, d), by_split in scores.items() for split in by_split]
    facts = {"models": models, "strategies": {"s": {}}, "files": {}, "ppl": "numpyro", "cells": sorted(cells)}
    store.create(folder, facts, {"file": "s.toml", "text": "a = 1 < 2", "versions": {"python": "3"}}).close()
    for cell, key in store.keys(facts).items():
        rmse = scores[cell.model, cell.data][cell.split]
        good = rmse is not None
        found = {"scores": {"rmse": rmse, "mlpd": -rmse} if good else {}, "status": "done" if good else "failed"}
        store.write(
            folder, key, {"cell": cell._asdict(), "reason": "" if good else "it <broke>", "seconds": 1.0} | found
        )
    return folder


def test_the_report_ranks_methods_where_all_have_results(tmp_path):
    offsets = {"a": 0.0, "b": 0.1, "c": 1.0}
    scores = {
        (model, f"d{i}"): {k: 1.0 + i + k / 10 + offset for k in range(3)}
        for model, offset in offsets.items()
        for i in range(6)
    }
    scores["b", "d5"] = {0: None, 1: None, 2: None}
    scores["c", "d4"][0] = None  # a split less: the others are compared on what is left
    folder = made(tmp_path / "out", scores)
    tables = report.make(folder)
    assert tables[0][2][0][:2] == ["a/s", "1.100 ± 0.058"]
    (ranked,) = [rows for title, _, rows in tables if title == "Average ranks by RMSE"]
    assert ranked == [["a/s", "1.00"], ["b/s", "2.00"], ["c/s", "3.00"]]
    page = (folder / "report.html").read_text()
    assert "Over 5 data sets: d0, d1, d2, d3, d4. Left out, for not every method has results there: d5." in page
    assert (
        "Friedman test: chi-square 10.00, F(2, 8) = inf" in page and "critical difference at the 5% level: 1.48" in page
    )
    assert "<b>1.100 ± 0.058</b>" in page and "it &lt;broke&gt;" in page and "50 of 54 cells done, 4 failed" in page
    assert "a = 1 &lt; 2" in page
    assert (folder / "ranks-rmse.png").is_file() and (folder / "ranks-mlpd.png").is_file()
    table = pd.read_csv(folder / "table.csv").set_index(["data", "model", "score"])
    one = table.loc[("d0", "a", "rmse")]
    np.testing.assert_allclose(one[["mean", "sd", "se", "n"]].astype(float), [1.1, 0.1, 0.1 / np.sqrt(3), 3])
    assert table.loc[("d4", "c", "rmse"), "n"] == 2
    results = pd.read_parquet(folder / "results.parquet")
    assert len(results) == 54 and results["rmse"].dtype == float and (results["status"] == "failed").sum() == 4
    pd.testing.assert_frame_equal(
        results, pd.read_csv(folder / "results.csv").fillna({"reason": ""}), check_dtype=False
    )


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ({("a", "d"): {0: 1.0}, ("b", "d"): {0: 2.0}}, "there is one data set only"),
        ({("a", "d"): {0: 1.0}, ("a", "e"): {0: 2.0}}, "there is one method only"),
        ({("a", "d"): {0: 1.0}, ("b", "e"): {0: 2.0}}, "there is no data set where every method has results"),
    ],
)
def test_without_enough_to_rank_the_report_says_why(tmp_path, scores, why):
    folder = made(tmp_path / "out", scores)
    report.make(folder)
    assert f"No critical difference: {why}." in (folder / "report.html").read_text()
    assert not list(folder.glob("*.png"))


def test_a_report_of_a_sweep_that_has_only_begun_or_all_failed(tmp_path):
    folder = made(tmp_path / "failed", {("a", "d"): {0: None}})
    assert [title for title, _, _ in report.make(folder)] == ["Failed cells"]
    for path in (folder / "cells").iterdir():
        path.unlink()
    assert report.make(folder) == []
    assert "0 of 1 cells done, 0 failed, 1 not run" in (folder / "report.html").read_text()


def test_seeds_of_a_split_are_no_further_splits():
    rows = [
        {**Cell("m", "s", "d", split, seed)._asdict(), "status": "done", "rmse": split + seed, "seconds": 1.0}
        for split in range(3)
        for seed in range(2)
    ]
    found = report.table(pd.DataFrame(rows, columns=[*Cell._fields, "status", *worker.SCORES, "seconds"]))
    one = found.set_index("score").loc["rmse"]
    assert (one["mean"], one["sd"], one["n"]) == (1.5, 1.0, 3)
