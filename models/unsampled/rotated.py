"""Weight vectors that are turned: g (cos(e) v + sin(e) phi), of magnitude g, at the angle e from v towards phi.

v is a unit vector and phi a unit vector at right angles to it, the tangent part of standard normals z, so that it is
uniform there.  `Rotated` is such a layer of weights of which a row of a minibatch may have its own g, e and phi:

- g and e: as they multiply the pre-activations x'v and x'phi, a draw for each row costs one number per pre-activation
  (Kirichenko 2018, eqs 45 to 48, the partial local reparameterisation).
- phi by *flipout* (Wen et al. 2018): one z for the batch, with random signs of each row's own.  Signs are put on z, not
  on phi: z keeps its law, and what is then at right angles to v is uniform there, for every row.
- phi drawn for each row, exactly: x'phi = norm(t) u, where t is the part of x at right angles to v and u one coordinate
  of a uniform unit vector of n - 1 entries (the idea that section 4.2 ends with).  Student's t has the law of
  u sqrt((n - 2) / (1 - u^2)), and two normals make one (Bailey 1994).  There is then no phi at all, hence no product
  with it, and rows share no noise.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..ppl import ppl
from .action import TINY, times_columns
from .local_reparameterisation import Unsampled
from .per_row import PerRow


class Rotated(NamedTuple):
    """A weight (..., unit_in, unit_out), each of whose vectors is turned.

    direction : unit vectors v: columns, or rows for ``over="inputs"``.
    angle : e, (units,), or (rows, units) or something to draw (`for_rows`); None for v itself.
    plane : standard normals z like v, or an `Unsampled` of mean 0 and sd 1: flipout, or exact draws for each row.
    factors : what multiplies to g, each like `angle`.
    over : ``"outputs"`` if there is a vector for each output unit, ``"inputs"`` for each input unit of a dense layer.
        Rows have no exact draws of phi over inputs; flipout takes their place.
    """

    direction: Any
    angle: Any
    plane: Any
    factors: tuple[Any, ...]
    over: str = "outputs"

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.direction.shape)

    @property
    def drawn(self) -> bool:
        """Whether it is one array of weights for all rows."""
        return not isinstance(self.plane, Unsampled) and all(_is_shared(part) for part in (self.angle, *self.factors))

    def array(self) -> Any:
        """The weights, where they are `drawn`."""
        xp, wide = ppl(self.direction).xp, self._wide
        factor = math.prod(map(wide, self.factors))
        if self.angle is None:
            return factor * self.direction
        along, norm = self._of_plane(xp)
        sine = xp.sin(wide(self.angle)) / norm
        return factor * (xp.cos(wide(self.angle)) - sine * along) * self.direction + factor * sine * self.plane

    def reshape(self, shape: tuple[int, ...]) -> "Rotated":
        """A kernel as a matrix; the vectors stay what they are."""
        plane = self.plane if self.plane is None else self.plane.reshape(shape)
        return self._replace(direction=self.direction.reshape(shape), plane=plane)

    def act(self, h: Any) -> Any:
        """h @ w for activations h (rows, ..., unit_in).

        At different places of an image a row has the same g and e, and, drawn exactly, its own phi: an approximation.
        """
        rows, places = h.shape[0], h.ndim - 2

        def per_row(part: Any) -> Any:
            return part.reshape((rows, *places * (1,), -1)) if getattr(part, "ndim", 0) == 2 else part

        if self.over == "inputs":
            angle, factor = self._turn(rows, per_row)
            return self._of_inputs(ppl(h).xp, h, angle, factor)
        return self._act(h, rows, -1, lambda h, w: h @ w, per_row)

    def act_on_columns(self, h: Any) -> Any:
        """The same for activations with the rows last: (unit_in, ..., rows) to (unit_out, ..., rows).

        For images: the vectors of a kernel belong to its outputs.
        """
        places = h.ndim - 2

        def per_row(part: Any) -> Any:
            if getattr(part, "ndim", 0) == 0:
                return part
            return (part.T if part.ndim == 2 else part).reshape((part.shape[-1], *places * (1,), -1))

        return self._act(h, h.shape[-1], 0, times_columns, per_row)

    def _turn(self, rows: int, per_row: Callable) -> tuple[Any, Any]:
        """The angle and the factor; `per_row` lays out a draw for each of so many rows to go with the activations."""
        angle, *factors = (per_row(_for_rows(part, rows)) for part in (self.angle, *self.factors))
        return angle, math.prod(factors)

    def _act(self, h: Any, rows: int, units: int, times: Callable, per_row: Callable) -> Any:
        """The action on activations with their units on this axis, whose product with a weight is `times`."""
        xp, along = ppl(h).xp, times(h, self.direction)
        angle, factor = self._turn(rows, per_row)
        if angle is None:
            return factor * along
        across = self._across(xp, h, along, rows, units, times, per_row)
        return factor * (xp.cos(angle) * along + xp.sin(angle) * across)

    def _wide(self, part: Any) -> Any:
        """(units,) or (rows, units) to go with the weight."""
        return part[..., :, None] if self.over == "inputs" and getattr(part, "ndim", 0) else part

    def _of_plane(self, xp: Any) -> tuple[Any, Any]:
        """v'z and the length of what z has at right angles to v, so that phi = (z - v v'z) / length."""
        along_vectors = vector_axes(self.shape, self.over)
        along = xp.sum(self.direction * self.plane, axis=along_vectors, keepdims=True)
        return along, _length(xp, xp.sum(self.plane**2, axis=along_vectors, keepdims=True), along)

    def _across(self, xp: Any, h: Any, along: Any, rows: int, units: int, times: Callable, per_row: Callable) -> Any:
        """x'phi for each row, place and output unit, from x'v."""
        if not isinstance(self.plane, Unsampled):
            inner, norm = (per_row(part.reshape((-1,))) for part in self._of_plane(xp))
            return (times(h, self.plane) - along * inner) / norm
        if not self.plane.flipout:
            across = _length(xp, xp.sum(h**2, axis=units, keepdims=True), along)
            return across * self._coordinate(xp, tuple(along.shape))
        z, signs_in, signs_out = self._flipped(rows)
        inner = (signs_in @ (self.direction * z)) * signs_out
        norm = per_row(_length(xp, xp.sum(z**2, axis=0), inner))
        return (times(h * per_row(signs_in), z) * per_row(signs_out) - along * per_row(inner)) / norm

    def _of_inputs(self, xp: Any, h: Any, angle: Any, factor: Any) -> Any:
        if angle is None:
            return (h * factor) @ self.direction
        along, across = h * factor * xp.cos(angle), h * factor * xp.sin(angle)
        if not isinstance(self.plane, Unsampled):
            inner, norm = (part.reshape((-1,)) for part in self._of_plane(xp))
            return (along - across * inner / norm) @ self.direction + (across / norm) @ self.plane
        z, signs_in, signs_out = self._flipped(h.shape[0])
        inner = signs_in * (signs_out @ (self.direction * z).T)
        across = across / _length(xp, xp.sum(z**2, axis=-1), inner)
        return (along - across * inner) @ self.direction + ((across * signs_in) @ z) * signs_out

    def _flipped(self, rows: int) -> tuple[Any, Any, Any]:
        """Normals for the batch, and signs (rows, unit_in) and (rows, unit_out)."""
        unit_in, unit_out = self.shape
        noise = self.plane.normal((unit_in * unit_out + rows * (unit_in + unit_out),))
        z, signs = noise[: unit_in * unit_out], ppl(noise).xp.sign(noise[unit_in * unit_out :])
        signs_in, signs_out = signs[: rows * unit_in], signs[rows * unit_in :]
        return z.reshape(self.shape), signs_in.reshape((rows, unit_in)), signs_out.reshape((rows, unit_out))

    def _coordinate(self, xp: Any, shape: tuple[int, ...]) -> Any:
        """One coordinate of a uniform unit vector of n - 1 entries, an array of this shape."""
        freedom = math.prod(self.shape[:-1]) - 2
        z, z2 = self.plane.normal((2, *shape))
        if freedom == 0:
            return xp.sign(z)
        squares = z**2 + z2**2 + TINY
        spread = xp.expm1(squares / freedom) / squares
        return z * xp.sqrt(spread / (1 + z**2 * spread))


def vector_axes(shape: tuple[int, ...], over: str) -> tuple[int, ...]:
    """The axes of a weight along which its vectors lie."""
    return (-1,) if over == "inputs" else tuple(range(-len(shape), -1))


def _length(xp: Any, squares: Any, along: Any) -> Any:
    """The length of the part of a vector, of this squared length, at right angles to where it has the length `along`.

    At least a thousandth of the whole: the difference has no better precision.
    """
    return xp.sqrt(xp.maximum(squares - along**2, 1e-6 * squares) + TINY)


def _is_shared(part: Any) -> bool:
    return part is None or isinstance(part, float) or getattr(part, "ndim", 2) <= 1


def _for_rows(part: Any, rows: int) -> Any:
    """(units,), or (rows, units) if each row has its own."""
    if isinstance(part, PerRow):
        return part.scale
    return part.for_rows(rows) if hasattr(part, "for_rows") else part
