"""The closed forms: log densities of a weight, or a row of weights, under the noises that have one.

All are NumPy functions in float64, in log space, that neither overflow in the tails nor underflow near zero.  A row is
the last axis: `d` weights w ~ N(0, lambda^2 sigma0^2 I) that share one lambda, so that their law is elliptical.
Densities with a pole at w = 0 are +inf there.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special, stats

LOG_2PI = math.log(2 * math.pi)


def normal(w: Any, scale: float) -> np.ndarray:
    """N(0, scale^2)."""
    return -0.5 * (np.asarray(w, float) / scale) ** 2 - math.log(scale) - 0.5 * LOG_2PI


def laplace(w: Any, scale: float) -> np.ndarray:
    """Laplace(0, scale): the marginal under Rayleigh noise."""
    return -np.abs(np.asarray(w, float)) / scale - math.log(2 * scale)


def student_t(w: Any, df: float, scale: float) -> np.ndarray:
    """Rows (..., d) under multivariate t(df, 0, scale^2 I): lambda^2 inverse-gamma."""
    w = np.asarray(w, float)
    d = w.shape[-1]
    with np.errstate(divide="ignore"):
        log_square = 2 * np.log(_norm(w) / scale) - math.log(df)
    constant = special.gammaln((df + d) / 2) - special.gammaln(df / 2) - 0.5 * d * math.log(df * math.pi * scale**2)
    return constant - 0.5 * (df + d) * np.logaddexp(0, log_square)


def variance_gamma(w: Any, shape: float, scale: float) -> np.ndarray:
    """Rows (..., d) with lambda^2 sigma0^2 ~ Gamma(shape, scale), `shape` a multiple of 1/2; K Bessel functions.

    Shape 1/2 is Gaussian noise, shape 1 is Rayleigh noise (where d = 1 gives the Laplace).
    """
    w = np.asarray(w, float)
    d, r = w.shape[-1], _norm(w)
    order = shape - d / 2
    z = r * math.sqrt(2 / scale)
    constant = math.log(2) - 0.5 * d * LOG_2PI - special.gammaln(shape) - shape * math.log(scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = constant + order * np.log(r * math.sqrt(scale / 2)) + log_bessel_k(abs(order), z)
    at_zero = math.inf if order <= 0 else math.nan
    if order > 0:
        at_zero = constant + special.gammaln(order) - math.log(2) + order * math.log(scale)
    return np.where(r > 0, value, at_zero)


def gaussian_dropout(w: Any, a: float, sigma0: float) -> np.ndarray:
    """The marginal under N(1, a) noise: a Poisson(1 / 2a) mixture of variance-gammas, as a series of Bessel functions.

    p(w) = exp(-1 / 2a) / (pi sigma0 sqrt a) sum_k (z / a)^k / (2k)! K_k(z),  z = abs(w) / (sigma0 sqrt a).

    Where the series would need thousands of terms, the posterior of lambda is nearly Gaussian: Gauss-Hermite there.
    """
    y = np.abs(np.asarray(w, float)) / sigma0
    far = (y > 1e6 * a**1.5) | (a < 1e-3)
    near = _dropout_series(np.where(far, 1.0, np.maximum(y / math.sqrt(a), 1e-300)), a) if a >= 1e-3 else y
    value = np.where(far, _dropout_hermite(np.where(far, y, 1e6 * a**1.5), a), near) - math.log(sigma0)
    return np.where(y == 0, math.inf, value)


def _dropout_series(z: np.ndarray, a: float) -> np.ndarray:
    total = term = log_bessel_k(0, z)
    ratio, step, k = special.k1e(z) / special.k0e(z), np.zeros_like(z), 0
    while np.any(step > math.log(0.5)) or np.any(term - total > math.log(1e-17)):
        step = np.log(z) - math.log(a) + np.log(ratio) - math.log((2 * k + 1) * (2 * k + 2))
        term = term + step
        total = np.logaddexp(total, term)
        k += 1
        ratio = 1 / ratio + 2 * k / z
    return total - 1 / (2 * a) - math.log(math.pi) - 0.5 * math.log(a)


def _dropout_hermite(y: np.ndarray, a: float) -> np.ndarray:
    mode = 1 + (a * y**2) ** 0.25  # above the mode, from where Newton's method descends to it
    for _ in range(60):
        slope = 4 * mode**3 - 3 * mode**2 + 2 * a * mode
        mode = mode - (mode**4 - mode**3 + a * mode**2 - a * y**2) / slope
    width = (1 / a + 3 * (y / mode**2) ** 2 - 1 / mode**2) ** -0.5
    x, weight = np.polynomial.hermite.hermgauss(40)
    scale = mode[..., None] + math.sqrt(2) * width[..., None] * x
    log_joint = normal(scale - 1, math.sqrt(a)) + normal(y[..., None] / scale, 1.0) - np.log(scale)
    return special.logsumexp(log_joint + x**2 + np.log(weight), axis=-1) + np.log(width) + 0.5 * math.log(2)


def horseshoe(w: Any, scale: float) -> np.ndarray:
    """The horseshoe: exp(z) E1(z) / (scale sqrt(2 pi^3)), z = w^2 / (2 scale^2)."""
    return log_scaled_e1(_log_z(w, scale)) - math.log(scale) - 0.5 * math.log(2 * math.pi**3)


def uniform_mixture(w: Any, sigma0: float) -> np.ndarray:
    """The marginal under Uniform(0, 1) noise: E1(z) / (2 sqrt(2 pi) sigma0), z = w^2 / (2 sigma0^2)."""
    log_z = _log_z(w, sigma0)
    return log_scaled_e1(log_z) - np.exp(log_z) - math.log(2 * sigma0) - 0.5 * LOG_2PI


def log_uniform(w: Any) -> np.ndarray:
    """Rows (..., d) under the log-uniform limit: the improper norm(w)^-d, up to a constant."""
    w = np.asarray(w, float)
    with np.errstate(divide="ignore"):
        return -w.shape[-1] * np.log(_norm(w))


def log_scaled_e1(log_z: Any) -> np.ndarray:
    """log(exp(z) E1(z)) from log z: the series at 0, scipy in the middle, the asymptotic series from z = 50."""
    log_z = np.asarray(log_z, float)
    small, large = log_z < -100, log_z > math.log(50)
    z = np.exp(np.where(small | large, 0.0, log_z))
    middle = np.log(special.exp1(z)) + z
    inverse = np.exp(-np.where(large, log_z, math.log(50)))
    asymptotic = np.polynomial.polynomial.polyval(inverse, [(-1.0) ** k * math.factorial(k) for k in range(21)])
    with np.errstate(divide="ignore"):
        near_zero = np.log(np.where(small, -log_z - np.euler_gamma, 1.0))
    return np.where(small, near_zero, np.where(large, np.log(asymptotic) - log_z, middle))


def log_bessel_k(order: float, z: Any) -> np.ndarray:
    """log K_order(z) for z > 0 and an order that is a multiple of 1/2, by the stable recurrence upwards."""
    z = np.asarray(z, float)
    start = order % 1
    if start == 0:
        value, ratio = np.log(special.k0e(z)) - z, special.k1e(z) / special.k0e(z)
    else:
        value, ratio = 0.5 * np.log(math.pi / (2 * z)) - z, 1 + 1 / z
    for k in range(1, int(order - start) + 1):
        value = value + np.log(ratio)
        ratio = 1 / ratio + 2 * (start + k) / z
    return value


def _norm(w: np.ndarray) -> np.ndarray:
    return np.hypot.reduce(np.abs(w), axis=-1)


def _log_z(w: Any, scale: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 2 * np.log(np.abs(np.asarray(w, float)) / scale) - math.log(2)


class Monotone(stats.rv_continuous):
    """The law of u = forward(v), increasing on (0, upper), with v from the positive distribution `base`.

    `inverse` takes u back to v, `log_slope` is log dv/du.  It has no parameters, hence needs no freezing.
    """

    def __init__(self, base: Any, forward: Callable, inverse: Callable, log_slope: Callable, upper: float):
        super().__init__(a=0.0, b=upper)
        self.base, self.forward, self.inverse, self.log_slope = base, forward, inverse, log_slope

    def _logpdf(self, u: Any) -> Any:
        return self.base.logpdf(self.inverse(u)) + self.log_slope(u)

    def _pdf(self, u: Any) -> Any:
        return np.exp(self._logpdf(u))

    def _cdf(self, u: Any) -> Any:
        return self.base.cdf(self.inverse(u))

    def _sf(self, u: Any) -> Any:
        return self.base.sf(self.inverse(u))

    def _ppf(self, q: Any) -> Any:
        return self.forward(self.base.ppf(q))

    def _rvs(self, size: Any = None, random_state: Any = None) -> Any:
        return self.forward(self.base.rvs(size=size, random_state=random_state))


def squared(base: Any) -> Monotone:
    """The law of v^2 for v from `base` on (0, 1)."""
    return Monotone(base, np.square, np.sqrt, lambda u: -math.log(2) - 0.5 * np.log(u), 1.0)


def regularised(base: Any, square: float) -> Monotone:
    """The law of c^2 v / (c^2 + v), c^2 = `square`: the soft cut-off of Piironen & Vehtari (2017), eq 2.8."""
    return Monotone(
        base,
        lambda v: v / (1 + v / square),
        lambda u: u / (1 - u / square),
        lambda u: -2 * np.log1p(-u / square),
        square,
    )
