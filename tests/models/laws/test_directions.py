"""Directions: draws by their definitions against the exact laws of their angles, in NumPy and in both languages."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.laws import directions
from noisezoo.models.laws.direction import angle_between, sample
from noisezoo.models.laws.directions import DIRECTIONS
from noisezoo.models.ppl import ppl
from noisezoo.models.ppl.programs import log_joint, trace
from noisezoo.models.ppl.sphere import rotate
from noisezoo.models.views.directions import BETA, NORMAL, PROJECTED, _draw_angles
from scipy import integrate, special, stats

FIGURES = [
    *map(directions.projected, PROJECTED),
    *map(directions.tangent, PROJECTED),
    *map(directions.rotation_beta, BETA),
    *map(directions.rotation_normal, NORMAL),
    *map(directions.von_mises_fisher, (30.0, 300.0, 20_000.0)),
]
FEW = [
    directions.projected(0.3),
    directions.tangent(0.3),
    directions.rotation_beta(0.6),
    directions.rotation_beta(3.0),
    directions.rotation_normal(0.3),
    directions.von_mises_fisher(3.0),
]
PROGRAMS = [direction for direction in FEW if direction.angle]
SIZES = (2, 3, 1000)


def pvalue(angles, direction, n):
    return stats.kstest(angles, direction.law(n).cdf).pvalue


def unit_columns(rows, columns, seed=0):
    v = np.random.default_rng(seed).standard_normal((rows, columns))
    return v / np.linalg.norm(v, axis=0)


@pytest.mark.parametrize("direction", FIGURES, ids=str)
def test_draws_in_1000_dimensions_have_the_law_of_the_angle(direction):
    """10,000 draws, as in figures 11 to 14; and the test has power: they do not have the law of a neighbour."""
    angles = _draw_angles(direction, 1000, 10_000, seed=3)
    assert pvalue(angles, direction, 1000) > 1e-4
    neighbour = DIRECTIONS[direction.name](3 * direction.parameters[0][1])
    assert pvalue(angles, neighbour, 1000) < 1e-4


@pytest.mark.parametrize("n", (2, 3, 20))
@pytest.mark.parametrize("direction", FEW, ids=str)
def test_draws_in_few_dimensions(direction, n):
    angles = _draw_angles(direction, n, 10_000, seed=n)
    assert pvalue(angles, direction, n) > 1e-4
    cosine = np.cos(angles)
    assert abs(cosine.mean() - direction.mean_cosine(n)) < 4.5 * cosine.std() / 100
    assert abs(angles.mean() - direction.law(n).mean()) < 4.5 * angles.std() / 100


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("direction", FEW, ids=str)
def test_the_facts_about_a_law_agree(direction, n):
    """The pdf is the derivative of the cdf; mean, deviation and mean cosine are integrals over it, found by parts."""
    law = direction.law(n)
    mean, std = law.mean(), law.std()
    centre = np.clip(np.linspace(mean - 2 * std, mean + 2 * std, 7), 0.01, 1.5)
    step = 1e-5 * std
    np.testing.assert_allclose(
        (law.cdf(centre + step) - law.cdf(centre - step)) / (2 * step), law.pdf(centre), rtol=1e-5
    )
    assert law.cdf(0.0) == 0 and law.cdf(math.pi) == pytest.approx(1, abs=1e-12)
    assert law.pdf(-0.1) == law.pdf(3.2) == 0

    def expect(derivative):  # E g(theta) - g(0)
        inside = [p for p in (mean - 8 * std, mean, mean + 8 * std, math.pi / 2) if 0 < p < math.pi]
        survival = lambda t: derivative(t) * (1 - law.cdf(t))  # noqa: E731
        return integrate.quad(survival, 0, math.pi, points=inside, epsabs=1e-13, epsrel=1e-12, limit=400)[0]

    assert expect(lambda t: 1.0) == pytest.approx(mean, abs=1e-8)
    assert expect(lambda t: 2 * t) == pytest.approx(mean**2 + std**2, abs=1e-8)
    assert 1 - expect(np.sin) == pytest.approx(direction.mean_cosine(n), abs=1e-8)


def test_moments_of_the_figures():
    """As printed; and beyond a right angle lies Phi(-1 / sqrt(alpha)) of the projected noise, none of the tangent."""
    for alpha, mean, std in [(0.0001, 0.306, 0.0070), (0.0139, 1.309, 0.030), (0.1, 1.471, 0.031)]:
        law = directions.projected(alpha).law(1000)
        assert law.mean() == pytest.approx(mean, abs=5e-4) and law.std() == pytest.approx(std, rel=0.02)
        for n in SIZES:
            assert 1 - directions.projected(alpha).law(n).cdf(np.pi / 2) == pytest.approx(
                stats.norm.cdf(-(alpha**-0.5)), abs=1e-12
            )
    for alpha, std in [(0.0001, 0.0064), (0.0139, 0.0056), (0.1, 0.0022)]:
        assert directions.tangent(alpha).law(1000).std() == pytest.approx(std, rel=0.02)
        assert directions.tangent(alpha).law(1000).cdf(np.pi / 2) == 1
    assert np.mean(_draw_angles(directions.projected(1.0), 50, 20_000, 0) > np.pi / 2) == pytest.approx(
        stats.norm.cdf(-1), abs=0.012
    )


def test_mean_cosines_in_closed_form():
    for alpha in (1e-4, 0.0139, 0.3, 2.0):
        expected = math.exp(-alpha / 2) / special.erf(math.pi / 2 / math.sqrt(2 * alpha))
        expected *= special.erf((math.pi / 2 + 1j * alpha) / math.sqrt(2 * alpha)).real
        assert directions.rotation_normal(alpha).mean_cosine(9) == pytest.approx(expected, abs=1e-12)
    assert directions.rotation_normal(1e12).mean_cosine(2) == pytest.approx(2 / math.pi, abs=1e-11)
    assert directions.rotation_beta(1.0).mean_cosine(9) == pytest.approx(2 / math.pi, abs=1e-14)
    for alpha in (0.2, 3.2702, 1000.0):
        characteristic = stats.beta(alpha, alpha).expect(lambda b: np.cos(np.pi * (b - 0.5)))
        assert directions.rotation_beta(alpha).mean_cosine(2) == pytest.approx(characteristic, abs=1e-7)
    for kappa, n in [(0.1, 2), (5.0, 3), (300.0, 1000), (1e5, 1000)]:
        ratio = special.ive(n / 2, kappa) / special.ive(n / 2 - 1, kappa)
        assert directions.von_mises_fisher(kappa).mean_cosine(n) == pytest.approx(ratio, abs=1e-10)
    assert directions.von_mises_fisher(1e-3).mean_cosine(1000) == pytest.approx(
        1e-6, rel=1e-8
    )  # where both functions underflow
    for alpha, n in [(0.05, 2), (1.0, 3), (40.0, 8)]:
        x = 1 / (2 * alpha)
        gammas = special.gamma((n + 1) / 2) / special.gamma(n / 2 + 1)
        expected = math.sqrt(x) * gammas * special.hyp1f1(0.5, n / 2 + 1, -x)
        assert directions.projected(alpha).mean_cosine(n) == pytest.approx(expected, abs=1e-12)
        u = special.hyperu((n - 1) / 2, n / 2, x) * x ** ((n - 1) / 2)
        assert directions.tangent(alpha).mean_cosine(n) == pytest.approx(u, abs=1e-10)


def test_the_mean_of_vhat_is_shrunk():
    v = np.array([0.6, 0.0, -0.8])
    for direction in FEW:
        mean = sample(direction, v, 40_000, seed=1).mean(0)
        np.testing.assert_allclose(mean, direction.mean_cosine(3) * v, atol=0.015)


def test_the_law_of_von_mises_and_fisher_is_that_of_scipy():
    reference = stats.vonmises_fisher(np.eye(20)[0], 15.0)
    cosine = reference.rvs(5000, random_state=0)[:, 0]
    assert pvalue(np.arccos(cosine), directions.von_mises_fisher(15.0), 20) > 1e-4
    point, area = np.array([math.cos(1.1), math.sin(1.1), 0.0]), 2 * math.pi * math.sin(1.1)
    expected = stats.vonmises_fisher(np.eye(3)[0], 2.0).pdf(point) * area
    assert directions.von_mises_fisher(2.0).law(3).pdf(1.1) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("alpha", PROJECTED)
def test_the_released_tangent_noise_has_the_law_of_the_projected(alpha):
    """10,000 angles, of ten layers; the released code sums over the units of a layer where it should over entries."""
    v = unit_columns(1000, 1000)
    released, true = (
        np.concatenate(
            [
                angle_between(v, sample(make(alpha), v, 1, seed=seed, axes=(-2,)), axes=(-2,)).ravel()
                for seed in range(1, 11)
            ]
        )
        for make in (directions.tangent_as_released, directions.tangent)
    )
    assert len(released) == 10_000
    assert pvalue(released, directions.tangent(alpha), 1000) < 1e-4
    assert pvalue(released, directions.projected(alpha), 1000) > 1e-4
    assert pvalue(true, directions.tangent(alpha), 1000) > 1e-4
    assert directions.tangent_as_released(alpha).law is None


def test_in_a_small_layer_the_released_tangent_noise_has_a_law_of_its_own():
    """10 entries, 50 units: what it takes away is no longer next to nothing."""
    v, released = unit_columns(10, 50), directions.tangent_as_released(0.1)
    angles = angle_between(v, sample(released, v, 40, seed=1, axes=(-2,)), axes=(-2,)).ravel()
    assert pvalue(angles, directions.projected(0.1), 10) < 1e-6 and pvalue(angles, directions.tangent(0.1), 10) < 1e-6


def test_the_released_tangent_noise_sums_over_the_units():
    v, z = unit_columns(4, 3), np.random.default_rng(1).standard_normal((4, 3))
    expected = np.empty((4, 3))
    for j in range(3):
        for i in range(4):
            expected[i, j] = v[i, j] + 0.5 * z[i, j] - v[i, j] * sum(v[i, k] * 0.5 * z[i, k] for k in range(3))
        expected[:, j] /= np.linalg.norm(expected[:, j])
    turn = directions.tangent_as_released(0.25).turn
    np.testing.assert_allclose(turn(np, v, z, axes=(-2,)), expected, rtol=1e-12)
    np.testing.assert_allclose(turn(np, v.T, z.T, axes=(-1,)), expected.T, rtol=1e-12)


def test_anisotropic_noise_is_wide_where_its_variance_is():
    v = np.array([0.0, 0.0, 1.0])
    vhat = sample(directions.anisotropic([0.5, 0.01, 0.01]), v, 5000, seed=0)
    assert vhat[:, 0].std() > 4 * vhat[:, 1].std()
    z = np.array([0.3, -2.0, 0.7])
    expected = v + np.sqrt([0.5, 0.01, 0.01]) * z
    turn = directions.anisotropic((0.5, 0.01, 0.01)).turn
    np.testing.assert_allclose(turn(np, v, z), expected / np.linalg.norm(expected))
    columns = turn(np, np.stack([v, v], 1), z[:, None], axes=(-2,))
    np.testing.assert_allclose(columns, np.stack([turn(np, v, z)] * 2, 1))
    same = directions.anisotropic([0.2] * 3).turn(np, v, z)
    np.testing.assert_allclose(same, directions.projected(0.2).turn(np, v, z))


@pytest.mark.parametrize("n", SIZES)
def test_a_rotation_stays_on_the_sphere_and_turns_by_its_angle(n):
    rng = np.random.default_rng(n)
    v = rng.standard_normal((6, n))
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    e = np.array([-1.5, -0.3, -1e-9, 1e-5, 0.8, 3.0])[:, None]
    vhat = rotate(np, v, rng.standard_normal((6, n)), e)
    np.testing.assert_allclose(np.linalg.norm(vhat, axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(angle_between(v, vhat), np.abs(e[:, 0]), rtol=1e-6, atol=1e-15)
    for direction in FEW:  # all isotropic laws rotate alike, once the angle is given
        np.testing.assert_array_equal(direction.turn(np, v, np.ones(n), e), rotate(np, v, np.ones(n), e))


def test_the_plane_of_a_rotation_is_uniform():
    """phi has no favourite side: in R^2 both are as probable, in R^3 its angle in the tangent plane is uniform."""
    for direction in FEW:
        turned = sample(direction, np.array([0.0, 1.0]), 4000, seed=0)[:, 0]
        assert abs(np.mean(turned > 0) - 0.5) < 0.035
        x, y, _ = sample(direction, np.array([0.0, 0.0, 1.0]), 4000, seed=0).T
        assert stats.kstest(np.arctan2(x, y), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-4


def test_small_angles_are_exact():
    v = np.array([3.0, 4.0])
    for angle in (1e-5, 1.0, np.pi - 1e-9):
        assert angle_between(v, 7 * rotate(np, v / 5, np.array([1.0, 0.0]), angle)) == pytest.approx(angle, rel=1e-9)
    assert angle_between(np.array([1.0, 0.0]), np.array([9.0, 9e-15])) == pytest.approx(1e-15)  # by arccos it were 0


def test_shapes_axes_lengths_and_seeds():
    kernels = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    for direction in FEW:
        vhat = sample(direction, kernels, 7, seed=1, axes=(-4, -3, -2))
        assert vhat.shape == (7, 2, 3, 4, 5) and vhat.dtype == np.float64
        np.testing.assert_allclose((vhat**2).sum((1, 2, 3)), 1)
        assert angle_between(kernels, vhat, axes=(-4, -3, -2)).shape == (7, 5)
        flat = kernels.reshape(24, 5)
        same = sample(direction, 1e-200 * flat, 7, seed=1, axes=(-2,)).reshape(vhat.shape)
        np.testing.assert_allclose(same, vhat, rtol=1e-9)
        assert not np.any(sample(direction, kernels, 7, seed=2, axes=(-4, -3, -2)) == vhat)


def program(direction, shape, n):
    def run(x):
        p = ppl(x)
        p.deterministic("e", direction.angle(p, "w", shape, n))

    return run


def zero(language):
    return jnp.zeros(()) if language == "numpyro" else pytest.importorskip("torch").zeros(())


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "direction", [*PROGRAMS, directions.projected(0.0139), directions.rotation_normal(0.01)], ids=str
)
def test_the_program_has_the_law_of_the_angle(direction, n, language):
    """2,000 prior draws: beyond that single precision shows where the law has a pole."""
    sites = trace(program(direction, (50, 40), n), 4, zero(language))
    e = np.asarray(sites["e"]["value"], float)
    assert e.shape == (50, 40)
    assert pvalue(np.abs(e).ravel(), direction, n) > 1e-4
    assert pvalue(1.1 * np.abs(e).ravel(), direction, n) < 0.01
    if direction.draw is not None:
        assert abs(np.mean(e > 0) - 0.5) < 0.05  # both ways alike


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("direction", PROGRAMS, ids=str)
def test_sites_and_the_values_that_they_carry(direction, n, language):
    x = zero(language)
    run = program(direction, (1, 4), n)
    sites = {k: s for k, s in trace(run, 0, x).items() if s["type"] == "sample" and k.startswith("w")}
    expected = {"projected": {"w.radius", "w.shift"}, "tangent": {"w.radius"}}.get(direction.name, {"w.angle"})
    assert set(sites) == expected
    for which, angle in [("mean", math.acos(direction.mean_cosine(n))), ("centre", 0.0)]:
        values = {k: s["infer"][which] for k, s in sites.items()}
        assert all(type(value) is float for value in values.values())
        full = {k: value + 0 * sites[k]["value"] for k, value in values.items()}
        e = np.asarray(trace(run, 0, x, values=full)["e"]["value"])
        np.testing.assert_allclose(e, np.full((1, 4), angle), rtol=1e-5, atol=1e-7)
    for site in sites.values():
        assert site["fn"].event_shape == (1, 4) and site["infer"]["per_row"] is True


@pytest.mark.parametrize("direction", PROGRAMS, ids=str)
def test_the_log_joint_is_that_of_scipy_in_both_languages(direction, language):
    n, x = 5, zero(language)
    rng = np.random.default_rng(0)
    laws = {
        "w.radius": stats.chi2(n - 1),
        "w.shift": stats.norm(),
        "w.angle": direction.law(n) if direction.draw else None,
    }
    sites = [k for k in trace(program(direction, (3,), n), 0, x) if k in laws]
    values = {k: rng.uniform(0.2, 1.4, 3) for k in sites}
    expected = sum(np.log(laws[k].pdf(values[k])).sum() for k in sites)
    if direction.draw:
        expected -= 3 * math.log(2)  # the angle has a sign
    arrays = {k: x + (jnp.asarray(v) if language == "numpyro" else x.new_tensor(v)) for k, v in values.items()}
    assert float(log_joint(program(direction, (3,), n), arrays, x)) == pytest.approx(expected, rel=1e-5)


def test_a_stretched_beta_is_sampled_between_right_angles(language):
    law = trace(program(directions.rotation_beta(2.0), (3,), 4), 0, zero(language))["w.angle"]["fn"]
    if language == "numpyro":
        from numpyro.distributions import biject_to
    else:
        from torch.distributions import biject_to
    ends = biject_to(law.support)(zero(language).reshape(1) + 30.0)
    np.testing.assert_allclose(np.asarray(ends), math.pi / 2, rtol=1e-6)
    assert float(abs(biject_to(law.support)(zero(language).reshape(1)))[0]) < 1e-6


def test_draws_at_the_poles_of_a_stretched_beta_have_a_density(language):
    """In single precision draws lie on the pole; in 1,000 of them, surely."""
    run, x = program(directions.rotation_beta(0.2), (1000,), 4), zero(language)
    e = trace(run, 0, x)["e"]["value"]
    assert float(abs(e).max()) > math.pi / 2 - 1e-7
    assert math.isfinite(float(log_joint(run, {"w.angle": e}, x)))


def test_turning_is_the_same_in_both_languages(language):
    p = ppl(zero(language))
    v, z = unit_columns(4, 3, 1), np.random.default_rng(2).standard_normal((4, 3))
    e = np.array([[0.3, -1.0, 1.5]])
    convert = jnp.asarray if language == "numpyro" else pytest.importorskip("torch").as_tensor
    for direction in [*FEW, directions.tangent_as_released(0.1), directions.anisotropic([0.1, 0.2, 0.3, 0.4])]:
        angle = None if direction.mean_cosine is None else e
        expected = direction.turn(np, v, z, angle, (-2,))
        found = direction.turn(p.xp, convert(v), convert(z), None if angle is None else convert(e), (-2,))
        np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in DIRECTIONS if name != "anisotropic"])
@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_bad_parameters(name, bad):
    with pytest.raises(ValueError, match=f"{name}: .* must be positive and finite .*, got {bad}"):
        DIRECTIONS[name](bad)


def test_bad_input():
    direction = directions.projected(0.1)
    for vectors in (np.zeros(3), np.array([[1.0, 2.0], [0.0, 0.0]])):
        with pytest.raises(ValueError, match="v has a vector of norm zero"):
            sample(direction, vectors, 2, 0)
    with pytest.raises(ValueError, match="vhat has a vector of norm zero"):
        angle_between(np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match="v must be finite"):
        sample(direction, [1.0, math.nan], 2, 0)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        sample(direction, np.ones(3), 0, 0)
    with pytest.raises(ValueError, match="do not broadcast"):
        angle_between(np.ones(3), np.ones(4))
    for v, axes in [
        (np.ones(3), (0,)),
        (np.ones(3), (-2,)),
        (np.ones((3, 3)), (-1, -1)),
        (1.0, (-1,)),
        (np.ones(3), ()),
    ]:
        with pytest.raises(ValueError, match="axes of an array of shape"):
            sample(direction, v, 2, 0, axes=axes)
    with pytest.raises(ValueError, match="at least 2 entries, got 1"):
        sample(direction, np.ones((3, 1)), 2, 0)
    for direction in FEW:
        for fact in (direction.law, direction.mean_cosine):
            with pytest.raises(ValueError, match="at least 2 entries, got 1"):
                fact(1)
        if direction.draw:
            with pytest.raises(ValueError, match=f"{direction.name} is defined by its angle; pass angle"):
                direction.turn(np, np.array([1.0, 0.0]), np.ones(2))
    with pytest.raises(ValueError, match="anisotropic: alpha1 must be positive"):
        directions.anisotropic([0.1, 0.0])
    with pytest.raises(ValueError, match="at least 2 entries, got 1"):
        directions.anisotropic([0.1])
    with pytest.raises(ValueError, match="anisotropic has 2 variances for vectors of 3 entries"):
        sample(directions.anisotropic([0.1, 0.2]), np.ones(3), 2, 0)
    for direction in (directions.tangent_as_released(0.1), directions.anisotropic([0.1, 0.2])):
        with pytest.raises(ValueError, match=f"{direction.name} is not isotropic.*leave angle out"):
            direction.turn(np, np.eye(2), np.ones(2), np.ones((2, 1)))
    with pytest.raises(ValueError, match="sums over the units: pass a matrix"):
        directions.tangent_as_released(0.1).turn(np, np.array([1.0, 0.0]), np.ones(2))


def test_names():
    assert str(directions.projected(0.0139)) == "projected(alpha=0.0139)"
    assert str(directions.anisotropic([0.1, 2])) == "anisotropic(alpha0=0.1, alpha1=2)"
    assert all(make is getattr(directions, name) for name, make in DIRECTIONS.items())
    assert directions.projected(0.1) is directions.projected(0.1) and directions.anisotropic(
        [0.1, 2]
    ) is directions.anisotropic((0.1, 2.0))


def test_anisotropic_noise_under_the_transformations_of_jax():
    import jax

    def turn(v):
        return directions.anisotropic([0.1, 0.2, 0.3]).turn(jnp, v, jnp.ones(3))

    v = jnp.eye(3)
    np.testing.assert_allclose(jax.jit(jax.vmap(turn))(v), turn(v), rtol=1e-6)
    assert np.all(np.isfinite(jax.jacobian(turn)(v[0])))
