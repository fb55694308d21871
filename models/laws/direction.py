"""Direction: noise on a unit vector v of R^n, such as the weights of one unit, or one signal, without their length.

Every isotropic law is one rotation, ``vhat = cos(e) v + sin(e) phi``: phi is uniform on the unit sphere of the tangent
space at v and independent of the angle e.  So these laws differ in e alone, and what is to be known about them (how far
they turn, how much they shrink the mean, E vhat = E cos(e) v) is known from one number on a line.  In a program e is
sampled and phi is the tangent part of a standard normal z, normalised.

The laws themselves are in `laws.directions`.

Source: Kirichenko (2018), *Bayesian methods for regularisation of neural networks*, section 3.2, equations by number.

`axes` are the axes along which a vector lies, negative: (-1,) for the rows of a matrix, which is the default, (-2,) for
its columns, (-4, -3, -2) for the kernels of a convolution (height, width, in, out).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import check_size
from ..ppl import PPL
from ..ppl.sphere import normalised, rotate

RIGHT = math.pi / 2


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
        ``"per_row": True``, as a layer may draw it anew for each row (`models.unsampled.local_reparameterisation`).
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
    n = check_dimension(math.prod(v.shape[a] for a in axes))
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


def turning(name: str, raw: Callable[..., Any] | None = None, isotropic: bool = True) -> Callable[..., Any]:
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


def angle_site(p: PPL, name: str, law: Any, shape: tuple[int, ...], mean: float, centre: float = 0.0) -> Any:
    """The site of an angle, its law expanded to `shape`; `mean` and `centre` are for a guide without noise."""
    return p.sample(
        name, law.expand(shape).to_event(len(shape)), infer={"mean": mean, "centre": centre, "per_row": True}
    )


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


def check_dimension(n: int) -> int:
    """`n` itself; raises ValueError unless vectors of so many entries have a direction."""
    if n < 2:
        raise ValueError(f"a direction needs vectors of at least 2 entries, got {n}")
    return n


def check_positive(direction: str, **parameters: float) -> None:
    """Raise ValueError unless these parameters are positive and finite."""
    for name, value in parameters.items():
        check_size(f"{direction}: {name}", value)
