"""The truncated normal: against SciPy, against defining integrals, and at the far ends in single precision."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl import truncated_integrals, truncated_normal, truncated_quantile
from scipy import stats
from scipy.integrate import quad
from scipy.special import wofz

LOW, HIGH = 0.0, math.pi / 2
ENDS = (LOW, HIGH)
SCALES = np.logspace(-3, 2, 6)
DISTANCES = (-30.0, -9.1, -8.9, -3.0, -0.5, 0.0, 0.5, 3.0, 8.9, 9.1, 30.0)  # of loc from an end, in scales
LOC, SCALE = np.array([(end + z * s, s) for s in SCALES for z in DISTANCES for end in ENDS]).T
FAR = np.array(
    [(at + z * s, s) for s in (1e-4, 1e-2, 1.0, 1e2, 1e4) for z in (-50, -5, 0, 0.5, 5, 50) for at in (0, 1, HIGH)]
    + [(z, s) for s in (1e-4, 1e4) for z in (-50.0, 50.0)],
    np.float32,
).T


def scipys(loc, scale):
    return stats.truncnorm((LOW - loc) / scale, (HIGH - loc) / scale, loc, scale)


def expectation(f, loc, scale):
    """E f(e) by SciPy's quadrature over where the density is."""
    at = np.clip(loc, LOW, HIGH)

    def density(e):
        return math.exp(-(e - at) / scale**2 * (at - loc + (e - at) / 2))

    ends = max(LOW, at - 12 * scale), min(HIGH, at + 12 * scale)
    base = abs(at - loc) / scale
    parts = [x for x in (at - scale / (1 + base), at + scale / (1 + base)) if ends[0] < x < ends[1]]
    points = [ends[0], *parts, ends[1]]

    def whole(g):
        return sum(
            quad(g, a, b, epsabs=0, epsrel=1e-12, limit=200)[0] for a, b in zip(points, points[1:], strict=False)
        )

    return whole(lambda e: density(e) * f(e)) / whole(density)


def test_quantiles_are_scipys():
    u = np.array([1e-3, 0.1, 0.4, 0.5, 0.8, 0.999])[:, None]
    found = truncated_quantile.ppf(np, u, LOC, SCALE, *ENDS)
    np.testing.assert_allclose(found, scipys(LOC, SCALE).ppf(u), atol=1e-12, rtol=0)
    assert (found >= LOW).all() and (found <= HIGH).all()


def test_quantiles_far_out_are_exponential_and_with_a_large_scale_uniform():
    u = np.array([1e-9, 0.2, 0.7, 1 - 1e-9])
    for far in (1e3, 1e7):
        found = truncated_quantile.ppf(np, u, -far * 1e-3, 1e-3, *ENDS) * far / 1e-3
        np.testing.assert_allclose(found, -np.log1p(-u), rtol=30 / far**2)
    np.testing.assert_allclose(truncated_quantile.ppf(np, u, 0.3, 1e8, *ENDS), HIGH * u, rtol=1e-13)
    slope = HIGH * 5.0 / 1e5  # log density, over the interval, at a loc five scales away
    first_order = HIGH * (u - slope / 2 * u * (1 - u))
    np.testing.assert_allclose(truncated_quantile.ppf(np, u, -5e5, 1e5, *ENDS), first_order, rtol=slope**2)


@pytest.mark.parametrize(
    "loc, scale, side",
    [
        (0.4, HIGH / 0.1, lambda a, b: b - a < truncated_quantile.NARROW),
        (HIGH * (1 - 2 / 0.05), HIGH / 0.05, lambda a, b: (b - a) * b < truncated_quantile.NARROW),
        (-9.0, 1.0, lambda a, b: a > truncated_quantile.FAR),
    ],
)
def test_both_sides_of_a_seam_agree(loc, scale, side):
    """Where one way of solving ends and the next begins."""
    u = np.linspace(0.001, 0.999, 101)
    both = [scale * (1 + step) for step in (1e-13, -1e-13)]
    assert {bool(side((LOW - loc) / s, (HIGH - loc) / s)) for s in both} == {True, False}
    np.testing.assert_allclose(*(truncated_quantile.ppf(np, u, loc, s, *ENDS) for s in both), atol=1e-12, rtol=0)


def gradients(language, u, loc, scale, dtype):
    """ppf and its derivatives by loc and scale, in a language, as NumPy."""
    xp = language_of(language).xp
    if language == "numpyro":
        with jax.enable_x64(dtype == "float64"):
            at = [jnp.asarray(v, dtype) for v in np.broadcast_arrays(u, loc, scale)]
            found, back = jax.jit(
                lambda *at: jax.vjp(lambda *to: truncated_quantile.ppf(xp, at[0], *to, *ENDS), *at[1:])
            )(*at)
            return [np.asarray(v) for v in (found, *back(jnp.ones_like(found)))]
    import torch

    at = [torch.tensor(v, dtype=getattr(torch, dtype)) for v in np.broadcast_arrays(u, loc, scale)]
    for v in at[1:]:
        v.requires_grad_()
    found = truncated_quantile.ppf(xp, *at, *ENDS)
    found.sum().backward()
    return [found.detach().numpy(), *(v.grad.numpy() for v in at[1:])]


def test_derivatives_are_differences(language):
    u = np.array([1e-4, 0.3, 0.5, 0.9, 0.9999])[:, None]
    found, by_loc, by_scale = gradients(language, u, LOC, SCALE, "float64")
    np.testing.assert_allclose(found, truncated_quantile.ppf(np, u, LOC, SCALE, *ENDS), atol=1e-12, rtol=0)
    step = 1e-5 * SCALE
    loc = [truncated_quantile.ppf(np, u, LOC + s * step, SCALE, *ENDS) for s in (1, -1)]
    scale = [truncated_quantile.ppf(np, u, LOC, SCALE + s * step, *ENDS) for s in (1, -1)]
    np.testing.assert_allclose(by_loc * SCALE, (loc[0] - loc[1]) / 2e-5, atol=2e-8, rtol=0)
    np.testing.assert_allclose(by_scale * SCALE, (scale[0] - scale[1]) / 2e-5, atol=2e-8, rtol=0)


def test_derivatives_in_single_precision_at_the_far_ends(language):
    """Finite, and right: where the law is nearly uniform the formulas as printed would be noise."""
    u = np.array([1e-30, 6e-8, 1e-4, 0.3, 0.5, 0.9, 1 - 6e-8], np.float32)[:, None]
    found = gradients(language, u, *FAR, "float32")
    with np.errstate(under="ignore"):
        expected = gradients("numpyro", u.astype(float), *FAR.astype(float), "float64")
    for got, want, unit in zip(found, expected, (1, np.minimum(FAR[1], 1), FAR[1]), strict=True):
        assert got.dtype == np.float32 and np.isfinite(got).all()
        np.testing.assert_allclose(got * unit, want * unit, atol=1e-3, rtol=0)
    np.testing.assert_allclose(found[0], expected[0], atol=2e-6, rtol=0)
    assert (found[0] >= 0).all() and (found[0] <= np.float32(HIGH)).all()
    assert (found[1] >= 0).all() and (found[1] <= 1).all()


def test_derivatives_are_summed_over_what_was_broadcast(language):
    u = np.array([0.2, 0.6, 0.9])
    whole = gradients(language, u, 0.3, 0.5, "float64")
    xp = language_of(language).xp
    if language == "numpyro":
        with jax.enable_x64():
            by = jax.jit(jax.grad(lambda v: truncated_quantile.ppf(xp, u, v[0], v[1], *ENDS).sum()))(
                jnp.array([0.3, 0.5])
            )
    else:
        import torch

        v = torch.tensor([0.3, 0.5], dtype=torch.float64, requires_grad=True)
        truncated_quantile.ppf(xp, torch.tensor(u), v[0], v[1], *ENDS).sum().backward()
        by = v.grad
    np.testing.assert_allclose(np.asarray(by), [w.sum() for w in whole[1:]], atol=1e-12)


def test_density_is_scipys():
    e = np.linspace(LOW, HIGH, 7)[:, None]
    found, expected = truncated_integrals.log_prob(np, e, LOC, SCALE, *ENDS), scipys(LOC, SCALE).logpdf(e)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    at = truncated_quantile.ppf(np, 0.3, LOC, SCALE, *ENDS)  # where the law has its mass
    np.testing.assert_allclose(
        truncated_integrals.log_prob(np, at, LOC, SCALE, *ENDS), scipys(LOC, SCALE).logpdf(at), atol=1e-9
    )


PAIRS = [(0.0, 0.1), (0.8, 0.02), (HIGH, 0.5), (-3.0, 0.3), (-5.0, 0.2), (4.0, 0.5), (0.3, 1.0), (0.9, 2.0), (9.0, 6.0)]


@pytest.mark.parametrize("loc, scale", PAIRS)
def test_divergence_and_means_are_their_integrals(loc, scale):
    q = scipys(loc, scale)
    pays = expectation(lambda e: float(q.logpdf(e)) + math.log(HIGH - LOW), loc, scale)
    assert truncated_integrals.divergence(np, loc, scale, *ENDS) == pytest.approx(pays, abs=1e-8)
    assert truncated_integrals.mean(np, loc, scale, *ENDS) == pytest.approx(
        expectation(lambda e: e, loc, scale), abs=1e-10
    )
    assert truncated_integrals.mean_cosine(np, loc, scale, *ENDS) == pytest.approx(
        expectation(math.cos, loc, scale), abs=1e-10
    )


def printed(loc, scale):
    """Kirichenko (2018), eq 39, with C = log(high - low)."""
    a, b = (LOW - loc) / scale, (HIGH - loc) / scale
    z = (stats.norm.cdf(b) - stats.norm.cdf(a)).astype(loc.dtype)
    phi_a, phi_b = (stats.norm.pdf(v).astype(loc.dtype) for v in (a, b))
    return -np.log(math.sqrt(2 * math.pi * math.e) * scale * z) - (a * phi_a - b * phi_b) / (2 * z) + np.log(HIGH)


def test_divergence_is_the_printed_formula():
    scale = np.logspace(-2, 0, 50)
    for loc in np.linspace(LOW, HIGH, 5):
        found = truncated_integrals.divergence(np, loc, scale, *ENDS)
        np.testing.assert_allclose(found, printed(np.full_like(scale, loc), scale), atol=1e-12)


def test_divergence_of_a_nearly_uniform_law():
    """Half the variance of the log density under the uniform law: the printed formula has lost it by then."""
    loc, scale = np.array([0.4, -2.0, 0.4, HIGH / 2]), np.array([50.0, 1e3, 1e4, 1e2])
    half = HIGH / 2 / scale
    slope = (HIGH / 2 - loc) / scale * half
    expected = slope**2 / 6 + half**4 / 90
    np.testing.assert_allclose(truncated_integrals.divergence(np, loc, scale, *ENDS), expected, rtol=1e-3, atol=0)
    single = [v.astype(np.float32) for v in (loc, scale)]
    np.testing.assert_allclose(truncated_integrals.divergence(np, *single, *ENDS), expected, rtol=1e-3, atol=0)
    assert np.abs(printed(*single) / expected - 1).min() > 1


def test_divergence_is_smooth_where_the_two_forms_meet():
    scale = HIGH / 2 * np.array([1 - 1e-9, 1 + 1e-9])
    one, other = truncated_integrals.divergence(np, 0.7, scale, *ENDS)
    assert one == pytest.approx(other, abs=1e-9)
    loc = HIGH / 2 + 2.0**2 / (HIGH / 2) * np.array([1 - 1e-9, 1 + 1e-9])
    one, other = truncated_integrals.divergence(np, loc, 2.0, *ENDS)
    assert one == pytest.approx(other, abs=1e-8)


def test_the_divergence_has_the_derivatives_of_its_differences():
    with jax.enable_x64(True):
        loc, scale = (jnp.asarray(v) for v in np.broadcast_arrays(LOC, SCALE))
        by = jax.grad(lambda *at: truncated_integrals.divergence(jnp, *at, *ENDS).sum(), (0, 1))(loc, scale)
    up, down = 1 + 1e-5, 1 - 1e-5
    by_loc = [truncated_integrals.divergence(np, LOC + s * 1e-5 * SCALE, SCALE, *ENDS) for s in (1, -1)]
    by_scale = [truncated_integrals.divergence(np, LOC, SCALE * s, *ENDS) for s in (up, down)]
    for got, pair in zip(by, (by_loc, by_scale), strict=True):
        np.testing.assert_allclose(np.asarray(got) * SCALE, (pair[0] - pair[1]) / 2e-5, rtol=1e-7, atol=2e-8)


def test_divergence_at_the_far_ends(language):
    """In single precision: never negative, finite derivatives, and right."""
    loc, scale = FAR
    xp = language_of(language).xp
    if language == "numpyro":
        found = truncated_integrals.divergence(xp, jnp.asarray(loc), jnp.asarray(scale), *ENDS)
        by = jax.grad(lambda *at: truncated_integrals.divergence(xp, *at, *ENDS).sum(), (0, 1))(
            jnp.asarray(loc), jnp.asarray(scale)
        )
    else:
        import torch

        at = [torch.tensor(v, requires_grad=True) for v in (loc, scale)]
        found = truncated_integrals.divergence(xp, *at, *ENDS)
        found.sum().backward()
        found, by = found.detach(), [v.grad for v in at]
    found = np.asarray(found)
    assert found.dtype == np.float32 and (found >= 0).all()
    for name, g in zip(("loc", "scale"), by, strict=True):
        assert np.isfinite(np.asarray(g)).all(), name
    # the far end of the interval is rounded too
    np.testing.assert_allclose(
        found, truncated_integrals.divergence(np, loc.astype(float), scale.astype(float), *ENDS), rtol=1e-3
    )
    step = 1e-4
    up, down = (truncated_integrals.divergence(np, loc.astype(float), scale * (1 + s), *ENDS) for s in (step, -step))
    np.testing.assert_allclose(np.asarray(by[1]) * scale, (up - down) / (2 * step), rtol=2e-3, atol=1e-3)


def test_mean_cosine_is_known_for_a_symmetric_law():
    """tN on [-pi/2, pi/2] about zero: exp(-s^2/2) Re erf((pi/2 + i s^2) / (s sqrt 2)) / Z."""
    for s in (0.1, 0.5, 1.0, 3.0):
        z = complex(math.pi / 2, s**2) / (s * math.sqrt(2))
        erf = 1 - np.exp(-(z**2)) * wofz(1j * z)
        known = math.exp(-(s**2) / 2) * erf.real / (1 - 2 * stats.norm.sf(math.pi / 2 / s))
        assert truncated_integrals.mean_cosine(np, 0.0, s, -HIGH, HIGH) == pytest.approx(known, abs=1e-12)


def test_languages_agree(language):
    p = language_of(language)
    loc, scale = (p.xp.asarray(v.astype(np.float32)) for v in (LOC[::5], SCALE[::5]))
    for f in (truncated_integrals.divergence, truncated_integrals.mean, truncated_integrals.mean_cosine):
        expected = f(np, LOC[::5], SCALE[::5], *ENDS)
        np.testing.assert_allclose(np.asarray(f(p.xp, loc, scale, *ENDS)), expected, rtol=2e-4, atol=2e-6)
    at = p.xp.asarray(np.float32(0.7))
    expected = truncated_integrals.log_prob(np, np.float32(0.7), LOC[::5], SCALE[::5], *ENDS)
    np.testing.assert_allclose(
        np.asarray(truncated_integrals.log_prob(p.xp, at, loc, scale, *ENDS)), expected, rtol=1e-4, atol=1e-4
    )


# the distributions


def arrays(language, *values):
    return [language_of(language).xp.asarray(np.asarray(v, np.float32)) for v in values]


def drawn(language, law, shape=()):
    if language == "numpyro":
        return law.sample(jax.random.key(0), shape)
    import torch

    torch.manual_seed(0)
    return law(torch.Size(shape)) if shape else law()


def kl(language):
    if language == "numpyro":
        from numpyro.distributions import kl_divergence
    else:
        from torch.distributions import kl_divergence
    return kl_divergence


def test_draws_have_the_law(language):
    p = language_of(language)
    loc, scale = arrays(language, [0.3, -1.0, 2.0], [0.4, 0.2, 5.0])
    law = p.truncated_normal(loc, scale, *ENDS)
    draws = np.asarray(drawn(language, law, (4000,)))
    assert draws.shape == (4000, 3) and tuple(law.batch_shape) == (3,)
    for i, (m, s) in enumerate([(0.3, 0.4), (-1.0, 0.2), (2.0, 5.0)]):
        assert stats.kstest(draws[:, i], scipys(m, s).cdf).pvalue > 1e-3
    np.testing.assert_allclose(np.asarray(law.mean), draws.mean(0), atol=0.03)
    expected = scipys(np.array([0.3, -1.0, 2.0]), np.array([0.4, 0.2, 5.0])).logpdf(0.6)
    np.testing.assert_allclose(np.asarray(law.log_prob(arrays(language, 0.6)[0])), expected, atol=1e-4)


def test_numbers_and_expansion(language):
    p = language_of(language)
    law = p.truncated_normal(0.3, 0.4, *ENDS).expand((2, 3)).to_event(1)
    assert tuple(law.batch_shape) == (2,) and tuple(law.event_shape) == (3,)
    value = drawn(language, law)
    assert tuple(value.shape) == (2, 3) and tuple(law.log_prob(value).shape) == (2,)
    assert len(np.unique(np.asarray(value))) == 6


@pytest.mark.parametrize("local", [False, True])
def test_divergence_is_registered(language, local):
    """Expanded or not, as events or not; another interval is not known."""
    p = language_of(language)
    law = p.local_truncated_normal if local else p.truncated_normal
    loc, scale = arrays(language, [0.3, -1.0, 2.0], [0.4, 0.2, 5.0])
    q, uniform = law(loc, scale, *ENDS), p.dist.Uniform(*ENDS)
    each = truncated_integrals.divergence(np, np.array([0.3, -1.0, 2.0]), np.array([0.4, 0.2, 5.0]), *ENDS)
    np.testing.assert_allclose(np.asarray(kl(language)(q, uniform.expand((3,)))), each, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(kl(language)(q, uniform)), each, rtol=1e-4)
    summed = kl(language)(q.to_event(1), uniform.expand((3,)).to_event(1))
    assert float(summed) == pytest.approx(each.sum(), rel=1e-4)
    with pytest.raises(NotImplementedError, match="same interval"):
        kl(language)(q, p.dist.Uniform(0.0, 3.0))


def test_divergence_under_jit_and_vmap():
    p = language_of("numpyro")

    def pays(loc):
        q = p.local_truncated_normal(loc, 0.4 * jnp.ones(3), *ENDS).to_event(1)
        return kl("numpyro")(q, p.dist.Uniform(*ENDS).expand((3,)).to_event(1))

    loc = jnp.array([[0.1, 0.2, 0.3], [-1.0, 1.0, 3.0]])
    expected = truncated_integrals.divergence(np, np.asarray(loc, float), 0.4, *ENDS).sum(-1)
    np.testing.assert_allclose(jax.jit(jax.vmap(pays))(loc), expected, rtol=1e-4)
    assert np.isfinite(jax.jit(jax.vmap(jax.grad(pays)))(loc)).all()


def test_support_is_the_interval(language):
    """The bijection to it exists, and draws are in it."""
    p = language_of(language)
    if language == "numpyro":
        from numpyro.distributions import biject_to
    else:
        from torch.distributions import biject_to
    law = p.truncated_normal(0.3, 0.4, *ENDS)
    t = biject_to(law.support)
    found = np.asarray(t(arrays(language, [-30.0, 0.0, 30.0])[0]))
    np.testing.assert_allclose(found, [LOW, HIGH / 2, HIGH], atol=1e-5)
    inside = law.support if language == "numpyro" else law.support.check
    assert np.asarray(inside(drawn(language, law, (1000,)))).all()


def test_an_unsampled_one_gives_every_row_its_own(language):
    p = language_of(language)
    loc, scale = arrays(language, [0.3, -1.0], [0.4, 0.2])
    law = p.local_truncated_normal(loc, scale, *ENDS)
    assert isinstance(law, p.truncated_normal)
    rows = drawn(language, law.to_event(1))
    assert isinstance(rows, truncated_normal.UnsampledTruncatedNormal) and rows.shape == (2,)
    draws = np.asarray(rows.for_rows(4000))
    assert draws.shape == (4000, 2)
    for i, (m, s) in enumerate([(0.3, 0.4), (-1.0, 0.2)]):
        assert stats.kstest(draws[:, i], scipys(m, s).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.06 and abs(np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]) < 0.06


def test_draws_can_be_differentiated(language):
    p = language_of(language)
    if language == "numpyro":

        def average(m):
            return p.local_truncated_normal(m, 0.4, *ENDS).sample(jax.random.key(1)).for_rows(2000).mean()

        found = float(jax.jit(jax.grad(average))(0.3))
    else:
        import torch

        m = torch.tensor(0.3, requires_grad=True)
        drawn(language, p.local_truncated_normal(m, 0.4, *ENDS)).for_rows(2000).mean().backward()
        found = float(m.grad)  # type: ignore[arg-type]
    up, down = (float(truncated_integrals.mean(np, 0.3 + step, 0.4, *ENDS)) for step in (1e-5, -1e-5))
    assert found == pytest.approx((up - down) / 2e-5, abs=0.02)


def test_bad_input_is_said(language):
    law = language_of(language).truncated_normal
    for low, high in [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)]:
        with pytest.raises(ValueError, match="low must be less than high"):
            law(0.3, 0.4, low, high)
    for scale in (0.0, -1, math.nan):
        with pytest.raises(ValueError, match="scale must be positive"):
            law(0.3, scale, *ENDS)
