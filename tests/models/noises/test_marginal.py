"""Marginals: closed forms against quadrature and draws, quadrature against other integrals, and the far ends."""

import math
from dataclasses import replace

import numpy as np
import pytest
from noisezoo.models.laws import closed_forms
from noisezoo.models.noises import NOISES, half_cauchy
from noisezoo.models.noises.draws import draw_weights
from noisezoo.models.noises.marginal import atom, log_marginal, log_row
from scipy import integrate, stats

SIGMA0 = 0.7
W = np.array([-3.0, -0.2, 1e-6, 1e-3, 0.05, 0.4, 1.0, 2.5, 8.0, 40.0])
PARAMETERS = {  # none of them a default, so that a parameter that is not used shows
    "gaussian": {"a": 0.4},
    "gaussian_dropout": {"a": 0.4},
    "rayleigh": {"scale": 0.8},
    "inverse_nakagami": {"m": 1.5, "omega": 0.6},
    "inverse_gamma": {"a": 2.5, "b": 1.4},
    "gamma_precision": {"a": 1.2, "b": 0.7},
    "half_cauchy": {"scale": 0.5},
    "uniform": {},
    "regularised_half_cauchy": {"scale": 0.5, "slab": 1.7},
    "beta": {"a": 0.6, "b": 0.8},
    "log_normal": {"loc": -0.3, "scale": 0.6},
}
CONTINUOUS = [NOISES[name](**settings) for name, settings in PARAMETERS.items()]
CLOSED = [noise for noise in CONTINUOUS if noise.closed_form]
ROWS = [noise for noise in CONTINUOUS if noise.row]
SIGNIFICANT = 1e-3


def quadrature(noise):
    return replace(noise, closed_form=None, row=None)


def relative(log_p, log_q):
    """The largest relative difference of the densities."""
    return np.max(np.abs(np.expm1(log_p - log_q)))


def cdf_of_abs(noise):
    """P(abs(w) <= x) by the trapezoidal rule over log abs(w), where the density has no pole."""
    t = np.linspace(math.log(1e-9), math.log(1e7), 1201)
    mass = 2 * np.exp(log_marginal(noise, np.exp(t), SIGMA0) + t)
    total = integrate.cumulative_trapezoid(mass, t, initial=0) + mass[0]
    return lambda x: np.interp(np.log(x), t, total)


def test_the_noises_that_have_closed_forms():
    assert {noise.name for noise in CLOSED} == set(PARAMETERS) - {"regularised_half_cauchy", "beta", "log_normal"}
    students = {"inverse_nakagami", "inverse_gamma", "gamma_precision"}
    assert {noise.name for noise in ROWS} == {"rayleigh", "gaussian"} | students


@pytest.mark.parametrize("noise", CLOSED, ids=str)
def test_closed_form_is_the_quadrature(noise):
    exact = log_marginal(quadrature(noise), W, SIGMA0)
    assert relative(log_marginal(noise, W, SIGMA0), exact) < 1e-6
    assert relative(log_marginal(noise, W, 1.01 * SIGMA0), exact) > 1e-3  # the test can fail


@pytest.mark.parametrize("noise", CONTINUOUS, ids=str)
def test_draws_of_the_program_have_the_marginal(noise):
    w = draw_weights(noise, 20_000, SIGMA0, seed=5)
    cdf = cdf_of_abs(noise)
    assert cdf(1e7) == pytest.approx(1, abs=1e-4)
    assert stats.kstest(np.abs(w), cdf).pvalue > SIGNIFICANT
    assert stats.kstest(np.abs(1.15 * w), cdf).pvalue < SIGNIFICANT
    assert abs(np.mean(w > 0) - 0.5) < 4 * 0.5 / len(w) ** 0.5


@pytest.mark.parametrize("noise", ROWS, ids=str)
def test_row_law_is_the_quadrature(noise):
    rows = np.array([[0.3, -0.5, 0.2], [1.0, 2.0, -3.0], [1e-4, 0.0, 0.0]])
    exact = log_row(quadrature(noise), rows, SIGMA0)
    assert relative(log_row(noise, rows, SIGMA0), exact) < 1e-6
    assert relative(log_row(noise, rows, 1.01 * SIGMA0), exact) > 1e-3
    product = log_marginal(noise, rows, SIGMA0).sum(-1)
    assert np.all(np.abs(product - exact) > 0.05)  # weights that share a scale are not independent


@pytest.mark.parametrize("noise", CONTINUOUS, ids=str)
def test_row_law_is_an_average_over_scales(noise):
    row = np.array([0.3, -0.5, 0.2])
    sd = SIGMA0 * np.sqrt(noise.law().rvs(size=200_000, random_state=0))
    density = np.prod(stats.norm(scale=sd).pdf(row[:, None]), axis=0)
    error = density.std() / len(sd) ** 0.5
    found = np.exp(log_row(noise, row, SIGMA0))
    assert error < 0.02 * found
    assert abs(density.mean() - found) < 4 * error


@pytest.mark.parametrize("noise", ROWS, ids=str)
def test_row_of_one_is_the_marginal(noise):
    np.testing.assert_allclose(noise.row(W[:, None], SIGMA0), noise.closed_form(W, SIGMA0), rtol=1e-12)


def test_quadrature_agrees_with_integrals_of_another_form():
    """A uniform angle, lambda = sin^2 for Beta(1/2, 1/2) and s tan for HalfCauchy(s); a normal log lambda."""
    scale, slab, quarter = 0.5, 1.7, math.pi / 2
    x, weight = np.polynomial.hermite_e.hermegauss(100)
    for w in (0.05, 0.4, 1.0, 4.0):

        def over_angle(scale_at, w=w):
            integrand = lambda a: stats.norm.pdf(w, scale=SIGMA0 * scale_at(a)) / quarter  # noqa: E731
            return integrate.quad(integrand, 0, quarter, epsabs=0, epsrel=1e-10, limit=500)[0]

        arcsine = over_angle(lambda a: np.sin(a) ** 2)
        regularised = over_angle(lambda a: 1 / np.hypot(1 / (scale * np.tan(a)), 1 / slab))
        normal = weight @ stats.norm.pdf(w, scale=SIGMA0 * np.exp(-0.3 + 0.6 * x)) / weight.sum()
        for name, settings, exact in [
            ("beta", {"a": 0.5, "b": 0.5}, arcsine),
            ("regularised_half_cauchy", {"scale": scale, "slab": slab}, regularised),
            ("log_normal", {"loc": -0.3, "scale": 0.6}, normal),
        ]:
            found = np.exp(log_marginal(NOISES[name](**settings), w, SIGMA0))
            assert found == pytest.approx(exact, rel=1e-6), (name, w)


@pytest.mark.parametrize("noise", CONTINUOUS, ids=str)
def test_the_far_ends_neither_overflow_nor_underflow(noise):
    assert np.all(np.isfinite(log_marginal(noise, [1e-100, 1e-30, 1e30, 1e100], SIGMA0)))
    w = np.geomspace(1e-100, 1e100, 101)
    p = log_marginal(noise, w, SIGMA0)
    assert np.all(np.diff(p) <= 1e-6)  # unimodal at 0


def test_tails_and_poles_are_those_of_the_literature():
    far, near = np.array([1e20, 1e21]), np.array([1e-40, 1e-41])
    slope = np.diff(log_marginal(half_cauchy(), far)) / math.log(10)
    assert slope == pytest.approx(-2, abs=1e-6)  # Carvalho, Polson & Scott (2010), theorem 1: Cauchy tails,
    ratio = np.exp(log_marginal(half_cauchy(), near)) / -np.log(near)
    assert ratio == pytest.approx(2 / math.sqrt(2 * math.pi**3), rel=0.02)  # and a logarithmic pole
    tail = np.diff(log_marginal(NOISES["inverse_gamma"](a=2.0), far)) / math.log(10)
    assert tail == pytest.approx(-5, abs=1e-6)


@pytest.mark.parametrize("noise", CONTINUOUS, ids=str)
def test_density_at_zero(noise):
    poles = {"gaussian", "gaussian_dropout", "half_cauchy", "uniform", "regularised_half_cauchy", "beta"}
    at_zero = log_marginal(noise, 0.0, SIGMA0)
    assert np.isposinf(at_zero) == (noise.name in poles)
    if noise.name not in poles:
        assert at_zero == pytest.approx(float(log_marginal(noise, 1e-9, SIGMA0)), abs=1e-6)
    assert np.isposinf(log_marginal(quadrature(noise), 0.0, SIGMA0)) == (noise.name in poles)


@pytest.mark.parametrize("a", [1e-6, 5e-3, 0.3, 4.0])
def test_gaussian_dropout_has_its_moments(a):
    """Var w = sigma0^2 (1 + a), and kurtosis 3 (1 + 6a + 3a^2) / (1 + a)^2."""
    t = np.linspace(math.log(1e-12), math.log(300 * (1 + a)), 4001)
    mass = 2 * np.exp(closed_forms.gaussian_dropout(np.exp(t), a, 1.0) + t)
    moment = lambda k: integrate.trapezoid(mass * np.exp(k * t), t)  # noqa: E731
    assert moment(0) == pytest.approx(1, rel=1e-8)
    assert moment(2) == pytest.approx(1 + a, rel=1e-8)
    assert moment(4) == pytest.approx(3 * (1 + 6 * a + 3 * a**2), rel=1e-8)


@pytest.mark.parametrize("a", [2e-3, 0.05, 1.0, 20.0])
def test_the_two_branches_of_gaussian_dropout_meet(a):
    w = 1e6 * a**1.5 * np.array([1 - 1e-9, 1 + 1e-9])
    below, above = closed_forms.gaussian_dropout(w, a, 1.0)
    assert above - below == pytest.approx(-2e-9 * w[0] / a**0.5, abs=1e-6)


@pytest.mark.parametrize("d", [2, 5, 2000, 2001])
def test_long_rows(d):
    row = np.full(d, 0.01)
    for noise in ROWS:
        assert relative(log_row(noise, row, SIGMA0), log_row(quadrature(noise), row, SIGMA0)) < 1e-6
    assert log_row(NOISES["rayleigh"](), np.zeros(1)) == pytest.approx(math.log(0.5))
    assert np.isposinf(log_row(NOISES["rayleigh"](), np.zeros(d)))


def test_a_function_of_unknown_law_is_averaged_over_draws():
    def mine(p, name, shape):
        return p.sample(name, p.dist.HalfCauchy(0.5).expand(shape).to_event(len(shape)))

    w = np.array([[0.05, -0.4], [1.0, 3.0]])
    found = log_marginal(mine, w, SIGMA0)
    assert found.shape == w.shape
    exact = log_marginal(half_cauchy(scale=0.5), w, SIGMA0)
    assert 0 < relative(found, exact) < 0.03
    assert atom(mine) == 0


def test_a_spike_at_zero_is_an_atom_and_not_a_density():
    noise = NOISES["bernoulli"](p=0.3)

    def mine(p, name, shape):
        return 1.0 * p.sample(name, p.dist.Bernoulli(probs=0.3).expand(shape).to_event(len(shape)))

    slab = np.log(0.3) + stats.norm(scale=SIGMA0).logpdf(W)
    np.testing.assert_allclose(log_marginal(noise, W, SIGMA0), slab)
    np.testing.assert_allclose(log_marginal(quadrature(noise), W, SIGMA0), slab)
    np.testing.assert_allclose(log_marginal(mine, W, SIGMA0), slab, atol=0.03)
    row = np.log(0.3) + stats.norm(scale=SIGMA0).logpdf(W).sum()
    assert log_row(noise, W, SIGMA0) == pytest.approx(row)
    assert atom(noise) == pytest.approx(0.7)
    assert atom(mine) == pytest.approx(0.7, abs=0.01)
    assert all(atom(n) == 0 for n in [*CONTINUOUS, NOISES["log_uniform"]()])


def test_the_improper_limit():
    noise = NOISES["log_uniform"]()
    np.testing.assert_allclose(log_marginal(noise, [-2.0, 1e-200], 3.0), -np.log([2.0, 1e-200]))
    assert log_row(noise, [3.0, 0.0, -4.0]) == pytest.approx(-3 * math.log(5))
    assert np.isposinf(log_marginal(noise, 0.0))


def test_shapes_follow_the_weights():
    for noise in (half_cauchy(), quadrature(half_cauchy())):
        assert log_marginal(noise, 1.0).shape == ()
        assert log_marginal(noise, np.ones((2, 3))).shape == (2, 3)
        assert log_row(noise, np.ones((4, 2, 3))).shape == (4, 2)


def test_bad_input_raises_one_sentence():
    with pytest.raises(ValueError, match="weights must be finite"):
        log_marginal(half_cauchy(), [1.0, math.nan])
    with pytest.raises(ValueError, match="sigma0 must be positive and finite .*, got 0"):
        log_marginal(half_cauchy(), 1.0, 0.0)
    with pytest.raises(ValueError, match=r"a row of weights needs shape \(..., d\)"):
        log_row(half_cauchy(), 1.0)
