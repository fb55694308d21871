"""Whether runs of record agree: those of one law do, and each way not to is found and named."""

import numpy as np
import pytest
from noisezoo.inference.references import agreement
from noisezoo.inference.references.agreement import QUANTILES, Run, apart, judge, moments, summary
from scipy.stats import norm

CHAINS, DRAWS, VALUES = 4, 1000, 3
MEAN, SD = np.array([0.0, 10.0, -1.0]), np.array([1.0, 2.0, 0.1])


def run(seed, sampler="nuts", move=0.0, width=1.0, diverged=0, ebfmi=1.0, autocorrelation=0.0, apart=0.0):
    """A run of independent or autoregressive chains, `move` sds off and `width` times too wide, chains `apart`."""
    noise = np.random.default_rng(seed).normal(size=(CHAINS, DRAWS, VALUES))
    for t in range(1, DRAWS):
        noise[:, t] = autocorrelation * noise[:, t - 1] + np.sqrt(1 - autocorrelation**2) * noise[:, t]
    noise = move + width * noise + apart * np.arange(CHAINS)[:, None, None]
    facts = {"sampler": sampler, "divergences": diverged, "transitions": CHAINS * DRAWS, "ebfmi": ebfmi}
    return Run({"f": MEAN + SD * noise, "log noise_sd": noise[..., :1]}, facts)


def test_runs_of_one_law_agree_and_their_errors_say_how_well():
    judged = judge({"a": run(0), "b": run(1), "c": run(2, "hmc")})
    assert judged.why == "" and all(facts["used"] for facts in judged.runs.values())
    assert judged.agreement["rhat"] < 1.01 and judged.agreement["z"] < judged.agreement["z_limit"]
    assert judged.agreement["f_mean"] < 5 * np.sqrt(2 / (CHAINS * DRAWS))
    found = summary([run(0).found, run(2).found])["f"]
    assert np.all(np.abs(found["mean"] - MEAN) < 4 * np.array(found["mean_mcse"]))
    assert np.all(np.abs(found["sd"] - SD) < 4 * np.array(found["sd_mcse"]))
    np.testing.assert_allclose(found["mean_mcse"], SD / np.sqrt(2 * CHAINS * DRAWS), rtol=0.2)
    for q in QUANTILES:
        exact, error = MEAN + SD * norm.ppf(q), np.array(found[f"q{100 * q:02.0f}_mcse"])
        assert np.all(np.abs(found[f"q{100 * q:02.0f}"] - exact) < 4 * error) and np.all(error < 0.1 * SD)


@pytest.mark.parametrize("autocorrelation", [-0.5, 0.0, 0.7])
def test_errors_of_correlated_draws(autocorrelation):
    """Of an AR(1) process: squares forget as its square does, so that draws that alternate help the mean alone."""
    found, n = moments(run(3, autocorrelation=autocorrelation).found["f"]), CHAINS * DRAWS
    mean, square = (np.sqrt((1 + r) / (1 - r) / n) for r in (autocorrelation, autocorrelation**2))
    np.testing.assert_allclose(found["mean_mcse"], SD * mean, rtol=0.25)
    np.testing.assert_allclose(found["sd_mcse"], SD * square / np.sqrt(2), rtol=0.25)


@pytest.mark.parametrize(
    "wrong, said",
    [
        (dict(move=0.15), "two runs lie"),
        (dict(width=1.1), "two runs lie"),
        (dict(apart=0.3), "c: R-hat"),
        (dict(move=1.0), "all chains together: R-hat"),
        (dict(ebfmi=0.2), "c: E-BFMI 0.20"),
        (dict(diverged=40), "c: 40 of 4000 transitions diverged"),
    ],
)
def test_runs_that_are_unsound_or_disagree_are_no_reference(wrong, said):
    assert said in judge({"a": run(0), "b": run(1), "c": run(2, "hmc", **wrong)}).why


def test_too_few_effective_draws_are_no_reference(monkeypatch):
    monkeypatch.setattr(agreement, "ESS", 3000)
    assert judge({"a": run(0), "c": run(2, "hmc")}).why == ""
    assert judge({"a": run(0), "c": run(2, "hmc", autocorrelation=0.3)}).why.startswith("c: ESS 2")


def test_a_form_that_diverged_is_set_aside_if_two_samplers_are_left():
    judged = judge({"a": run(0), "b": run(1, diverged=40, width=1.2), "c": run(2, "hmc")})
    assert judged.why == "" and not judged.runs["b"]["used"] and judged.runs["a"]["used"]


def test_what_is_set_aside_must_be_about_the_same_posterior():
    found_another_mode = run(1, diverged=40, move=2.0)
    assert "with those that diverged: R-hat" in judge({"a": run(0), "b": found_another_mode, "c": run(2, "hmc")}).why


def test_one_sampler_is_not_enough():
    assert judge({"a": run(0), "b": run(1)}).why == "there is one sampler only"


def test_chance_alone_rarely_reaches_the_limit():
    over = [(found := apart([run(2 * i).found, run(2 * i + 1).found]))["z"] > found["z_limit"] for i in range(20)]
    assert sum(over) <= 1  # one in a hundred
