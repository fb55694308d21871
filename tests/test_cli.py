"""The command line, run as a user runs it; what is slow is replaced where it is not what is tested."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from noisezoo.cli import app
from noisezoo.inference.driver import fit as fit_module
from typer.testing import CliRunner

HEAVY = {"jax", "torch", "numpy", "scipy", "pandas", "matplotlib", "numpyro", "pyro", "arviz_stats", "sklearn"}
QUICK = "svi:steps=50,draws=40,nuts:warmup=60,draws=60,chains=2"
MINE = """
def lognormal(p, name, shape):
    return p.sample(name, p.dist.LogNormal(0.0, 1.0).expand(shape).to_event(len(shape)))

def of_one_shape(p, name, shape):
    return p.sample(name, p.dist.LogNormal(0.0, 1.0).expand((3,)).to_event(1))

def negative(p, name, shape):
    return -p.sample(name, p.dist.LogNormal(0.0, 1.0).expand(shape).to_event(len(shape)))
"""


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """The user's compilation cache is left alone."""
    monkeypatch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def noisezoo(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def compare(folder, *words, prior="half_cauchy", with_=QUICK, data="diabetes", code=0):
    options = ("--network", "linear", "--no-progress", "--out", folder)
    return noisezoo("compare", prior, "--data", data, "--with", with_, *options, *words, code=code)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder, and what was printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)
        folder = tmp_path_factory.mktemp("runs") / "one"
        return folder, compare(folder)


def test_help_and_list_import_nothing_heavy():
    code = f"""
import sys
from noisezoo.cli import app
for words in (["--help"], ["list"], ["compare", "--help"]):
    try:
        app(words)
    except SystemExit as end:
        assert not end.code
sys.exit(", ".join({HEAVY} & set(sys.modules)) or 0)
"""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - start < 5  # 0.2 s on an idle machine


@pytest.mark.parametrize("width", ["80", "120"])
def test_list_names_everything_within_the_terminal(width):
    from noisezoo.data import CATALOGUE
    from noisezoo.inference.strategies import STRATEGIES
    from noisezoo.inference.strategies.guides import GUIDES
    from noisezoo.models.noises import NOISES

    output = CliRunner(env={"COLUMNS": width}).invoke(app, ["list"]).output
    assert max(map(len, output.splitlines())) <= int(width)
    for name in (*NOISES, *CATALOGUE, *STRATEGIES, *GUIDES, "horseshoe", "ard_add", "hierarchical", "mlp:50"):
        assert name in output


def test_show_tells_the_law_and_saves_a_figure(tmp_path):
    output = noisezoo("show", "half_cauchy:scale=0.5", "--out", tmp_path / "figure.png")
    for fact in ("half_cauchy(scale=0.5)", "horseshoe", "betaprime(0.5, 0.5, scale=0.25)", "closed form", "Carvalho"):
        assert fact in output
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    (median,) = [line.split()[3] for line in output.splitlines() if "|scale|" in line]
    assert float(median) == pytest.approx(0.5, rel=0.05)  # of HalfCauchy(s), the median is s


@pytest.mark.parametrize("prior", ["log_uniform", "bernoulli", "regularised_half_cauchy", "beta"])
def test_show_knows_noises_of_every_kind(prior):
    output = noisezoo("show", prior)
    assert ("Quantiles" in output) == (prior != "log_uniform")


def test_check_says_what_is_wrong_or_shows_the_prior(mine):
    assert "nothing is wrong" in noisezoo("check", f"{mine}:lognormal")
    assert "returns shape (3,)" in noisezoo("check", f"{mine}:of_one_shape", code=1)
    assert "negative" in noisezoo("check", f"{mine}:negative", code=1)


def test_strategies_may_be_given_one_at_a_time(tmp_path):
    words = ("--with", "svi:guide=mean_field,steps=20,draws=20")
    compare(tmp_path / "run", *words, with_="svi:guide=map,steps=20,draws=20")
    assert list(pd.read_csv(tmp_path / "run" / "table.csv").iloc[:, 0]) == ["svi:map", "svi:mean_field"]


def test_compare_leaves_a_folder_that_tells_all(finished):
    folder, output = finished
    names = {path.name for path in folder.iterdir()}
    figures = {"predictions", "calibration", "agreement", "scales", "trace-nuts", "loss", "weights"}
    files = {"run.json", "table.csv", "report.html", "svi.nc", "nuts.nc"}
    assert names == files | {f"{name}.png" for name in figures}
    table = pd.read_csv(folder / "table.csv", index_col="label")
    assert list(table.index) == ["svi", "nuts"]
    assert 40 < table.loc["nuts", "rmse"] < 70  # least squares has 54
    for label in table.index:
        assert f"{table.loc[label, 'rmse']:.3g}" in output
        assert f"{label}  {table.loc[label, 'verdict']}: {table.loc[label, 'reason']}" in output
    assert str(folder / "report.html") in output
    assert max(map(len, output.splitlines())) <= 130
    run = json.loads((folder / "run.json").read_text())
    assert [fit["status"] for fit in run["fits"].values()] == ["done", "done"]
    assert len(run["data_sha256"]) == 64 and "jax" in run["versions"]
    assert run["fits"]["svi"]["settings"]["steps"] == 50


def test_the_same_words_give_the_same_draws(finished, tmp_path):
    from noisezoo.inference.target.warm_start import load

    folder, _ = finished
    compare(tmp_path / "again", with_=QUICK.partition(",nuts")[0])
    ours, theirs = (load(path / "svi.nc")["posterior"].to_dataset() for path in (folder, tmp_path / "again"))
    assert ours.equals(theirs)


def test_report_makes_everything_again(finished):
    folder, _ = finished
    made = ["table.csv", "report.html", "scales.png"]
    before = {name: (folder / name).read_bytes() for name in made}
    for name in made:
        (folder / name).unlink()
    assert "R-hat" in noisezoo("report", folder)
    for name in ("table.csv", "report.html"):
        assert (folder / name).read_bytes() == before[name]


def test_report_of_a_truncated_file_is_one_sentence(finished, tmp_path):
    folder, _ = finished
    for name in ("run.json", "svi.nc", "nuts.nc"):
        content = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name == "nuts.nc" else content)
    output = noisezoo("report", tmp_path, code=2)
    assert "nuts.nc is not a whole netCDF file" in output and output.count("\n") == 1


def test_report_of_a_folder_without_a_run_is_one_sentence(tmp_path):
    assert "holds no run" in noisezoo("report", tmp_path, code=2)
    assert "holds no run" in noisezoo("report", tmp_path / "nowhere", code=2)


def test_a_second_run_does_not_overwrite_the_first(finished):
    assert "already holds a run" in compare(finished[0], code=2)


@pytest.mark.parametrize("data, picture", [("breast_cancer", "Reliability"), ("digits", "Reliability")])
def test_classes_are_compared_too(tmp_path, data, picture):
    output = compare(tmp_path / "run", data=data, with_="svi:guide=map,steps=100,draws=40")
    assert "accuracy" in output and "svi:map" in output
    assert picture in (tmp_path / "run" / "report.html").read_text()


def test_a_noise_of_ones_own_is_kept_with_the_run(tmp_path, mine):
    compare(tmp_path / "run", prior=f"{mine}:lognormal", with_="svi:steps=20,draws=40")
    assert (tmp_path / "run" / "mine.py").read_text() == MINE


def test_an_improper_prior_fails_under_nuts_and_not_under_svi(tmp_path):
    with_ = "nuts:warmup=10,draws=10,svi:guide=map,steps=20,draws=40"
    output = compare(tmp_path / "run", prior="log_uniform", with_=with_, code=1)
    assert "nuts  failed: nuts cannot sample: the log-uniform prior is improper" in output
    table = pd.read_csv(tmp_path / "run" / "table.csv", index_col="label")
    assert table.loc["nuts", "verdict"] == "failed" and table.loc["svi:map", "rmse"] > 0
    assert "Traceback" in (tmp_path / "run" / "nuts.error.txt").read_text()
    assert "cannot sample" in (tmp_path / "run" / "report.html").read_text()


def test_a_fit_with_a_guide_of_independent_normals_is_trimmed(tmp_path):
    compare(tmp_path / "run", "--form", "hierarchical", with_="svi:guide=local,steps=50,draws=4")
    output = noisezoo("trim", tmp_path / "run", "--rule", "magnitude", "--threshold", "0.1", "--out", tmp_path / "net")
    facts = json.loads((tmp_path / "net" / "net.json").read_text())
    assert f"{facts['kept']} of 10" in output and "size of the mean at least 0.1" in output and "RMSE" in output
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Sparsity of svi:local" in page and "log alpha below 3" in page
    assert (tmp_path / "run" / "log-alpha-svi-local.png").exists()


def test_what_cannot_be_trimmed_is_one_sentence(finished):
    output = noisezoo("trim", finished[0], code=2)
    assert output.startswith("noisezoo: this run has no fit with a guide") and output.count("\n") == 1


def test_a_fit_is_pruned_by_several_rules(finished, tmp_path):
    output = noisezoo("prune", finished[0], "--strategy", "nuts", "--out", tmp_path)
    curve = pd.read_csv(tmp_path / "prune-nuts.csv")
    assert set(curve["rule"]) == {"snr", "spr", "second_moment", "magnitude", "log_alpha", "random"}
    assert (tmp_path / "prune-nuts.png").read_bytes().startswith(b"\x89PNG")
    (line,) = [line.split() for line in output.splitlines() if line.split()[:1] == ["spr"]]
    own = curve[curve["rule"] == "spr"].set_index("fraction")["error"]
    assert line[3:8] == [f"{own[at]:.3g}" for at in (0, 0.5, 0.8, 0.9, 0.95)]
    assert "(RMSE)" in output and "within 1% of" in output and str(tmp_path / "prune-nuts.csv") in output
    assert max(map(len, output.splitlines())) <= 130
    before = set(finished[0].iterdir())
    noisezoo("prune", finished[0], "--strategy", "svi", "--rules", "snr, spr", "--by", "unit")
    made = set(finished[0].iterdir()) - before
    assert {path.name for path in made} == {"prune-svi-unit.csv", "prune-svi-unit.png"}
    for path in made:
        path.unlink()


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "several fits have weights to prune (svi, nuts); choose one by --strategy"),
        (("--strategy", "nutz"), "did you mean 'nuts'"),
        (("--strategy", "nuts", "--rules", "snr,spt"), "did you mean 'spr'"),
        (("--strategy", "nuts", "--rules", "inclusion"), "no draw of a weight is exactly zero; use one of snr, spr"),
        (("--strategy", "nuts", "--by", "row"), "Known: weight, unit"),
    ],
)
def test_what_cannot_be_pruned_is_one_sentence(finished, words, said):
    output = noisezoo("prune", finished[0], *words, code=2)
    assert said in output and output.startswith("noisezoo: ") and output.count("\n") == 1
    assert not list(finished[0].glob("prune-*"))


def interrupted(model, config, *args, **kwargs):
    if type(config).__name__ == "NUTS":
        raise KeyboardInterrupt
    return real_fit(model, config, *args, **kwargs)


real_fit = fit_module.fit


def test_after_an_interrupt_what_is_finished_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "fit", interrupted)
    output = compare(tmp_path / "run", with_="svi:steps=20,draws=40,nuts,sgld", code=130)
    assert "nuts  interrupted" in output and "sgld  not run" in output
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"svi.nc", "table.csv", "report.html", "predictions.png"} <= names and "nuts.nc" not in names
    assert "RMSE" in noisezoo("report", tmp_path / "run", code=130)


@pytest.mark.slow
def test_ctrl_c_ends_a_real_run(tmp_path):
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also where tests run detached
    code = f"{listen}; from noisezoo.cli import app; app()"
    words = ["compare", "half_cauchy", "--data", "diabetes", "--network", "linear", "--no-progress"]
    words += ["--with", "svi:steps=20,draws=40,nuts:warmup=1000000", "--out", tmp_path / "run"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("svi: done"):
        assert process.poll() is None
    time.sleep(15)  # into nuts
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 130 and "nuts  interrupted" in output
    assert (tmp_path / "run" / "report.html").exists()


def test_compare_turns_the_compilation_cache_on(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: asked.append(True))
    monkeypatch.setattr(fit_module, "fit", interrupted)
    compare(tmp_path / "run", with_="nuts", code=130)
    assert asked == [True]


@pytest.mark.parametrize(
    "words, said",
    [
        ({"prior": "half_cauchi"}, "did you mean 'half_cauchy'"),
        ({"prior": "nowhere.py:mine"}, "there is no file nowhere.py"),
        ({"data": "diabets"}, "did you mean 'diabetes'"),
        ({"with_": "nutz"}, "did you mean 'nuts'"),
        ({"with_": "svi:guide=low_rnk"}, "did you mean 'low_rank'"),
        ({"with_": "svi:stepz=10"}, "did you mean 'steps'"),
        ({"with_": "svi:steps=-10"}, "steps must be positive"),
        ({"options": ("--structure", "arrd")}, "did you mean 'ard'"),
        ({"options": ("--form", "hierarchica")}, "did you mean 'hierarchical'"),
        ({"options": ("--network", "mpl:50")}, "did you mean 'mlp'"),
        ({"options": ("--ppl", "pymc")}, "choose 'numpyro' or 'pyro'"),
        ({"options": ("--split", "99")}, "split"),
        ({"prior": "bernoulli", "options": ("--form", "hierarchical")}, "use form='expanded'"),
    ],
)
def test_bad_words_are_one_sentence_and_nothing_is_computed(tmp_path, monkeypatch, words, said):
    monkeypatch.setattr(fit_module, "fit", None)
    output = compare(tmp_path / "run", *words.pop("options", ()), **words, code=2)
    assert said in output and output.startswith("noisezoo: ") and output.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_unwritable_folder_is_found_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "fit", None)
    (tmp_path / "file").write_text("")
    assert "cannot write to the run folder" in compare(tmp_path / "file" / "run", code=2)


def test_pyro_without_torch_says_what_to_install(tmp_path, monkeypatch):
    from noisezoo.models.ppl import language

    language.cache_clear()
    monkeypatch.setitem(sys.modules, "pyro", None)
    try:
        assert "pip install 'noisezoo[pyro]'" in compare(tmp_path / "run", "--ppl", "pyro", code=2)
    finally:
        language.cache_clear()


def test_a_papers_prior_by_name(tmp_path):
    with_ = "nuts:warmup=10,draws=10,svi:guide=local,steps=100,draws=4"
    output = compare(tmp_path / "run", prior="sparse_vd", with_=with_, code=1)
    assert "sparse_vd linear on diabetes in numpyro" in output
    assert "nuts cannot sample: the log-uniform prior is improper" in output and "gamma_precision" in output
    assert "svi:local  unchecked: weights that are not drawn have no k-hat" in output
    assert (tmp_path / "run" / "sparsity-training.png").exists()  # compression and error were watched


@pytest.mark.parametrize(
    "prior, words, said",
    [
        ("sparse_vd", ("--structure", "iid"), "leave structure, form and sigma0 out"),
        ("empirical_bayes:a=0.4", (), "a must be greater than 1/2"),
        ("sparse_vd", ("--network", "lenet5"), "lenet5 needs square images"),
    ],
)
def test_bad_words_about_a_papers_prior(tmp_path, prior, words, said):
    code = 1 if "lenet5" in words else 2  # whether an image goes with a network is seen when it runs
    output = noisezoo(
        *("compare", prior, "--data", "diabetes", "--with", "svi:guide=local,steps=10,draws=2", "--no-progress"),
        *("--out", tmp_path / "run", *words),
        code=code,
    )
    assert said in " ".join(output.split())


@pytest.mark.parametrize(
    "settings, said",
    [
        ("guide=local,alpha=0", "alpha must be positive"),
        ("guide=local,alpha=-1", "alpha must be positive"),
        ("guide=local,kl_weight=-1", "kl_weight must not be negative"),
        ("guide=map,alpha=1", "alpha is a setting of the guides local, flipout and em, not of the guide map"),
        ("guide=local,parameters=sigm", "did you mean 'sigma'"),
    ],
)
def test_bad_settings_of_a_local_guide(tmp_path, settings, said):
    assert said in compare(tmp_path / "run", prior="sparse_vd", with_=f"svi:{settings}", code=2)


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


def test_sweep_and_its_report(tmp_path):
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


def test_a_sweep_with_a_failed_cell_exits_with_one(tmp_path):
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
def test_a_sweep_of_bad_input_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "s.toml"
    path.write_text(text)
    output = noisezoo("sweep", path, "--out", tmp_path / "out", code=2)
    assert said in output and len(output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_full_disk_and_ctrl_c_in_a_sweep(tmp_path, monkeypatch):
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
