"""How references are made: the second sampler is right, and what was run is kept."""

import jax.numpy as jnp
import numpy as np
import pytest
from linear_model import data, model, posterior
from noisezoo.inference.references import make as module
from noisezoo.inference.references.agreement import moments
from noisezoo.inference.references.hmc import hmc
from noisezoo.inference.references.make import make
from noisezoo.inference.references.problems import Problem

SMALL = Problem(
    *("small", "rayleigh", "diabetes"), nuts="nuts:warmup=100,draws=100,chains=2,target_accept=0.8,method=sequential"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, make(SMALL, folder / "runs", folder, progress=False)


def test_the_second_sampler_finds_the_posterior():
    x, y = data()
    draws, stats = hmc(
        model(), jnp.asarray(x), jnp.asarray(y), warmup=300, draws=1000, chains=2, target_accept=0.8, seed=0
    )
    found = moments(np.concatenate([draws["layer0.weight"][..., 0], draws["layer0.bias"]], axis=-1))
    mean, covariance = posterior(x, y)
    assert np.all(np.abs(found["mean"] - mean) < 4 * found["mean_mcse"])
    assert np.all(np.abs(found["sd"] - np.sqrt(np.diag(covariance))) < 4 * found["sd_mcse"])
    assert np.all(found["mean_mcse"] < 0.1 * found["sd"])  # so that the two lines above say something
    assert not stats["diverging"].any() and 0.6 < stats["acceptance_rate"].mean() < 0.99


def test_a_problem_is_run_in_both_forms_and_by_both_samplers(made):
    runs = made[1].runs
    assert [(r["sampler"], r["form"]) for r in runs.values()] == [
        ("nuts", "expanded"),
        ("nuts", "hierarchical"),
        ("hmc (BlackJAX)", "expanded"),
    ]
    assert len({r["seed"] for r in runs.values()}) == 3 and runs["nuts, expanded"]["settings"]["draws"] == 100
    assert all(r["transitions"] == 200 for r in runs.values())


def test_short_runs_make_no_reference_and_say_why(made):
    reference = made[1]
    assert not reference.agreed and reference.quantities == {}
    assert "R-hat" in reference.why or "ESS" in reference.why or "diverged" in reference.why
    assert reference.agreement["f_mean"] < 1  # they are about the same posterior all the same


def test_what_was_run_is_not_run_again(made, monkeypatch):
    folder, before = made
    monkeypatch.setattr(module, "fit", None)
    monkeypatch.setattr(module, "hmc", None)
    assert make(SMALL, folder / "runs", folder, progress=False) == before
    with pytest.raises(TypeError):  # another problem of the same name
        make(SMALL._replace(prior="inverse_gamma"), folder / "runs", folder, progress=False)


def test_what_is_compared_is_f_and_the_logarithms_of_the_scales(made):
    runs = [np.load(file) for file in (made[0] / "runs").glob("*/*.npz")]
    assert len(runs) == 3
    for run in runs:
        assert set(run) == {"facts.json", "f", "log layer0.scale.sorted", "log noise_sd"}
        assert run["f"].shape == (2, 100, 45) and run["log layer0.scale.sorted"].shape == (2, 100, 10)
        assert 100 < run["f"].mean() < 200 and 3.5 < run["log noise_sd"].mean() < 4.5  # in the target's own units
        assert np.all(np.diff(run["log layer0.scale.sorted"], axis=-1) <= 0)
