"""Cells as files: each is computed once, whatever stops the run; the atlas shows those that are left."""

import json

import pytest
from noisezoo.inference.calibration import cells, run
from noisezoo.inference.calibration.cells import Cell
from noisezoo.inference.calibration.simulations import Simulations

QUICK = dict(with_="svi:steps=20,draws=20", network="linear", simulations=20)
WORDS = {"print_line": lambda line: None, "progress": False}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """The user's compilation cache is left alone."""
    monkeypatch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A plan that has been run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)
        plan = run.prepare("half_cauchy", **QUICK, out=tmp_path_factory.mktemp("calibration") / "one")
        run.run(plan, **WORDS)
    return plan


def never(*args):
    raise AssertionError("it was computed again")


def test_a_cell_is_computed_once_and_a_changed_file_again(finished, monkeypatch):
    (path,) = finished.files.values()
    (row,) = run.rows(finished)
    whole, result = path.read_text(), cells.read(path)
    assert row["verdict"] in ("calibrated", "not calibrated") and 0 < row["p"] <= 1 and row["accepted"] > 0.5
    assert result["cell"]["settings"]["steps"] == 20 and set(result["pit"]) == set(result["p_values"])
    assert all(len(u) == 20 and 0 <= min(u) <= max(u) <= 1 for u in result["pit"].values())
    assert len(path.read_bytes()) < 4000
    assert {file.name for file in finished.folder.iterdir()} == {"cells", "table.csv", f"{path.stem}.png"}
    monkeypatch.setattr(cells, "compute", never)
    assert run.run(finished, **WORDS) == [row]
    path.write_text(whole.replace('"ess": 20', '"ess": 21'))
    assert cells.read(path) is None and run.rows(finished)[0]["verdict"] == "not run"
    with pytest.raises(AssertionError, match="computed again"):
        run.run(finished, **WORDS)
    path.write_text(whole)


def test_whatever_decides_what_a_cell_computes_is_in_its_name(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def law(p, name, shape):\n    return p.sample(name, p.dist.Gamma(2.0).expand(shape).to_event())\n")
    base = Cell("half_cauchy", "ard", "nuts", simulations=20)
    others = [
        base._replace(prior="half_cauchy:scale=2"),
        base._replace(structure="iid"),
        base._replace(strategy="nuts:warmup=200"),
        base._replace(strategy="nuts:warmup=1000"),  # the default, but not that of short runs
        base._replace(form="hierarchical"),
        base._replace(seed=1),
        base._replace(simulations=21),
        base._replace(prior=f"{mine}:law"),
        base._replace(data="diabetes"),
        base._replace(data="diabetes", split=1),
    ]
    names = {cells.file_of(tmp_path, cell).name for cell in [base, *others]}
    mine.write_text(mine.read_text().replace("2.0", "3.0"))
    assert cells.file_of(tmp_path, others[7]).name not in names and len(names) == len(others) + 1
    assert cells.file_of(tmp_path, base).name == cells.file_of(tmp_path, base).name


def test_settings_that_were_named_stay(tmp_path):
    asked, short = cells.configs(Cell("half_cauchy", "ard", "nuts:draws=1000,warmup=50"))  # 1000 is the default
    assert (asked.warmup, asked.draws, asked.chains, asked.method) == (50, 1000, 4, "auto")
    assert (short.warmup, short.draws, short.chains, short.method) == (50, 1000, 1, "vectorised")
    plan = run.prepare("half_cauchy", with_="svi:guide=local,lr=0.1,nuts", out=tmp_path)
    assert [cell.strategy for cell in plan.files] == ["svi:guide=local,lr=0.1", "nuts"]


def test_what_does_not_apply_is_refused_and_what_breaks_fails(tmp_path, monkeypatch):
    refused, error = cells.compute(Cell("log_uniform", "ard", "nuts", network="linear", simulations=20))
    assert refused["status"] == "refused" and "prior is improper" in refused["reason"] and not error
    refused, _ = cells.compute(Cell("bernoulli", "ard", "sgld", network="linear", simulations=20))
    assert refused["status"] == "refused" and "needs continuous scales" in refused["reason"]
    plan = run.prepare("half_cauchy", **QUICK, out=tmp_path)

    def broken(*args):
        raise RuntimeError("a bolt is loose")

    monkeypatch.setattr("noisezoo.inference.calibration.simulations.of_prior", lambda *a: Simulations(a[1], [], {}))
    monkeypatch.setattr("noisezoo.inference.calibration.calibrate.calibrate", broken)
    (row,) = run.run(plan, **WORDS)
    assert (row["verdict"], row["reason"]) == ("failed", "RuntimeError: a bolt is loose") and row["p"] != row["p"]
    (trace,) = tmp_path.glob("cells/*.error.txt")
    assert "a bolt is loose" in trace.read_text() and not list(tmp_path.glob("*.png"))


def test_an_atlas_that_is_stopped_says_what_is_left_and_goes_on(finished, tmp_path, monkeypatch):
    (done,) = finished.files.values()
    made, left = json.loads(done.read_text()), 2

    def compute(cell, progress):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        if cell.strategy == "nuts":
            return {**cells.read(done), "status": "refused", "reason": "the prior is improper", "pit": {}} | {
                "p_values": {}
            }, ""
        return {**cells.read(done), "p_values": {name: 1e-12 for name in made["p_values"]}}, ""

    monkeypatch.setattr(cells, "compute", compute)
    options = {**QUICK, "with_": "nuts,svi:guide=mean_field", "atlas": True, "out": tmp_path}
    plan = run.prepare("half_cauchy", **options)
    assert [cell.structure for cell in plan.files] == ["ard", "ard", "iid", "iid", "add", "add", "ard_add", "ard_add"]
    with pytest.raises(KeyboardInterrupt):
        run.run(plan, **WORDS)
    page = (tmp_path / "index.md").read_text()
    assert "**8 cells: 6 not yet run, 1 refused, 1 not calibrated.**" in page
    assert "- ard nuts: refused: the prior is improper." in page
    assert "independent normals leave correlations out" in page and "Not yet run: 6 of 8 cells." in page
    assert "| half_cauchy | **< 1e-9** | not yet run | not yet run | not yet run |" in page
    assert (tmp_path / "half_cauchy.png").read_bytes().startswith(b"\x89PNG")
    left = 6
    rows = run.run(run.prepare("half_cauchy", **options), **WORDS)
    assert [row["verdict"] for row in rows] == ["refused", "not calibrated"] * 4
    assert "not yet run" not in (tmp_path / "index.md").read_text()


def test_the_atlas_is_of_every_named_noise():
    from noisezoo.models.noises import NOISES

    plan = run.prepare(atlas=True, out=None)
    plan.folder.joinpath("cells").rmdir()
    plan.folder.rmdir()
    assert {cell.prior for cell in plan.files} == set(NOISES) and len(plan.files) == len(NOISES) * 4 * 4
