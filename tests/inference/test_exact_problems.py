"""Every strategy and guide, in every language that has it, on problems whose posterior is known.

The table is in `exact_problems`.
"""

import dataclasses

import numpy as np
import pytest
from exact_problems import COPIES, PROBLEMS, STRATEGIES
from noisezoo.inference import strategies
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.guides import GUIDES
from scipy.stats import multivariate_normal

ELSEWHERE = {"dropout", "em"}  # their optima are other ones: test_dropout and test_em, test_pyro_svi and test_pyro_em
LANGUAGES = ("numpyro", "pyro")


def settings(row, language):
    config = getattr(row, language)
    return row.numpyro if config == "same" else config


def cells():
    for name, row in STRATEGIES.items():
        for language in LANGUAGES:
            if settings(row, language) is None:
                continue
            marks = [pytest.mark.needs_pyro] if language == "pyro" else []
            for temperature in row.temperatures if language == "numpyro" else row.temperatures[-1:]:
                yield pytest.param("linear", name, language, temperature, marks=marks)
            for problem in set(row.problems) - {"linear"}:
                yield pytest.param(problem, name, language, 1.0, marks=marks)


def arrays(language, *values):
    if language == "pyro":
        import torch

        return [torch.as_tensor(v) for v in values]
    import jax.numpy as jnp

    return [jnp.asarray(v) for v in values]


def law(problem, of, temperature=1.0):
    """Mean and covariance that a strategy is to find, and the largest covariance that it may."""
    mean, covariance = problem.mean, problem.covariance * temperature
    narrow = np.diag(1 / np.diag(np.linalg.inv(covariance)))
    if of == "point":
        return mean, 0 * covariance, 0 * covariance
    least, most = {"posterior": (covariance,) * 2, "independent": (narrow,) * 2, "between": (narrow, covariance)}[of]
    return mean, least, most


def near(problem, values, row, temperature=1.0):
    """Whether draws of the quantities have the mean and the sds that they should, within the row's tolerances."""
    sd = np.sqrt(np.diag(problem.covariance * temperature))
    mean, *ends = law(problem, row.law, temperature)
    least, most = (np.sqrt(np.diag(end)) for end in ends)
    slack, found = row.sd_within * sd, values.std(0)
    right = np.abs(values.mean(0) - mean) < row.mean_within * sd
    return bool(np.all(right & (found >= least - slack) & (found <= most + slack)))


@pytest.mark.parametrize("problem, name, language, temperature", list(cells()))
def test_the_posterior(problem, name, language, temperature):
    row, problem = STRATEGIES[name], PROBLEMS[problem]
    config = settings(row, language)
    if temperature != 1.0:
        config = dataclasses.replace(config, temperature=temperature)
    found = fit(problem.program, config, *arrays(language, problem.x, problem.y), progress=False)
    values = problem.values(found.draws)
    assert near(problem, values, row, temperature), (values.mean(0), values.std(0), law(problem, row.law, temperature))
    assert len(values) == config.chains * config.draws * COPIES
    assert all(np.isfinite(v).all() for v in found.stats.values())
    guide = config.name == "svi"
    assert found.independent_chains == (not guide) and found.approximation == ("log_q" in found.stats)
    if "diverging" in found.stats:
        assert not found.stats["diverging"].any()
    if "log_q" in found.stats and row.law == "posterior":  # log p(w, y) - log q(w) = log p(y) if q is the posterior
        evidence = found.stats["log_p"] - found.stats["log_q"]
        np.testing.assert_allclose(evidence.mean() / COPIES, problem.evidence / COPIES, atol=0.1)
        if name == "svi laplace":  # which is the posterior exactly
            np.testing.assert_allclose(evidence, problem.evidence, atol=0.05 * COPIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_wrong_would_be_seen(name):
    """Draws of the law pass; those that are too wide or off the mean, by twice what is allowed, do not."""
    row, problem = STRATEGIES[name], PROBLEMS["linear"]
    mean, _, covariance = law(problem, row.law)
    draws = multivariate_normal(mean, covariance, allow_singular=True).rvs(40_000, random_state=0)
    sd = np.sqrt(np.diag(problem.covariance))
    assert near(problem, draws, row)
    assert not near(problem, draws + 2 * row.mean_within * sd, row)
    wide = np.random.default_rng(1).normal(size=draws.shape) * sd * (0.5 if row.law == "point" else 1)
    assert not near(problem, mean + wide * (1 + 2 * row.sd_within), row)


def test_the_best_independent_normals_are_narrow():
    """So that the posterior and they are told apart."""
    problem = PROBLEMS["linear"]
    _, narrow, _ = law(problem, "independent")
    assert np.sqrt(np.diag(narrow) / np.diag(problem.covariance)).min() < 0.8


def test_every_strategy_and_guide_has_a_row():
    configs = [row.numpyro for row in STRATEGIES.values()]
    assert {config.name for config in configs} == set(strategies.STRATEGIES)
    assert {config.guide.name for config in configs if config.name == "svi"} == set(GUIDES) - ELSEWHERE
