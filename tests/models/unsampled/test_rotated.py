"""Weight vectors that are turned: against the formula, written out for each row, and against the exact law of phi."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.networks.layers import conv
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl.sphere import normalised, tangent
from noisezoo.models.unsampled.local_reparameterisation import Unsampled
from noisezoo.models.unsampled.rotated import Rotated
from scipy import stats

ROWS = 7


def normals(seed=0):
    return lambda shape: jax.random.normal(jax.random.key(seed), shape)


def plane(shape, flipout, seed=0):
    return Unsampled(jnp.zeros(shape), jnp.ones(shape), normals(seed), flipout)


def made(over, unit_in=6, unit_out=4, seed=0):
    """Unit vectors, normals, an angle and a magnitude for each vector and row."""
    keys = jax.random.split(jax.random.key(seed), 5)
    shape, axis = (unit_in, unit_out), -2 if over == "outputs" else -1
    v = normalised(jnp, jax.random.normal(keys[0], shape), (axis,))
    z = jax.random.normal(keys[1], shape)
    units = shape[1 if over == "outputs" else 0]
    angle = jax.random.uniform(keys[2], (ROWS, units), maxval=1.5)
    magnitude = jax.random.normal(keys[3], (ROWS, units))
    return v, z, angle, magnitude, jax.random.normal(keys[4], (ROWS, unit_in)), (axis,)


def by_hand(v, phi, angle, magnitude, axes):
    """The weights of one row."""
    wide = (lambda a: a[:, None]) if axes == (-1,) else (lambda a: a)
    return wide(magnitude) * (jnp.cos(wide(angle)) * v + jnp.sin(wide(angle)) * phi)


@pytest.mark.parametrize("over", ["outputs", "inputs"])
def test_acts_as_the_formula_says(over):
    v, z, angle, magnitude, x, axes = made(over)
    phi = normalised(jnp, tangent(jnp, v, z, axes), axes)
    np.testing.assert_allclose(jnp.sum(v * phi, axis=axes[0]), 0, atol=1e-6)
    one = Rotated(v, angle[0], z, (magnitude[0],), over)
    assert one.drawn
    np.testing.assert_allclose(one.array(), by_hand(v, phi, angle[0], magnitude[0], axes), atol=1e-6)
    np.testing.assert_allclose(one.act(x), x @ one.array(), atol=1e-5)
    each = Rotated(v, angle, z, (magnitude, 2.0), over)
    assert not each.drawn
    expected = [2 * x[i] @ by_hand(v, phi, angle[i], magnitude[i], axes) for i in range(ROWS)]
    np.testing.assert_allclose(each.act(x), jnp.stack(expected), atol=1e-5)
    still = Rotated(v, None, None, (magnitude,), over)
    expected = [x[i] @ by_hand(v, 0 * v, 0 * angle[i], magnitude[i], axes) for i in range(ROWS)]
    np.testing.assert_allclose(still.act(x), jnp.stack(expected), atol=1e-5)


@pytest.mark.parametrize("over", ["outputs", "inputs"])
def test_flipout_flips_the_normals(over):
    """Row by row: the plane z times that row's signs, before what is at right angles to v is taken."""
    v, _, angle, magnitude, x, axes = made(over)
    size = v.size
    noise = normals()((size + ROWS * sum(v.shape),))
    z, signs = noise[:size].reshape(v.shape), jnp.sign(noise[size:])
    before, after = signs[: ROWS * v.shape[0]].reshape(ROWS, -1), signs[ROWS * v.shape[0] :].reshape(ROWS, -1)
    expected = []
    for i in range(ROWS):
        flipped = before[i][:, None] * z * after[i]
        phi = normalised(jnp, tangent(jnp, v, flipped, axes), axes)
        expected.append(x[i] @ by_hand(v, phi, angle[i], magnitude[i], axes))
    found = Rotated(v, angle, plane(v.shape, True), (magnitude,), over).act(x)
    np.testing.assert_allclose(found, jnp.stack(expected), atol=1e-5)


@pytest.mark.parametrize("flipout", [False, True])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_the_law_of_a_row_is_that_of_a_uniform_plane(n, flipout):
    """x'phi / norm(t) is one coordinate of a uniform unit vector of n - 1 entries: (u + 1) / 2 ~ Beta."""
    keys = jax.random.split(jax.random.key(n), 2)
    v = normalised(jnp, jax.random.normal(keys[0], (n, 1)), (-2,))
    x = jax.random.normal(keys[1], (3, n))

    def across(seed):
        turned = Rotated(v, jnp.full((1,), 0.5 * jnp.pi), plane((n, 1), flipout)._replace(normal=seeded(seed)), (1.0,))
        return turned.act(x)[:, 0]

    def seeded(seed):
        return partial(jax.random.normal, jax.random.fold_in(keys[0], seed))

    y = jax.vmap(across)(jnp.arange(4000))
    along = x @ v[:, 0]
    u = np.asarray(y / jnp.sqrt(jnp.sum(x**2, axis=1) - along**2))
    if n == 2:
        np.testing.assert_allclose(np.quantile(np.abs(u), [0.01, 0.99]), 1, atol=5e-3)  # both ends are the only points
        assert np.all(np.abs(u.mean(axis=0)) < 0.08)
    else:
        law = stats.beta((n - 2) / 2, (n - 2) / 2)
        for row in u.T:
            assert stats.kstest((row + 1) / 2, law.cdf).pvalue > 1e-3
    if not flipout:
        assert np.all(np.abs(np.corrcoef(u.T) - np.eye(3)) < 0.08)  # rows share nothing


def test_flipout_rows_are_less_alike_than_those_of_one_plane():
    v, _, _, _, _, _ = made("outputs", 30, 1)
    x = jax.random.normal(jax.random.key(9), (2, 30)) + 1.0  # alike
    quarter = jnp.full((1,), 0.5 * jnp.pi)

    def rows(seed, flipout):
        key = jax.random.key(seed)
        z = plane((30, 1), True)._replace(normal=partial(jax.random.normal, key)) if flipout else None
        shared = jax.random.normal(key, (30, 1))
        return Rotated(v, quarter, z if flipout else shared, (1.0,)).act(x)[:, 0]

    correlation = {
        flipout: np.corrcoef(np.asarray(jax.vmap(partial(rows, flipout=flipout))(jnp.arange(2000))).T)[0, 1]
        for flipout in (True, False)
    }
    assert abs(correlation[True]) < 0.08 < 0.3 < correlation[False]


@pytest.mark.parametrize("flipout", [False, True])
def test_gradients_are_finite_where_the_input_is_zero_or_along_v(flipout):
    v, _, angle, magnitude, _, axes = made("outputs")
    x = jnp.stack([jnp.zeros(6), v[:, 0], 3 * v[:, 1]])

    def loss(base, x):
        unit = normalised(jnp, base, axes)
        return jnp.sum(Rotated(unit, angle[:3], plane(v.shape, flipout), (magnitude[:3],)).act(x) ** 2)

    for gradient in jax.grad(loss, (0, 1))(v, x):
        assert np.all(np.isfinite(gradient))


def test_a_kernel_acts_at_every_place():
    """A row has one angle and one plane for all places, as with its own kernel."""
    keys = jax.random.split(jax.random.key(1), 4)
    v = normalised(jnp, jax.random.normal(keys[0], (3, 3, 2, 5)), (-4, -3, -2))
    z, images = jax.random.normal(keys[1], v.shape), jax.random.normal(keys[2], (2, 6, 6, ROWS))
    angle = jax.random.uniform(keys[3], (ROWS, 5))
    found = conv(jnp, images, Rotated(v, angle, z, (1.5,)))
    for i in range(ROWS):
        own = Rotated(v, angle[i], z, (1.5,)).array()
        np.testing.assert_allclose(found[..., i], conv(jnp, images[..., i : i + 1], own)[..., 0], atol=1e-4)
    for flipout in (True, False):
        assert conv(jnp, images, Rotated(v, angle, plane(v.shape, flipout), (1.5,))).shape == (5, 4, 4, ROWS)


def test_columns_are_the_rows_turned_round(language):
    xp, rng = language_of(language).xp, np.random.default_rng(2)
    v, x, z, angle = (
        xp.asarray(values.astype(np.float32))
        for values in (
            rng.normal(size=(7, 3)),
            rng.normal(size=(ROWS, 2, 7)),
            rng.normal(size=(7, 3)),
            rng.random((ROWS, 3)),
        )
    )
    shared = Rotated(normalised(xp, v, (0,)), angle[0], z, (1.5 + angle[1],))
    weights = [shared, shared._replace(angle=angle), Rotated(shared.direction, None, None, (2.0,))]
    if language == "numpyro":
        weights.append(shared._replace(plane=plane(v.shape, True)))
    for weight in weights:
        found = weight.act_on_columns(xp.moveaxis(x, (0, -1), (-1, 0)))
        np.testing.assert_allclose(xp.moveaxis(found, (0, -1), (-1, 0)), weight.act(x), atol=1e-5)
