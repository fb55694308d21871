"""Coordinates in which a posterior is about a standard normal: where guides and samplers work.

A program's latent numbers in unconstrained space, flat, are z = loc + diag * (u + basis (stretch - 1) basis' u).  The
numbers u have no units: a column in dollars and one in inches cost the same.
"""

from typing import Any, NamedTuple


class Coordinates(NamedTuple):
    """A centre and the root of a covariance, diag (I + basis (stretch^2 - 1) basis') diag.

    loc, diag : (n,).
    basis : (n, r), orthonormal columns, or zero ones of stretch 1.
    stretch : (r,), positive.
    """

    loc: Any
    diag: Any
    basis: Any
    stretch: Any


def place(coordinates: Coordinates, u: Any) -> Any:
    """z (..., n) of the numbers u (..., n)."""
    loc, diag, basis, stretch = coordinates
    return loc + diag * (u + (u @ basis * (stretch - 1)) @ basis.T)


def numbers(coordinates: Coordinates, z: Any) -> Any:
    """The numbers u (..., n) of z (..., n)."""
    loc, diag, basis, stretch = coordinates
    u = (z - loc) / diag
    return u + (u @ basis * (1 / stretch - 1)) @ basis.T


def log_volume(xp: Any, coordinates: Coordinates) -> Any:
    """The log determinant of dz / du."""
    return xp.log(coordinates.diag).sum() + xp.log(coordinates.stretch).sum()


def variances(coordinates: Coordinates) -> Any:
    """Variances (n,) of z where u is standard normal."""
    return coordinates.diag**2 * (1 + (coordinates.basis**2 * (coordinates.stretch**2 - 1)).sum(1))


def independent(coordinates: Coordinates) -> Coordinates:
    """Coordinates with no basis: each number has the sd that it has given the others (1 / root of the precision)."""
    precision = 1 + (coordinates.basis**2 * (coordinates.stretch**-2 - 1)).sum(1)
    return Coordinates(
        coordinates.loc, coordinates.diag * precision**-0.5, coordinates.basis[:, :0], coordinates.stretch[:0]
    )


def with_rank(xp: Any, coordinates: Coordinates, rank: int) -> Coordinates:
    """The same with a basis of so many columns: zero ones are added, or those that are stretched least left out."""
    loc, diag, basis, stretch = coordinates
    if (missing := rank - stretch.shape[0]) > 0:
        basis = xp.concatenate([basis, xp.zeros((loc.shape[0], missing), dtype=basis.dtype)], 1)
        return Coordinates(loc, diag, basis, xp.concatenate([stretch, xp.ones(missing, dtype=stretch.dtype)]))
    kept = xp.argsort(-abs(xp.log(stretch)))[:rank]
    return Coordinates(loc, diag, basis[:, kept], stretch[kept])
