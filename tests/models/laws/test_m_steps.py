"""M-steps against the numerical maximum of what they claim to maximise."""

import mpmath as mp
import numpy as np
import pytest
from noisezoo.models.noises import NOISES
from scipy.optimize import brentq

DIGITS = 30


def inverse_gamma(a, b):
    """log p(lambda) up to a constant, of lambda^2 ~ InverseGamma(a, b)."""
    return lambda s: -(2 * a + 1) * mp.log(s) - b / s**2


# the settings, the power of lambda that has the density, and log p(lambda) up to a constant, written down anew
CASES = {
    "gaussian": ({"a": 0.4}, 1, lambda s: -(s**2) / 0.8),
    "rayleigh": ({"scale": 0.8}, 1, lambda s: mp.log(s) - s**2 / (2 * 0.8**2)),
    "inverse_nakagami": ({"m": 1.5, "omega": 0.6}, -1, inverse_gamma(1.5, 2.5)),
    "inverse_gamma": ({"a": 2.5, "b": 1.4}, 2, inverse_gamma(2.5, 1.4)),
    "gamma_precision": ({"a": 1.2, "b": 0.7}, -2, inverse_gamma(1.2, 0.7)),
    "half_cauchy": ({"scale": 0.5}, 1, lambda s: -mp.log(1 + s**2 / mp.mpf("0.25"))),
    "log_uniform": ({}, 2, lambda s: -mp.log(s)),
}


def objective(log_p, power, m, count):
    """log p(lambda^power) - J log lambda - m / (2 lambda^2) as a function of log lambda."""
    return lambda t: log_p(mp.exp(t)) - (power - 1) * t - count * t - m / (2 * mp.exp(2 * t))


@pytest.mark.parametrize("m, count", [(0.3, 1), (4.0, 2), (1e-4, 50), (37.0, 50), (900.0, 50), (2e-3, 2500)])
@pytest.mark.parametrize("name", CASES)
def test_the_closed_form_is_the_numerical_maximum(name, m, count):
    settings, power, log_p = CASES[name]
    step = NOISES[name](**settings).m_step
    assert step.power == power
    with mp.workdps(DIGITS):
        f = objective(log_p, power, mp.mpf(m), count)
        mode = brentq(lambda t: float(mp.diff(f, t)), -12.0, 6.0, xtol=1e-13, rtol=1e-14)
        assert f(mode) > max(f(mode - 0.01), f(mode + 0.01))
    np.testing.assert_allclose(step.update(np, np.float64(m), count), np.exp(2 * mode), rtol=1e-8)


@pytest.mark.parametrize("m, count", [(0.3, 1), (4.0, 2), (37.0, 50)])
def test_a_uniform_scale_is_the_root_mean_square_up_to_one(m, count):
    """Its density is flat, so that the maximum is that of the weights, or the end of the interval."""
    grid = np.linspace(1e-3, 1, 200_001)
    best = grid[np.argmax(-count * np.log(grid) - m / (2 * grid**2))]
    np.testing.assert_allclose(NOISES["uniform"]().m_step.update(np, np.float64(m), count), best**2, rtol=1e-4)


def test_the_rayleigh_example_of_the_paper_with_the_right_formula():
    """One weight of E[v^2] = 0.34, scale and sigma0 of 1: lambda^4 = E[v^2], the fixed point of eq 13 corrected."""
    found = NOISES["rayleigh"](scale=1.0).m_step.update(np, np.float64(0.34), 1)
    np.testing.assert_allclose(found**2, 0.34, rtol=1e-12)


def test_the_half_cauchy_of_the_released_code():
    m, eta, count = 3.7, 0.6, 50
    root = np.sqrt(m**2 + (2 * count + 8) * eta**2 * m + eta**4 * count**2)
    printed = (m - eta**2 * count + root) / (2 * count + 4)
    np.testing.assert_allclose(NOISES["half_cauchy"](scale=eta).m_step.update(np, m, count), printed, rtol=1e-12)


def test_no_other_noise_has_a_closed_form():
    """Those left out have no root in elementary functions, or no density at all."""
    with_one = {name for name, noise in NOISES.items() if noise().m_step is not None}
    assert with_one == {*CASES, "uniform"}
