"""Sparse variational dropout and empirical-Bayes ARD on linear models: optima that can be written down.

With Gaussian noise of known precision t the expected log likelihood of a linear model is that of the means less
t / 2 sum_j sigma_j^2 sum_i x_ij^2.  In an orthogonal design every weight is then on its own: with
s^2 = 1 / (t sum_i x_ij^2) and z the least-squares estimate in units of s, it minimises
((mu - z)^2 + sigma^2) / 2 + KL(mu^2 / (2 sigma^2)), in the same units.
"""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.parse import svi
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.papers import empirical_bayes, sparse_vd
from scipy.linalg import hadamard
from scipy.special import dawsn

PRIORS = {"sparse_vd": sparse_vd.prior, "empirical_bayes": empirical_bayes.prior}
BOTH = pytest.mark.parametrize("name", PRIORS)


def fitted(name, x, y, precision, seed=0, **settings):
    """Mean and standard deviation (features,) of the weights, and the fit."""
    model = gaussian(mlp(), PRIORS[name](), precision)
    x, y = (jnp.asarray(v, jnp.float32) for v in (x, y))
    found = fit(model, svi(**{"guide": "local", "draws": 1, **settings}), x, y, seed=seed, progress=False)
    loc, scale = (part["layer0.weight"][0, :, 0].astype(float) for part in (found.loc, found.scale))
    return loc, scale, found


def test_a_fixed_alpha_is_a_ridge():
    """Bao & Zhang (2019), eq 7: (X'X + diag(X'X) diag(alpha))^-1 X'y, in centred data, where the bias is zero."""
    alpha, rng = 0.4, np.random.default_rng(0)
    x = rng.normal(size=(50, 4)) @ (np.eye(4) + 0.5)
    y = x @ np.array([1.0, -0.5, 0.3, 0.8]) + 0.5 * rng.normal(size=50)
    x, y = x - x.mean(0), y - y.mean()
    loc, scale, found = fitted("sparse_vd", x, y, 4.0, alpha=alpha, steps=10_000, lr=0.01)
    gram = x.T @ x
    ridge = np.linalg.solve(gram + alpha * np.diag(np.diag(gram)), x.T @ y)
    np.testing.assert_allclose(loc, ridge, atol=0.02)
    np.testing.assert_allclose(scale, alpha**0.5 * np.abs(loc), rtol=1e-5)
    assert np.abs(np.linalg.solve(gram, x.T @ y) - ridge).max() > 0.1  # least squares is something else
    bias = found.loc["layer0.bias"][0, 0], found.scale["layer0.bias"][0, 0]
    assert abs(bias[0]) < 0.02 and abs(bias[0]) / bias[1] != alpha**-0.5  # alpha is of weights
    assert bias[1] == pytest.approx((4 * 50 + 1) ** -0.5, rel=0.05)


def estimate(name, log_alpha):
    """(z, mu, sigma) of the weight, in units of s, whose best alpha is this.

    sigma^2 = 2 u dKL/du and mu^2 = 2 u sigma^2, hence z = mu + sigma^2 / mu; dKL/du is Dawson(sqrt u) / sqrt u for the
    log-uniform prior and 1 / (1 + 2u) for empirical Bayes.
    """
    u = 0.5 * np.exp(-log_alpha)
    slope = dawsn(np.sqrt(u)) / np.sqrt(u) if name == "sparse_vd" else 1 / (1 + 2 * u)
    sigma = np.sqrt(2 * u * slope)
    mu = np.sqrt(2 * u) * sigma
    return mu + sigma**2 / mu, mu, sigma


def orthogonal(z, precision=4.0):
    """Centred orthogonal inputs of +-0.25 (s = 0.25), and outputs whose least-squares estimates are z."""
    x = 0.25 * hadamard(64)[:, 1 : 1 + len(z)]
    s = 1 / math.sqrt(precision * 64 * 0.25**2)
    return x, x @ (s * z), precision, s


@BOTH
def test_orthogonal_inputs(name):
    """Each weight's mean and deviation; alpha has no bound where z^2 < 1, which is what sparsity comes from."""
    log_alpha = np.array([-4.0, -3.0, -2.0, -1.0, 0.0])
    signs = np.array([1, -1, 1, -1, 1])
    large, mu, sigma = estimate(name, log_alpha)
    small = np.array([0.0, 0.3, -0.5, 0.8])
    x, y, precision, s = orthogonal(np.r_[signs * large, small])
    loc, scale, _ = fitted(name, x, y, precision, steps=20_000, lr=0.01)
    np.testing.assert_allclose(loc[:5] / s, signs * mu, rtol=0.03, atol=0.01)
    np.testing.assert_allclose(scale[:5] / s, sigma, rtol=0.03)
    assert np.all(2 * np.log(scale[5:] / np.abs(loc[5:])) > 3)
    if name == "empirical_bayes":
        np.testing.assert_allclose(np.exp(-log_alpha), large**2 - 1)  # the closed form: alpha = 1 / (z^2 - 1)


def test_the_threshold_is_one_standard_error():
    """Both priors let go of a weight only below z^2 = 1, so that of noise alone a third stays at log alpha < 3."""
    for name in PRIORS:
        z, *_ = estimate(name, np.linspace(-6, 12, 500))
        assert z.min() > 1 and np.all(np.diff(z) < 0) and z[-1] == pytest.approx(1, abs=1e-4)
        assert 1.02 < estimate(name, 3.0)[0] < 1.05


def recovery(seed, rows, noise):
    """Two hundred inputs, ten of which matter, with weights of one."""
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=(rows, 200)), np.zeros(200)
    weights[rng.choice(200, 10, replace=False)] = rng.choice([-1.0, 1.0], 10)
    y = x @ weights + noise * rng.normal(size=rows)
    return x - x.mean(0), y - y.mean(), weights


def selected(name, seed, rows, noise, precision):
    """Which inputs are real, their log alpha, and their means."""
    x, y, weights = recovery(seed, rows, noise)
    loc, scale, _ = fitted(name, x, y, precision, seed=seed, steps=10_000, lr=0.01)
    return weights != 0, 2 * np.log(scale / np.abs(loc)), loc


@pytest.mark.slow
@BOTH
def test_ten_of_two_hundred_inputs(name):
    """Just the ten that are real are left at log alpha < 3, by the exact divergence, from half as many rows as inputs.

    The outputs have less noise (sd 0.01) than the model allows for (0.1): see the threshold above.
    """
    found = [selected(name, seed, rows=100, noise=0.01, precision=100.0) for seed in range(20)]
    assert sum(np.array_equal(log_alpha < 3, real) for real, log_alpha, _ in found) >= 19


@pytest.mark.slow
def test_ten_of_two_hundred_inputs_by_magnitude():
    """Under as much noise as the model says, what noise alone gives passes log alpha < 3, and is small."""
    found = [selected("sparse_vd", seed, rows=300, noise=0.5, precision=4.0) for seed in range(20)]
    assert sum(np.array_equal(np.abs(loc) > 0.1, real) for real, _, loc in found) >= 19
    assert 0.15 < np.mean([log_alpha[~real] < 3 for real, log_alpha, _ in found]) < 0.4
