"""Directions: uniform on the sphere, lengths that follow their law, and derivatives that are finite at zero."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl import sphere
from scipy import stats
from scipy.integrate import quad


def drawn(language, law, shape=()):
    if language == "numpyro":
        return np.asarray(law.sample(jax.random.key(3), shape))
    import torch

    torch.manual_seed(3)
    return np.asarray(law(torch.Size(shape)))


def array(language, value):
    return language_of(language).xp.asarray(np.asarray(value, np.float32))


@pytest.mark.parametrize("n", [2, 3, 50])
def test_draws_have_uniform_directions_and_the_law_of_the_length(language, n):
    """A coordinate t of a uniform direction has (t + 1) / 2 ~ Beta((n-1)/2, (n-1)/2); log(r / r0) ~ N(1, 1/n)."""
    draws = drawn(language, language_of(language).uniform_direction((n, 4), (-2,)), (1000,))
    assert draws.shape == (1000, n, 4)
    v = draws.transpose(0, 2, 1).reshape(-1, n)
    r = np.linalg.norm(v, axis=1)
    beta = stats.beta((n - 1) / 2, (n - 1) / 2)
    for coordinate in (0, n - 1):
        assert stats.kstest((v[:, coordinate] / r + 1) / 2, beta.cdf).pvalue > 1e-3
    log_ratio = np.log(r / (0.1 * math.sqrt(n)))
    assert stats.kstest(log_ratio, stats.norm(1, 1 / math.sqrt(n)).cdf).pvalue > 1e-3
    assert stats.kstest(log_ratio, stats.norm(0, 1 / math.sqrt(n)).cdf).pvalue < 1e-6
    for i, j in ((0, 1), (2, 3)):  # vectors are independent of each other
        assert abs(np.corrcoef(np.log(r.reshape(-1, 4))[:, [i, j]].T)[0, 1]) < 0.1
        assert abs(np.corrcoef(draws[:, 0, i], draws[:, 0, j])[0, 1]) < 0.1


def test_density_is_normalised():
    """On the line and in the plane by quadrature, and everywhere as that of a direction times that of a length."""
    log_r = np.linspace(-8, 8, 40001)
    for n, area in ((1, 2.0), (2, 2 * math.pi), (3, 4 * math.pi)):
        r = np.exp(log_r)
        along = np.stack([r, *(0 * r for _ in range(n - 1))])
        density = np.exp(sphere.log_density(np, along, (0,)))
        assert np.sum(density * area * r**n) * (log_r[1] - log_r[0]) == pytest.approx(1, abs=1e-8)
    line = quad(lambda x: math.exp(float(sphere.log_density(np, np.array([x]), (0,)))), 1e-9, 40, limit=500)[0]
    assert line == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("n", [2, 50])
def test_density_is_that_of_a_uniform_direction_and_a_lognormal_length(n):
    v = np.random.default_rng(0).normal(size=(n, 6)) * np.geomspace(0.02, 2, 6)
    r, r0 = np.linalg.norm(v, axis=0), 0.1 * math.sqrt(n)
    log_area = math.log(2) + n / 2 * math.log(math.pi) - math.lgamma(n / 2)  # of the unit sphere
    length = stats.lognorm(1 / math.sqrt(n), scale=r0 * math.e).logpdf(r)
    np.testing.assert_allclose(sphere.log_density(np, v, (0,)), length - log_area - (n - 1) * np.log(r), rtol=1e-9)


def test_the_mode_is_a_sphere_and_not_zero():
    direction = np.array([0.6, 0.0, -0.8])[:, None]
    r = np.geomspace(1e-3, 10, 4001)
    assert r[sphere.log_density(np, direction * r, (0,)).argmax()] == pytest.approx(0.1 * math.sqrt(3), rel=5e-3)


@pytest.mark.parametrize("shape, axes", [((5, 4), (-2,)), ((5, 4), (-1,)), ((3, 3, 2, 4), (-4, -3, -2)), ((6,), (-1,))])
def test_log_prob_sums_over_the_vectors(language, shape, axes):
    law = language_of(language).uniform_direction(shape, axes)
    assert tuple(law.event_shape) == shape and tuple(law.batch_shape) == ()
    v = np.random.default_rng(1).normal(size=(7, *shape)) * 0.2
    lengths = 1 if len(axes) == len(shape) else shape[[i for i in range(-len(shape), 0) if i not in axes][0]]
    rows = np.moveaxis(v, axes, range(1, 1 + len(axes))).reshape(7, -1, lengths)
    expected = sphere.log_density(np, rows, (1,)).sum(-1)
    found = law.log_prob(array(language, v))
    assert tuple(found.shape) == (7,)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-5)
    assert tuple(law.log_prob(array(language, v[0])).shape) == ()
    assert np.isfinite(np.asarray(law.log_prob(array(language, v[0] * 0)))).all()
    wide = law.expand((2, 3))
    assert drawn(language, wide).shape == (2, 3, *shape)
    assert tuple(wide.log_prob(array(language, np.ones((2, 3, *shape)))).shape) == (2, 3)


def test_support_is_real(language):
    law = language_of(language).uniform_direction((5, 4), (-2,))
    assert law.support.event_dim == 2
    assert law.support.base_constraint is language_of(language).dist.constraints.real


def test_normalised(language):
    xp = language_of(language).xp
    v = np.random.default_rng(2).normal(size=(3, 2, 4)) * np.array([1e-6, 1.0, 1e6, 0.0])
    unit = np.asarray(sphere.normalised(xp, array(language, v), (-3, -2)))
    norms = np.sqrt((unit**2).sum((0, 1)))
    np.testing.assert_allclose(norms, [1, 1, 1, 0], atol=1e-5)
    cosine = (unit * v).sum((0, 1))[:3] / np.sqrt((v**2).sum((0, 1)))[:3]
    np.testing.assert_allclose(cosine, 1, atol=1e-5)


def gradient(language, f, v):
    """df/dv of a scalar function of arrays of the language, as NumPy."""
    if language == "numpyro":
        return np.asarray(jax.grad(f)(jnp.asarray(v)))
    import torch

    at = torch.tensor(v, requires_grad=True)
    f(at).backward()
    return at.grad.numpy()  # type: ignore[union-attr]


def test_derivatives_are_finite_at_zero_and_tangent_elsewhere(language):
    p = language_of(language)
    v = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32) * np.float32([1, 0.01, 0])
    target = array(language, np.ones((5, 3)))
    found = gradient(language, lambda v: (sphere.normalised(p.xp, v, (-2,)) * target).sum(), v)
    assert np.isfinite(found).all()
    np.testing.assert_allclose((found * v).sum(0), 0, atol=1e-5)  # the length makes no difference
    assert np.abs(found[:, :2]).max() > 0.1
    law = p.uniform_direction((5, 3), (-2,))
    assert np.isfinite(gradient(language, law.log_prob, v)).all()


def test_tangent_is_the_projection(language):
    xp = language_of(language).xp
    rng = np.random.default_rng(5)
    v = rng.normal(size=(6, 4))
    v /= np.linalg.norm(v, axis=0)
    z = rng.normal(size=(6, 4))
    found = np.asarray(sphere.tangent(xp, array(language, v), array(language, z), (-2,)))
    expected = np.stack([(np.eye(6) - np.outer(v[:, j], v[:, j])) @ z[:, j] for j in range(4)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("axes", [(), (0,), (-3,), (-1, -1)])
def test_bad_axes_are_said(language, axes):
    with pytest.raises(ValueError, match="counted from its end as -1"):
        language_of(language).uniform_direction((5, 4), axes)


def test_nuts_and_prior_draws():
    """The law alone under NUTS: the mean and the variance of log(r / r0), and no direction preferred."""
    import numpyro
    from numpyro.infer import MCMC, NUTS, Predictive

    def model():
        numpyro.sample("v", language_of("numpyro").uniform_direction((3,), (-1,)))

    prior = Predictive(model, num_samples=5)(jax.random.key(0))["v"]
    assert prior.shape == (5, 3)
    mcmc = MCMC(NUTS(model), num_warmup=300, num_samples=2000, progress_bar=False)
    mcmc.run(jax.random.key(0))
    v = np.asarray(mcmc.get_samples()["v"])
    log_ratio = np.log(np.linalg.norm(v, axis=1) / (0.1 * math.sqrt(3)))
    assert log_ratio.mean() == pytest.approx(1, abs=0.1)
    assert log_ratio.var() == pytest.approx(1 / 3, abs=0.08)
    np.testing.assert_allclose((v / np.linalg.norm(v, axis=1, keepdims=True)).mean(0), 0, atol=0.1)
