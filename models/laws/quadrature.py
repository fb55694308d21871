"""Quadrature rules for laws of an angle: values and their weights, and what is computed from them."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

NODES = 400  # of the Gauss-Legendre rule over the window where a law has its mass
EDGE = 1e-13  # the mass that each end of that window may leave out


def moments(rule: Callable[[], Any]) -> tuple[Callable[[], float], Callable[[], float]]:
    """Mean and standard deviation from a rule of angles and their weights, computed when they are asked for."""

    @cache
    def mean_and_sd() -> tuple[float, float]:
        theta, weight = rule()
        mean = theta @ weight
        return float(mean), math.sqrt((theta - mean) ** 2 @ weight)

    return lambda: mean_and_sd()[0], lambda: mean_and_sd()[1]


def window_rule(pdf: Callable, cdf: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Angles and weights where a smooth law has its mass, found by bisection of its cdf."""
    level = np.array([EDGE, 1 - EDGE])
    low, high = np.zeros(2), np.full(2, math.pi)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = cdf(middle) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    theta, weight = legendre(low[0], high[1])
    return theta, weight * pdf(theta)


def integral(pdf: Callable, low: float, high: float) -> Callable[[Any], Any]:
    """The cdf of a smooth density between `low` and `high`: integrals over 1,000 pieces, and a cubic spline between."""
    from scipy.interpolate import CubicHermiteSpline

    grid = np.linspace(low, high, 1001)
    x, weight = np.polynomial.legendre.leggauss(5)
    half = 0.5 * (grid[1] - grid[0])
    pieces = pdf(0.5 * (grid[1:] + grid[:-1])[:, None] + half * x) @ weight * half
    spline = CubicHermiteSpline(grid, np.concatenate([[0], np.cumsum(pieces)]), pdf(grid))
    return lambda theta: spline(np.clip(theta, low, high))


def chi_rule(degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of chi and their weights: the trapezoidal rule in log(chi), exact to rounding for smooth functions."""
    from scipy.stats import chi

    log_chi = np.linspace(math.log(chi.ppf(1e-18, degrees)), math.log(chi.isf(1e-18, degrees)), NODES)
    height = degrees * log_chi - 0.5 * np.exp(2 * log_chi)
    weight = np.exp(height - height.max())
    return np.exp(log_chi), weight / weight.sum()


def legendre(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights (NODES,) on [low, high]."""
    x, weight = np.polynomial.legendre.leggauss(NODES)
    return 0.5 * (low + high) + 0.5 * (high - low) * x, 0.5 * (high - low) * weight
