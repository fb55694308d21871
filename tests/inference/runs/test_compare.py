"""Several strategies side by side: one that fails does not take the others with it, and a reference must earn trust."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from exact_fits import exact_data, guide, model, nuts, predictive, tree
from noisezoo.data import load
from noisezoo.inference.judging.diagnose import COLUMNS
from noisezoo.inference.references.agreement import moments
from noisezoo.inference.references.stored import Reference, find, fingerprint
from noisezoo.inference.runs import compare as module
from noisezoo.inference.runs.compare import compare, table
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.target.precision import precision
from noisezoo.models import catalogue
from noisezoo.models.ppl import ppl
from scipy.stats import norm

FOUND = exact_data()
TEXT = {"model", "strategy", "ppl", "verdict", "reason"}


@pytest.fixture(scope="module")
def trees():
    return {"svi": tree(guide(FOUND, width=0.41), FOUND), "nuts": tree(nuts(FOUND), FOUND)}


@pytest.fixture
def made(monkeypatch):
    """Fits in place of inferences: a config is a Fit, or what to raise."""

    def fit(program, config, x, y, *, seed, progress):
        if isinstance(config, BaseException):
            raise config
        assert ppl(x).name == config.ppl
        return config

    monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(module, "check_memory", lambda config, sites, ppl: None)  # such a config asks for no draws


def test_columns_rows_and_verdicts(trees):
    found = table(trees)
    assert list(found.columns) == list(COLUMNS) and list(found.index) == ["svi", "nuts"]
    assert found.loc["nuts", "verdict"] == "ok"
    assert found.loc["svi", "verdict"] == "too narrow" and "of nuts" in found.loc["svi", "reason"]
    assert found.loc["svi", "distance_sd"] == pytest.approx(0.41, abs=0.03)
    assert np.isnan(found.loc["nuts", "distance_sd"]) and np.isnan(found.loc["svi", "rhat_f"])
    for name in set(COLUMNS) - TEXT:
        assert pd.api.types.is_numeric_dtype(found[name]), name


def test_a_reference_that_has_not_converged_vouches_for_nothing(trees):
    found = table({**trees, "nuts": tree(nuts(FOUND, apart=2.0), FOUND)})
    assert found.loc["nuts", "verdict"] == "not converged"
    assert found.loc["svi", "verdict"] == "unchecked" and "nuts" in found.loc["svi", "reason"]


@pytest.mark.parametrize(("fit", "standing"), [("draws", "too few draws"), ("diverging", "divergent")])
def test_a_reference_that_is_not_quite_ok_is_named_so(trees, fit, standing):
    reference = nuts(FOUND, draws=50) if fit == "draws" else nuts(FOUND)
    if fit == "diverging":
        reference.stats["diverging"][:, ::20] = True
    found = table({**trees, "nuts": tree(reference, FOUND)})
    assert found.loc["nuts", "verdict"] == standing
    assert found.loc["svi", "verdict"] == "too narrow" and f"(nuts: {standing})" in found.loc["svi", "reason"]


def test_one_chain_is_no_reference(trees):
    found = table({**trees, "nuts": tree(nuts(FOUND, chains=1), FOUND)})
    assert list(found["verdict"]) == ["unchecked", "unchecked"]


def test_each_tree_carries_its_row(trees):
    found = table(trees)
    for label, made_tree in trees.items():
        row = json.loads(made_tree.attrs["judged"])
        assert row["verdict"] == found.loc[label, "verdict"] and row["rmse"] == found.loc[label, "rmse"]


def test_without_nuts_there_is_no_reference(trees):
    found = table({"svi": trees["svi"]})
    assert found.loc["svi", "verdict"] == "unchecked" and np.isnan(found.loc["svi", "distance_mean"])


@pytest.mark.parametrize("ppl", ["numpyro", pytest.param("pyro", marks=pytest.mark.needs_pyro)])
def test_a_language_is_chosen_by_name(made, ppl):
    found = compare(model(), FOUND, {"nuts": nuts(FOUND, ppl=ppl, draws=20)}, ppl=ppl, progress=False)
    assert found.table.loc["nuts", "ppl"] == ppl
    assert found.trees["nuts"].attrs["ppl"] == ppl


@pytest.mark.parametrize("error", [ValueError("no mode"), RuntimeError("out of memory"), NotImplementedError()])
def test_a_strategy_that_fails_is_a_row_with_its_reason(made, error):
    found = compare(model(), FOUND, {"svi:laplace": error, "nuts": nuts(FOUND)}, progress=False)
    assert found.table.loc["svi:laplace", "verdict"] == "failed"
    assert found.table.loc["svi:laplace", "reason"] == (str(error) or "NotImplementedError")
    assert found.table.loc["svi:laplace", "strategy"] == "svi"
    assert found.table.loc["nuts", "verdict"] == "ok" and set(found.trees) == {"nuts"}


def test_ctrl_c_keeps_what_is_finished(made):
    asked = {"nuts": nuts(FOUND), "svi": KeyboardInterrupt(), "sgld": AssertionError("not begun")}
    found = compare(model(), FOUND, asked, progress=False)
    assert set(found.trees) == {"nuts"} and found.table.loc["nuts", "verdict"] == "ok"
    assert found.table.loc["svi", "reason"] == "interrupted" and "sgld" not in found.table.index


def test_a_run_that_was_cut_short_is_kept_and_is_the_last(made):
    short = replace(nuts(FOUND), stopped="stopped after 1000 of 2000 draws")
    found = compare(model(), FOUND, {"nuts": short, "svi": AssertionError("not begun")}, progress=False)
    assert list(found.table.index) == ["nuts"] and short.stopped in found.table.loc["nuts", "reason"]


def test_a_guide_with_few_draws_does_not_break_the_table(made):
    fit = guide(FOUND)
    few = {name: values[:, :5] for name, values in fit.draws.items()}
    fit = replace(fit, draws=few, stats={name: values[:, :5] for name, values in fit.stats.items()})
    found = compare(model(), FOUND, {"svi": fit}, progress=False)
    assert found.table.loc["svi", "verdict"] == "unchecked" and found.table.loc["svi", "khat"] == np.inf


def test_a_real_comparison_of_a_linear_model():
    """Its posterior is normal, so that Laplace's guide is exact and both agree with what is known."""
    asked = "svi:guide=laplace,steps=2000,nuts:warmup=200,draws=400,method=vectorised"
    found = compare(model(), FOUND, asked, progress=False)
    assert not found.failed and list(found.table["strategy"]) == ["svi", "nuts"]
    assert list(found.table["verdict"]) == ["ok", "ok"], list(found.table["reason"])
    mean, _, sd = predictive(FOUND)
    y = FOUND.original(FOUND.y_test)
    np.testing.assert_allclose(found.table["rmse"], np.sqrt(np.mean((mean - y) ** 2)), rtol=0.01)
    np.testing.assert_allclose(found.table["mlpd"], norm.logpdf(y, mean, sd).mean(), atol=0.02)
    svi, nuts_row = (found.table[found.table["strategy"] == name].iloc[0] for name in ("svi", "nuts"))
    assert svi["khat"] < 0.7 and svi["distance_mean"] < 0.15 and svi["distance_sd"] == pytest.approx(1, abs=0.1)
    assert nuts_row["rhat_f"] < 1.02 and nuts_row["ess_per_second"] > 0
    assert (found.table[["seconds_compile", "seconds_adapt", "seconds_sample"]] >= 0).all(axis=None)


def stored(mean=0.0, **settings):
    """A stored reference of these data: the exact moments, the mean `mean` sds off."""
    exact, sd, _ = predictive(FOUND)
    f = {"mean": exact + mean * sd, "sd": sd, "mean_mcse": 0.01 * sd, "sd_mcse": 0.01 * sd}
    known = dict(name="exact", problem={"data": "exact", "split": 0}, identity={}, data=fingerprint(FOUND))
    made = dict(agreed=True, why="", runs={}, agreement={}, quantities={"f": f}, versions={})
    return Reference(**{**known, **made, **settings})


def test_a_stored_reference_measures_every_row_nuts_too(trees):
    found = table(trees, stored())
    assert found.loc["svi", "distance_sd"] == pytest.approx(0.41, abs=0.03)
    assert found.loc["nuts", "distance_mean"] < 0.1 and found.loc["nuts", "distance_sd"] == pytest.approx(1, abs=0.05)
    assert list(found["verdict"]) == ["too narrow", "ok"]
    assert all("exact (stored)" in reason for reason in found["reason"])
    assert json.loads(trees["nuts"].attrs["judged"])["distance_mean_mcse"] == pytest.approx(0.01)


def test_nuts_can_be_off_from_a_stored_reference(trees):
    found = table({"nuts": trees["nuts"]}, stored(mean=0.8))
    assert found.loc["nuts", "verdict"] == "off" and "0.8" in found.loc["nuts", "reason"]


def test_a_stored_reference_of_other_data_is_refused_before_anything_runs(made):
    asked = {"nuts": AssertionError("not begun")}
    with pytest.raises(ValueError, match="of other data than exact"):
        compare(model(), exact_data(rows=50), asked, progress=False, reference=stored())
    with pytest.raises(ValueError, match=r"do not agree \(R-hat 1.7\)"):
        compare(model(), FOUND, asked, progress=False, reference=stored(agreed=False, why="R-hat 1.7"))
    found = compare(model(), FOUND, {"nuts": nuts(FOUND)}, progress=False, reference=stored())
    assert found.table.loc["nuts", "verdict"] == "ok" and "(stored)" in found.table.loc["nuts", "reason"]


def test_a_short_run_agrees_with_the_stored_reference():
    data, words = load("diabetes"), ("normal", "linear")
    reference = find(words[0], data, network=words[1])
    program = catalogue.model(catalogue.prior(words[0]), catalogue.network(words[1]), data.task)
    asked = "nuts:warmup=300,draws=700,chains=2,target_accept=0.8,method=vectorised"
    found = compare(program, data, asked, progress=False, reference=reference)
    f = found.trees["nuts"]["predictions"]["f"].values
    values, kept = moments(f.astype(np.float64)), reference.moments
    for part in ("mean", "sd"):
        error = np.hypot(values[f"{part}_mcse"], getattr(kept, f"{part}_mcse"))
        z = (values[part] - getattr(kept, part)) / error
        assert np.abs(z).max() < 4 and np.sqrt(np.mean(z**2)) > 0.3  # off by its errors: not more, not less
    assert found.table.loc["nuts", "verdict"] == "ok", found.table.loc["nuts", "reason"]
    assert "diabetes-ridge (stored)" in found.table.loc["nuts", "reason"]


@pytest.mark.parametrize("x64", [False, True])
def test_a_comparison_in_double_precision(language, x64):
    configs = {"svi": svi(guide="map", steps=3, draws=3)}
    found = compare(model(), FOUND, configs, ppl=language, x64=x64, progress=False)
    tree, expected = found.trees["svi"], "float64" if x64 else "float32"
    assert tree.attrs["precision"] == expected and precision(language) == "float32"
    assert {values.dtype.name for values in tree["posterior"].data_vars.values()} == {expected}


def test_draws_that_do_not_fit_are_refused_before_another_strategy_runs():
    with pytest.raises(ValueError, match="^nuts: 2,000,000,000 draws of 4 chains"):
        compare(model(), FOUND, "svi,nuts:draws=2e9")


def test_a_table_of_failures_alone(made):
    found = compare(model(), FOUND, {"svi": ValueError("bad")}, progress=False)
    assert list(found.table.columns) == list(COLUMNS)
    assert found.table.loc["svi", "verdict"] == "failed" and not found.trees


def test_unknown_strategies_are_refused_before_anything_runs(made):
    with pytest.raises(ValueError, match="nuts"):
        compare(model(), FOUND, "nutz", progress=False)
