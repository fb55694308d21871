"""Coordinates, and Pathfinder on densities that are known, without a language."""

import numpy as np
import pytest
from noisezoo.inference.target.geometry.coordinates import (
    Coordinates,
    independent,
    log_volume,
    numbers,
    place,
    variances,
    with_rank,
)
from noisezoo.inference.target.geometry.pathfinder import (
    DENSE,
    MEMORY,
    Energy,
    _inverse_hessian,
    for_sampler,
    lowest,
    pathfinder,
    rank,
)


def some(n=6, r=3, seed=0):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(n, r)))[0]
    return Coordinates(rng.normal(size=n), np.exp(rng.normal(size=n)), basis, np.exp(rng.normal(size=r)))


def root(coordinates):
    _, diag, basis, stretch = coordinates
    return diag[:, None] * (np.eye(diag.size) + (basis * (stretch - 1)) @ basis.T)


def test_coordinates_are_an_affine_map():
    coordinates, u = some(), np.random.default_rng(1).normal(size=(4, 6))
    z = place(coordinates, u)
    np.testing.assert_allclose(z, coordinates.loc + u @ root(coordinates).T)
    np.testing.assert_allclose(numbers(coordinates, z), u)
    np.testing.assert_allclose(log_volume(np, coordinates), np.linalg.slogdet(root(coordinates))[1])
    covariance = root(coordinates) @ root(coordinates).T
    np.testing.assert_allclose(variances(coordinates), np.diag(covariance))
    narrow = independent(coordinates)
    np.testing.assert_allclose(narrow.diag**-2, np.diag(np.linalg.inv(covariance)))
    assert narrow.basis.shape == (6, 0)


def test_a_basis_of_another_rank():
    coordinates = some()
    more, less = with_rank(np, coordinates, 5), with_rank(np, coordinates, 2)
    np.testing.assert_allclose(root(more), root(coordinates))
    assert more.basis.shape == (6, 5) and less.basis.shape == (6, 2)
    left_out = np.argmin(np.abs(np.log(coordinates.stretch)))
    assert set(less.stretch) == set(np.delete(coordinates.stretch, left_out))


def energy(value, gradient, hessian, n):
    """An `Energy` of functions of one point, which begins at standard normal numbers."""
    return Energy(
        lambda path: np.random.default_rng(path).normal(size=n),
        lambda z: (value(z), gradient(z)),
        lambda zs: np.array([value(z) for z in zs]),
        hessian,
    )


def normal(mean, precision):
    quadratic = lambda z: 0.5 * (z - mean) @ precision @ (z - mean)  # noqa: E731
    return energy(quadratic, lambda z: precision @ (z - mean), lambda z: precision, len(mean))


def badly_scaled(n, seed=0):
    """Sds from 1e-3 to 1e4, correlations of 0.99, far from where paths begin."""
    rng = np.random.default_rng(seed)
    sd = 10.0 ** rng.uniform(-3, 4, n)
    covariance = sd[:, None] * (0.99 + 0.01 * np.eye(n)) * sd
    scaled = np.linalg.inv(covariance / np.outer(sd, sd))
    return 5 * sd * rng.normal(size=n), covariance, scaled / np.outer(sd, sd)


def test_a_badly_scaled_normal_is_found():
    mean, covariance, precision = badly_scaled(8)
    sd = np.sqrt(np.diag(covariance))
    evidence = 0.5 * np.linalg.slogdet(2 * np.pi * covariance / np.outer(sd, sd))[1] + np.log(sd).sum()
    for one in pathfinder(normal(mean, precision), 0):
        found = root(one.coordinates) / sd[:, None]
        np.testing.assert_allclose((one.coordinates.loc - mean) / sd, 0, atol=1e-3)
        np.testing.assert_allclose(found @ found.T, covariance / np.outer(sd, sd), atol=1e-3)
        assert one.elbo == pytest.approx(evidence, abs=1e-2)


def test_one_too_large_for_its_hessian_comes_close_with_a_low_rank():
    n = DENSE + 44
    variance = np.r_[np.full(3, 25.0), np.ones(n - 3)]
    found = pathfinder(normal(np.full(n, 2.0), np.diag(1 / variance)), 0, paths=2)[0]
    assert found.coordinates.basis.shape[1] <= rank(n) == 2 * MEMORY
    np.testing.assert_allclose((found.coordinates.loc - 2) / np.sqrt(variance), 0, atol=0.5)
    evidence = 0.5 * np.log(2 * np.pi * variance).sum()
    assert evidence - 4 < found.elbo < evidence  # BlackJAX's, along the same path, is 3.6 below


def test_the_factors_are_those_of_blackjax():
    """The covariance at the end of a path, of diagonal, beta and gamma as another implementation has them."""
    from blackjax.optimizers.lbfgs import lbfgs_inverse_hessian_factors, lbfgs_inverse_hessian_formula_1

    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(12, 12))
    precision = matrix @ matrix.T + np.eye(12)
    points = np.cumsum(rng.normal(size=(5, 12)), axis=0)
    gradients, alpha = points @ precision, np.exp(rng.normal(size=12))
    mine = _inverse_hessian(points, gradients, alpha)
    s, z = np.diff(points, axis=0).T, np.diff(gradients, axis=0).T
    factors = lbfgs_inverse_hessian_factors(s.astype(np.float32), z.astype(np.float32), alpha.astype(np.float32))
    theirs = np.asarray(lbfgs_inverse_hessian_formula_1(alpha.astype(np.float32), *factors))
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(root(mine) @ root(mine).T / scale, theirs / scale, atol=1e-3)


def test_a_sampler_takes_the_directions_of_a_normal_and_only_the_scales_of_what_is_none():
    mean, covariance, precision = badly_scaled(4)
    assert for_sampler(normal(mean, precision), 0).basis.shape[1] > 0
    heavy = energy(  # a Cauchy density in every coordinate
        lambda z: np.log1p(z**2).sum(),
        lambda z: 2 * z / (1 + z**2),
        lambda z: np.diag(2 * (1 - z**2) / (1 + z**2) ** 2),
        4,
    )
    assert for_sampler(heavy, 0).basis.shape[1] == 0


def test_a_pole_is_no_end_of_a_path():
    """-log p falls without end as the log scale does; the best normal along the way has a spread and is not there."""

    def value(z):
        return 20 * z[0] + 0.5 * np.exp(-2 * z[0]) * (z[1:] ** 2).sum() + 0.5 * (z[0] / 3) ** 2

    def gradient(z):
        squares = np.exp(-2 * z[0]) * z[1:] ** 2
        return np.r_[20 - squares.sum() + z[0] / 9, np.exp(-2 * z[0]) * z[1:]]

    def hessian(z):
        out, step = np.empty((21, 21)), 1e-5
        for i, e in enumerate(np.eye(21)):
            out[i] = (gradient(z + step * e) - gradient(z - step * e)) / (2 * step)
        return out

    found = pathfinder(energy(value, gradient, hessian, 21), 0)
    assert all(np.isfinite(one.elbo) for one in found)
    assert [one.elbo for one in found] == sorted((one.elbo for one in found), reverse=True)


def test_the_lowest_end_is_the_deeper_mode():
    """Two modes, at -2 and 2, the second one deeper by about 0.4."""
    value = lambda z: float(((z**2 - 4) ** 2 / 8 - 0.1 * z).sum())  # noqa: E731
    gradient = lambda z: z * (z**2 - 4) / 2 - 0.1  # noqa: E731
    ends = lowest(energy(value, gradient, lambda z: np.diag(1.5 * z**2 - 2), 1), paths=8)
    assert ends[0] == pytest.approx(2.02, abs=0.02)


def test_where_nothing_is_finite_nothing_is_found():
    nowhere = energy(lambda z: np.nan, lambda z: np.full(2, np.nan), lambda z: np.full((2, 2), np.nan), 2)
    assert pathfinder(nowhere, 0) == []
