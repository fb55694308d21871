"""Density, divergence and means of the normal law N(loc, scale^2) cut to [low, high], by quadrature.

Kirichenko (2018), section 4.1 and appendix B.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .arrays import as_arrays, constant, like, non_negative, or_zero, precision

REACH = 40.0  # the density is integrated as far as it exceeds exp(-REACH) of its largest value
FLAT = 1.0  # the log density differs from its mean by less than twice this: a power series
FLAT_TERMS = {"float32": 13, "float64": 18}  # of it
# on [-1/2, 1/2]
NODES, WEIGHTS = (
    {"float32": few / 2, "float64": many / 2}
    for few, many in zip(*map(np.polynomial.legendre.leggauss, (28, 64)), strict=True)
)


def log_prob(xp: Any, e: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """log density at `e` in [low, high]; outside it is not checked."""
    loc, scale = as_arrays(xp, loc, scale)
    nodes = _nodes(xp, loc, scale, low, high)
    d = (e - nodes.anchor) / scale
    return -d * (nodes.base + d / 2) - xp.log(scale) - xp.log(nodes.integral)


def divergence(xp: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """KL(truncated normal || uniform on [low, high]) in nats, never negative: eq 39 with C = log(high - low).

    The printed form cancels where the law is nearly uniform.  There, with r the density relative to the uniform one up
    to a factor, and E a mean under the uniform law, KL = (E[r log r] - E[r] log E[r]) / E[r]; where E log r = 0 both
    terms are sums of squares, and the second is of higher order than the first.

    Differentiable once, by `loc` and `scale`, in closed form; `low` and `high` count as constants.
    """
    loc, scale = as_arrays(xp, loc, scale)
    m, s = constant(loc), constant(scale)
    nodes = _nodes(xp, m, s, low, high)
    by_loc, by_scale = _slopes(nodes, s)
    return _divergence(xp, nodes, m, s, low, high) + by_loc * (loc - m) + by_scale * (scale - s)


def _divergence(xp: Any, nodes: "_Nodes", loc: Any, scale: Any, low: float, high: float) -> Any:
    wide = xp.log((high - low) / scale) - xp.log(nodes.integral) - nodes.mean(nodes.exponent)
    half = (high - low) / 2 / scale
    slope = ((low + high) / 2 - loc) / scale * half
    flat = (xp.abs(slope) < FLAT) & (half < FLAT)
    s = 2 * like(xp, NODES[precision(scale)], scale)
    log_r = -or_zero(xp, flat, slope)[..., None] * s - or_zero(xp, flat, half)[..., None] ** 2 / 2 * (s**2 - 1 / 3)
    weights = like(xp, WEIGHTS[precision(scale)], scale)
    excess = xp.sum(weights * _expm1(log_r), axis=-1)  # E[r] - 1
    narrow = (xp.sum(weights * _r_log_r(log_r), axis=-1) - _r_log_r(xp.log1p(excess))) / (1 + excess)
    return non_negative(xp, xp.where(flat, narrow, wide))


def _slopes(nodes: "_Nodes", scale: Any) -> tuple[Any, Any]:
    """The derivatives of the divergence, covariances of log q with the scores.

    With x = (e - loc) / scale they are -Cov(x, x^2) / (2 scale) and -Var(x^2) / (2 scale); up to constants x is the
    `offset` and x^2 / 2 the `exponent`.
    """
    centred = nodes.exponent - nodes.mean(nodes.exponent)[..., None]
    return -nodes.mean(nodes.offset * centred) / scale, -2 * nodes.mean(centred**2) / scale


def mean(xp: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """E[e]."""
    loc, scale = as_arrays(xp, loc, scale)
    nodes = _nodes(xp, loc, scale, low, high)
    return nodes.anchor + scale * nodes.mean(nodes.offset)


def mean_cosine(xp: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """E[cos e]: what turning a vector by an angle e leaves of it on average."""
    loc, scale = as_arrays(xp, loc, scale)
    nodes = _nodes(xp, loc, scale, low, high)
    return nodes.mean(xp.cos(nodes.anchor[..., None] + scale[..., None] * nodes.offset))


class _Nodes(NamedTuple):
    """Gauss-Legendre nodes over where the law has its mass, in standard deviations from its mode, on the last axis.

    anchor : the mode, the point of [low, high] nearest to loc.
    base : (anchor - loc) / scale.
    offset, exponent : d and d (base + d / 2): the density is proportional to exp(-exponent).
    weights : those of the quadrature times the density, with their sum, `integral`.
    """

    anchor: Any
    base: Any
    offset: Any
    exponent: Any
    weights: Any
    integral: Any

    def mean(self, values: Any) -> Any:
        return (self.weights * values).sum(-1) / self.integral


def _nodes(xp: Any, loc: Any, scale: Any, low: float, high: float) -> _Nodes:
    loc = loc + 0 * scale
    anchor = xp.clip(loc, low, high)
    base = (anchor - loc) / scale
    reach = 2 * REACH / (xp.abs(base) + xp.sqrt(base**2 + 2 * REACH))
    left, right = xp.maximum((low - anchor) / scale, -reach), xp.minimum((high - anchor) / scale, reach)
    offset = (left + right)[..., None] / 2 + (right - left)[..., None] * like(xp, NODES[precision(scale)], scale)
    exponent = offset * (base[..., None] + offset / 2)
    weights = (right - left)[..., None] * like(xp, WEIGHTS[precision(scale)], scale) * xp.exp(-exponent)
    return _Nodes(anchor, base, offset, exponent, weights, xp.sum(weights, axis=-1))


def _expm1(z: Any) -> Any:
    """exp(z) - 1 for abs(z) up to 2, as a power series."""
    value = 0 * z
    for n in range(FLAT_TERMS[precision(z)], 0, -1):
        value = (value + 1) * z / n
    return value


def _r_log_r(z: Any) -> Any:
    """r log r - r + 1 at r = exp(z), for abs(z) up to 2: the sum of z^n (n - 1) / n!."""
    value = 0 * z
    for n in range(FLAT_TERMS[precision(z)], 1, -1):
        value = value * z + (n - 1) / math.factorial(n)
    return value * z**2
