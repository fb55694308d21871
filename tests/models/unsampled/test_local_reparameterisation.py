"""Unsampled weights: what comes out of a layer has the law that sampling the weights would give it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.unsampled.action import linear
from noisezoo.models.unsampled.local_reparameterisation import Unsampled
from scipy import stats

UNIT_IN, UNIT_OUT, DRAWS = 4, 3, 20_000
RNG = np.random.default_rng(0)
LOC, SCALE = RNG.normal(size=(UNIT_IN, UNIT_OUT)), np.exp(RNG.normal(size=(UNIT_IN, UNIT_OUT)) / 2)
ROWS = RNG.normal(size=(5, UNIT_IN))
KINDS = pytest.mark.parametrize("flipout", [False, True], ids=["local", "flipout"])
SIGMAS = 5  # standard errors: a false alarm in a million


def weight(key, flipout=False, loc=LOC, scale=SCALE):
    return Unsampled(jnp.asarray(loc), jnp.asarray(scale), partial(jax.random.normal, key), flipout)


def keys(number=DRAWS, seed=0):
    return jax.random.split(jax.random.PRNGKey(seed), number)


def acts(flipout, h=ROWS, act=Unsampled.act):
    """Draws (DRAWS, *pre-activations) of what comes out."""
    return np.asarray(jax.jit(jax.vmap(lambda key: act(weight(key, flipout), jnp.asarray(h))))(keys()), np.float64)


def check_moments(draws, mean, variance):
    """Mean and variance over axis 0, within so many of their standard errors."""
    deviation = (draws - mean) ** 2
    error = np.sqrt(variance / len(draws)), deviation.std(0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(0) - mean) < SIGMAS * error[0])
    assert np.all(np.abs(deviation.mean(0) - variance) < SIGMAS * error[1])


@KINDS
def test_moments_are_those_of_sampled_weights(flipout):
    check_moments(acts(flipout), ROWS @ LOC, ROWS**2 @ SCALE**2)


def test_a_wrong_scale_would_be_seen():
    with pytest.raises(AssertionError):
        check_moments(acts(False), ROWS @ LOC, 1.08 * ROWS**2 @ SCALE**2)


@KINDS
def test_a_pre_activation_is_normal(flipout):
    found = acts(flipout)[:, 0, 0]
    law = stats.norm(ROWS[0] @ LOC[:, 0], np.sqrt(ROWS[0] ** 2 @ SCALE[:, 0] ** 2))
    assert stats.kstest(found, law.cdf).pvalue > 1e-3


def test_moments_in_both_languages(language):
    """Rows that are all alike are so many draws, for each row has noise of its own."""
    h = np.tile(ROWS[0], (DRAWS, 1)).astype(np.float32)
    if language == "numpyro":
        found = weight(jax.random.PRNGKey(0)).act(jnp.asarray(h))
    else:
        import torch

        generator = torch.Generator().manual_seed(0)
        loc, scale = (torch.tensor(v, dtype=torch.float32) for v in (LOC, SCALE))
        found = Unsampled(loc, scale, lambda shape: torch.randn(shape, generator=generator)).act(torch.tensor(h))
    assert found.shape == (DRAWS, UNIT_OUT)
    check_moments(np.asarray(found, np.float64), ROWS[0] @ LOC, ROWS[0] ** 2 @ SCALE**2)


@KINDS
def test_rows_are_uncorrelated(flipout):
    """Sampled weights would give two rows the covariance h h' scale^2, which here is far from zero."""
    noise = acts(flipout) - ROWS @ LOC
    pairs = noise[:, 0] * noise[:, 1]
    assert np.all(np.abs(pairs.mean(0)) < SIGMAS * pairs.std(0) / np.sqrt(DRAWS))
    shared = (ROWS[0] * ROWS[1]) @ SCALE**2
    assert np.abs(shared).min() > 2 * SIGMAS * pairs.std(0).max() / np.sqrt(DRAWS)


def test_local_noise_is_independent_and_flipout_noise_is_not():
    """Of two rows with one input unit, flipout gives both the same perturbation up to its sign."""
    h, loc, scale = jnp.asarray([[1.0], [2.0]]), jnp.zeros((1, 50)), jnp.ones((1, 50))
    one, other = (weight(jax.random.PRNGKey(1), flipout, loc, scale).act(h) for flipout in (False, True))
    np.testing.assert_allclose(np.abs(other[1]), 2 * np.abs(other[0]), rtol=1e-5)
    flipped = np.mean(np.sign(other[1]) != np.sign(other[0]))
    assert 0.2 < flipped < 0.8
    assert np.abs(np.corrcoef(np.abs(one))[0, 1]) < 0.6


@KINDS
def test_positions_of_a_row_act_as_rows(flipout):
    """Activations (rows, positions, unit_in), as of a convolution: the moments of each position."""
    h = np.stack([ROWS, ROWS[::-1]], axis=1)
    check_moments(acts(flipout, h), h @ LOC, h**2 @ SCALE**2)


@KINDS
def test_columns_act_as_rows(flipout):
    """Activations with the unit first and the row last: the same law, and noise that rows do not share."""
    h = np.stack([ROWS, ROWS[::-1]], axis=1)
    found = np.moveaxis(acts(flipout, h.transpose(2, 1, 0), Unsampled.act_on_columns), (1, 3), (3, 1))
    check_moments(found, h @ LOC, h**2 @ SCALE**2)
    noise = found - h @ LOC
    pairs = noise[:, 0] * noise[:, 1]
    assert np.all(np.abs(pairs.mean(0)) < SIGMAS * pairs.std(0) / np.sqrt(DRAWS))


@KINDS
def test_a_kernel_reshaped_is_the_matrix(flipout):
    kernel = weight(jax.random.PRNGKey(0), flipout, LOC.reshape(2, 2, 1, UNIT_OUT), SCALE.reshape(2, 2, 1, UNIT_OUT))
    assert kernel.shape == (2, 2, 1, UNIT_OUT)
    matrix = kernel.reshape((UNIT_IN, UNIT_OUT))
    assert matrix.shape == (UNIT_IN, UNIT_OUT) and matrix.flipout == flipout
    h = jnp.asarray(ROWS)
    np.testing.assert_array_equal(matrix.act(h), weight(jax.random.PRNGKey(0), flipout).act(h))


@KINDS
def test_a_multiple_is_the_weight_of_that_mean_and_scale(flipout):
    factor, h = jnp.asarray([[-2.0], [0.5], [0.0], [1.0]]), jnp.asarray(ROWS)
    key = jax.random.PRNGKey(0)
    expected = weight(key, flipout, factor * LOC, abs(factor) * SCALE).act(h)
    for product in (factor * weight(key, flipout), weight(key, flipout) * factor):
        assert isinstance(product, Unsampled) and product.shape == (UNIT_IN, UNIT_OUT)
        np.testing.assert_array_equal(product.act(h), expected)
    np.testing.assert_allclose((2.0 * weight(key)).scale, 2 * SCALE, rtol=1e-6)


@pytest.mark.needs_pyro
def test_a_multiple_by_a_tensor():
    import torch

    w = Unsampled(torch.ones(2, 3), torch.ones(2, 3), torch.randn)
    factor = torch.tensor([[-2.0], [3.0]])
    for product in (factor * w, w * factor):
        assert isinstance(product, Unsampled)
        np.testing.assert_array_equal(product.loc, [[-2.0] * 3, [3.0] * 3])
        np.testing.assert_array_equal(product.scale, [[2.0] * 3, [3.0] * 3])


@KINDS
def test_zero_activations_have_finite_derivatives(flipout):
    def out(h, loc, scale):
        return weight(jax.random.PRNGKey(0), flipout, loc, scale).act(h).sum()

    grads = jax.grad(out, (0, 1, 2))(jnp.zeros((5, UNIT_IN)), jnp.asarray(LOC), jnp.asarray(SCALE))
    assert all(np.isfinite(g).all() for g in grads)
    np.testing.assert_array_equal(out(jnp.zeros((5, UNIT_IN)), LOC, SCALE) ** 2 < 1e-12, True)


@pytest.mark.needs_pyro
@KINDS
def test_zero_activations_have_finite_derivatives_in_torch(flipout):
    import torch

    h, loc, scale = (torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in (0 * ROWS, LOC, SCALE))
    Unsampled(loc, scale, torch.randn, flipout).act(h).sum().backward()
    assert all(torch.isfinite(v.grad).all() for v in (h, loc, scale))


@KINDS
def test_no_scale_is_the_mean(flipout):
    found = weight(jax.random.PRNGKey(0), flipout, scale=0 * SCALE).act(jnp.asarray(ROWS))
    np.testing.assert_allclose(found, ROWS @ LOC, atol=1e-6)


def test_linear_asks_the_weight():
    h = jnp.asarray(ROWS)
    np.testing.assert_array_equal(linear(h, weight(jax.random.PRNGKey(0))), weight(jax.random.PRNGKey(0)).act(h))
