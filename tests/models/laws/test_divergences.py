"""What a normal weight pays: against the integral that defines it, a series, an argmin, and at the far ends."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.laws import divergences
from noisezoo.models.ppl import language as language_of
from scipy import optimize, stats
from scipy.special import dawsn, digamma

LOG_ALPHA = np.linspace(-10, 10, 81)
LOC, SCALE = np.full(81, 0.7), 0.7 * np.exp(LOG_ALPHA / 2)
U = 0.5 * np.exp(-LOG_ALPHA)
GAP = (np.euler_gamma + math.log(2)) / 2
PUBLISHED = {-8: 4.635014, -4: 2.625755, -1: 0.914531, 0: 0.426686, 1: 0.173194, 3: 0.024688, 6: 0.00123886}
GAMMAS = [(1.0, 0.0), (1.0, 0.3), (0.51, 1e-8), (0.52, 0.0), (2.5, 1.7)]
PAIRS = [(0.0, 0.4), (0.3, 0.2), (-1.2, 0.05), (0.01, 2.0)]
ALL = {
    "log_uniform": divergences.log_uniform,
    "log_uniform_approximate": divergences.log_uniform_approximate,
    "empirical_bayes": divergences.empirical_bayes,
    "empirical_bayes_gamma": lambda *args: divergences.empirical_bayes_gamma(*args, 0.6, 1e-4),
}


def integral(log_alpha):
    """E_q[log q(w) - log 1/abs(w)] less its value at alpha = infinity, by the trapezoidal rule over log abs(w).

    With w = mu + sigma e the entropy of q cancels; left are E log abs(e + 1 / sqrt(alpha)) and E log abs(e).
    """
    t = np.arange(-45, 6, 1e-3)
    at = np.exp(t)
    shift = math.exp(-log_alpha / 2)
    density = stats.norm.pdf(at - shift) + stats.norm.pdf(at + shift) - 2 * stats.norm.pdf(at)
    return np.sum(density * at * t) * 1e-3


def series(u):
    """(e + 1 / sqrt(alpha))^2 is noncentral chi-squared, a Poisson(u) mixture of chi-squareds with known mean logs."""
    reach = 40 + 20 * math.sqrt(u)
    j = np.arange(max(0, int(u - reach)), u + reach)
    return 0.5 * np.sum(stats.poisson.pmf(j, u) * (digamma(0.5 + j) - digamma(0.5)))


def test_log_uniform_is_its_integral():
    found = divergences.log_uniform(np, LOC, SCALE)
    np.testing.assert_allclose(found, [integral(v) for v in LOG_ALPHA], atol=1e-8, rtol=0)
    np.testing.assert_allclose(found, [series(u) for u in U], atol=1e-8, rtol=0)


@pytest.mark.parametrize("log_alpha, value", PUBLISHED.items())
def test_log_uniform_at_known_points(log_alpha, value):
    assert divergences.log_uniform(np, -3.0, 3 * math.exp(log_alpha / 2)) == pytest.approx(value, abs=6e-7)


def test_log_uniform_at_the_ends():
    """Zero at alpha = infinity, -1/2 log alpha + (gamma + log 2) / 2 at zero."""
    assert divergences.log_uniform(np, 0.0, 0.3) == pytest.approx(0, abs=1e-9)
    assert divergences.log_uniform(np, 1.0, 1e-9) == pytest.approx(9 * math.log(10) + GAP, abs=1e-8)


def test_slope_of_log_uniform():
    """dKL / dlog alpha = -sqrt(u) Dawson(sqrt u), by either of loc and scale."""
    expected = -np.sqrt(U) * dawsn(np.sqrt(U))
    by_loc, by_scale = divergences.log_uniform_gradient(np, LOC, SCALE)
    np.testing.assert_allclose(-by_loc * LOC / 2, expected, atol=2e-7)
    np.testing.assert_allclose(by_scale * SCALE / 2, expected, atol=2e-7)
    with jax.enable_x64():
        slope = jax.grad(lambda log_alpha: divergences.log_uniform(jnp, -0.7, 0.7 * jnp.exp(log_alpha / 2)))
        found = jax.vmap(slope)(jnp.asarray(LOG_ALPHA))
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, expected, atol=1e-8)


def test_the_approximation_is_as_good_as_it_is_said_to_be():
    log_alpha = np.linspace(-16, 16, 3201)
    loc, scale = np.ones_like(log_alpha), np.exp(log_alpha / 2)
    error = divergences.log_uniform_approximate(np, loc, scale) - divergences.log_uniform(np, loc, scale)
    assert 0.0093 < np.abs(error).max() < 0.0094
    assert log_alpha[np.abs(error).argmax()] == pytest.approx(-3.51, abs=0.02)


def test_the_approximation_is_the_printed_formula():
    """Molchanov et al. (2017), eq 14, with C = -k1."""
    sigmoid = 1 / (1 + np.exp(-(1.87320 + 1.48695 * LOG_ALPHA)))
    negative = 0.63576 * sigmoid - 0.5 * np.log1p(np.exp(-LOG_ALPHA)) - 0.63576
    np.testing.assert_allclose(divergences.log_uniform_approximate(np, LOC, SCALE), -negative, atol=1e-12)


@pytest.mark.parametrize("name", ["log_uniform", "log_uniform_approximate", "empirical_bayes"])
def test_divergences_are_positive_and_fall_with_alpha(name):
    found = ALL[name](np, LOC, SCALE)
    assert found.min() > 0 and np.diff(found).max() < 0


@pytest.mark.parametrize("name", ["log_uniform", "log_uniform_approximate"])
def test_sparse_vd_pays_more_than_ard_but_not_by_much(name):
    """L_SVDO <= L_ARD (Kharitonov et al. 2018, section 3), equal at alpha = infinity."""
    log_alpha = np.linspace(-30, 30, 1001)
    loc, scale = np.ones_like(log_alpha), np.exp(log_alpha / 2)
    gap = ALL[name](np, loc, scale) - divergences.empirical_bayes(np, loc, scale)
    assert gap.min() > -1e-9 and gap.max() < (GAP + 1e-8 if name == "log_uniform" else divergences.K1)
    assert gap[0] == pytest.approx(GAP, abs=1e-3) and gap[-1] == pytest.approx(0, abs=1e-9)
    assert np.diff(gap).max() < 1e-9


def pays(log_tau, loc, scale, a=1.0, b=0.0):
    """KL(N(loc, scale^2) || N(0, 1 / tau)) - log p(tau), the hyperprior without its constant where it is improper."""
    tau = np.exp(log_tau)
    divergence = 0.5 * (tau * (loc**2 + scale**2) - 1 - log_tau) - math.log(scale)
    return divergence - (stats.gamma(a, scale=1 / b).logpdf(tau) if b > 0 else (a - 1) * log_tau)


def lowest(*args, jacobian=0.0):
    """The least of `pays` and the tau where it is; `jacobian` = 1 adds that of log tau to the hyperprior."""
    found = optimize.minimize_scalar(
        lambda t: pays(t, *args) - jacobian * t, bounds=(-30, 30), method="bounded", options={"xatol": 1e-9}
    )
    return found.fun, math.exp(found.x)


@pytest.mark.parametrize("loc, scale", PAIRS)
def test_empirical_bayes_is_the_least_over_tau(loc, scale):
    least, tau = lowest(loc, scale)
    assert divergences.empirical_bayes(np, loc, scale) == pytest.approx(least, abs=1e-9)
    assert tau == pytest.approx(1 / (loc**2 + scale**2), rel=1e-5)


@pytest.mark.parametrize("a, b", GAMMAS)
@pytest.mark.parametrize("loc, scale", PAIRS)
def test_gamma_hyperprior_at_its_mode(loc, scale, a, b):
    least, tau = lowest(loc, scale, a, b)
    assert divergences.empirical_bayes_gamma(np, loc, scale, a, b) == pytest.approx(least, abs=1e-9)
    assert tau == pytest.approx((2 * a - 1) / (loc**2 + scale**2 + 2 * b), rel=1e-5)


def test_the_mode_over_log_tau_is_another():
    """2a + 1 in place of 2a - 1: the bound a > 1/2 comes from the parameterisation."""
    _, tau = lowest(0.3, 0.2, 0.8, 0.1, jacobian=1.0)
    assert tau == pytest.approx((2 * 0.8 + 1) / (0.3**2 + 0.2**2 + 0.2), rel=1e-5)


def test_a_flat_hyperprior_is_plain_ard():
    """Exactly at a = 1, b = 0; as b goes to zero up to the normalising constant of the Gamma, log b."""
    ard = divergences.empirical_bayes(np, LOC, SCALE)
    np.testing.assert_allclose(divergences.empirical_bayes_gamma(np, LOC, SCALE, 1.0, 0.0), ard, atol=1e-12)
    near = divergences.empirical_bayes_gamma(np, LOC, SCALE, 1.0, 1e-12)
    np.testing.assert_allclose(near + math.log(1e-12), ard, atol=1e-6)


def test_gamma_constant_is_the_printed_one():
    """C of Kharitonov et al. (2018), section 4, where the hyperprior is proper."""
    a, b = 0.6, 0.2
    printed = 1 - a + a * math.log(b) - math.lgamma(a) + 0.5 * (2 * a - 1) * math.log(2 * a - 1)
    assert divergences.gamma_constant(a, b) == pytest.approx(printed, abs=1e-12)
    ratio = SCALE**2 / (SCALE**2 + LOC**2 + 2 * b) ** (2 * a - 1)
    found = divergences.empirical_bayes_gamma(np, LOC, SCALE, a, b)
    np.testing.assert_allclose(-found, 0.5 * np.log(ratio) + printed, atol=1e-12)


def test_log_gamma():
    tau = np.array([0.01, 0.5, 3.0])
    np.testing.assert_allclose(divergences.log_gamma(np, tau, 0.7, 2.0), stats.gamma(0.7, scale=0.5).logpdf(tau))
    np.testing.assert_allclose(divergences.log_gamma(np, tau, 0.7, 0.0), -0.3 * np.log(tau))


@pytest.mark.parametrize(
    "a, b, says", [(0.5, 0.0, "a must be"), (math.nan, 0.0, "a must be"), (1.0, -1e-9, "b must be")]
)
def test_no_mode_is_said(a, b, says):
    with pytest.raises(ValueError, match=f"empirical_bayes: {says}"):
        divergences.gamma_constant(a, b)


def values(name, loc, scale):
    """A divergence and its two derivatives at float32 arrays, in the language called `name`, as NumPy."""
    xp = language_of(name).xp
    if name == "numpyro":
        at = [jnp.asarray(v, jnp.float32) for v in (loc, scale)]
        return lambda f: [np.asarray(v) for v in (f(xp, *at), *jax.grad(lambda *v: f(xp, *v).sum(), (0, 1))(*at))]
    import torch

    def evaluated(f):
        at = [torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in (loc, scale)]
        found = f(xp, *at)
        found.sum().backward()
        return [found.detach().numpy(), *(v.grad.numpy() for v in at)]

    return evaluated


FAR = np.array([(m, s) for m in (0.0, 1e-12, -1e-3, 1.0, 100.0) for s in (1e-12, 1e-6, 1e-2, 1.0, 1e4)], np.float32)


@pytest.mark.parametrize("name", ALL)
def test_values_and_derivatives_at_the_far_ends(language, name):
    """In single precision: zero means, tiny and huge ratios; derivatives against differences in double precision."""
    loc, scale = FAR.T
    got = values(language, loc, scale)(ALL[name])
    m, s = (v.astype(float) for v in (loc, scale))
    step = 1e-4 * np.where(np.abs(m) > s, np.abs(m), s)
    f = ALL[name]
    expected = [
        f(np, m, s),
        (f(np, m + step, s) - f(np, m - step, s)) / (2 * step),
        (f(np, m, s * 1.0001) - f(np, m, s / 1.0001)) / (s * (1.0001 - 1 / 1.0001)),
    ]
    units = [1.0, np.hypot(m, s), s]
    for found, wanted, unit in zip(got, expected, units, strict=True):
        assert found.dtype == np.float32 and np.isfinite(found).all()
        np.testing.assert_allclose(found * unit, wanted * unit, rtol=1e-3, atol=1e-3)


def test_the_given_gradient_at_the_far_ends(language):
    loc, scale = FAR.T
    at = values(language, loc, scale)
    by_loc, by_scale = (at(lambda xp, m, s, i=i: divergences.log_uniform_gradient(xp, m, s)[i])[0] for i in (0, 1))
    _, *expected = values("numpyro", loc, scale)(divergences.log_uniform)
    for found, wanted, unit in zip((by_loc, by_scale), expected, (np.hypot(loc, scale), scale), strict=True):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found * unit, wanted * unit, atol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_languages_agree(language, name):
    """Value and derivatives, with those of NumPy and JAX."""
    rng = np.random.default_rng(0)
    loc, scale = rng.normal(size=(3, 40)), np.exp(rng.normal(size=(3, 40)))
    found = values(language, loc, scale)(ALL[name])
    np.testing.assert_allclose(found[0], ALL[name](np, loc, scale), atol=1e-6)
    for ours, theirs in zip(found[1:], values("numpyro", loc, scale)(ALL[name])[1:], strict=True):
        assert ours.shape == loc.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
