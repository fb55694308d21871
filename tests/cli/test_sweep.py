"""A sweep from a file, and how it ends."""

import pytest

SWEEP = """
[models.ard]
prior = "half_cauchy"
network = "linear"
[strategies]
map = "svi:guide=map,steps=20,draws=20"
nuts = "nuts"
[[grid]]
strategies = ["map"]
data = ["diabetes"]
splits = 2
"""


def test_sweep_and_its_report(noisezoo, tmp_path):
    path, folder = tmp_path / "s.toml", tmp_path / "out"
    path.write_text(SWEEP)
    output = noisezoo("sweep", path, "--out", folder, "--jobs", 1, "--no-progress")
    assert "ard map diabetes: 2 splits, rmse" in output and "ard/map" in output
    files = ("sweep.json", "results.parquet", "results.csv", "table.csv", "report.html")
    assert all((folder / name).is_file() for name in files)
    (folder / "report.html").unlink()
    again = noisezoo("report", folder)
    assert "ard/map" in again and (folder / "report.html").is_file()
    assert "2 of 2 cells are finished already" in noisezoo("sweep", path, "--out", folder, "--no-progress")
    path.write_text(SWEEP.replace("splits = 2", "splits = 3"))
    assert "holds another sweep" in noisezoo("sweep", path, "--out", folder, code=2)


def test_a_sweep_with_a_failed_cell_exits_with_one(noisezoo, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(SWEEP.replace("half_cauchy", "log_uniform").replace('["map"]', '["nuts"]'))
    output = noisezoo("sweep", path, "--out", tmp_path / "out", "--jobs", 1, "--no-progress", code=1)
    assert "2 of 2 failed: nuts cannot sample" in output and "Failed cells" in output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SWEEP.replace("splits = 2", "splits ="), "is not TOML: Invalid value (at line 11, column 9)"),
        (SWEEP.replace("half_cauchy", "half_cauchi"), "did you mean 'half_cauchy'"),
        (SWEEP.partition("[[grid]]")[0], "there is nothing to do"),
    ],
)
def test_a_sweep_of_bad_input_is_one_sentence(noisezoo, tmp_path, text, said):
    path = tmp_path / "s.toml"
    path.write_text(text)
    output = noisezoo("sweep", path, "--out", tmp_path / "out", code=2)
    assert said in output and len(output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_full_disk_and_ctrl_c_in_a_sweep(noisezoo, tmp_path, monkeypatch):
    from noisezoo.inference.sweeps import worker

    path = tmp_path / "s.toml"
    path.write_text(SWEEP)
    for problem, code, said in (
        (OSError(28, "No space left on device"), 1, "is full; what is finished is kept"),
        (KeyboardInterrupt(), 130, "the same command goes on"),
    ):
        if code == 1:
            monkeypatch.setattr("noisezoo.inference.files.through", fails_in_cells(problem))
            monkeypatch.setattr(worker, "run", lambda job: worker.failed(job, ValueError("no")))
        else:
            monkeypatch.setattr(worker, "run", raises(problem))
        output = noisezoo("sweep", path, "--out", tmp_path / "out", "--jobs", 1, "--no-progress", code=code)
        assert said in " ".join(output.split())


def fails_in_cells(problem):
    from noisezoo.inference import files as files_module

    through = files_module.through
    return lambda path, save: raises(problem)() if path.parent.name == "cells" else through(path, save)


def raises(problem):
    def call(*words):
        raise problem

    return call
