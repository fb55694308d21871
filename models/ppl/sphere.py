"""The direction of a vector: normalised arrays, and a law under which directions are uniform on the sphere.

A weight w = g v / norm(v) uses v through its direction alone (Salimans & Kingma 2016; Kirichenko 2018, eq 14), so the
law of the length is free.  A normal would serve, but its mode is at zero, where a point estimate would send v.  Here
the density of a vector in R^n is proportional to exp(-n log(r / r0)^2 / 2), r its norm and r0 = 0.1 sqrt(n).  It
depends on r alone, so directions are uniform; its mode is the whole sphere r = r0, so a point estimate keeps its length
while the likelihood turns it.  The volume element r^(n-1) dr makes log(r / r0) ~ N(1, 1/n).
"""

import math
from functools import cache
from typing import Any

R0 = 0.1  # r0 / sqrt(n): entries of about the size that a network starts with
TINY = 1e-30  # added to squared norms, so that derivatives are finite at zero


def normalised(xp: Any, v: Any, axes: tuple[int, ...]) -> Any:
    """v / norm(v), the norm taken along `axes`; zero vectors stay zero, with a finite derivative."""
    return v / xp.sqrt(xp.sum(v**2, axis=axes, keepdims=True) + TINY)


def tangent(xp: Any, v: Any, z: Any, axes: tuple[int, ...]) -> Any:
    """z - v (v . z): the part of `z` that is orthogonal to the unit vectors `v` along `axes` (eq 18)."""
    return z - v * xp.sum(v * z, axis=axes, keepdims=True)


def rotate(xp: Any, v: Any, z: Any, angle: Any, axes: tuple[int, ...] = (-1,)) -> Any:
    """cos(angle) v + sin(angle) phi, phi the direction of z in the tangent space at the unit vectors v (eq 23)."""
    return xp.cos(angle) * v + xp.sin(angle) * normalised(xp, tangent(xp, v, z, axes), axes)


def log_density(xp: Any, v: Any, axes: tuple[int, ...]) -> Any:
    """log p(v) of each vector along `axes`, whose axes are gone from the answer; normalised."""
    n = math.prod(v.shape[axis] for axis in axes)
    log_ratio = 0.5 * xp.log(xp.sum(v**2, axis=axes) + TINY) - math.log(R0 * math.sqrt(n))
    return -0.5 * n * log_ratio**2 - _log_normaliser(n)


def _log_normaliser(n: int) -> float:
    """log of: the area of the sphere of radius r0, times r0, times the integral of exp(n l - n l^2 / 2) over l."""
    log_area = math.log(2) + 0.5 * n * math.log(math.pi) - math.lgamma(0.5 * n)
    return log_area + n * math.log(R0 * math.sqrt(n)) + 0.5 * n + 0.5 * math.log(2 * math.pi / n)


def _vectors(xp: Any, normal: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Draws (*shape) from ``normal: shape -> standard normals``."""
    n = math.prod(shape[axis] for axis in axes)
    lengths = tuple(1 if i - len(shape) in axes else size for i, size in enumerate(shape))
    radius = R0 * math.sqrt(n) * xp.exp(1 + normal(lengths) / math.sqrt(n))
    return radius * normalised(xp, normal(shape), axes)


@cache
def uniform_direction(language: str) -> Any:
    """The class ``UniformDirection(shape, axes)`` of a language: independent vectors with uniform directions.

    shape : of the event.
    axes : those that make up one vector, negative: (-2,) for the columns of a matrix (unit_in, unit_out), (-4, -3, -2)
        for the kernels of (height, width, in, out), (-1,) for rows.  Raises ValueError if they are not axes of `shape`.

    ``log_prob`` is the sum over the vectors; draws can be differentiated only as constants, there being no parameter.
    """
    return _numpyro() if language == "numpyro" else _pyro()


def _checked(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape, axes = tuple(shape), tuple(axes)
    if not axes or len(set(axes)) < len(axes) or not all(-len(shape) <= axis < 0 for axis in axes):
        raise ValueError(f"axes must be different axes of the shape {shape}, counted from its end as -1, got {axes}")
    return shape, axes


def _numpyro() -> Any:
    import jax
    import jax.numpy as jnp
    from numpyro.distributions import Distribution, constraints

    class UniformDirection(Distribution):
        pytree_aux_fields = ("axes",)

        def __init__(self, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
            shape, self.axes = _checked(shape, axes)
            super().__init__(batch_shape=(), event_shape=shape, validate_args=False)

        @property
        def support(self) -> Any:
            return constraints.independent(constraints.real, len(self.event_shape))

        def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
            keys = iter(jax.random.split(key))
            shape = (*sample_shape, *self.event_shape)
            return _vectors(jnp, lambda shape: jax.random.normal(next(keys), shape), shape, self.axes)

        def log_prob(self, value: Any) -> Any:
            log_p = log_density(jnp, value, self.axes)
            return jnp.sum(log_p, axis=tuple(range(-(len(self.event_shape) - len(self.axes)), 0)))

    return UniformDirection


def _pyro() -> Any:
    import array_api_compat.torch as xp
    import torch
    from pyro.distributions import TorchDistribution, constraints

    class UniformDirection(TorchDistribution):
        has_rsample = True
        arg_constraints: dict = {}

        def __init__(self, shape: tuple[int, ...], axes: tuple[int, ...], batch_shape: Any = ()) -> None:
            shape, self.axes = _checked(shape, axes)
            super().__init__(torch.Size(batch_shape), torch.Size(shape), validate_args=False)

        @property
        def support(self) -> Any:  # type: ignore[override]
            return constraints.independent(constraints.real, len(self.event_shape))

        def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
            return UniformDirection(self.event_shape, self.axes, batch_shape)

        def rsample(self, sample_shape: Any = ()) -> Any:
            return _vectors(xp, torch.randn, self.shape(torch.Size(sample_shape)), self.axes)

        def log_prob(self, value: Any) -> Any:
            log_p = log_density(xp, value, self.axes)
            return xp.sum(log_p, axis=tuple(range(-(len(self.event_shape) - len(self.axes)), 0)))

    return UniformDirection
