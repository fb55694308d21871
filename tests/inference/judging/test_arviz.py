"""Every function of ArviZ that the docs name runs on a fit."""

import re
from pathlib import Path

import arviz_plots
import arviz_stats
import noisezoo
import numpy as np
import pandas as pd
import pytest
from made_trees import made_data, made_model, made_tree
from noisezoo.inference.judging.datatree import arrays
from noisezoo.inference.judging.predict import log_prior
from noisezoo.models import catalogue
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl.programs import log_joint

DOCS = Path(noisezoo.__file__).parent / "docs"
CALL = re.compile(r"^arviz_(?:plots|stats)\.\w+\(.*\)$", re.MULTILINE)
CALLS = [call for page in sorted(DOCS.glob("*.md")) for call in CALL.findall(page.read_text())]


@pytest.fixture(scope="module")
def tree():
    return made_tree("nuts", seed=2)


def test_the_docs_name_those_that_newer_xarrays_broke():
    assert {"plot_trace_dist", "plot_rank_dist", "plot_forest"} <= {re.findall(r"\.(\w+)\(", call)[0] for call in CALLS}


@pytest.mark.parametrize("call", CALLS)
def test_what_the_docs_call_runs(tree, call, tmp_path):
    found = eval(call, {"tree": tree, "arviz_plots": arviz_plots, "arviz_stats": arviz_stats})
    if isinstance(found, pd.DataFrame):
        assert np.isfinite(found[["prior", "likelihood"]].to_numpy()).all()
    else:
        found.savefig(tmp_path / "figure.png")
        assert (tmp_path / "figure.png").stat().st_size > 5000


def test_the_log_prior_is_the_log_joint_without_the_likelihood(language):
    data, draws = made_data(), made_tree("nuts", seed=2)["posterior"]
    draws = {str(name): values.values[:, :2] for name, values in draws.data_vars.items()}
    x, y = arrays(language, data.x_train, data.y_train)
    found = log_prior(made_model(), draws, x, y)
    assert set(found) == set(draws) and all(values.shape == (4, 2) for values in found.values())
    for chain, draw in ((0, 0), (3, 1)):
        values = {name: language_of(language).xp.asarray(v[chain, draw], copy=True) for name, v in draws.items()}
        f = data.x_train @ draws["layer0.weight"][chain, draw] + draws["layer0.bias"][chain, draw]
        precision = float(draws["precision"][chain, draw])
        likelihood = np.sum(0.5 * np.log(precision / (2 * np.pi)) - 0.5 * precision * (data.y_train - f[:, 0]) ** 2)
        wanted = float(log_joint(made_model(), values, x, y)) - likelihood
        assert sum(part[chain, draw] for part in found.values()) == pytest.approx(wanted, abs=2e-3)


def test_an_improper_prior_has_no_density():
    data = made_data()
    x, y = arrays("numpyro", data.x_train, data.y_train)
    model = catalogue.model(catalogue.prior("log_uniform"), catalogue.network("linear"), "regression", 0)
    assert log_prior(model, {"layer0.scale": np.ones((1, 2, 6), np.float32)}, x, y) == {}


def test_a_fit_with_a_proper_prior_has_the_group(tree):
    assert {"layer0.scale", "layer0.weight", "precision"} <= set(tree["log_prior"].data_vars)
    assert tree["log_prior"]["layer0.scale"].dims == ("chain", "draw")
