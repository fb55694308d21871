"""Strategies against a posterior that is known: linear model, fixed scales."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from linear_model import check, data, model, posterior, stacked
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from scipy.special import softmax
from scipy.stats import multivariate_normal

X, Y = data()


def run(config, **settings):
    return fit(model(), config, jnp.asarray(X), jnp.asarray(Y), progress=False, **settings)


@pytest.mark.parametrize(
    "config",
    [
        NUTS(warmup=500, draws=2000, chains=4),
        NUTS(warmup=500, draws=2000, chains=4, mass="dense", method="vectorised"),
        NUTS(warmup=500, draws=4000, chains=2, method="sequential"),
    ],
    ids=["parallel", "vectorised dense", "sequential"],
)
def test_nuts(config):
    found = run(config)
    check(stacked(found), 0.1, 0.05)
    assert found.stats["diverging"].sum() == 0
    assert found.draws["layer0.weight"].shape == (config.chains, config.draws, 3, 1)


@pytest.mark.parametrize("guide", ["full_rank", "laplace", "flow"])
def test_svi(guide):
    found = run(svi(guide=guide, steps=8000, lr=0.01, particles=8, draws=8000))
    check(stacked(found), 0.1, 0.05)
    assert not found.independent_chains and found.approximation


def test_map_is_the_mean():
    found = run(svi(guide="map", steps=4000, draws=2))
    check_mean = np.abs(stacked(found)[0] - posterior(X, Y)[0])
    assert check_mean.max() < 1e-3
    assert not found.approximation


def test_mean_field_is_too_narrow_as_it_must_be():
    """The optimum of a factorised Gaussian has the variances 1 / (precision matrix)_ii, below the true ones."""
    found = run(svi(guide="mean_field", steps=8000, particles=8, draws=8000))
    mean, covariance = posterior(X, Y)
    narrow = np.diag(np.linalg.inv(covariance)) ** -0.5
    sd = stacked(found).std(0)
    np.testing.assert_allclose(sd, narrow, rtol=0.05)
    assert (narrow / np.sqrt(np.diag(covariance))).min() < 0.8


def test_minibatches_leave_the_guide_unbiased():
    found = run(svi(guide="full_rank", steps=20_000, lr=0.01, batch_size=20, particles=4, draws=4000))
    check(stacked(found), 0.25, 0.1)


def test_log_densities_of_an_exact_guide_differ_by_the_evidence():
    """log p(w, y) - log q(w) = log p(y) at every draw if q is the posterior."""
    found = run(svi(guide="laplace", steps=8000, draws=100))
    design = np.c_[X, np.ones(len(X))]
    from linear_model import PRECISION, SIGMA0

    cov = design @ np.diag([SIGMA0**2] * 3 + [1.0]) @ design.T + np.eye(len(X)) / PRECISION
    evidence = multivariate_normal(np.zeros(len(X)), cov).logpdf(Y)
    np.testing.assert_allclose(found.stats["log_p"] - found.stats["log_q"], evidence, atol=0.05)


@pytest.mark.parametrize("temperature", [1.0, 0.25])
@pytest.mark.parametrize("batch_size", [None, 30])
def test_sgld_stationary_law(temperature, batch_size):
    """Mean and standard deviation at temperatures 1 and 1/4, as the step size goes to zero."""
    step = 2e-3 if batch_size is None else 5e-4
    config = SGLD(
        warmup=10_000, draws=2000, thin=50, step_size=step, temperature=temperature, batch_size=batch_size, chains=8
    )
    check(stacked(run(config)), 0.15, 0.15, temperature)


def test_sgld_discretisation_shrinks_with_the_step():
    """On a Gaussian of curvature h, Langevin with step e has variance 1 / (h (1 - e h / 2)): too wide by a little."""
    found = [run(SGLD(warmup=5000, draws=2000, thin=20, step_size=e, chains=8)) for e in (0.05, 0.005)]
    sd = np.sqrt(np.diag(posterior(X, Y)[1]))
    excess = [np.linalg.norm(stacked(f).std(0) / sd - 1) for f in found]
    assert excess[1] < excess[0]


def test_decaying_steps_decay():
    """A move is as long as the square root of its step, step_size / (1 + t / warmup) at decay 1."""
    config = SGLD(warmup=500, draws=4000, thin=1, step_size=0.01, decay=1.0, chains=4)
    moves = np.abs(np.diff(run(config).draws["layer0.weight"], axis=1)).mean((0, 2, 3))
    length = (1 + np.arange(500, 4500) / 500) ** -0.5
    measured, expected = (v[-500:].mean() / v[:500].mean() for v in (moves, length))
    np.testing.assert_allclose(measured, expected, rtol=0.1)


def test_dropout_guide_is_monte_carlo_dropout():
    """q(lambda, W) = p(lambda) delta(W): lambda is drawn from its prior, and W minimises the penalised expected loss.

    For a linear model with Gaussian noise N(1, a) on the inputs the expected loss is a ridge regression whose penalty
    is a sum_j w_j^2 sum_i x_ij^2 / 2 in units of the precision: closed form (Wager, Wang & Liang 2013).
    """
    from linear_model import PRECISION, SIGMA0
    from noisezoo.models import likelihoods, noises
    from noisezoo.models.networks import mlp
    from noisezoo.models.weights.parametrisation import prior

    a = 0.3
    program = likelihoods.gaussian(mlp(), prior(noises.gaussian_dropout(a=a), sigma0=SIGMA0), precision=PRECISION)
    config = svi(guide="dropout", steps=20_000, lr=0.01, particles=8, draws=4000)
    found = fit(program, config, jnp.asarray(X), jnp.asarray(Y), progress=False)
    scale = found.draws["layer0.scale"].reshape(-1, 3)
    np.testing.assert_allclose(scale.mean(0), 1.0, atol=0.05)
    np.testing.assert_allclose(scale.var(0), a, rtol=0.1)
    design = np.c_[X, np.ones(len(X))].astype(float)
    penalty = np.r_[PRECISION * a * (X**2).sum(0) + SIGMA0**-2, 1.0]
    ridge = np.linalg.solve(PRECISION * design.T @ design + np.diag(penalty), PRECISION * design.T @ Y)
    fitted = np.r_[found.draws["layer0.base"][0, 0, :, 0], found.draws["layer0.bias"][0, 0]]
    np.testing.assert_allclose(fitted, ridge, atol=0.02)


def test_spike_and_slab_by_gibbs_against_enumeration():
    """Inclusion probabilities of 10 features, against the sum over all 2^10 models."""
    from noisezoo.models import likelihoods, noises
    from noisezoo.models.networks import mlp
    from noisezoo.models.weights.parametrisation import prior

    precision, sigma0, features = 1.0, 1.0, 10
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, features)).astype(np.float32)
    truth = np.r_[1.0, -0.8, 0.4, 0.3, 0.2, np.zeros(5)]
    y = (x @ truth + rng.normal(size=40)).astype(np.float32)
    program = likelihoods.gaussian(mlp(), prior(noises.bernoulli(p=0.3), sigma0=sigma0), precision=precision)
    config = NUTS(warmup=500, draws=4000, chains=4)
    found = fit(program, config, jnp.asarray(x), jnp.asarray(y), progress=False)
    included = found.draws["layer0.scale"].mean((0, 1))
    np.testing.assert_allclose(included, inclusion(x, y, 0.3, sigma0, precision), atol=0.05)
    assert set(np.unique(found.draws["layer0.scale"])) == {0.0, 1.0}


def inclusion(x, y, keep, sigma0, precision):
    """Exact posterior inclusion probabilities (features,) of the linear spike and slab with a standard normal bias."""
    models = np.array(list(itertools.product([0, 1], repeat=x.shape[1])))
    covariance = (models[:, None, :] * x) @ x.T.astype(float) * sigma0**2 + 1.0 + np.eye(len(y)) / precision
    log_weight = [multivariate_normal(np.zeros(len(y)), c).logpdf(y) for c in covariance]
    log_weight += models.sum(1) * np.log(keep) + (1 - models).sum(1) * np.log(1 - keep)
    return softmax(log_weight) @ models
