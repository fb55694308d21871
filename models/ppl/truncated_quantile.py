"""Quantiles of the normal law N(loc, scale^2) cut to [low, high], with derivatives that are finite everywhere.

Kirichenko (2018), appendix B.  Nothing is lost where `loc` lies far outside of [low, high], nor where `scale` is so
large that the law is nearly uniform.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from .arrays import as_arrays, like, non_negative, or_zero, precision

FAR = 9.0  # standard deviations from which on the tail is a continued fraction
TERMS = {"float32": 5, "float64": 12}  # of it
NARROW, NARROW_TERMS = 0.1, 10  # the log density changes by about this over [low, high] at most: a power series
NEWTON = {"float32": 2, "float64": 3}  # steps, from starts that are within a few per cent
MOST = 80.0  # an exponent, in single precision too
Z_NODES = np.cos(np.pi * (np.arange(8) + 0.5) / 8)  # Chebyshev's
V_NODES, V_POWERS = (1 + Z_NODES) / 2, np.linalg.inv(np.vander(Z_NODES))  # and from values there to a polynomial in z


def _hazard(x: Any) -> Any:
    """phi(x) / (1 - Phi(x)) for x >= FAR: a continued fraction."""
    value = x
    for n in range(TERMS[precision(x)], 0, -1):
        value = x + n / value
    return value


TAIL_FAR = math.exp(-(FAR**2) / 2) / math.sqrt(2 * math.pi) / _hazard(FAR)  # 1 - Phi(FAR)


def ppf(xp: Any, u: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """The quantile at `u` in (0, 1), within [low, high] (eq 32): a draw if `u` is uniform.

    Differentiable once, by `loc` and `scale`, through implicit formulas that are finite everywhere; `u`, `low` and
    `high` count as constants.
    """
    return _differentiable(xp)(*as_arrays(xp, u, loc, scale), low, high)


class _Solved(NamedTuple):
    """The quantile in the half where loc is left of the middle: `flip` says whether e -> -e took it there.

    a, b : the ends in standard deviations from loc, abs(a) <= b; width : b - a.
    v, complement : u and 1 - u, swapped where flipped.
    t : standard deviations from a to the quantile.
    """

    flip: Any
    a: Any
    b: Any
    width: Any
    v: Any
    complement: Any
    t: Any


def _solve(xp: Any, u: Any, loc: Any, scale: Any, low: float, high: float) -> _Solved:
    flip = loc > (low + high) / 2
    a = xp.where(flip, loc - high, low - loc) / scale
    b = xp.where(flip, loc - low, high - loc) / scale
    width = (high - low) / scale + 0 * a
    v, complement = xp.where(flip, 1 - u, u), xp.where(flip, u, 1 - u)
    narrow = (width < NARROW) & (width * b < NARROW)
    t = xp.where(narrow, width * _narrow(xp, v, or_zero(xp, narrow, a), or_zero(xp, narrow, width)), 0.0)
    t = xp.where(narrow, t, _wide(xp, v, complement, a, b, width))
    return _Solved(flip, a, b, width, v, complement, xp.clip(t, 0 * width, width))


def _narrow(xp: Any, v: Any, a: Any, width: Any) -> Any:
    """The share of the width at which the law has `v` of its mass: a polynomial in v through the exact values at nodes.

    The mass is a power series, whose terms are Hermite polynomials; Newton's method inverts it.
    """
    a, width, target = a[..., None], width[..., None], like(xp, V_NODES, a)
    terms = [0 * a + 1, -a * width]
    for n in range(1, NARROW_TERMS):
        terms.append((-a * width * terms[n] - width**2 * terms[n - 1]) / (n + 1))

    def mass(share: Any) -> Any:
        value = 0 * share
        for n in range(NARROW_TERMS, -1, -1):
            value = value * share + terms[n] / (n + 1)
        return value * share

    total, share = mass(1 + 0 * a), target + 0 * a
    for _ in range(NEWTON[precision(a)]):
        t = share * width
        share = share - (mass(share) - target * total) * xp.exp(t * (a + t / 2))
    correction, z, value = (share - target) / (target * (1 - target)), 2 * v - 1, 0 * v
    for row in V_POWERS:
        value = value * z + xp.sum(correction * like(xp, row, a), axis=-1)
    return v + v * (1 - v) * value


def _wide(xp: Any, v: Any, complement: Any, a: Any, b: Any, width: Any) -> Any:
    """Standard deviations from a to the quantile, from whichever of the two tails it is in."""
    ndtr, ndtri = _special(xp)
    lower, upper = complement * ndtr(a) + v * ndtr(b), complement * ndtr(-a) + v * ndtr(-b)
    left, far, outside = lower < 0.5, upper < TAIL_FAR, a > FAR
    quantile = ndtri(xp.where(left, lower, upper))

    def tail() -> Any:
        base = xp.where(outside, a, 0 * a + FAR)  # in what follows, shares of the tail at `base`
        beyond_b = xp.exp(-_fall(xp, base, xp.where(outside, width, 0 * a)))
        outer = xp.where(v < 0.5, xp.log1p(-v * (1 - beyond_b)), xp.log(complement + v * beyond_b))
        inner = xp.log(xp.where(far & (upper > 0), upper, 0 * upper + TAIL_FAR) / TAIL_FAR)
        return _offset(xp, base, -xp.where(outside, outer, inner)) + (base - a)

    return _unless(xp, far, xp.where(left, quantile, -quantile) - a, tail)


def _unless(xp: Any, rare: Any, value: Any, compute: Callable[[], Any]) -> Any:
    """`value`, but what `compute` makes where `rare`, which is made only if there is such a place."""
    if "jax" not in xp.__name__:
        return xp.where(rare, compute(), value) if rare.any() else value
    from jax.lax import cond

    return cond(xp.any(rare), lambda: xp.where(rare, compute(), value), lambda: value)


def _fall(xp: Any, base: Any, d: Any) -> Any:
    """log of (1 - Phi(base)) / (1 - Phi(base + d)) for base >= FAR, d >= 0."""
    return d * (base + d / 2) + xp.log(_hazard(base + d) / _hazard(base))


def _offset(xp: Any, base: Any, target: Any) -> Any:
    """The d at which `_fall` is the target, by Newton's method."""
    target, hazard = non_negative(xp, target), _hazard(base)
    d = 2 * target / (base * (1 + xp.sqrt(1 + 2 * target / base / base)))
    for _ in range(NEWTON[precision(base)]):
        new_hazard = _hazard(base + d)
        d = d - (d * (base + d / 2) + xp.log(new_hazard / hazard) - target) / new_hazard
    return d


def _gradient(xp: Any, solved: _Solved) -> tuple[Any, Any]:
    """de/dloc, between 0 and 1, and de/dscale: with xi = a + t, 1 - ((1-u) phi(a) + u phi(b)) / phi(xi) and
    xi - ((1-u) a phi(a) + u b phi(b)) / phi(xi), without the differences of nearly equal numbers."""
    to_end = solved.width - solved.t
    by_a = xp.expm1(xp.clip(solved.t * (solved.a + solved.t / 2), None, MOST))  # phi(a) / phi(xi) - 1
    by_b = xp.expm1(-non_negative(xp, to_end * (solved.b - to_end / 2)))
    by_loc = xp.clip(-solved.complement * by_a - solved.v * by_b, 0.0, 1.0)
    by_scale = solved.complement * (solved.t - solved.a * by_a) - solved.v * (to_end + solved.b * by_b)
    return by_loc, xp.where(solved.flip, -by_scale, by_scale)


def _quantile(xp: Any, solved: _Solved, scale: Any, low: float, high: float) -> Any:
    return xp.clip(xp.where(solved.flip, high - scale * solved.t, low + scale * solved.t), low, high)


@cache
def _differentiable(xp: Any) -> Callable:
    """``(u, loc, scale, low, high) -> quantile`` with its derivatives, in the way of the array library."""
    if "jax" in xp.__name__:
        return _in_jax(xp)
    if "torch" in xp.__name__:
        return _in_torch(xp)
    return lambda u, loc, scale, low, high: _quantile(xp, _solve(xp, u, loc, scale, low, high), scale, low, high)


def _in_jax(xp: Any) -> Callable:
    import jax

    @partial(jax.custom_jvp, nondiff_argnums=(3, 4))
    def quantile(u: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
        return _quantile(xp, _solve(xp, u, loc, scale, low, high), scale, low, high)

    @quantile.defjvp
    def _(low: float, high: float, primals: Any, tangents: Any) -> tuple[Any, Any]:
        u, loc, scale = primals
        solved = jax.lax.optimization_barrier(_solve(xp, u, loc, scale, low, high))  # or every use solves it again
        by_loc, by_scale = _gradient(xp, solved)
        return _quantile(xp, solved, scale, low, high), by_loc * tangents[1] + by_scale * tangents[2]

    return jax.jit(quantile, static_argnums=(3, 4))


def _in_torch(xp: Any) -> Callable:
    import torch

    class Quantile(torch.autograd.Function):
        """A quantile whose derivatives are given."""

        @staticmethod
        def forward(ctx: Any, u: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
            solved = _solve(xp, u, loc, scale, low, high)
            ctx.save_for_backward(*_gradient(xp, solved))
            ctx.shapes = loc.shape, scale.shape
            return _quantile(xp, solved, scale, low, high)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            gradients = [(grads[0] * g).sum_to_size(s) for g, s in zip(ctx.saved_tensors, ctx.shapes, strict=True)]
            return None, *gradients, None, None

    return Quantile.apply


def _special(xp: Any) -> tuple[Callable, Callable]:
    """Phi and its inverse; torch's own Phi is an erf, which loses its tail."""
    if "torch" in xp.__name__:
        from torch import special
    elif "jax" in xp.__name__:
        from jax.scipy import special
    else:
        from scipy import special
    return lambda x: special.erfc(-x / math.sqrt(2)) / 2, special.ndtri
