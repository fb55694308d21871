"""Pathfinder: normals along a quasi-Newton path, of which the one with the highest ELBO is kept.

The path is SciPy's L-BFGS, for both languages, in double precision whatever the precision of the fit: in single
precision a line search among badly scaled columns ends where it began.  A normal whose Hessian can be held is then
polished by Newton's steps, as long as they raise the ELBO.

Source: Zhang, Carpenter, Gelman & Vehtari (2022), algorithms 1 to 4.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from .coordinates import Coordinates, independent, log_volume, place
from .importance import KHAT, khat

PATHS = 4
ITERATIONS, MEMORY = 1000, 12  # of L-BFGS: steps at most, and how many of them make its Hessian
FEW_ITERATIONS = 200  # for more than `DENSE` numbers, where the best normal lies long before the end of a path
DRAWS, POLISHING = 16, 64  # draws that tell the ELBO of a point of a path, and of a Newton step
POINTS = 12  # of a path that are looked at, at most
DENSE = 256  # latent numbers whose Hessian is computed
ROWS = 10_000  # that a path sees, at most: they tell the scales, and the place to a few posterior sds
LARGE = 20_000  # latent numbers beyond which there is no path
NEWTON = 20  # steps at most
SETTLED = 1e-3  # nats that a Newton step must gain to be followed by another
WEIGHTS = 512  # draws that tell whether a normal can stand for the posterior
FAR = 1e100  # nats, in place of an energy that is not finite


class Energy(NamedTuple):
    """-log p(z, y given x) of a program in double precision, z flat and unconstrained, NumPy arrays throughout.

    start : ``(path) -> z (n,)``, a random start.
    value_and_gradient : ``z (n,) -> nats, (n,)``.
    values : ``z (draws, n) -> nats (draws,)``, of `DRAWS` draws.
    hessian : ``z (n,) -> (n, n)``.
    """

    start: Callable
    value_and_gradient: Callable
    values: Callable
    hessian: Callable


class Normal(NamedTuple):
    """A normal approximation: coordinates in which it is standard normal, and its ELBO in nats."""

    coordinates: Coordinates
    elbo: float


def pathfinder(energy: Energy, seed: int, paths: int | None = None) -> list[Normal]:
    """One normal for each path that found a finite ELBO, the best one first.

    `paths` is how many there are, by default `PATHS`, and one where the Hessian is too large to polish its normal.
    """
    paths = paths or (PATHS if energy.start(0).size <= DENSE else 1)
    found = [_path(energy, np.random.default_rng([seed, path]), energy.start(path)) for path in range(paths)]
    return sorted((normal for normal in found if np.isfinite(normal.elbo)), key=lambda normal: -normal.elbo)


def for_sampler(energy: Energy, seed: int) -> Coordinates | None:
    """Coordinates for a sampler to move in: those of the best normal if it can stand for the posterior, else its place
    and the scale of each number given the others; None if there is no normal.

    The directions that a mode of a network has are not those of the posterior around it.
    """
    found = pathfinder(energy, seed)
    if not found:
        return None
    best = found[0].coordinates
    rng = np.random.default_rng([seed, len(found)])
    return best if stands_for_posterior(energy, best, rng) else independent(best)


def first_that_stands(energy: Energy, seed: int) -> Coordinates | None:
    """Coordinates of the normal of the first of `PATHS` paths that can stand for the posterior; None if none can.

    A k-hat of so few draws is known to some 0.15: each path is judged by draws of its own.
    """
    for path in range(PATHS):
        rng = np.random.default_rng([seed, path])
        found = _path(energy, rng, energy.start(path))
        if np.isfinite(found.elbo) and stands_for_posterior(energy, found.coordinates, rng):
            return found.coordinates
    return None


def stands_for_posterior(energy: Energy, coordinates: Coordinates, rng: np.random.Generator) -> bool:
    """Whether importance weights of draws of the normal could make them draws of the posterior, by their k-hat."""
    noise = rng.standard_normal((WEIGHTS, coordinates.loc.size))
    return bool(khat(_log_ratios(energy, coordinates, noise)) < KHAT)


def lowest(energy: Energy, paths: int = PATHS) -> np.ndarray:
    """The end (n,) of the path that went lowest, of so many: near a mode, if there is one."""
    ends = []
    for path in range(paths):
        first = energy.start(path)
        unit = _unit(energy.hessian(first)) if first.size <= DENSE else np.ones(first.size)
        ends.append(unit * _descent(energy, first, unit)[0][-1])
    nats = [float(energy.value_and_gradient(end)[0]) for end in ends]
    return ends[int(np.nanargmin(nats))] if np.isfinite(nats).any() else ends[0]


def rank(size: int) -> int:
    """How many columns the basis has of coordinates of so many numbers, at most."""
    return size if size <= DENSE else 2 * MEMORY


def _path(energy: Energy, rng: np.random.Generator, first: np.ndarray) -> Normal:
    """The normal of the highest ELBO along one path, polished if it is small."""
    small = first.size <= DENSE
    unit = _unit(energy.hessian(first)) if small else np.ones(first.size)
    points, gradients = _descent(energy, first, unit, ITERATIONS if small else FEW_ITERATIONS)
    noise = rng.standard_normal((DRAWS, first.size))
    best = Normal(Coordinates(first, np.ones(first.size), np.zeros((first.size, 0)), np.ones(0)), -np.inf)
    alpha = np.ones(first.size)
    looked_at = set(np.linspace(len(points) - 1, 0, POINTS).astype(int))
    for i in range(1, len(points)):
        alpha = _diagonal(alpha, points[i] - points[i - 1], gradients[i] - gradients[i - 1])
        if i in looked_at:
            window = slice(max(0, i - MEMORY), i + 1)
            local = _inverse_hessian(points[window], gradients[window], alpha)
            coordinates = local._replace(loc=unit * local.loc, diag=unit * local.diag)
            value = _elbo(energy, coordinates, noise)
            best = Normal(coordinates, value) if value > best.elbo else best
    return _polished(energy, rng, best) if small and np.isfinite(best.elbo) else best


def _descent(
    energy: Energy, first: np.ndarray, unit: np.ndarray, iterations: int = ITERATIONS
) -> tuple[np.ndarray, np.ndarray]:
    """The points (steps, n) of an L-BFGS path, in units of `unit`, and the gradients there."""
    points, gradients, seen = [], [], {}

    def value(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        nats, gradient = energy.value_and_gradient(unit * scaled)
        gradient = unit * np.asarray(gradient)
        finite = np.isfinite(nats) and np.isfinite(gradient).all()
        seen[scaled.tobytes()] = gradient
        return (float(nats), gradient) if finite else (FAR, np.zeros_like(scaled))

    def keep(scaled: np.ndarray) -> None:
        points.append(scaled.copy())
        gradients.append(seen[scaled.tobytes()])
        seen.clear()

    value(first / unit)
    keep(first / unit)
    options = {"maxiter": iterations, "maxcor": MEMORY, "ftol": 1e-11, "gtol": 1e-6, "maxls": 50}
    with threadpool_limits(1):  # threads for matrices this small wait for one another
        minimize(value, points[0], method="L-BFGS-B", jac=True, callback=keep, options=options)
    return np.array(points), np.array(gradients)


def _unit(hessian: np.ndarray) -> np.ndarray:
    """A scale for each coordinate, from the diagonal of the Hessian where the path begins."""
    curvature = np.abs(np.diagonal(hessian))
    return np.where(np.isfinite(curvature) & (curvature > 0), curvature, 1.0) ** -0.5


def _diagonal(alpha: np.ndarray, step: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The diagonal of the inverse Hessian after one more step (algorithm 3), as it was if that bends the wrong way."""
    b = turn @ step
    if not b > 1e-12 * (turn @ turn):
        return alpha
    a, c = alpha @ turn**2, (step**2 / alpha).sum()
    return 1 / (a / (b * alpha) + turn**2 / b - a * step**2 / (b * c * alpha**2))


def _inverse_hessian(points: np.ndarray, gradients: np.ndarray, alpha: np.ndarray) -> Coordinates:
    """Coordinates of the L-BFGS covariance at the last point, centred where its Newton step leads (algorithm 3)."""
    s, z = np.diff(points, axis=0), np.diff(gradients, axis=0)
    kept = (s * z).sum(1) > 1e-12 * (z**2).sum(1)
    s, z = s[kept].T, z[kept].T
    diag = np.sqrt(alpha)
    if s.shape[1] == 0:
        covariance = Coordinates(np.zeros_like(diag), diag, np.zeros((diag.size, 0)), np.ones(0))
    else:
        products = s.T @ z
        inverse = -np.linalg.pinv(np.triu(products))
        corner = inverse.T @ (z.T @ (alpha[:, None] * z) + np.diag(np.diagonal(products))) @ inverse
        gamma = np.block([[np.zeros_like(products), inverse], [inverse.T, corner]])
        q, r = np.linalg.qr(np.hstack([diag[:, None] * z, s / diag[:, None]]))
        values, vectors = np.linalg.eigh(r @ gamma @ r.T)
        covariance = Coordinates(np.zeros_like(diag), diag, q @ vectors, np.sqrt(np.maximum(1 + values, 1e-12)))
    return covariance._replace(loc=points[-1] - place(covariance, _gradient(covariance, gradients[-1])))


def _gradient(coordinates: Coordinates, gradient: np.ndarray) -> np.ndarray:
    """The gradient by u of what has this gradient by z."""
    _, diag, basis, stretch = coordinates
    scaled = diag * gradient
    return scaled + basis @ ((stretch - 1) * (scaled @ basis))


def _elbo(energy: Energy, coordinates: Coordinates, noise: np.ndarray) -> float:
    """The mean of log p - log q over draws of the normal; -inf if it is not finite."""
    value = float(np.mean(_log_ratios(energy, coordinates, noise)))
    return value if np.isfinite(value) else -np.inf


def _log_ratios(energy: Energy, coordinates: Coordinates, noise: np.ndarray) -> np.ndarray:
    """log p - log q (draws,) of the normal at the places of this noise (draws, n)."""
    with np.errstate(all="ignore"):
        draws = np.stack([place(coordinates, u) for u in noise])
        log_p = -np.concatenate([energy.values(draws[i : i + DRAWS]) for i in range(0, len(draws), DRAWS)])
        log_q = -0.5 * (noise**2).sum(1) - 0.5 * noise.shape[1] * np.log(2 * np.pi)
        return log_p - log_q + log_volume(np, coordinates)


def _polished(energy: Energy, rng: np.random.Generator, found: Normal) -> Normal:
    """The normal after Newton's steps from it, each of which raised the ELBO."""
    noise = rng.standard_normal((POLISHING, found.coordinates.loc.size))
    now = found._replace(elbo=_elbo(energy, found.coordinates, noise))
    for _ in range(NEWTON):
        coordinates = _newton(energy, now.coordinates.loc)
        if coordinates is None or not (value := _elbo(energy, coordinates, noise)) > now.elbo:
            break
        gained, now = value - now.elbo, Normal(coordinates, value)
        if gained < SETTLED:
            break
    return now


def _newton(energy: Energy, point: np.ndarray) -> Coordinates | None:
    """Coordinates of the inverse Hessian at a point, centred where the Newton step from there leads; None if it is not
    positive definite."""
    hessian = np.asarray(energy.hessian(point))
    if not np.isfinite(hessian).all():
        return None
    diag = _unit(hessian)
    values, vectors = np.linalg.eigh(diag[:, None] * hessian * diag)
    if not values[0] > 0:
        return None
    covariance = Coordinates(np.zeros_like(point), diag, vectors, values**-0.5)
    gradient = np.asarray(energy.value_and_gradient(point)[1])
    return covariance._replace(loc=point - place(covariance, _gradient(covariance, gradient)))
