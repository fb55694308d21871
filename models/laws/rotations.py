"""Directions that are defined by their angle: rotations in a random plane, and the von Mises-Fisher law."""

import math
from functools import cache, partial
from typing import Any

import numpy as np

from ..ppl import PPL
from .direction import RIGHT, AngleLaw, Direction, angle_site, check_dimension, check_positive, turning
from .quadrature import integral, legendre, moments


@cache
def rotation_normal(alpha: float) -> Direction:
    """Rotation in a random plane by e ~ N(0, alpha) truncated to [-pi/2, pi/2]; `alpha` is the parent's variance."""
    check_positive("rotation_normal", alpha=alpha)
    sd = math.sqrt(alpha)

    def rule() -> tuple[np.ndarray, np.ndarray]:
        e, weight = legendre(0, min(RIGHT, 9 * sd))
        weight = weight * np.exp(-0.5 * (e / sd) ** 2)
        return e, weight / weight.sum()

    def law(n: int) -> AngleLaw:
        from scipy.stats import truncnorm

        check_dimension(n)
        half = {"a": 0, "b": RIGHT / sd, "scale": sd}
        return AngleLaw(partial(truncnorm.pdf, **half), partial(truncnorm.cdf, **half), *moments(rule))

    @cache
    def mean_cosine(n: int) -> float:
        check_dimension(n)
        e, weight = rule()
        return float(np.cos(e) @ weight)

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        law = p.truncated_normal(0.0, sd, -RIGHT, RIGHT)
        return angle_site(p, f"{name}.angle", law, shape, math.acos(mean_cosine(n)))

    def draw(rng: np.random.Generator, shape: tuple[int, ...], n: int) -> np.ndarray:
        from scipy.stats import truncnorm

        return np.asarray(truncnorm.rvs(-RIGHT / sd, RIGHT / sd, scale=sd, size=shape, random_state=rng))

    return Direction(
        "rotation_normal",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 20 to 23",
        turning("rotation_normal"),
        angle,
        law,
        mean_cosine,
        draw,
    )


@cache
def rotation_beta(alpha: float) -> Direction:
    """Rotation in a random plane by e = pi (B - 1/2), B ~ Beta(alpha, alpha); alpha = 1 is uniform.

    Where alpha < 1 the density of e has poles at -pi/2 and pi/2, and draws closer to them than rounding lie on them.
    """
    check_positive("rotation_beta", alpha=alpha)

    def mean() -> float:
        return RIGHT / math.sqrt(math.pi) * math.exp(math.lgamma(alpha + 0.5) - math.lgamma(alpha + 1))

    def pdf(theta: Any) -> Any:
        from scipy.stats import beta

        theta = np.asarray(theta, float)
        return np.where(theta >= 0, 2 / math.pi * beta.pdf(0.5 + theta / math.pi, alpha, alpha), 0.0)

    def cdf(theta: Any) -> Any:
        from scipy.special import betainc

        return betainc(0.5, alpha, np.clip(np.asarray(theta, float) / RIGHT, 0, 1) ** 2)

    def law(n: int) -> AngleLaw:
        check_dimension(n)
        return AngleLaw(pdf, cdf, mean, lambda: math.sqrt(RIGHT**2 / (2 * alpha + 1) - mean() ** 2))

    def mean_cosine(n: int) -> float:
        check_dimension(n)
        k = np.arange(1, 20)  # the series of the characteristic function of e, a Bessel function, at 1
        return 1 + float(np.cumprod(-((math.pi / 4) ** 2) / (k * (alpha - 0.5 + k))).sum())

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        law = p.dist.TransformedDistribution(p.symmetric_beta(alpha), [_stretch(p)])
        return angle_site(p, f"{name}.angle", law, shape, math.acos(mean_cosine(n)))

    return Direction(
        "rotation_beta",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 20 to 23",
        turning("rotation_beta"),
        angle,
        law,
        mean_cosine,
        lambda rng, shape, n: math.pi * (rng.beta(alpha, alpha, shape) - 0.5),
    )


@cache
def von_mises_fisher(kappa: float) -> Direction:
    """The reference law on the sphere: density of vhat proportional to exp(kappa v.vhat); for NumPy alone, no program.

    The mean cosine is the ratio of Bessel functions I_(n/2)(kappa) / I_(n/2-1)(kappa).
    """
    check_positive("von_mises_fisher", kappa=kappa)

    def window(n: int) -> tuple[float, float]:
        """Twelve standard deviations of the normal approximation to each side of the mode, within [0, pi]."""
        mode = math.acos(2 * kappa / (n - 2 + math.hypot(n - 2, 2 * kappa)))
        curvature = kappa * math.cos(mode) + ((n - 2) / math.sin(mode) ** 2 if n > 2 else 0)
        reach = 12 / math.sqrt(curvature)
        return max(0.0, mode - reach), min(math.pi, mode + reach)

    @cache
    def rule(n: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Angles, their weights, and the logarithm of the constant by which the density is to be divided."""
        check_dimension(n)
        theta, weight = legendre(*window(n))
        height = _log_fisher(n, kappa, theta)
        weight = weight * np.exp(height - height.max())
        return theta, weight / weight.sum(), float(height.max() + math.log(weight.sum()))

    @cache
    def law(n: int) -> AngleLaw:
        constant = rule(n)[2]

        def pdf(theta: Any) -> Any:
            return np.exp(_log_fisher(n, kappa, theta) - constant)

        return AngleLaw(pdf, integral(pdf, *window(n)), *moments(lambda: rule(n)[:2]))

    @cache
    def mean_cosine(n: int) -> float:
        theta, weight, _ = rule(n)
        return float(np.cos(theta) @ weight)

    return Direction(
        "von_mises_fisher",
        (("kappa", kappa),),
        "Fisher (1953); Wood (1994), whose sampler this is",
        turning("von_mises_fisher"),
        None,
        law,
        mean_cosine,
        lambda rng, shape, n: _fisher_angles(rng, shape, n, kappa),
    )


@cache
def _stretch(p: PPL) -> Any:
    """The transform from (0, 1) onto (-pi/2, pi/2); it knows both, so that samplers stay between.

    Its inverse stays half a rounding error within (0, 1), where the log density of a Beta is finite.
    """
    constraints, affine = p.dist.constraints, p.dist.transforms.AffineTransform

    def inverse(self: Any, y: Any) -> Any:
        edge = 0.5 * p.xp.finfo(y.dtype).eps
        return p.xp.clip(affine._inverse(self, y), edge, 1 - edge)

    ends = {"domain": constraints.unit_interval, "codomain": constraints.interval(-RIGHT, RIGHT)}
    return type("Stretch", (affine,), {**ends, "_inverse": inverse})(-RIGHT, math.pi)


def _log_fisher(n: int, kappa: float, theta: Any) -> np.ndarray:
    """log of sin(theta)^(n-2) exp(kappa (cos(theta) - 1)), and of 0 outside [0, pi]."""
    from scipy.special import xlogy

    theta = np.asarray(theta, float)
    value = xlogy(n - 2, np.abs(np.sin(theta))) - 2 * kappa * np.sin(theta / 2) ** 2
    return np.where((theta >= 0) & (theta <= math.pi), value, -math.inf)


def _fisher_angles(rng: np.random.Generator, shape: tuple[int, ...], n: int, kappa: float) -> np.ndarray:
    """Wood's (1994) rejection sampler; the angle by its half, so that small ones are exact."""
    b = (n - 1) / (2 * kappa + math.hypot(2 * kappa, n - 1))
    x = (1 - b) / (1 + b)
    angles = np.empty(math.prod(shape))
    left = np.arange(angles.size)
    while left.size:
        z = rng.beta((n - 1) / 2, (n - 1) / 2, left.size)
        w = 1 - 2 * b * z / (1 - (1 - b) * z)
        log_ratio = kappa * (w - x) + (n - 1) * np.log((1 - x * w) / (1 - x * x))
        angles[left] = 2 * np.arctan2(np.sqrt(b * z), np.sqrt(1 - z))
        left = left[log_ratio < np.log(rng.random(left.size))]
    return angles.reshape(shape)
