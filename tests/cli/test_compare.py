"""What ``compare`` leaves behind, how it ends, and what it refuses."""

import html
import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from noisezoo.inference.driver import fit as fit_module


def test_strategies_may_be_given_one_at_a_time(compare, tmp_path):
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
    assert max(map(len, output.splitlines())) <= 170
    run = json.loads((folder / "run.json").read_text())
    assert [fit["status"] for fit in run["fits"].values()] == ["done", "done"]
    assert len(run["data_sha256"]) == 64 and "jax" in run["versions"]
    assert run["fits"]["svi"]["settings"]["steps"] == 50


def test_double_precision_from_the_command_line(compare, finished, noisezoo, tmp_path):
    from noisezoo.inference.target.precision import precision
    from noisezoo.inference.target.warm_start import load

    folder = tmp_path / "double"
    compare(folder, "--x64", "--form", "hierarchical", with_="svi:guide=local,steps=20,draws=20")
    record, tree = json.loads((folder / "run.json").read_text()), load(folder / "svi-local.nc")
    assert record["precision"] == tree.attrs["precision"] == "float64" and record["options"]["x64"] is True
    assert {v.dtype.name for group in ("posterior", "guide") for v in tree[group].data_vars.values()} == {"float64"}
    assert precision("numpyro") == "float32"
    report = (folder / "report.html").read_text()
    assert "precision float64" in report
    assert "--split 0 --seed 0 --x64</pre>" in report
    assert "net:" in noisezoo("trim", folder)  # in single precision: so are the files of a net
    assert "table:" in noisezoo("prune", folder, "--no-progress", "--rules", "magnitude")
    sgld = "sgld:warmup=20,draws=20,thin=1,chains=1,start="
    compare(tmp_path / "on", "--x64", with_=f"{sgld}{finished[0] / 'svi.nc'}")  # from a fit of the other precision
    compare(tmp_path / "back", "--form", "hierarchical", with_=f"{sgld}{folder / 'svi-local.nc'}")
    for name, expected in (("on", "float64"), ("back", "float32")):
        record = json.loads((tmp_path / name / "run.json").read_text())
        assert record["precision"] == expected and ("x64" in record["options"]) == (name == "on")
        draws = load(tmp_path / name / "sgld.nc")["posterior"].data_vars
        assert {values.dtype.name for values in draws.values()} == {expected}


def test_the_same_words_give_the_same_draws(compare, finished, tmp_path):
    from noisezoo.inference.target.warm_start import load

    folder, _ = finished
    compare(tmp_path / "again", with_="svi:steps=50,draws=40")
    ours, theirs = (load(path / "svi.nc")["posterior"].to_dataset() for path in (folder, tmp_path / "again"))
    assert ours.equals(theirs)


def test_a_second_run_does_not_overwrite_the_first(compare, finished):
    assert "already holds a run" in compare(finished[0], code=2)


@pytest.mark.parametrize("data, picture", [("breast_cancer", "Reliability"), ("digits", "Reliability")])
def test_classes_are_compared_too(compare, tmp_path, data, picture):
    output = compare(tmp_path / "run", data=data, with_="svi:guide=map,steps=100,draws=40")
    assert "accuracy" in output and "svi:map" in output
    assert picture in (tmp_path / "run" / "report.html").read_text()


def test_a_noise_of_ones_own_is_kept_with_the_run(compare, tmp_path, mine):
    compare(tmp_path / "run", prior=f"{mine}:lognormal", with_="svi:steps=20,draws=40")
    assert (tmp_path / "run" / "mine.py").read_text() == mine.read_text()


def test_an_improper_prior_fails_under_nuts_and_not_under_svi(compare, tmp_path):
    with_ = "nuts:warmup=10,draws=10,svi:steps=20,draws=40"
    output = compare(tmp_path / "run", prior="log_uniform", with_=with_, code=1)
    assert "nuts  failed: nuts cannot sample: the log-uniform prior is improper" in output
    table = pd.read_csv(tmp_path / "run" / "table.csv", index_col="label")
    assert table.loc["nuts", "verdict"] == "failed" and table.loc["svi", "rmse"] > 0
    assert "Traceback" in (tmp_path / "run" / "nuts.error.txt").read_text()
    assert "cannot sample" in (tmp_path / "run" / "report.html").read_text()


real_fit = fit_module.fit


def interrupted(model, config, *args, **kwargs):
    if type(config).__name__ == "NUTS":
        raise KeyboardInterrupt
    return real_fit(model, config, *args, **kwargs)


def test_after_an_interrupt_what_is_finished_is_kept(noisezoo, compare, tmp_path, monkeypatch):
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
    time.sleep(5)  # into nuts
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 130 and "nuts  interrupted" in output
    assert (tmp_path / "run" / "report.html").exists()


def test_compare_turns_the_compilation_cache_on(compare, tmp_path, monkeypatch):
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
        ({"options": ("--reference", "stord")}, "did you mean 'stored'"),
        ({"options": ("--reference", "stored")}, "no stored reference for half_cauchy(scale=1) ard linear on diabetes"),
    ],
)
def test_bad_words_are_one_sentence_and_nothing_is_computed(compare, tmp_path, monkeypatch, words, said):
    monkeypatch.setattr(fit_module, "fit", None)
    output = compare(tmp_path / "run", *words.pop("options", ()), **words, code=2)
    assert said in output and output.startswith("noisezoo: ") and output.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_stored_reference_is_used_and_remembered(compare, noisezoo, tmp_path):
    folder = tmp_path / "run"
    output = compare(folder, "--reference", "stored", prior="normal", with_="svi:guide=laplace,draws=50")
    assert "sd from diabetes-ridge (stored)" in output
    assert pd.read_csv(folder / "table.csv").loc[0, "distance_mean"] > 0
    assert json.loads((folder / "run.json").read_text())["reference"] == "diabetes-ridge"
    assert "--reference stored" in (folder / "report.html").read_text()
    assert "sd from diabetes-ridge (stored)" in noisezoo("report", folder)  # again, from its files


@pytest.fixture
def prices(tmp_path):
    """A table of somebody's own, in the way of Germany."""
    rows = [f"{i};n{i}x;{(i * 7 % 40) / 8};{i % 3 + 1};{i * i / 16}".replace(".", ",") for i in range(40)]
    (tmp_path / "prices.csv").write_text("\n".join(["row;name;size;rooms;price", *rows]))
    return tmp_path / "prices.csv"


def test_a_table_of_ones_own_is_read_as_asked_and_what_was_understood_is_said(compare, prices, tmp_path, noisezoo):
    words = ("--sep", ";", "--decimal", ",", "--drop", "name", "--drop", "price", "--test-fraction", "0.25")
    output = compare(
        *(tmp_path / "run", *words, "--task", "categorical"), data=f"{prices}:rooms", with_="svi:guide=map,steps=20"
    )
    understood = [
        "rows: 30 to train on, 10 to test on (split 0)",
        "features: 2, from 2 numbers (row, size)",
        "target: rooms, categorical (3 classes: 1, 2, 3)",
        "warning: column 'row' counts the rows, each number once: drop it (drop=['row'], --drop row) if it is a number "
        "of the row.",
    ]
    assert output.splitlines()[1:5] == understood
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["understood"] == understood
    assert run["reading"]["drop"] == ["name", "price"] and run["reading"]["test_fraction"] == 0.25
    report = html.unescape((tmp_path / "run" / "report.html").read_text())
    assert all(line in report for line in understood)
    assert "--task categorical --drop name --drop price --test-fraction 0.25 --sep ';' --decimal ," in report
    assert "error" in noisezoo("prune", tmp_path / "run", "--no-progress", "--rules", "magnitude")  # reads it again
    prices.write_text(prices.read_text().replace("39;", "41;"))
    assert "no longer those of the run" in noisezoo("prune", tmp_path / "run", "--no-progress", code=2)


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "is separated by semicolons, not by commas: say sep=';' (--sep ';')"),
        (("--sep", ";"), "write 0.0, or say decimal=',' (--decimal ',')."),
        (("--sep", ";", "--decimal", ","), "drop it (drop=['name'], --drop name)"),
        (("--sep", ";", "--drop", "nam"), "unknown column to drop 'nam'; did you mean 'name'"),
        (("--encoding", "latin-99"), "there is no encoding 'latin-99'"),
        (("--sep", ";", "--decimal", ",", "--drop", "name", "--task", "counts"), "unknown task 'counts'"),
        (("--sep", ";", "--decimal", ",", "--drop", "name", "--test-fraction", "2"), "must lie between 0 and 1"),
    ],
)
def test_a_table_that_is_misread_is_one_sentence(compare, prices, tmp_path, monkeypatch, words, said):
    monkeypatch.setattr(fit_module, "fit", None)
    output = compare(tmp_path / "run", *words, data=f"{prices}:price", code=2)
    assert said in output and output.startswith("noisezoo: ") and output.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_data_set_of_the_catalogue_is_read_as_it_was_published(compare, tmp_path):
    output = compare(tmp_path / "run", "--drop", "age", "--task", "regression", code=2)
    assert output == "noisezoo: data set 'diabetes' is read as it was published: leave task and drop out.\n"


def test_an_unwritable_folder_is_found_before_anything_is_computed(compare, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "fit", None)
    (tmp_path / "file").write_text("")
    assert "cannot write to the run folder" in compare(tmp_path / "file" / "run", code=2)


def test_pyro_without_torch_says_what_to_install(compare, tmp_path, monkeypatch):
    from noisezoo.models.ppl import language

    language.cache_clear()
    monkeypatch.setitem(sys.modules, "pyro", None)
    try:
        assert "pip install 'noisezoo[pyro]'" in compare(tmp_path / "run", "--ppl", "pyro", code=2)
    finally:
        language.cache_clear()


def test_a_papers_prior_by_name(compare, tmp_path):
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
def test_bad_words_about_a_papers_prior(noisezoo, tmp_path, prior, words, said):
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
def test_bad_settings_of_a_local_guide(compare, tmp_path, settings, said):
    assert said in compare(tmp_path / "run", prior="sparse_vd", with_=f"svi:{settings}", code=2)
