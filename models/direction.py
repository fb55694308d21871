"""Direction: noise on a unit vector v of R^n, such as the weights of one unit, or one signal, without their length.

Every isotropic law is one rotation, ``vhat = cos(e) v + sin(e) phi``: phi is uniform on the unit sphere of the tangent
space at v and independent of the angle e.  So these laws differ in e alone, and what is to be known about them (how far
they turn, how much they shrink the mean, E vhat = E cos(e) v) is known from one number on a line.  In a program e is
sampled and phi is the tangent part of a standard normal z, normalised.

======================  =====================================================================================
direction               law of e, or its definition
======================  =====================================================================================
`projected`             atan2(sqrt(alpha r), 1 + sqrt(alpha) z), r ~ chi^2 of n - 1 degrees, z ~ N(0, 1)
`tangent`               tan(e) = sqrt(alpha) chi, chi of n - 1 degrees of freedom
`rotation_normal`       N(0, alpha) truncated to [-pi/2, pi/2]
`rotation_beta`         pi (B - 1/2), B ~ Beta(alpha, alpha)
`von_mises_fisher`      density proportional to sin(e)^(n-2) exp(kappa cos(e)) on [0, pi]; no program
`anisotropic`           not isotropic: the projected normal with a variance for each coordinate
`tangent_as_released`   not isotropic: the tangent noise as the code of the thesis computes it
======================  =====================================================================================

Source: Kirichenko (2018), *Bayesian methods for regularisation of neural networks*, section 3.2, equations by number.

`axes` are the axes along which a vector lies, negative: (-1,) for the rows of a matrix, which is the default, (-2,) for
its columns, (-4, -3, -2) for the kernels of a convolution (height, width, in, out).

>>> import numpy as np
>>> law = projected(0.0139).law(1000)
>>> f"{law.mean():.3f} {law.std():.3f}"
'1.309 0.030'
>>> vhat = sample(tangent(0.01), np.ones((5, 3)), count=100, seed=0)
>>> vhat.shape, bool(np.all(angle_between(np.ones(3), vhat) < np.pi / 2))
((100, 5, 3), True)
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from .ppl import PPL
from .sphere import normalised, rotate
from .sphere import tangent as tangent_part

RIGHT = math.pi / 2
NODES = 400  # of the Gauss-Legendre rule over the window where a law has its mass
EDGE = 1e-13  # the mass that each end of that window may leave out


@dataclass(frozen=True)
class AngleLaw:
    """The law of theta in [0, pi], the angle between v and vhat, with the words of a frozen scipy distribution.

    pdf, cdf : elementwise in NumPy, theta in radians.
    mean, std : ``() -> float``, in radians.
    """

    pdf: Callable[[Any], Any]
    cdf: Callable[[Any], Any]
    mean: Callable[[], float]
    std: Callable[[], float]


@dataclass(frozen=True)
class Direction:
    """Noise on the direction of vectors in R^n, n at least 2, and what is known about it.

    Parameters
    ----------
    name, parameters, source : what it is called, its settings as pairs, paper and equation.
    turn : ``(xp, v, z, angle=None, axes=(-1,)) -> vhat``, unit vectors, in the array namespace `xp`: v are unit
        vectors, z standard normals that broadcast against v.  With `angle` (broadcasting, hence of size 1 along `axes`)
        vhat = cos(angle) v + sin(angle) phi; without, the definition in R^n, if the law has one.
    angle : ``(p, name, shape, n) -> angles e`` of `shape`, a program; its sites are ``name.angle``, or ``name.radius``
        and ``name.shift``, all of `shape`.  Each carries ``infer={"mean": a, "centre": b}``, two floats for all
        entries: every site at its mean turns by arccos(mean_cosine(n)), every site at its centre by 0; and
        ``"per_row": True``, as a layer may draw it anew for each row (`models.local`).
    law : ``(n) -> AngleLaw``, exact, of theta, the angle between v and vhat.
    mean_cosine : ``(n) -> E cos(e)``, by which noise shrinks the mean: E vhat = mean_cosine(n) v.
    draw : ``(rng, shape, n) -> angles e`` in NumPy, where an angle is how the law is defined.

    `angle`, `law`, `mean_cosine` and `draw` are None where there is none.
    """

    name: str
    parameters: tuple[tuple[str, float], ...]
    source: str
    turn: Callable[..., Any]
    angle: Callable[[PPL, str, tuple[int, ...], int], Any] | None = None
    law: Callable[[int], AngleLaw] | None = None
    mean_cosine: Callable[[int], float] | None = None
    draw: Callable[[np.random.Generator, tuple[int, ...], int], np.ndarray] | None = None

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v:g}' for k, v in self.parameters)})"


def sample(direction: Direction, v: Any, count: int, seed: int, axes: tuple[int, ...] = (-1,)) -> np.ndarray:
    """`count` draws of the direction of v, of any length: unit vectors, shape (count, *v.shape), float64.

    By the definition of each law, not through the law of its angle.  Raises ValueError for a vector of norm zero or
    with less than 2 entries, entries that are not finite, and a count that is not positive.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    v = _unit(v, "v", axes)
    n = _dimension(math.prod(v.shape[a] for a in axes))
    rng = np.random.default_rng(seed)
    angle = None
    if direction.draw is not None:
        heads = [1 if a - v.ndim in axes else size for a, size in enumerate(v.shape)]
        angle = direction.draw(rng, (count, *heads), n)
    return direction.turn(np, v, rng.standard_normal((count, *v.shape)), angle, axes)


def angle_between(v: Any, vhat: Any, axes: tuple[int, ...] = (-1,)) -> np.ndarray:
    """Angles in [0, pi], radians, between vectors of any length, `axes` gone from the shape; exact for small ones too.

    Raises ValueError for a vector of norm zero, entries that are not finite, and shapes that do not broadcast.
    """
    v, vhat = _unit(v, "v", axes), _unit(vhat, "vhat", axes)
    try:
        apart, along = _norm(np, v - vhat, axes), _norm(np, v + vhat, axes)
    except ValueError:
        raise ValueError(f"v of shape {v.shape} and vhat of shape {vhat.shape} do not broadcast") from None
    return np.squeeze(2 * np.arctan2(apart, along), axes)


@cache
def projected(alpha: float) -> Direction:
    """vhat = (v + noise) / norm, noise ~ N(0, alpha I), `alpha` a variance: the projected normal.

    sqrt(n - 1) cot(theta) ~ noncentral t with n - 1 degrees of freedom and noncentrality 1 / sqrt(alpha), so that
    P(theta > pi/2) = Phi(-1 / sqrt(alpha)): below one half, however strong the noise.
    """
    _positive("projected", alpha=alpha)
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
        _dimension(n)
        density, below = partial(_projected_pdf, n, 1 / root), partial(cdf, n)
        return AngleLaw(density, below, *_moments(lambda: _window_rule(density, below)))

    @cache
    def mean_cosine(n: int) -> float:
        half = 0.5 / alpha  # the mean of a projected normal is a confluent function; this is its integral
        _dimension(n)
        t, weight = _legendre(0, min(RIGHT, 9 / math.sqrt(half + n / 2)))
        return float(2 * math.sqrt(half / math.pi) * np.exp(-half * np.sin(t) ** 2) * np.cos(t) ** n @ weight)

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        r = _radius(p, name, shape, n, alpha, mean_cosine(n))
        z = _site(p, f"{name}.shift", p.dist.Normal(0.0, 1.0), shape, 0.0)
        return p.xp.atan2(p.xp.sqrt(alpha * r), 1 + root * z)

    return Direction(
        "projected",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 15 and 16",
        _turn("projected", lambda xp, v, z, axes: normalised(xp, v + root * z, axes)),
        angle,
        law,
        mean_cosine,
    )


@cache
def tangent(alpha: float) -> Direction:
    """vhat = (v + noise) / norm, noise ~ N(0, alpha I) in the tangent space at v: the angle stays below pi/2.

    In R^n it concentrates at arctan(sqrt(alpha (n - 1))).
    """
    _positive("tangent", alpha=alpha)
    root = math.sqrt(alpha)

    @cache
    def law(n: int) -> AngleLaw:
        from scipy.stats import chi

        _dimension(n)

        def ratio(theta: Any) -> Any:
            return np.tan(np.clip(theta, 0, RIGHT)) / root

        def pdf(theta: Any) -> Any:
            theta = np.asarray(theta, float)
            inside = (theta >= 0) & (theta < RIGHT)
            return np.where(inside, chi.pdf(ratio(theta), n - 1) * (1 + alpha * ratio(theta) ** 2) / root, 0.0)

        return AngleLaw(pdf, lambda theta: chi.cdf(ratio(theta), n - 1), *_moments(lambda: rule(n)))

    def rule(n: int) -> tuple[np.ndarray, np.ndarray]:
        radius, weight = _chi_rule(n - 1)
        return np.arctan(root * radius), weight

    @cache
    def mean_cosine(n: int) -> float:
        _dimension(n)
        theta, weight = rule(n)
        return float(np.cos(theta) @ weight)

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        return p.xp.atan(p.xp.sqrt(alpha * _radius(p, name, shape, n, alpha, mean_cosine(n))))

    return Direction(
        "tangent",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 17 to 19",
        _turn("tangent", lambda xp, v, z, axes: normalised(xp, v + root * tangent_part(xp, v, z, axes), axes)),
        angle,
        law,
        mean_cosine,
    )


@cache
def rotation_normal(alpha: float) -> Direction:
    """Rotation in a random plane by e ~ N(0, alpha) truncated to [-pi/2, pi/2]; `alpha` is the parent's variance."""
    _positive("rotation_normal", alpha=alpha)
    sd = math.sqrt(alpha)

    def rule() -> tuple[np.ndarray, np.ndarray]:
        e, weight = _legendre(0, min(RIGHT, 9 * sd))
        weight = weight * np.exp(-0.5 * (e / sd) ** 2)
        return e, weight / weight.sum()

    def law(n: int) -> AngleLaw:
        from scipy.stats import truncnorm

        _dimension(n)
        half = {"a": 0, "b": RIGHT / sd, "scale": sd}
        return AngleLaw(partial(truncnorm.pdf, **half), partial(truncnorm.cdf, **half), *_moments(rule))

    @cache
    def mean_cosine(n: int) -> float:
        _dimension(n)
        e, weight = rule()
        return float(np.cos(e) @ weight)

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        law = p.truncated_normal(0.0, sd, -RIGHT, RIGHT)
        return _site(p, f"{name}.angle", law, shape, math.acos(mean_cosine(n)))

    def draw(rng: np.random.Generator, shape: tuple[int, ...], n: int) -> np.ndarray:
        from scipy.stats import truncnorm

        return np.asarray(truncnorm.rvs(-RIGHT / sd, RIGHT / sd, scale=sd, size=shape, random_state=rng))

    return Direction(
        "rotation_normal",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 20 to 23",
        _turn("rotation_normal"),
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
    _positive("rotation_beta", alpha=alpha)

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
        _dimension(n)
        return AngleLaw(pdf, cdf, mean, lambda: math.sqrt(RIGHT**2 / (2 * alpha + 1) - mean() ** 2))

    def mean_cosine(n: int) -> float:
        _dimension(n)
        k = np.arange(1, 20)  # the series of the characteristic function of e, a Bessel function, at 1
        return 1 + float(np.cumprod(-((math.pi / 4) ** 2) / (k * (alpha - 0.5 + k))).sum())

    def angle(p: PPL, name: str, shape: tuple[int, ...], n: int) -> Any:
        law = p.dist.TransformedDistribution(p.symmetric_beta(alpha), [_stretch(p)])
        return _site(p, f"{name}.angle", law, shape, math.acos(mean_cosine(n)))

    return Direction(
        "rotation_beta",
        (("alpha", alpha),),
        "Kirichenko (2018), eqs 20 to 23",
        _turn("rotation_beta"),
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
    _positive("von_mises_fisher", kappa=kappa)

    def window(n: int) -> tuple[float, float]:
        """Twelve standard deviations of the normal approximation to each side of the mode, within [0, pi]."""
        mode = math.acos(2 * kappa / (n - 2 + math.hypot(n - 2, 2 * kappa)))
        curvature = kappa * math.cos(mode) + ((n - 2) / math.sin(mode) ** 2 if n > 2 else 0)
        reach = 12 / math.sqrt(curvature)
        return max(0.0, mode - reach), min(math.pi, mode + reach)

    @cache
    def rule(n: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Angles, their weights, and the logarithm of the constant by which the density is to be divided."""
        _dimension(n)
        theta, weight = _legendre(*window(n))
        height = _log_fisher(n, kappa, theta)
        weight = weight * np.exp(height - height.max())
        return theta, weight / weight.sum(), float(height.max() + math.log(weight.sum()))

    @cache
    def law(n: int) -> AngleLaw:
        constant = rule(n)[2]

        def pdf(theta: Any) -> Any:
            return np.exp(_log_fisher(n, kappa, theta) - constant)

        return AngleLaw(pdf, _integral(pdf, *window(n)), *_moments(lambda: rule(n)[:2]))

    @cache
    def mean_cosine(n: int) -> float:
        theta, weight, _ = rule(n)
        return float(np.cos(theta) @ weight)

    return Direction(
        "von_mises_fisher",
        (("kappa", kappa),),
        "Fisher (1953); Wood (1994), whose sampler this is",
        _turn("von_mises_fisher"),
        None,
        law,
        mean_cosine,
        lambda rng, shape, n: _fisher_angles(rng, shape, n, kappa),
    )


def anisotropic(alphas: Iterable[float]) -> Direction:
    """The projected normal with noise ~ N(0, diag(alphas)): `alphas`, one variance for each entry of a vector."""
    return _anisotropic(tuple(float(a) for a in alphas))


@cache
def _anisotropic(alphas: tuple[float, ...]) -> Direction:
    _dimension(len(alphas))
    named = {f"alpha{i}": a for i, a in enumerate(alphas)}
    _positive("anisotropic", **named)

    def raw(xp: Any, v: Any, z: Any, axes: tuple[int, ...]) -> Any:
        sizes = [v.shape[a] if a - v.ndim in axes else 1 for a in range(v.ndim)]
        if math.prod(sizes) != len(alphas):
            raise ValueError(f"anisotropic has {len(alphas)} variances for vectors of {math.prod(sizes)} entries")
        sd = xp.asarray(np.reshape(np.sqrt(alphas), sizes), dtype=v.dtype, device=getattr(v, "device", None))
        return normalised(xp, v + sd * z, axes)

    source = "Kirichenko (2018), section 3.2.1 and figure 7"
    return Direction("anisotropic", tuple(named.items()), source, _turn("anisotropic", raw, isotropic=False))


@cache
def tangent_as_released(alpha: float) -> Direction:
    """The tangent noise (eqs 17 to 19) as the code of the thesis computes it, which is another law.

    For a matrix V of unit vectors and noise E ~ N(0, alpha) of its shape, T = E - V sum(V E) and vhat = (V + T) / norm.
    The sum should be over the entries of a vector; it is over the units, hence projects next to nothing away, and the
    angle has next to the law of `projected` where the square root of the number of units is small beside that of the
    entries, as in the networks of the thesis.  The units lie along the last axis that is not among `axes`.
    """
    _positive("tangent_as_released", alpha=alpha)

    def raw(xp: Any, v: Any, z: Any, axes: tuple[int, ...]) -> Any:
        units = max((a for a in range(-v.ndim, 0) if a not in axes), default=None)
        if units is None:
            raise ValueError("tangent_as_released sums over the units: pass a matrix, whose vectors lie along `axes`")
        noise = math.sqrt(alpha) * z
        return normalised(xp, v + noise - v * xp.sum(v * noise, axis=units, keepdims=True), axes)

    source = "the code released with Kirichenko (2018)"
    return Direction(
        "tangent_as_released", (("alpha", alpha),), source, _turn("tangent_as_released", raw, isotropic=False)
    )


DIRECTIONS: dict[str, Callable[..., Direction]] = {
    f.__name__: f
    for f in (
        projected,
        tangent,
        tangent_as_released,
        rotation_normal,
        rotation_beta,
        von_mises_fisher,
        anisotropic,
    )
}


def _turn(name: str, raw: Callable[..., Any] | None = None, isotropic: bool = True) -> Callable[..., Any]:
    """`Direction.turn` from the definition ``raw(xp, v, z, axes)`` in R^n, if the law has one."""

    def turn(xp: Any, v: Any, z: Any, angle: Any = None, axes: tuple[int, ...] = (-1,)) -> Any:
        if angle is not None:
            if not isotropic:
                raise ValueError(f"{name} is not isotropic, so no angle says how it turns; leave angle out")
            return rotate(xp, v, z, angle, axes)
        if raw is None:
            raise ValueError(f"{name} is defined by its angle; pass angle=..., for instance from Direction.angle")
        return raw(xp, v, z, axes)

    return turn


def _site(p: PPL, name: str, law: Any, shape: tuple[int, ...], mean: float, centre: float = 0.0) -> Any:
    return p.sample(
        name, law.expand(shape).to_event(len(shape)), infer={"mean": mean, "centre": centre, "per_row": True}
    )


def _radius(p: PPL, name: str, shape: tuple[int, ...], n: int, alpha: float, mean_cosine: float) -> Any:
    """r ~ chi^2 of n - 1 degrees; sqrt(alpha r) is the tangent of the mean angle where r is at its "mean"."""
    mean = (1 - mean_cosine) / mean_cosine * (1 + mean_cosine) / mean_cosine / alpha
    return _site(p, f"{name}.radius", p.dist.Chi2(float(n - 1)), shape, mean)


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


def _moments(rule: Callable[[], Any]) -> tuple[Callable[[], float], Callable[[], float]]:
    """Mean and standard deviation from a rule of angles and their weights, computed when they are asked for."""

    @cache
    def both() -> tuple[float, float]:
        theta, weight = rule()
        mean = theta @ weight
        return float(mean), math.sqrt((theta - mean) ** 2 @ weight)

    return lambda: both()[0], lambda: both()[1]


def _window_rule(pdf: Callable, cdf: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Angles and weights where a smooth law has its mass, found by bisection of its cdf."""
    level = np.array([EDGE, 1 - EDGE])
    low, high = np.zeros(2), np.full(2, math.pi)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = cdf(middle) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    theta, weight = _legendre(low[0], high[1])
    return theta, weight * pdf(theta)


def _integral(pdf: Callable, low: float, high: float) -> Callable[[Any], Any]:
    """The cdf of a smooth density between `low` and `high`: integrals over 1,000 pieces, and a cubic spline between."""
    from scipy.interpolate import CubicHermiteSpline

    grid = np.linspace(low, high, 1001)
    x, weight = np.polynomial.legendre.leggauss(5)
    half = 0.5 * (grid[1] - grid[0])
    pieces = pdf(0.5 * (grid[1:] + grid[:-1])[:, None] + half * x) @ weight * half
    spline = CubicHermiteSpline(grid, np.concatenate([[0], np.cumsum(pieces)]), pdf(grid))
    return lambda theta: spline(np.clip(theta, low, high))


def _chi_rule(degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of chi and their weights: the trapezoidal rule in log(chi), exact to rounding for smooth functions."""
    from scipy.stats import chi

    log_chi = np.linspace(math.log(chi.ppf(1e-18, degrees)), math.log(chi.isf(1e-18, degrees)), NODES)
    height = degrees * log_chi - 0.5 * np.exp(2 * log_chi)
    weight = np.exp(height - height.max())
    return np.exp(log_chi), weight / weight.sum()


def _legendre(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    x, weight = np.polynomial.legendre.leggauss(NODES)
    return 0.5 * (low + high) + 0.5 * (high - low) * x, 0.5 * (high - low) * weight


def _norm(xp: Any, v: Any, axes: tuple[int, ...]) -> Any:
    return xp.sqrt(xp.sum(v * v, axis=axes, keepdims=True))


def _unit(v: Any, name: str, axes: tuple[int, ...]) -> np.ndarray:
    """Vectors along `axes` at length one, float64; raises ValueError for those that have no direction."""
    v = np.asarray(v, float)
    if v.size == 0:
        raise ValueError(f"{name} of shape {v.shape} has no entries")
    if not axes or len(set(axes)) < len(axes) or not all(-v.ndim <= a < 0 for a in axes):
        raise ValueError(f"axes of an array of shape {v.shape} are negative, such as (-1,), and differ; got {axes}")
    if not np.all(np.isfinite(v)):
        raise ValueError(f"{name} must be finite; it has NaN or infinite entries")
    size = np.max(np.abs(v), axis=axes, keepdims=True)
    if np.any(size == 0):
        raise ValueError(f"{name} has a vector of norm zero; it has no direction, so drop it or give it one")
    return normalised(np, v / size, axes)


def _dimension(n: int) -> int:
    if n < 2:
        raise ValueError(f"a direction needs vectors of at least 2 entries, got {n}")
    return n


def _positive(direction: str, **parameters: float) -> None:
    for name, value in parameters.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{direction}: {name} must be positive and finite, got {value}")
