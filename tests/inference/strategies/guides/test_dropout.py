"""The dropout family: objectives by their definitions, masks and predictions by closed forms, in NumPyro."""

import jax.numpy as jnp
import numpy as np
import pytest
from linear_model import PRECISION, SIGMA0, data
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.guides import dropout
from noisezoo.inference.strategies.parse import svi
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import lenet5, mlp
from noisezoo.models.weights.parametrisation import prior
from scipy import stats
from scipy.optimize import minimize
from scipy.special import logsumexp

X, Y = data(rows=12, features=2)
A = 0.5  # variance of the noise


def linear(law=None, structure="ard"):
    law = law or noises.gaussian_dropout(A)
    return likelihoods.gaussian(mlp(bias=False), prior(law, structure, sigma0=SIGMA0), PRECISION)


def fitted(program=None, x=X, y=Y, **settings):
    config = svi(**{"guide": "dropout", "lr": 0.01, **settings})
    return fit(program or linear(), config, jnp.asarray(x), jnp.asarray(y), progress=False)


# The objectives, from log likelihoods (particle, row).

LOG_LIK = np.random.default_rng(0).normal(-2, 1.5, (7, 5))
SCALE = 3.0


def objective(log_lik=LOG_LIK, **settings):
    return float(dropout.objective(jnp, dropout.Dropout(**settings), jnp.asarray(log_lik, jnp.float32), SCALE))


def test_average():
    np.testing.assert_allclose(objective(), SCALE * LOG_LIK.mean(0).sum(), rtol=1e-6)


def test_importance_by_row_and_by_function():
    by_row = SCALE * (logsumexp(LOG_LIK, axis=0) - np.log(7)).sum()
    by_function = logsumexp(SCALE * LOG_LIK.sum(1)) - np.log(7)
    np.testing.assert_allclose(objective(objective="importance", mask="example"), by_row, rtol=1e-6)
    np.testing.assert_allclose(objective(objective="importance", mask="function"), by_function, rtol=1e-6)


def test_tail_adaptive_weighs_by_rank():
    weights = np.array([1 / (1 + sum(other > value for other in row)) for row in LOG_LIK.T for value in row])
    weights = weights.reshape(5, 7).T
    expected = SCALE * ((weights / weights.sum(0)) * LOG_LIK).sum()
    np.testing.assert_allclose(objective(objective="tail_adaptive"), expected, rtol=1e-6)


def test_the_objectives_are_in_order():
    """Jensen, and a mean below the largest."""
    average, importance = objective(), objective(objective="importance", mask="example")
    assert average < importance < SCALE * LOG_LIK.max(0).sum()
    assert average < objective(objective="tail_adaptive") < SCALE * LOG_LIK.max(0).sum()
    for settings in ({}, {"objective": "tail_adaptive"}, {"objective": "importance", "mask": "example"}):
        np.testing.assert_allclose(objective(LOG_LIK[:1], **settings), SCALE * LOG_LIK[0].sum(), rtol=1e-6)


# Their maxima, on a linear model with noise N(1, a), whose likelihoods are normal: closed forms.


def maximum(log_evidence, start):
    """The mode of log evidence + log prior near `start`: there is one for each sign of the noise."""

    def loss(w):
        return -log_evidence(w) + 0.5 * np.sum(w**2) / SIGMA0**2

    return minimize(loss, start, tol=1e-10).x


def by_row(w):
    """Every row has scales of its own: y ~ N(x w, 1 / precision + a sum_j x_j^2 w_j^2)."""
    return stats.norm(X @ w, np.sqrt(1 / PRECISION + A * X**2 @ w**2)).logpdf(Y).sum()


def by_function(w):
    """All rows share theirs: y ~ N(X w, I / precision + a sum_j w_j^2 x_j x_j')."""
    covariance = np.eye(len(Y)) / PRECISION + A * (X * w**2) @ X.T
    return stats.multivariate_normal(X @ w, covariance).logpdf(Y)


@pytest.mark.parametrize("mask, log_evidence, particles", [("example", by_row, 100), ("function", by_function, 500)])
def test_the_importance_weighted_bound_is_marginal_map(mask, log_evidence, particles):
    found = fitted(objective="importance", mask=mask, particles=particles, steps=2000, lr=0.02, draws=2)
    point = found.draws["layer0.base"][0, 0, :, 0].astype(float)
    np.testing.assert_allclose(point, maximum(log_evidence, point), atol=0.03)
    other = maximum(by_row if mask == "function" else by_function, point)
    assert np.abs(point - other).max() > 0.1  # the two masks are two models


def test_one_mask_and_many_have_the_same_average():
    """The expected log likelihood is a sum over rows, so that only its variance knows who shares a mask."""
    ridge = np.linalg.solve(
        PRECISION * (X.T @ X + A * np.diag((X**2).sum(0))) + np.eye(2) / SIGMA0**2, PRECISION * X.T @ Y
    )
    losses = {}
    for mask in ("function", "example"):
        found = fitted(mask=mask, steps=8000, draws=2)
        np.testing.assert_allclose(found.draws["layer0.base"][0, 0, :, 0], ridge, atol=0.03)
        losses[mask] = found.history["loss"][0, -30:].std()
    assert losses["example"] < losses["function"]


def test_minibatches_stand_for_all_rows():
    """At the end of a fit that does not move the mean loss is that of all rows."""
    still = {"steps": 2000, "lr": 1e-12, "draws": 2, "mask": "example"}
    whole, few = (fitted(batch_size=size, **still).history["loss"].mean() for size in (None, 4))
    np.testing.assert_allclose(few, whole, rtol=0.05)


# Draws.


def test_draws_have_a_mask_each_and_the_mean_weight_has_none():
    several = fitted(steps=10, draws=200)
    assert np.unique(several.draws["layer0.scale"][0, :, 0]).size == 200
    assert np.ptp(several.draws["layer0.base"], axis=1).max() == 0
    np.testing.assert_allclose(
        several.draws["layer0.weight"],
        several.draws["layer0.scale"][..., None] * several.draws["layer0.base"],
        rtol=1e-6,
    )
    one = fitted(steps=10, draws=3, prediction="mean_weight")
    np.testing.assert_array_equal(one.draws["layer0.scale"], 1.0)


@pytest.mark.parametrize("law, mean", [(noises.bernoulli(0.8), 0.8), (noises.beta(2, 3), 0.4), (noises.uniform(), 0.5)])
def test_the_mean_of_a_noise(law, mean):
    found = fitted(linear(law), steps=3, draws=2, prediction="mean_weight", mask="example")
    np.testing.assert_allclose(found.draws["layer0.scale"], mean, rtol=1e-6)
    drawn = fitted(linear(law), steps=3, draws=2000)
    np.testing.assert_allclose(drawn.draws["layer0.scale"].mean(), mean, atol=0.05)


@pytest.mark.parametrize(
    "law, structure",
    [
        (noises.bernoulli(0.9), "iid"),
        (noises.bernoulli(0.9), "ard_add"),
        (noises.rayleigh(0.8), "ard"),
        (noises.rayleigh(0.8), "add"),
    ],
)
def test_every_structure_takes_a_mask_for_each_example(law, structure):
    found = fitted(linear(law, structure), mask="example", objective="tail_adaptive", particles=3, steps=5, draws=2)
    assert all(np.isfinite(v).all() for v in found.draws.values())


def test_a_learned_precision_is_a_point_too():
    program = likelihoods.gaussian(mlp(3), prior(noises.bernoulli(0.9)))
    found = fitted(program, steps=50, draws=5, mask="example", batch_size=8)
    assert found.draws["precision"].shape == (1, 5) and (found.draws["precision"] > 0).all()


# What it refuses.


def test_a_noise_without_a_mean_has_no_mean_weight():
    with pytest.raises(ValueError, match="layer0.scale has no known mean for a mean weight; use prediction=average"):
        fitted(linear(noises.half_cauchy()), steps=2, draws=1, prediction="mean_weight")


def test_a_scale_that_is_computed_takes_no_mask_for_each_example():
    with pytest.raises(TypeError, match="needs scales that are drawn as they are .* use mask=function"):
        fitted(linear(noises.regularised_half_cauchy()), steps=2, draws=1, mask="example")


def test_convolutions_take_a_mask_for_each_example_of_their_channels_alone():
    x, y = jnp.zeros((4, 256)), jnp.zeros(4, int)
    config = svi(guide="dropout", mask="example", steps=1, draws=1)
    fit(likelihoods.categorical(lenet5(), prior(noises.bernoulli(0.9)), 2), config, x, y, progress=False)
    with pytest.raises(TypeError, match="by its input or by its output units, not by its weights"):
        fit(likelihoods.categorical(lenet5(), prior(noises.bernoulli(0.9), "iid"), 2), config, x, y, progress=False)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"objective": "averge"}, "did you mean 'average'"),
        ({"mask": "row"}, "unknown mask 'row'"),
        ({"prediction": "mean_weigth"}, "did you mean 'mean_weight'"),
        ({"guide": "map", "mask": "example"}, "mask is a setting of the guide dropout, not of the guide map"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        svi(**{"guide": "dropout", **settings})
