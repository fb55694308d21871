"""The normal law N(loc, scale^2) cut to [low, high]: draws that can be differentiated, density, divergence, means.

The law of an angle in Kirichenko (2018), section 4.1 and appendix B.  `loc` and `scale` are those of the normal before
the cut, arrays or numbers; everything is elementwise and broadcasts.  Nothing is lost where `loc` lies far outside of
[low, high], nor where `scale` is so large that the law is nearly uniform.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

FAR = 9.0  # standard deviations from which on the tail is a continued fraction
TERMS = {"float32": 5, "float64": 12}  # of it
NARROW, NARROW_TERMS = 0.1, 10  # the log density changes by about this over [low, high] at most: a power series
NEWTON = {"float32": 2, "float64": 3}  # steps, from starts that are within a few per cent
REACH = 40.0  # the density is integrated as far as it exceeds exp(-REACH) of its largest value
FLAT = 1.0  # the log density differs from its mean by less than twice this: a power series
FLAT_TERMS = {"float32": 13, "float64": 18}  # of it
MOST = 80.0  # an exponent, in single precision too
Z_NODES = np.cos(np.pi * (np.arange(8) + 0.5) / 8)  # Chebyshev's
V_NODES, V_POWERS = (1 + Z_NODES) / 2, np.linalg.inv(np.vander(Z_NODES))  # and from values there to a polynomial in z
OTHER_ENDS = "the divergence of a truncated normal is known from the uniform law on the same interval alone"
# on [-1/2, 1/2]
NODES, WEIGHTS = (
    {"float32": few / 2, "float64": many / 2}
    for few, many in zip(*map(np.polynomial.legendre.leggauss, (28, 64)), strict=True)
)


def _hazard(x: Any) -> Any:
    """phi(x) / (1 - Phi(x)) for x >= FAR: a continued fraction."""
    value = x
    for n in range(TERMS[_precision(x)], 0, -1):
        value = x + n / value
    return value


def _precision(x: Any) -> str:
    """The name of the floating-point type of an array, or of a Python number."""
    return "float32" if "float32" in str(getattr(x, "dtype", "")) else "float64"


TAIL_FAR = math.exp(-(FAR**2) / 2) / math.sqrt(2 * math.pi) / _hazard(FAR)  # 1 - Phi(FAR)


def ppf(xp: Any, u: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """The quantile at `u` in (0, 1), within [low, high] (eq 32): a draw if `u` is uniform.

    Differentiable once, by `loc` and `scale`, through implicit formulas that are finite everywhere; `u`, `low` and
    `high` count as constants.
    """
    return _differentiable(xp)(*_arrays(xp, u, loc, scale), low, high)


def log_prob(xp: Any, e: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """log density at `e` in [low, high]; outside it is not checked."""
    loc, scale = _arrays(xp, loc, scale)
    at = _nodes(xp, loc, scale, low, high)
    d = (e - at.anchor) / scale
    return -d * (at.base + d / 2) - xp.log(scale) - xp.log(at.integral)


def divergence(xp: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """KL(truncated normal || uniform on [low, high]) in nats, never negative: eq 39 with C = log(high - low).

    The printed form cancels where the law is nearly uniform.  There, with r the density relative to the uniform one up
    to a factor, and E a mean under the uniform law, KL = (E[r log r] - E[r] log E[r]) / E[r]; where E log r = 0 both
    terms are sums of squares, and the second is of higher order than the first.

    Differentiable once, by `loc` and `scale`, in closed form; `low` and `high` count as constants.
    """
    loc, scale = _arrays(xp, loc, scale)
    m, s = _constant(loc), _constant(scale)
    at = _nodes(xp, m, s, low, high)
    by_loc, by_scale = _slopes(at, s)
    return _divergence(xp, at, m, s, low, high) + by_loc * (loc - m) + by_scale * (scale - s)


def _divergence(xp: Any, at: "_Nodes", loc: Any, scale: Any, low: float, high: float) -> Any:
    wide = xp.log((high - low) / scale) - xp.log(at.integral) - at.mean(at.exponent)
    half = (high - low) / 2 / scale
    slope = ((low + high) / 2 - loc) / scale * half
    flat = (xp.abs(slope) < FLAT) & (half < FLAT)
    s = 2 * _like(xp, NODES[_precision(scale)], scale)
    log_r = -_or_zero(xp, flat, slope)[..., None] * s - _or_zero(xp, flat, half)[..., None] ** 2 / 2 * (s**2 - 1 / 3)
    weights = _like(xp, WEIGHTS[_precision(scale)], scale)
    excess = xp.sum(weights * _expm1(log_r), axis=-1)  # E[r] - 1
    narrow = (xp.sum(weights * _r_log_r(log_r), axis=-1) - _r_log_r(xp.log1p(excess))) / (1 + excess)
    return _positive(xp, xp.where(flat, narrow, wide))


def _slopes(at: "_Nodes", scale: Any) -> tuple[Any, Any]:
    """The derivatives of the divergence, covariances of log q with the scores.

    With x = (e - loc) / scale they are -Cov(x, x^2) / (2 scale) and -Var(x^2) / (2 scale); up to constants x is the
    `offset` and x^2 / 2 the `exponent`.
    """
    bend = at.exponent - at.mean(at.exponent)[..., None]
    return -at.mean(at.offset * bend) / scale, -2 * at.mean(bend**2) / scale


def mean(xp: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """E[e]."""
    loc, scale = _arrays(xp, loc, scale)
    at = _nodes(xp, loc, scale, low, high)
    return at.anchor + scale * at.mean(at.offset)


def mean_cosine(xp: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
    """E[cos e]: what turning a vector by an angle e leaves of it on average."""
    loc, scale = _arrays(xp, loc, scale)
    at = _nodes(xp, loc, scale, low, high)
    return at.mean(xp.cos(at.anchor[..., None] + scale[..., None] * at.offset))


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
    offset = (left + right)[..., None] / 2 + (right - left)[..., None] * _like(xp, NODES[_precision(scale)], scale)
    exponent = offset * (base[..., None] + offset / 2)
    weights = (right - left)[..., None] * _like(xp, WEIGHTS[_precision(scale)], scale) * xp.exp(-exponent)
    return _Nodes(anchor, base, offset, exponent, weights, xp.sum(weights, axis=-1))


def _expm1(z: Any) -> Any:
    """exp(z) - 1 for abs(z) up to 2, as a power series."""
    value = 0 * z
    for n in range(FLAT_TERMS[_precision(z)], 0, -1):
        value = (value + 1) * z / n
    return value


def _r_log_r(z: Any) -> Any:
    """r log r - r + 1 at r = exp(z), for abs(z) up to 2: the sum of z^n (n - 1) / n!."""
    value = 0 * z
    for n in range(FLAT_TERMS[_precision(z)], 1, -1):
        value = value * z + (n - 1) / math.factorial(n)
    return value * z**2


class _Solved(NamedTuple):
    """The quantile in the half where loc is left of the middle: `flip` says whether e -> -e took it there.

    a, b : the ends in standard deviations from loc, abs(a) <= b; width : b - a.
    v, rest : u and 1 - u, swapped where flipped.
    t : standard deviations from a to the quantile.
    """

    flip: Any
    a: Any
    b: Any
    width: Any
    v: Any
    rest: Any
    t: Any


def _solve(xp: Any, u: Any, loc: Any, scale: Any, low: float, high: float) -> _Solved:
    flip = loc > (low + high) / 2
    a = xp.where(flip, loc - high, low - loc) / scale
    b = xp.where(flip, loc - low, high - loc) / scale
    width = (high - low) / scale + 0 * a
    v, rest = xp.where(flip, 1 - u, u), xp.where(flip, u, 1 - u)
    narrow = (width < NARROW) & (width * b < NARROW)
    t = xp.where(narrow, width * _narrow(xp, v, _or_zero(xp, narrow, a), _or_zero(xp, narrow, width)), 0.0)
    t = xp.where(narrow, t, _wide(xp, v, rest, a, b, width))
    return _Solved(flip, a, b, width, v, rest, xp.clip(t, 0 * width, width))


def _narrow(xp: Any, v: Any, a: Any, width: Any) -> Any:
    """The share of the width at which the law has `v` of its mass: a polynomial in v through the exact values at nodes.

    The mass is a power series, whose terms are Hermite polynomials; Newton's method inverts it.
    """
    a, width, wanted = a[..., None], width[..., None], _like(xp, V_NODES, a)
    terms = [0 * a + 1, -a * width]
    for n in range(1, NARROW_TERMS):
        terms.append((-a * width * terms[n] - width**2 * terms[n - 1]) / (n + 1))

    def mass(share: Any) -> Any:
        value = 0 * share
        for n in range(NARROW_TERMS, -1, -1):
            value = value * share + terms[n] / (n + 1)
        return value * share

    whole, share = mass(1 + 0 * a), wanted + 0 * a
    for _ in range(NEWTON[_precision(a)]):
        t = share * width
        share = share - (mass(share) - wanted * whole) * xp.exp(t * (a + t / 2))
    bend, z, value = (share - wanted) / (wanted * (1 - wanted)), 2 * v - 1, 0 * v
    for row in V_POWERS:
        value = value * z + xp.sum(bend * _like(xp, row, a), axis=-1)
    return v + v * (1 - v) * value


def _wide(xp: Any, v: Any, rest: Any, a: Any, b: Any, width: Any) -> Any:
    """Standard deviations from a to the quantile, from whichever of the two tails it is in."""
    ndtr, ndtri = _special(xp)
    lower, upper = rest * ndtr(a) + v * ndtr(b), rest * ndtr(-a) + v * ndtr(-b)
    left, far, outside = lower < 0.5, upper < TAIL_FAR, a > FAR
    quantile = ndtri(xp.where(left, lower, upper))

    def tail() -> Any:
        base = xp.where(outside, a, 0 * a + FAR)  # in what follows, shares of the tail at `base`
        beyond_b = xp.exp(-_fall(xp, base, xp.where(outside, width, 0 * a)))
        outer = xp.where(v < 0.5, xp.log1p(-v * (1 - beyond_b)), xp.log(rest + v * beyond_b))
        inner = xp.log(xp.where(far & (upper > 0), upper, 0 * upper + TAIL_FAR) / TAIL_FAR)
        return _offset(xp, base, -xp.where(outside, outer, inner)) + (base - a)

    return _unless(xp, far, xp.where(left, quantile, -quantile) - a, tail)


def _unless(xp: Any, rare: Any, value: Any, other: Callable[[], Any]) -> Any:
    """`value`, but what `other` makes where `rare`, which is made only if there is such a place."""
    if "jax" not in xp.__name__:
        return xp.where(rare, other(), value) if rare.any() else value
    from jax.lax import cond

    return cond(xp.any(rare), lambda: xp.where(rare, other(), value), lambda: value)


def _fall(xp: Any, base: Any, d: Any) -> Any:
    """log of (1 - Phi(base)) / (1 - Phi(base + d)) for base >= FAR, d >= 0."""
    return d * (base + d / 2) + xp.log(_hazard(base + d) / _hazard(base))


def _offset(xp: Any, base: Any, target: Any) -> Any:
    """The d at which `_fall` is the target, by Newton's method."""
    target, here = _positive(xp, target), _hazard(base)
    d = 2 * target / (base * (1 + xp.sqrt(1 + 2 * target / base / base)))
    for _ in range(NEWTON[_precision(base)]):
        there = _hazard(base + d)
        d = d - (d * (base + d / 2) + xp.log(there / here) - target) / there
    return d


def _gradient(xp: Any, at: _Solved) -> tuple[Any, Any]:
    """de/dloc, between 0 and 1, and de/dscale: with xi = a + t, 1 - ((1-u) phi(a) + u phi(b)) / phi(xi) and
    xi - ((1-u) a phi(a) + u b phi(b)) / phi(xi), without the differences of nearly equal numbers."""
    to_end = at.width - at.t
    by_a = xp.expm1(xp.clip(at.t * (at.a + at.t / 2), None, MOST))  # phi(a) / phi(xi) - 1
    by_b = xp.expm1(-_positive(xp, to_end * (at.b - to_end / 2)))
    by_loc = xp.clip(-at.rest * by_a - at.v * by_b, 0.0, 1.0)
    by_scale = at.rest * (at.t - at.a * by_a) - at.v * (to_end + at.b * by_b)
    return by_loc, xp.where(at.flip, -by_scale, by_scale)


def _quantile(xp: Any, at: _Solved, scale: Any, low: float, high: float) -> Any:
    return xp.clip(xp.where(at.flip, high - scale * at.t, low + scale * at.t), low, high)


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
    def known(u: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
        return _quantile(xp, _solve(xp, u, loc, scale, low, high), scale, low, high)

    @known.defjvp
    def _(low: float, high: float, at: Any, d: Any) -> tuple[Any, Any]:
        u, loc, scale = at
        solved = jax.lax.optimization_barrier(_solve(xp, u, loc, scale, low, high))  # or every use solves it again
        by_loc, by_scale = _gradient(xp, solved)
        return _quantile(xp, solved, scale, low, high), by_loc * d[1] + by_scale * d[2]

    return jax.jit(known, static_argnums=(3, 4))


def _in_torch(xp: Any) -> Callable:
    import torch

    class Known(torch.autograd.Function):
        """A quantile whose derivatives are given."""

        @staticmethod
        def forward(ctx: Any, u: Any, loc: Any, scale: Any, low: float, high: float) -> Any:
            solved = _solve(xp, u, loc, scale, low, high)
            ctx.save_for_backward(*_gradient(xp, solved))
            ctx.shapes = loc.shape, scale.shape
            return _quantile(xp, solved, scale, low, high)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            found = [(grads[0] * g).sum_to_size(s) for g, s in zip(ctx.saved_tensors, ctx.shapes, strict=True)]
            return None, *found, None, None

    return Known.apply


class TruncatedRows(NamedTuple):
    """A truncated normal that is not yet sampled, so that every row of a minibatch can have a draw of its own.

    loc, scale : arrays of one shape.
    low, high : the ends.
    uniform : ``shape -> uniforms in (0, 1)``, which carries the randomness of a language.
    """

    loc: Any
    scale: Any
    low: float
    high: float
    uniform: Callable[[tuple[int, ...]], Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.loc.shape)

    def for_rows(self, rows: int) -> Any:
        """Draws (rows, *shape), independent between rows."""
        from .ppl import ppl  # which imports this file

        return ppf(ppl(self.loc).xp, self.uniform((rows, *self.shape)), *self[:-1])


def truncated_normal(language: str) -> Any:
    """The class ``TruncatedNormal(loc, scale, low, high)`` of a language; `low` and `high` are numbers.

    Its divergence from ``Uniform(low, high)`` is registered.  Raises ValueError unless low < high and, where it is a
    number, scale > 0.
    """
    return _classes(language)[0]


def local_truncated_normal(language: str) -> Any:
    """The same class, except that its draw is a `TruncatedRows`: there is no value until a layer asks for its rows."""
    return _classes(language)[1]


@cache
def _classes(language: str) -> tuple[Any, Any]:
    return _numpyro() if language == "numpyro" else _pyro()


def _check(scale: Any, low: Any, high: Any) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"truncated_normal: low must be less than high, both finite, got {low} and {high}")
    if isinstance(scale, (int, float)) and not scale > 0:
        raise ValueError(f"truncated_normal: scale must be positive, got {scale}")
    return float(low), float(high)


def _same(end: Any, number: float) -> bool:
    """Whether an end is this number, as far as single precision can tell."""
    return bool(np.all(np.abs(np.asarray(end) - number) <= 1e-6 * abs(number)))


def _numpyro() -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp
    from numpyro.distributions import Distribution, Uniform, constraints
    from numpyro.distributions.kl import kl_divergence
    from numpyro.util import not_jax_tracer

    def uniform(key: Any, shape: tuple[int, ...]) -> Any:
        dtype = jnp.result_type(float)
        return jax.random.uniform(key, shape, dtype) + jnp.finfo(dtype).eps / 2  # in the middle of its steps

    class TruncatedNormal(Distribution):
        in_one_pass = True  # so that a guide gives it a quick key
        arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
        reparametrized_params = ["loc", "scale"]
        pytree_aux_fields = ("low", "high")

        def __init__(self, loc: Any, scale: Any, low: float, high: float, *, validate_args: bool | None = None) -> None:
            self.low, self.high = _check(scale, low, high)
            self.loc, self.scale = jnp.broadcast_arrays(*_arrays(jnp, loc, scale))
            super().__init__(batch_shape=jnp.shape(self.loc), validate_args=validate_args)

        @property
        def support(self) -> Any:
            return constraints.interval(self.low, self.high)

        @property
        def _law(self) -> tuple[Any, Any, float, float]:
            return self.loc, self.scale, self.low, self.high

        def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
            return ppf(jnp, uniform(key, (*sample_shape, *self.batch_shape)), *self._law)

        def log_prob(self, value: Any) -> Any:
            return log_prob(jnp, value, *self._law)

        @property
        def mean(self) -> Any:
            return mean(jnp, *self._law)

    class LocalTruncatedNormal(TruncatedNormal):
        def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
            return TruncatedRows(*self._law, partial(uniform, key))

    dispatcher: Any = kl_divergence  # multipledispatch's

    @dispatcher.register(TruncatedNormal, Uniform)
    def _(q: Any, p: Any) -> Any:
        known = not_jax_tracer(p.low) and not_jax_tracer(p.high)
        if not (known and _same(p.low, q.low) and _same(p.high, q.high)):
            raise NotImplementedError(OTHER_ENDS)
        return divergence(jnp, *q._law) + 0 * jnp.asarray(p.low)

    return TruncatedNormal, LocalTruncatedNormal


def _pyro() -> tuple[Any, Any]:
    import array_api_compat.torch as xp
    import torch
    from pyro.distributions import TorchDistribution, Uniform, constraints
    from torch.distributions import register_kl

    def uniform(like: Any, shape: tuple[int, ...]) -> Any:
        eps = torch.finfo(like.dtype).eps
        return torch.rand(shape, dtype=like.dtype, device=like.device).clamp(eps / 4, 1 - eps / 2)

    class TruncatedNormal(TorchDistribution):
        has_rsample = True
        arg_constraints: Any = {"loc": constraints.real, "scale": constraints.positive}

        def __init__(self, loc: Any, scale: Any, low: float, high: float, validate_args: bool | None = None) -> None:
            self.low, self.high = _check(scale, low, high)
            self.loc, self.scale = torch.broadcast_tensors(*_arrays(xp, loc, scale))
            super().__init__(self.loc.shape, validate_args=validate_args)

        @constraints.dependent_property(is_discrete=False, event_dim=0)
        def support(self) -> Any:  # type: ignore[override]
            return constraints.interval(self.low, self.high)

        @property
        def _law(self) -> tuple[Any, Any, float, float]:
            return self.loc, self.scale, self.low, self.high

        def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
            loc, scale = self.loc.expand(batch_shape), self.scale.expand(batch_shape)
            return type(self)(loc, scale, self.low, self.high, validate_args=False)

        def rsample(self, sample_shape: Any = ()) -> Any:
            return ppf(xp, uniform(self.loc, self.shape(torch.Size(sample_shape))), *self._law)

        def log_prob(self, value: Any) -> Any:
            return log_prob(xp, value, *self._law)

        @property
        def mean(self) -> Any:  # type: ignore[override]
            return mean(xp, *self._law)

    class LocalTruncatedNormal(TruncatedNormal):
        def rsample(self, sample_shape: Any = ()) -> Any:
            return TruncatedRows(*self._law, partial(uniform, self.loc))

    @register_kl(TruncatedNormal, Uniform)
    def _(q: Any, p: Any) -> Any:
        if not (_same(p.low.detach().cpu(), q.low) and _same(p.high.detach().cpu(), q.high)):
            raise NotImplementedError(OTHER_ENDS)
        return divergence(xp, *q._law) + 0 * p.low

    return TruncatedNormal, LocalTruncatedNormal


def _special(xp: Any) -> tuple[Callable, Callable]:
    """Phi and its inverse; torch's own Phi is an erf, which loses its tail."""
    if "torch" in xp.__name__:
        from torch import special
    elif "jax" in xp.__name__:
        from jax.scipy import special
    else:
        from scipy import special
    return lambda x: special.erfc(-x / math.sqrt(2)) / 2, special.ndtri


def _arrays(xp: Any, *values: Any) -> list[Any]:
    """Numbers as arrays, in the precision of those values that are arrays."""
    dtype = next((v.dtype for v in values if hasattr(v, "dtype")), None)
    return [v if hasattr(v, "dtype") else xp.asarray(float(v), dtype=dtype) for v in values]


def _like(xp: Any, values: Any, array: Any) -> Any:
    """`values` in the precision, and on the device, of an array."""
    return array.new_tensor(values) if hasattr(array, "new_tensor") else xp.asarray(values, dtype=array.dtype)


def _constant(value: Any) -> Any:
    """The value, to be differentiated no further."""
    if hasattr(value, "detach"):
        return value.detach()
    if isinstance(value, np.ndarray | np.generic):
        return value
    from jax.lax import stop_gradient

    return stop_gradient(value)


def _or_zero(xp: Any, where: Any, value: Any) -> Any:
    return xp.where(where, value, 0 * value)


def _positive(xp: Any, value: Any) -> Any:
    return xp.clip(value, 0.0, None)
