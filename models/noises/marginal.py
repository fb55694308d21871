"""The marginal density of a weight, log p(w) = log int N(w; 0, lambda^2 sigma0^2) p(lambda) dlambda, under any noise.

The noise's closed form where it has one; else quadrature over the law of lambda^2; else, for a noise of which only the
program is known, an average over its draws.  A row of d weights that share one lambda is the same integral over a
d-dimensional Gaussian.  NumPy, float64, in log space.

A noise with an atom at lambda = 0 puts the mass :func:`atom` on w = 0 exactly; the density is that of the rest, so that
it integrates to 1 - atom.  The improper log-uniform noise has the improper limits 1 / abs(w) and norm(w)^-d.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import check_size
from .noise import Noise, as_noise

DRAWS = 100_000
LOG_2PI = math.log(2 * math.pi)


def log_marginal(noise: Noise | Callable, w: Any, sigma0: float = 1.0) -> np.ndarray:
    """log p(w) of single weights, elementwise, shape of `w`; `sigma0` is the standard deviation of w at lambda = 1.

    Closed forms are exact to rounding.  Quadrature is exact to 1e-6 relative for abs(w) / sigma0 in [1e-100, 1e100], or
    up to 50 where the law of lambda ends in a pole (beta, regularised_half_cauchy), and less beyond.
    A noise whose law is unknown is averaged over 100,000 draws of its program (Rao-Blackwell, fixed seed): the relative
    Monte-Carlo error is near 1% in the bulk and grows without bound beyond the largest and smallest scales drawn.
    +inf where p has a pole at w = 0.

    Raises ValueError for weights that are not finite or a sigma0 that is not positive.
    """
    noise, w = as_noise(noise), _checked(w, sigma0)
    return log_row(noise, w[..., None], sigma0) if noise.closed_form is None else noise.closed_form(w, sigma0)


def log_row(noise: Noise | Callable, w: Any, sigma0: float = 1.0) -> np.ndarray:
    """log p(w) of rows (..., d) whose d weights share one lambda: shape (...).  As exact as :func:`log_marginal`."""
    noise, w = as_noise(noise), _checked(w, sigma0)
    if w.ndim == 0:
        raise ValueError("a row of weights needs shape (..., d), got a single number; use log_marginal")
    if noise.row is not None:
        return noise.row(w, sigma0)
    d = w.shape[-1]
    with np.errstate(divide="ignore"):
        log_square = 2 * np.log(np.hypot.reduce(np.abs(w), axis=-1) / sigma0)
    if noise.law is not None and not noise.discrete:
        value = _quadrature(noise.law(), log_square.ravel(), d)
    else:
        value = _mixture(*_scales(noise), log_square.ravel(), d)
    return value.reshape(log_square.shape) - d * math.log(sigma0)


def atom(noise: Noise | Callable) -> float:
    """P(w = 0): the mass that the noise puts on lambda = 0; estimated from draws where the law is unknown."""
    noise = as_noise(noise)
    if noise.discrete or (noise.law is None and noise.proper):
        probability, square = _scales(noise)
        return float(probability[square == 0].sum())
    return 0.0


def _checked(w: Any, sigma0: float) -> np.ndarray:
    w = np.asarray(w, float)
    if not np.all(np.isfinite(w)):
        raise ValueError("weights must be finite to have a density; drop the NaN and infinite ones")
    check_size("sigma0", sigma0)
    return w


@lru_cache(maxsize=8)
def _scales(noise: Noise) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and values of lambda^2: those of a discrete law, else draws of the program, all as probable."""
    if noise.law is not None:
        law = noise.law()
        square = np.arange(law.support()[0], law.support()[1] + 1.0)
        return law.pmf(square), square
    from .draws import draw_scales  # here, because views also draws marginals

    return np.full(DRAWS, 1 / DRAWS), draw_scales(noise, DRAWS, seed=0) ** 2


def _mixture(probability: np.ndarray, square: np.ndarray, log_square: np.ndarray, d: int) -> np.ndarray:
    """log sum_i p_i N_d(r; lambda_i^2) over the positive scales, at each r^2 = exp(log_square)."""
    positive = square > 0
    log_p, t = np.log(probability[positive]), np.log(square[positive])
    return np.array([np.logaddexp.reduce(log_p + _log_normal(r, t, d), initial=-math.inf) for r in log_square])


def _log_normal(log_square: Any, t: Any, d: int) -> Any:
    """log N_d(r; 0, e^t I) at r^2 = exp(log_square)."""
    return -0.5 * (d * (LOG_2PI + t) + np.exp(log_square - t))


def _quadrature(law: Any, log_square: np.ndarray, d: int) -> np.ndarray:
    """log int N_d(r; u) p(u) du over t = log u, by the tanh-sinh rule on both sides of the integrand's mode."""
    from scipy.integrate import tanhsinh

    def integrand(t: Any, log_square: Any) -> Any:
        return law.logpdf(np.exp(t)) + t + _log_normal(log_square, t, d)

    with np.errstate(all="ignore"):
        low, high = np.clip(np.log(law.support()), -700, 700)
        mode, peak = _mode(integrand, _grid(law, low, high), log_square)
        total = np.full_like(log_square, -math.inf)
        for bound in (low, high):
            edge = _edge(integrand, mode, bound, peak - 60, log_square)
            ends = np.minimum(edge, mode), np.maximum(edge, mode)
            part = tanhsinh(integrand, *ends, args=(log_square,), log=True, maxlevel=8, rtol=math.log(1e-7))
            total = np.logaddexp(total, np.real(part.integral))
        pole = np.isneginf(log_square) & (integrand(low, -math.inf) >= integrand(low + 10, -math.inf) - 1e-6)
    return np.where(pole, math.inf, total)


def _grid(law: Any, low: float, high: float) -> np.ndarray:
    """Values of t = log u that cover its range coarsely and the bulk of its law finely."""
    bulk = np.log(law.ppf(np.linspace(0.001, 0.999, 99)))
    return np.unique(np.concatenate([np.linspace(low, high, 701), bulk[(bulk > low) & (bulk < high)]]))


def _mode(f: Callable, grid: np.ndarray, log_square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where f(t, log_square) is largest, and how large, for each entry: the best of a grid, zoomed in on."""
    points = np.broadcast_to(grid[:, None], (grid.size, log_square.size))
    column = np.arange(log_square.size)
    for _ in range(12):
        value = f(points, log_square)
        value = np.where(np.isfinite(value), value, -math.inf)
        best = np.argmax(value, axis=0)
        mode, peak = points[best, column], value[best, column]
        left, right = points[np.maximum(best - 1, 0), column], points[np.minimum(best + 1, len(points) - 1), column]
        points = left + (right - left) * np.linspace(0, 1, 9)[:, None]
    return mode, peak


def _edge(f: Callable, inner: np.ndarray, outer: float, level: np.ndarray, log_square: np.ndarray) -> np.ndarray:
    """Where f(t, log_square) falls to `level` between `inner` and `outer`, by bisection; `outer` if it does not."""
    low, high = inner, np.full_like(inner, outer)
    for _ in range(50):
        middle = 0.5 * (low + high)
        inside = f(middle, log_square) > level
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return high
