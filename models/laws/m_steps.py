"""The scale that fits its weights best, in closed form: the M-step of a noise.

Let J weights share a scale, w_j ~ N(0, lambda^2 sigma0^2), and let m = sum_j E[w_j^2] / sigma0^2 under a guide.  The
M-step is the scale with the largest

    log p(lambda^k) - J log lambda - m / (2 lambda^2),

a mode, hence one that depends on the power k of lambda whose density is meant (a prior on the variance, k = 2, has
another mode than the same prior on the precision, k = -2).  Each noise uses the variable that its name puts the law
on.  Sources: Nalisnick, Hernandez-Lobato & Smyth (2019), for the inverse gamma (k = 2) and the half-Cauchy (k = 1), as
their released code has them; Kharitonov, Molchanov & Vetrov (2018), section 4, for the Gamma on a precision; the
others by the same derivative.

See ``docs/gotchas.md#a-mode-depends-on-the-variable``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class MStep(NamedTuple):
    """`update` is ``(xp, m, count) -> lambda^2``, elementwise; `power` is k, the power of lambda with a density."""

    update: Callable[[Any, Any, Any], Any]
    power: int


def inverse_gamma(a: float, b: float, power: int) -> MStep:
    """lambda^2 ~ InverseGamma(a, b): lambda^2 = (m + 2b) / (J + 2a + k); log-uniform is a = b = 0."""
    return MStep(lambda xp, m, count: (m + 2 * b) / (count + 2 * a + power), power)


def half_cauchy(scale: float) -> MStep:
    """lambda ~ HalfCauchy(scale): the positive root of (J + 2) u^2 - (m - J scale^2) u - m scale^2 in u = lambda^2."""

    def update(xp: Any, m: Any, count: Any) -> Any:
        return _root(xp, count + 2, count * scale**2 - m, m * scale**2)

    return MStep(update, 1)


def rayleigh(scale: float) -> MStep:
    """lambda ~ Rayleigh(scale): the positive root of u^2 / scale^2 + (J - 1) u - m."""
    return MStep(lambda xp, m, count: _root(xp, scale**-2, count - 1, m), 1)


def gaussian(a: float) -> MStep:
    """lambda ~ N(0, a), of either sign: the positive root of u^2 / a + J u - m."""
    return MStep(lambda xp, m, count: _root(xp, 1 / a, count, m), 1)


def uniform() -> MStep:
    """lambda ~ Uniform(0, 1): m / J, at most 1."""
    return MStep(lambda xp, m, count: xp.clip(m / count, max=1.0), 1)


def _root(xp: Any, a: float, b: Any, c: Any) -> Any:
    """The positive root u of a u^2 + b u - c, for positive a and c, without cancellation where b is large."""
    root = xp.sqrt(b**2 + 4 * a * c)
    return xp.where(b > 0, 2 * c / (root + abs(b)), (root + abs(b)) / (2 * a))
