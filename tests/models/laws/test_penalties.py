"""The penalties against Monte Carlo, quadrature and the laws they are the logarithms of."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.laws import divergences
from noisezoo.models.laws.penalties import (
    gsm,
    gsm_as_printed,
    linear_dropout,
    logistic_dropout,
    reduced,
    regulariser,
    row_ard,
)
from scipy import optimize, stats

RNG = np.random.default_rng(0)
ROWS, D, SIGMA0 = 3, 5, 0.7
LOC, SCALE, V = RNG.normal(size=(ROWS, D)), RNG.uniform(0.1, 1.0, (ROWS, D)), RNG.normal(size=(ROWS, D))
S = (LOC**2 + SCALE**2).mean(1, keepdims=True)
X, W, Y = RNG.normal(size=(20, 4)), RNG.normal(size=4), RNG.normal(size=20)


# Eqs 4 and 5: noise inside the likelihood.


@pytest.mark.parametrize("law", ["gaussian", "bernoulli"])
def test_linear_dropout_is_the_expected_squared_error(law):
    """Scales of mean 1 in pairs that lie about it, so that the term of first order is exactly zero."""
    shape = (40_000, *X.shape)
    away = np.sqrt(0.3) * RNG.normal(size=shape) if law == "gaussian" else RNG.choice([-1.0, 1.0], shape)
    variance = 0.3 if law == "gaussian" else 1.0
    shift = (away * X) @ W  # of each row
    added = np.mean(np.sum((Y - X @ W - shift) ** 2 + (Y - X @ W + shift) ** 2, axis=1) / 2) - np.sum((Y - X @ W) ** 2)
    found = linear_dropout(np, X, W, variance)
    np.testing.assert_allclose(added, found, rtol=0.01)
    assert abs(added / (0.5 * found) - 1) > 0.9  # the coefficient as printed


def added_to_logistic(variance):
    """E[-log p(y)] less its value at lambda = 1, by quadrature: x_i lambda w is normal, and the term in y linear."""
    z, sd = X @ W, np.sqrt(variance * np.sum((X * W) ** 2, axis=1))
    at, weight = np.polynomial.hermite_e.hermegauss(60)
    smooth = np.logaddexp(0, z[:, None] + sd[:, None] * at) @ weight / weight.sum()
    return np.sum(smooth - np.logaddexp(0, z))


def test_logistic_dropout_is_right_to_second_order():
    """The gap goes as the square of the variance: a coefficient other than 1/2 would leave one of the first order."""
    variances = np.array([1e-2, 1e-3])
    gaps = [abs(added_to_logistic(a) - logistic_dropout(np, X, W, a)) for a in variances]
    wrong = [abs(added_to_logistic(a) - 1.1 * logistic_dropout(np, X, W, a)) for a in variances]
    np.testing.assert_allclose(gaps[0] / gaps[1], 100, rtol=0.1)
    assert wrong[0] / wrong[1] < 20


def test_the_quadrature_is_the_expectation():
    scales = 1 + np.sqrt(0.1) * RNG.normal(size=(20_000, *X.shape))
    y = Y > 0
    z, plain = (scales * X) @ W, X @ W
    draws = np.sum(np.logaddexp(0, z) - y * z - np.logaddexp(0, plain) + y * plain, axis=1)
    assert abs(draws.mean() - added_to_logistic(0.1)) < 4 * draws.std() / np.sqrt(len(draws))


# Eq 14: rows of weights under the scales that fit them best.


def test_gsm_is_the_log_density_of_the_weights():
    """At given weights exactly, and on average over them: d/2 (1 + log 2 pi s_j) a row."""
    np.testing.assert_allclose(gsm(np, V, LOC, SCALE**2), -stats.norm(0, S**0.5).logpdf(V).sum(), rtol=1e-12)
    draws = [gsm(np, v, LOC, SCALE**2) for v in LOC + SCALE * RNG.normal(size=(20_000, ROWS, D))]
    expected = D / 2 * np.sum(1 + np.log(2 * np.pi * S))
    assert abs(np.mean(draws) - expected) < 4 * np.std(draws) / np.sqrt(len(draws)) < 0.1


def test_as_printed_there_is_no_determinant():
    """Twice the quadratic part over sigma0^2, as if scales had cost nothing: it falls for ever as they grow."""
    quadratic = gsm(np, V, LOC, SCALE**2) - D / 2 * np.sum(np.log(2 * np.pi * S))
    np.testing.assert_allclose(gsm_as_printed(np, V, LOC, SCALE**2, SIGMA0), 2 * quadratic / SIGMA0**2)
    assert gsm_as_printed(np, V, LOC, 1e6 * SCALE**2, 1.0) < 1e-3 < gsm(np, V, LOC, 1e6 * SCALE**2)


def test_row_ard_is_the_smallest_divergence():
    """By Monte Carlo, and from the variance of each row that an optimiser finds."""
    draws = LOC + SCALE * RNG.normal(size=(20_000, ROWS, D))
    ratio = (stats.norm(LOC, SCALE).logpdf(draws) - stats.norm(0, S**0.5).logpdf(draws)).sum((1, 2))
    assert abs(ratio.mean() - row_ard(np, LOC, SCALE)) < 4 * ratio.std() / np.sqrt(len(ratio)) < 0.1

    def divergence_of(log_s):
        s = np.exp(log_s)[:, None]
        return np.sum(0.5 * np.log(s) - np.log(SCALE) + (LOC**2 + SCALE**2) / (2 * s) - 0.5)

    best = optimize.minimize(divergence_of, np.zeros(ROWS))
    np.testing.assert_allclose(row_ard(np, LOC, SCALE), best.fun, rtol=1e-7)
    np.testing.assert_allclose(np.exp(best.x), S[:, 0], rtol=1e-4)


def test_row_ard_is_expected_gsm_less_the_entropy():
    entropy = np.sum(0.5 * np.log(2 * np.pi * np.e * SCALE**2))
    expected = D / 2 * np.sum(1 + np.log(2 * np.pi * S))
    np.testing.assert_allclose(row_ard(np, LOC, SCALE), expected - entropy, rtol=1e-12)


def test_a_variance_of_its_own_suits_a_weight_better():
    own = divergences.empirical_bayes(np, LOC, SCALE).sum()
    assert row_ard(np, LOC, SCALE) > own + 0.1
    np.testing.assert_allclose(row_ard(np, LOC.reshape(-1, 1), SCALE.reshape(-1, 1)), own, rtol=1e-12)
    same = np.full((2, 4), 0.6), np.full((2, 4), 0.3)
    np.testing.assert_allclose(row_ard(np, *same), divergences.empirical_bayes(np, *same).sum(), rtol=1e-12)


# Eqs 15 and 16: special cases of 14.


def test_reduced_is_14_at_the_means():
    np.testing.assert_allclose(reduced(np, V, SCALE**2, SIGMA0), gsm_as_printed(np, V, V, SCALE**2, SIGMA0), rtol=1e-12)


def test_as_printed_nothing_shrinks_without_variance():
    """At Var = 0 eq 15 is d / sigma0^2 for each row, however small the weights; with the determinant it falls."""
    zero = np.zeros_like(V)
    for size in (1.0, 1e-3):
        np.testing.assert_allclose(reduced(np, size * V, zero, SIGMA0), ROWS * D / SIGMA0**2, rtol=1e-12)
    fall = gsm(np, V, V, zero) - gsm(np, 1e-3 * V, 1e-3 * V, zero)
    np.testing.assert_allclose(fall, V.size * np.log(1e3), rtol=1e-12)


def test_the_regulariser_is_14_without_the_squared_means():
    """Of rows of one weight; and where the variances are large beside the means."""
    v, var = V.reshape(-1, 1), SCALE.reshape(-1, 1) ** 2
    found = regulariser(np, v, var, SIGMA0)
    np.testing.assert_allclose(found, gsm_as_printed(np, v, 0 * v, var, SIGMA0), rtol=1e-12)
    np.testing.assert_allclose(
        2 * gsm(np, v, 0 * v, var), found * SIGMA0**2 + np.log(2 * np.pi * var).sum(), rtol=1e-12
    )
    diffuse = [regulariser(np, v, c * var, 1.0) / gsm_as_printed(np, v, v, c * var, 1.0) - 1 for c in (1e3, 1e5)]
    assert 0 < diffuse[1] < 0.011 * diffuse[0] < 0.011


def test_the_regulariser_is_dropout_where_the_prior_is_negligible():
    """Linear regression of known precision: Var[v_j] = 1 / (precision sum_i x_ij^2) given the other weights."""
    precision, variance = 2.5, 0.3
    var = 1 / (precision * np.sum(X**2, axis=0))
    np.testing.assert_allclose(
        regulariser(np, W, var, 1.0) * variance / precision, linear_dropout(np, X, W, variance), rtol=1e-12
    )


def test_extreme_logits_are_finite():
    assert logistic_dropout(np, 1e4 * X, W, 0.1) >= 0


def test_jax_agrees():
    j = [jnp.asarray(a, jnp.float32) for a in (V, LOC, SCALE, X, W)]
    pairs = [
        (gsm(jnp, j[0], j[1], j[2] ** 2), gsm(np, V, LOC, SCALE**2)),
        (gsm_as_printed(jnp, j[0], j[1], j[2] ** 2, SIGMA0), gsm_as_printed(np, V, LOC, SCALE**2, SIGMA0)),
        (row_ard(jnp, j[1], j[2]), row_ard(np, LOC, SCALE)),
        (reduced(jnp, j[0], j[2] ** 2, SIGMA0), reduced(np, V, SCALE**2, SIGMA0)),
        (regulariser(jnp, j[0], j[2] ** 2, SIGMA0), regulariser(np, V, SCALE**2, SIGMA0)),
        (linear_dropout(jnp, j[3], j[4], 0.3), linear_dropout(np, X, W, 0.3)),
        (logistic_dropout(jnp, j[3], j[4], 0.3), logistic_dropout(np, X, W, 0.3)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
