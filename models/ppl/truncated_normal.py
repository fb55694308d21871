"""The normal law N(loc, scale^2) cut to [low, high]: draws that can be differentiated, density, divergence, means.

The law of an angle in Kirichenko (2018), section 4.1 and appendix B.  `loc` and `scale` are those of the normal before
the cut, arrays or numbers; everything is elementwise and broadcasts.  Nothing is lost where `loc` lies far outside of
[low, high], nor where `scale` is so large that the law is nearly uniform.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .arrays import as_arrays
from .truncated_integrals import divergence, log_prob, mean
from .truncated_quantile import ppf

OTHER_ENDS = "the divergence of a truncated normal is known from the uniform law on the same interval alone"


class UnsampledTruncatedNormal(NamedTuple):
    """A truncated normal that is not yet sampled, so that every row of a minibatch can have a draw of its own.

    shape : of one draw.
    draw : ``(rows, *shape) -> draws`` of that shape, which carries the randomness of a language.
    """

    shape: tuple[int, ...]
    draw: Callable[[tuple[int, ...]], Any]

    def for_rows(self, rows: int) -> Any:
        """Draws (rows, *shape), independent between rows."""
        return self.draw((rows, *self.shape))


def truncated_normal(language: str) -> Any:
    """The class ``TruncatedNormal(loc, scale, low, high)`` of a language; `low` and `high` are numbers.

    Its divergence from ``Uniform(low, high)`` is registered.  Raises ValueError unless low < high and, where it is a
    number, scale > 0.
    """
    return _classes(language)[0]


def local_truncated_normal(language: str) -> Any:
    """The same class, but its draw is an `UnsampledTruncatedNormal`: no value until a layer asks for its rows."""
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
            self.loc, self.scale = jnp.broadcast_arrays(*as_arrays(jnp, loc, scale))
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
            return UnsampledTruncatedNormal(self.batch_shape, lambda shape: ppf(jnp, uniform(key, shape), *self._law))

    dispatcher: Any = kl_divergence  # multipledispatch's

    @dispatcher.register(TruncatedNormal, Uniform)
    def _(q: Any, p: Any) -> Any:
        concrete = not_jax_tracer(p.low) and not_jax_tracer(p.high)
        if not (concrete and _same(p.low, q.low) and _same(p.high, q.high)):
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
            self.loc, self.scale = torch.broadcast_tensors(*as_arrays(xp, loc, scale))
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
            return UnsampledTruncatedNormal(
                tuple(self.batch_shape), lambda shape: ppf(xp, uniform(self.loc, shape), *self._law)
            )

    @register_kl(TruncatedNormal, Uniform)
    def _(q: Any, p: Any) -> Any:
        if not (_same(p.low.detach().cpu(), q.low) and _same(p.high.detach().cpu(), q.high)):
            raise NotImplementedError(OTHER_ENDS)
        return divergence(xp, *q._law) + 0 * p.low

    return TruncatedNormal, LocalTruncatedNormal
