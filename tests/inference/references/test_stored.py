"""Stored references: files that are whole or refused, problems known by their content, numbers that are right."""

import json
from dataclasses import replace

import numpy as np
import pytest
from noisezoo import data as datasets
from noisezoo.inference.judging.convergence import thinned
from noisezoo.inference.references import stored
from noisezoo.inference.references.problems import FOLDER, problem, problems
from noisezoo.inference.references.stored import Reference, find, fingerprint, load, same, write
from noisezoo.models import catalogue
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

ALL = stored.stored()
AGREED = {name: one for name, one in ALL.items() if one.agreed}


@pytest.fixture(scope="module")
def diabetes():
    return datasets.load("diabetes")


@pytest.fixture
def ridge():
    return load("diabetes-ridge")


def test_what_is_written_is_read(ridge, tmp_path):
    write(ridge, tmp_path)
    assert load("diabetes-ridge", tmp_path) == ridge
    assert isinstance(ridge.moments.mean, np.ndarray) and len(ridge.moments.mean) == len(ridge.moments.sd_mcse)


def test_a_file_that_was_changed_is_refused(ridge, tmp_path):
    write(ridge, tmp_path)
    path = tmp_path / "diabetes-ridge.json"
    content = json.loads(path.read_text())
    content["quantities"]["f"]["mean"][0] += 1.0
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="was changed since it was written; install the package again"):
        load("diabetes-ridge", tmp_path)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(ValueError, match="not whole"):
        load("diabetes-ridge", tmp_path)


def test_a_problem_is_known_by_its_content(diabetes):
    assert find("normal", diabetes).name == "diabetes-ridge"
    spelled = find("regularised_half_cauchy:slab=2,scale=1", diabetes, form="hierarchical", network="linear")
    assert spelled.name == "diabetes-horseshoe"
    rounded = replace(diabetes, name="mine", x_train=diabetes.x_train * np.float32(1 + 1e-6))
    assert find("normal", rounded).name == "diabetes-ridge"


def test_another_problem_has_no_reference(diabetes):
    other_rows = diabetes.x_train.copy()
    other_rows[7] = other_rows[8]
    changed = {
        "split 1": (datasets.load("diabetes", split=1), {}),
        "unit": (replace(diabetes, y_scale=1000 * diabetes.y_scale, y_mean=1000 * diabetes.y_mean), {}),
        "row": (replace(diabetes, x_train=other_rows), {}),
        "target": (replace(diabetes, y_train=diabetes.y_train[::-1]), {}),
        "setting": (diabetes, {"prior": "normal:sigma0=2"}),
        "noise": (diabetes, {"prior": "half_cauchy"}),
        "structure": (diabetes, {"prior": "regularised_half_cauchy", "structure": "iid"}),
        "form": (diabetes, {"prior": "regularised_half_cauchy", "form": "weight_norm"}),
        "network": (diabetes, {"network": "mlp:50"}),
    }
    for what, (data, words) in changed.items():
        with pytest.raises(ValueError, match="no stored reference"):
            print(what, find(**{"prior": "normal", "data": data, **words}).name)


def test_the_error_lists_what_there_is(diabetes):
    with pytest.raises(ValueError) as error:
        find("half_cauchy", diabetes, network="mlp:50")
    said = str(error.value)
    assert said.startswith("no stored reference for half_cauchy(scale=1) ard mlp:50 on diabetes, split 0; there is one")
    assert all(problem(name).described in said for name in AGREED) and "leave --reference out" in said
    with pytest.raises(ValueError, match="did you mean 'diabetes-ridge'"):
        load("diabetes-rigde")


def test_without_agreement_there_is_no_reference(ridge, diabetes, tmp_path):
    write(replace(ridge, agreed=False, why="nuts, expanded: R-hat 1.75", quantities={}), tmp_path)
    with pytest.raises(ValueError, match=r"do not agree \(nuts, expanded: R-hat 1.75\); leave --reference out"):
        find("normal", diabetes, folder=tmp_path)
    for use in (lambda one: one.check(diabetes), lambda one: one.moments):
        with pytest.raises(ValueError, match="do not agree"):
            use(load("diabetes-ridge", tmp_path))


def test_a_reference_of_other_data_is_refused(ridge, diabetes):
    ridge.check(diabetes)
    with pytest.raises(ValueError, match="load diabetes, split 0"):
        ridge.check(datasets.load("diabetes", split=3))


@pytest.mark.parametrize("name", ALL)
def test_every_file_is_of_its_problem(name):
    one, asked = ALL[name], problem(name)
    assert isinstance(one, Reference) and json.loads(json.dumps(asked._asdict())) == one.problem
    try:
        data = datasets.load(asked.data, split=asked.split)
    except (FileNotFoundError, OSError):
        pytest.skip(f"{asked.data} is not here")
    assert same(one.data, fingerprint(data))
    words = (asked.prior, asked.network, data.task, len(data.classes), asked.structure)
    assert one.identity == catalogue.identity(*words)
    assert bool(one.quantities) == one.agreed == (one.why == "")
    if one.agreed:
        logits = len(data.classes) if data.task == "categorical" else 1
        assert one.moments.mean.shape == thinned(np.empty(len(data.y_test) * logits)).shape
        assert np.all(one.moments.sd > 0) and np.all(one.moments.mean_mcse < 0.1 * one.moments.sd)
        assert len({facts["sampler"] for facts in one.runs.values() if facts["used"]}) == 2


def test_every_file_belongs_to_a_problem_and_is_small():
    for file in FOLDER.glob("*.json"):
        assert file.stem in problems() and file.stat().st_size < 150_000
    assert len(AGREED) >= 2


def test_the_ridge_regression_is_right(ridge, diabetes):
    """Given the precision its posterior is normal; over the logarithm of the precision there is quadrature."""
    design, test = (np.c_[x, np.ones(len(x))].astype(np.float64) for x in (diabetes.x_train, diabetes.x_test))
    y, prior = diabetes.y_train.astype(np.float64), np.diag(np.r_[np.full(10, 10.0), 1.0])  # precisions of the weights
    log_precision = np.linspace(np.log(1.2), np.log(3.2), 101)
    weights, means, variances = [], [], []
    for tau in np.exp(log_precision):
        covariance = np.linalg.inv(tau * design.T @ design + prior)
        means.append(test @ (covariance @ (tau * design.T @ y)))
        variances.append(np.einsum("ij,jk,ik->i", test, covariance, test))
        evidence = multivariate_normal(cov=np.eye(len(y)) / tau + design @ np.linalg.inv(prior) @ design.T).logpdf(y)
        weights.append(evidence - 0.1 * tau + np.log(tau))  # Gamma(1, rate 0.1), and the Jacobian
    assert max(weights[0], weights[-1]) < max(weights) - 20  # the grid is wide enough
    w = np.exp(np.array(weights) - logsumexp(weights))
    mean = w @ means
    sd = np.sqrt(w @ (np.array(variances) + (np.array(means) - mean) ** 2))
    found = ridge.moments
    for exact, value, error in (
        (diabetes.original(mean), found.mean, found.mean_mcse),
        (diabetes.y_scale * sd, found.sd, found.sd_mcse),
    ):
        z = (value - exact) / error
        assert np.abs(z).max() < 4.5 and 0.3 < np.sqrt(np.mean(z**2)) < 2  # off by its errors: not more, not less
    noise = ridge.quantities["log noise_sd"]
    exact = w @ (np.log(diabetes.y_scale) - log_precision / 2)
    assert abs(noise["mean"][0] - exact) < 4 * noise["mean_mcse"][0]
