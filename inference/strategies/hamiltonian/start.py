"""Where a chain starts, and the coordinates it moves in: from the draws of a fit, or from Pathfinder."""

from typing import Any, NamedTuple

import numpy as np

from ...target.geometry.coordinates import Coordinates, with_rank
from ...target.geometry.pathfinder import DENSE, Energy, first_that_stands, for_sampler, rank
from ...target.sites import Sites
from ...target.warm_start import load

PATHFINDER, AUTO = "pathfinder", "auto"
SHRINKAGE = 5  # draws that say there is no correlation, as in Stan


class Start(NamedTuple):
    """A position u (n,) in coordinates of which the posterior is about a standard normal."""

    u: np.ndarray
    coordinates: Coordinates


def resolved(start: str | None, sites: Sites) -> str | None:
    """``auto`` as None for programs without a Hessian that can be held: whose normal is that of a path alone."""
    return None if start == AUTO and (sites.discrete or sites.size > DENSE) else start


def keeps_metric(start: str | None) -> bool:
    """Whether the warmup keeps the metric that it begins with: that of a sampler's fit."""
    return start is not None and start not in SEARCHES and bool(load(str(start)).attrs["independent_chains"])


def columns(start: str | None, mass: str, n: int) -> int:
    """How many columns the coordinates of a start have for n numbers, of which they are a standard normal."""
    if start in SEARCHES:
        return rank(n)
    return n if start and mass == "dense" else 0


def of_draws(z: np.ndarray, seed: int, dense: bool, path: str) -> Start:
    """One of the draws (chain, draw, n) in the file `path`, at random, in coordinates of their sds or covariance.

    These are about the mean of a chain, for chains may be in different modes; covariances are shrunk towards
    independence, so that those of few draws are positive definite.  Raises ValueError for draws that do not vary.
    """
    centred = (z - z.mean(axis=1, keepdims=True)).astype(np.float64).reshape(-1, z.shape[-1])
    count, n = len(centred) - len(z), z.shape[-1]
    sd = np.sqrt((centred**2).sum(axis=0) / max(count, 1))
    if not (np.isfinite(sd) & (sd > 0)).all():
        raise ValueError(f"the draws in {path} do not vary; start from a fit of nuts or of svi:guide=full_rank")
    basis, stretch = np.zeros((n, 0)), np.ones(0)
    if dense:
        scaled = centred / sd
        correlations = scaled.T @ scaled / (count + SHRINKAGE)
        np.fill_diagonal(correlations, 1.0)
        variances, basis = np.linalg.eigh(correlations)
        stretch = np.sqrt(variances)
    coordinates = Coordinates(np.zeros(n), sd, basis, stretch)
    places = z.reshape(-1, n)
    scaled = places[np.random.default_rng(seed).integers(len(places))] / sd
    return Start(scaled + basis @ ((1 / stretch - 1) * (scaled @ basis)), coordinates)


def of_pathfinder(energy: Energy, seed: int) -> Start:
    """A draw from the normal of the best path, in its coordinates (see `for_sampler`); raises ValueError if no path
    found any."""
    coordinates = for_sampler(energy, seed)
    if coordinates is None:
        raise ValueError("Pathfinder found no normal of a finite ELBO; leave start=pathfinder out")
    return _drawn(coordinates, seed)


def automatic(energy: Energy, seed: int) -> Start | None:
    """A draw from the normal of the first path whose normal can stand for the posterior, in its coordinates; None where
    there is none.

    Not that of the best of several paths: chains that begin in different modes show that there are some.
    """
    coordinates = first_that_stands(energy, seed)
    return None if coordinates is None else _drawn(coordinates, seed)


def _drawn(coordinates: Coordinates, seed: int) -> Start:
    n = coordinates.loc.size
    return Start(np.random.default_rng(seed).standard_normal(n), with_rank(np, coordinates, rank(n)))


SEARCHES = {PATHFINDER: of_pathfinder, AUTO: automatic}  # starts that are looked for, and not read from a file


def covariance(coordinates: Coordinates) -> np.ndarray:
    """The covariance (n, n) of z where u is standard normal."""
    _, diag, basis, stretch = coordinates
    root = diag[:, None] * (np.eye(diag.size) + (basis * (stretch - 1)) @ basis.T)
    return root @ root.T


def plain(xp: Any, n: int, columns: int, dtype: Any) -> Coordinates:
    """The coordinates z themselves, with a basis of so many columns that stretch nothing."""
    return Coordinates(xp.zeros(n, dtype), xp.ones(n, dtype), xp.zeros((n, columns), dtype), xp.ones(columns, dtype))
