"""Directions that are defined in R^n: noise on a unit vector, which is then projected back to the sphere."""

import math
from collections.abc import Iterable
from functools import cache, partial
from typing import Any

import numpy as np

from ..ppl import PPL
from ..ppl.sphere import normalised
from ..ppl.sphere import tangent as tangent_part
from .direction import RIGHT, AngleLaw, Direction, angle_site, check_dimension, check_positive, turning
from .quadrature import chi_rule, legendre, moments, window_rule


@cache
def projected(alpha: float) -> Direction:
    """vhat = (v + noise) / norm, noise ~ N(0, alpha I), `alpha` a variance: the projected normal.

    sqrt(n - 1) cot(theta) ~ noncentral t with n - 1 degrees of freedom and noncentrality 1 / sqrt(alpha), so that
    P(theta > pi/2) = Phi(-1 / sqrt(alpha)): below one half, however strong the noise.
    """
    check_positive("projected", alpha=alpha)
    root = math.sqrt(alpha)

    def cdf(n: int, theta: Any) -> Any:
        from scipy.stats import nct

        theta = np.clip(np.asarray(theta, float), 0, math.pi)
        with np.errstate(divide="ignore"):
            cot = np.cos(theta) / np.sin(theta)
        inside = (theta > 0) & (theta < math.pi)
        return np.where(inside, nct.sf(math.sqrt(n - 1) * np.where(inside, cot, 0), n - 1, 1 / root), theta > 0)

    @cache
    def law(n: int) -> AngleLaw:
        check_dimension(n)
        density, below = partial(_projected_pdf, n, 1 / root), partial(cdf, n)
        return AngleLaw(density, below, *moments(lambda: window_rule(density, below)))

    @cache
    def mean_cosine(n: int) -> float:
        half = 0.5 / alpha  # the mean of a projected normal is a confluent function; this is its integral
        check_dimension(n)
        t, weight = legendre(0, min(RIGHT, 9 / math.sqrt(half + n / 2)))
        return float(2 * math.sqrt(half / math.pi) * np.exp(-half * np.sin(t) ** 2) * np.cos(t) ** n @ weight)

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        r = _radius(p, name, shape, n, alpha, mean_cosine(n))
        z = angle_site(p, f"{name}.shift", p.dist.Normal(0.0, 1.0), shape, 0.0)
        return p.xp.atan2(p.xp.sqrt(alpha * r), 1 + root * z)

    return Direction(
        "projected",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 15 and 16",
        turning("projected", lambda xp, v, z, axes: normalised(xp, v + root * z, axes)),
        angle,
        law,
        mean_cosine,
    )


@cache
def tangent(alpha: float) -> Direction:
    """vhat = (v + noise) / norm, noise ~ N(0, alpha I) in the tangent space at v: the angle stays below pi/2.

    In R^n it concentrates at arctan(sqrt(alpha (n - 1))).
    """
    check_positive("tangent", alpha=alpha)
    root = math.sqrt(alpha)

    @cache
    def law(n: int) -> AngleLaw:
        from scipy.stats import chi

        check_dimension(n)

        def ratio(theta: Any) -> Any:
            return np.tan(np.clip(theta, 0, RIGHT)) / root

        def pdf(theta: Any) -> Any:
            theta = np.asarray(theta, float)
            inside = (theta >= 0) & (theta < RIGHT)
            return np.where(inside, chi.pdf(ratio(theta), n - 1) * (1 + alpha * ratio(theta) ** 2) / root, 0.0)

        return AngleLaw(pdf, lambda theta: chi.cdf(ratio(theta), n - 1), *moments(lambda: rule(n)))

    def rule(n: int) -> tuple[np.ndarray, np.ndarray]:
        radius, weight = chi_rule(n - 1)
        return np.arctan(root * radius), weight

    @cache
    def mean_cosine(n: int) -> float:
        check_dimension(n)
        theta, weight = rule(n)
        return float(np.cos(theta) @ weight)

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        return p.xp.atan(p.xp.sqrt(alpha * _radius(p, name, shape, n, alpha, mean_cosine(n))))

    return Direction(
        "tangent",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 17 to 19",
        turning("tangent", lambda xp, v, z, axes: normalised(xp, v + root * tangent_part(xp, v, z, axes), axes)),
        angle,
        law,
        mean_cosine,
    )


def anisotropic(alphas: Iterable[float]) -> Direction:
    """The projected normal with noise ~ N(0, diag(alphas)): `alphas`, one variance for each entry of a vector."""
    return _anisotropic(tuple(float(a) for a in alphas))


@cache
def _anisotropic(alphas: tuple[float, ...]) -> Direction:
    check_dimension(len(alphas))
    named = {f"alpha{i}": a for i, a in enumerate(alphas)}
    check_positive("anisotropic", **named)

    def raw(xp: Any, v: Any, z: Any, axes: tuple[int, ...]) -> Any:
        sizes = [v.shape[a] if a - v.ndim in axes else 1 for a in range(v.ndim)]
        if math.prod(sizes) != len(alphas):
            raise ValueError(f"anisotropic has {len(alphas)} variances for vectors of {math.prod(sizes)} entries")
        sd = xp.asarray(np.reshape(np.sqrt(alphas), sizes), dtype=v.dtype, device=getattr(v, "device", None))
        return normalised(xp, v + sd * z, axes)

    source = "Kirichenko (2018), section 3.2.1 and figure 7"
    return Direction("anisotropic", tuple(named.items()), source, turning("anisotropic", raw, isotropic=False))


@cache
def tangent_as_released(alpha: float) -> Direction:
    """The tangent noise (eqs 17 to 19) as the code of the thesis computes it, which is another law.

    For a matrix V of unit vectors and noise E ~ N(0, alpha) of its shape, T = E - V sum(V E) and vhat = (V + T) / norm.
    The sum should be over the entries of a vector; it is over the units, hence projects next to nothing away, and the
    angle has next to the law of `projected` where the square root of the number of units is small beside that of the
    entries, as in the networks of the thesis.  The units lie along the last axis that is not among `axes`.
    """
    check_positive("tangent_as_released", alpha=alpha)

    def raw(xp: Any, v: Any, z: Any, axes: tuple[int, ...]) -> Any:
        units = max((a for a in range(-v.ndim, 0) if a not in axes), default=None)
        if units is None:
            raise ValueError("tangent_as_released sums over the units: pass a matrix, whose vectors lie along `axes`")
        noise = math.sqrt(alpha) * z
        return normalised(xp, v + noise - v * xp.sum(v * noise, axis=units, keepdims=True), axes)

    source = "the code released with Kirichenko (2018)"
    return Direction(
        "tangent_as_released", (("alpha", alpha),), source, turning("tangent_as_released", raw, isotropic=False)
    )


def _radius(p: PPL, name: str, shape: tuple[int, ...], n: int, alpha: float, mean_cosine: float) -> Any:
    """r ~ chi^2 of n - 1 degrees; sqrt(alpha r) is the tangent of the mean angle where r is at its "mean"."""
    mean = (1 - mean_cosine) / mean_cosine * (1 + mean_cosine) / mean_cosine / alpha
    return angle_site(p, f"{name}.radius", p.dist.Chi2(float(n - 1)), shape, mean)


def _projected_pdf(n: int, delta: float, theta: Any) -> np.ndarray:
    """The density of theta where y ~ N(delta v, I): that of y in polar coordinates, its radius integrated out."""
    from scipy.special import gammaln, xlogy

    theta = np.asarray(theta, float)
    along, across = delta * np.cos(theta)[..., None], delta * np.sin(theta)
    mode = 0.5 * (along + np.sqrt(along**2 + 4 * (n - 1)))  # of r^(n-1) exp(-(r - along)^2 / 2)
    x, weight = np.polynomial.legendre.leggauss(64)
    low = np.maximum(mode - 10, 0)
    half = 0.5 * (mode + 10 - low)
    r = low + half * (1 + x)
    constant = (1 - n / 2) * math.log(2) - 0.5 * math.log(math.pi) - gammaln((n - 1) / 2)
    log_height = constant + xlogy(n - 2, np.abs(np.sin(theta))) - 0.5 * across**2
    value = np.exp((n - 1) * np.log(r) - 0.5 * (r - along) ** 2 + log_height[..., None]) @ weight * half[..., 0]
    return np.where((theta >= 0) & (theta <= math.pi), value, 0.0)
