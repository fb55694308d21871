"""What a normal weight pays: KL(N(loc, scale^2) || prior) in closed form, elementwise, in nats, in either language.

`loc` and `scale` are arrays of one shape, and so is the answer.  With alpha = scale^2 / loc^2 and u = 1 / (2 alpha):

- ``log_uniform``: p(w) proportional to 1 / abs(w), the prior of variational dropout.  The divergence is known up to the
  constant that makes it zero at alpha = infinity: u 2F2(1, 1; 3/2, 2; -u) = 2 int_0^sqrt(u) Dawson(x) dx.
- ``log_uniform_approximate``: its fit by three constants (Molchanov, Ashukha & Vetrov 2017, eq 14), at most 0.0094 off.
- ``empirical_bayes``: p(w) = N(0, 1 / tau) with the tau that makes the ELBO largest (Titsias & Lazaro-Gredilla 2014;
  Kharitonov, Molchanov & Vetrov 2018, eq 1).
- ``empirical_bayes_gamma``: the same with tau ~ Gamma(a, rate b), at its mode (section 4, appendix B).

The first is never less than the third, and exceeds it by at most (gamma + log 2) / 2 = 0.6352.
"""

import math
from functools import cache
from typing import Any

from ...errors import LEAST, MOST, check_number

K1, K2, K3 = 0.63576, 1.87320, 1.48695  # Molchanov, Ashukha & Vetrov (2017), eq 14
DEGREE, SLOPE_DEGREE, CENTRE = 28, 20, 5.0
TINY = 1e-12


def log_uniform(xp: Any, loc: Any, scale: Any) -> Any:
    """Exact to 1e-9 in double precision: the divergence of empirical Bayes and a polynomial for what exceeds it."""
    return empirical_bayes(xp, loc, scale) + _horner(_excess(), _coordinate(loc / scale))


def log_uniform_gradient(xp: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
    """d/dloc and d/dscale of `log_uniform`, to 1e-7: cheaper than what differentiation makes of its polynomial.

    loc d/dloc = -scale d/dscale = 2 sqrt(u) Dawson(sqrt u), written as that of empirical Bayes times a polynomial.
    """
    ratio = loc / scale
    by_loc = _horner(_slope(), _coordinate(ratio)) * loc / (loc**2 + scale**2)
    return by_loc, -by_loc * ratio


def _coordinate(ratio: Any) -> Any:
    """z in [-1, 1] for loc / scale, u = CENTRE (1 + z) / (1 - z); a quotient has no overflow in its derivative."""
    return 1 - 4 * CENTRE / (ratio**2 + 2 * CENTRE)


def _horner(coefficients: tuple[float, ...], z: Any) -> Any:
    """The polynomial with these coefficients, highest first."""
    value = 0 * z
    for c in coefficients:
        value = value * z + c
    return value


@cache
def _excess() -> tuple[float, ...]:
    """KL(log-uniform) - KL(empirical Bayes) as a polynomial in z: smooth on [-1, 1], so it converges quickly."""
    from scipy.integrate import quad
    from scipy.special import dawsn

    def excess(z: float) -> float:
        u = CENTRE * (1 + z) / (1 - z)
        parts = [0.0, *(b for b in (1.0, 4.0, 16.0) if b**2 < u), math.sqrt(u)]
        whole = sum(quad(dawsn, a, b, epsabs=1e-13, epsrel=1e-13)[0] for a, b in zip(parts, parts[1:], strict=False))
        return 2 * whole - 0.5 * math.log1p(2 * u)

    return _interpolated(excess, DEGREE)


@cache
def _slope() -> tuple[float, ...]:
    """d KL(log-uniform) / d KL(empirical Bayes) along u, as a polynomial in z: from 1 at either end to 1.64."""
    from scipy.special import dawsn

    def slope(z: float) -> float:
        u = CENTRE * (1 + z) / (1 - z)
        return (1 + 2 * u) * float(dawsn(math.sqrt(u))) / math.sqrt(u)

    return _interpolated(slope, SLOPE_DEGREE)


def _interpolated(f: Any, degree: int) -> tuple[float, ...]:
    """The interpolant of `f` at the Chebyshev nodes: coefficients of the powers, highest first."""
    import numpy as np
    from numpy.polynomial import chebyshev

    return tuple(map(float, chebyshev.cheb2poly(chebyshev.chebinterpolate(np.vectorize(f), degree))[::-1]))


def log_uniform_approximate(xp: Any, loc: Any, scale: Any) -> Any:
    """The log-uniform divergence with the three constants of Molchanov et al. (2017), eq 14; C = -k1."""
    log_ratio = 2 * xp.log(xp.abs(loc / scale) + TINY)  # -log alpha, finite at loc = 0
    return K1 / (1 + xp.exp(K2 - K3 * log_ratio)) + empirical_bayes(xp, loc, scale)  # no overflow, at either end


def empirical_bayes(xp: Any, loc: Any, scale: Any) -> Any:
    """1/2 log(1 + loc^2 / scale^2), at tau = 1 / (loc^2 + scale^2)."""
    return 0.5 * xp.log1p((loc / scale) ** 2)


def empirical_bayes_gamma(xp: Any, loc: Any, scale: Any, a: float, b: float) -> Any:
    """KL(q || N(0, 1 / tau)) - log Gamma(tau; a, b) at tau = (2a - 1) / (loc^2 + scale^2 + 2b), for a > 1/2 and b >= 0.

    The negative of the paper's R with its constant C, so it may be negative.  At b = 0 the hyperprior is improper and
    its normalising constant a log b - log Gamma(a) is left out; with a = 1 that is `empirical_bayes`.
    """
    constant = gamma_constant(a, b)
    return 0.5 * ((2 * a - 1) * xp.log(loc**2 + scale**2 + 2 * b) - xp.log(scale**2)) - constant


def log_gamma(xp: Any, tau: Any, a: float, b: float) -> Any:
    """log Gamma(tau; a, rate b), without its normalising constant at b = 0, where it is improper."""
    return _log_normaliser(a, b) + (a - 1) * xp.log(tau) - b * tau


def gamma_constant(a: float, b: float) -> float:
    """C of Kharitonov et al. (2018), section 4, without the normalising constant of the Gamma at b = 0.

    Raises ValueError unless a > 1/2, where the mode exists, and b >= 0.
    """
    check_number("empirical_bayes: a", a)
    check_number("empirical_bayes: b", b)
    if not 0.5 < a <= MOST:
        raise ValueError(f"empirical_bayes: a must be greater than 1/2, or the precision has no mode, got {a}")
    if b and not LEAST <= b <= MOST:
        raise ValueError(f"empirical_bayes: b must be zero or positive ({LEAST:g} to {MOST:g}), got {b}")
    return 1 - a + _log_normaliser(a, b) + 0.5 * (2 * a - 1) * math.log(2 * a - 1)


def _log_normaliser(a: float, b: float) -> float:
    return a * math.log(b) - math.lgamma(a) if b > 0 else 0.0
