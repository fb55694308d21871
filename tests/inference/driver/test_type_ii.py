"""EM over the scales: against the evidence of a linear model, which is known, and its maximum."""

import dataclasses

import compiles
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.driver import type_ii as em_module
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.driver.type_ii import em
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.optimisation import m_step as scales
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.models import noises
from noisezoo.models.laws.m_steps import MStep
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import Noise
from noisezoo.models.weights.parametrisation import normal, prior
from scipy import optimize, stats

PRECISION, SIGMA0 = 5.0, 0.5
EXACT = svi(guide="laplace", steps=1500, lr=0.05, draws=20)  # the posterior given the scales is normal
SITE = "layer0.scale"


def data(rows=80):
    """Correlated inputs, and weights that are all well determined."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)) @ (np.eye(4) + 0.3)
    x = (x - x.mean(0)) / x.std(0)
    y = x @ np.array([1.0, -0.6, 0.4, 0.8]) + 0.5 * rng.normal(size=rows)
    return x.astype(np.float32), (y - y.mean()).astype(np.float32)


X, Y = data()
ARRAYS = jnp.asarray(X), jnp.asarray(Y)


def linear(law, precision=PRECISION, form="hierarchical"):
    return gaussian(mlp(bias=False), prior(law, "ard", form, SIGMA0), precision)


def run(law, config=EXACT, **settings):
    return em(linear(law), config, *ARRAYS, **{"progress": False, "tolerance": 1e-5, **settings})


def flat():
    """A scale whose density is constant on the positive line: nothing but the evidence counts."""
    step = MStep(lambda xp, m, count: m / count, 1)

    def program(p, name, shape):
        law = p.dist.ImproperUniform(p.dist.constraints.positive, shape, ()).to_event(len(shape))
        return p.sample(name, law, infer={"improper": "flat", "m_step": step})

    return Noise(program, "flat", m_step=step, proper=False)


def posterior(scale, precision=PRECISION):
    """Mean and covariance (features,) given the scales."""
    x, y = X.astype(float), Y.astype(float)
    covariance = np.linalg.inv(precision * x.T @ x + np.diag((scale * SIGMA0) ** -2.0))
    return covariance @ (precision * x.T @ y), covariance


def evidence(scale):
    """log p(y given lambda)."""
    spread = X.astype(float) @ np.diag((scale * SIGMA0) ** 2.0) @ X.T.astype(float) + np.eye(len(Y)) / PRECISION
    return stats.multivariate_normal(np.zeros(len(Y)), spread).logpdf(Y)


LAWS = {  # and log p(lambda^k)
    "inverse_gamma": (noises.inverse_gamma(2.0, 1.0), lambda s: stats.invgamma(2.0, scale=1.0).logpdf(s**2)),
    "half_cauchy": (noises.half_cauchy(0.7), lambda s: stats.halfcauchy(scale=0.7).logpdf(s)),
    "log_normal": (noises.log_normal(), lambda s: stats.lognorm(1.0).logpdf(s)),  # has no closed form, as the next
    "beta": (noises.beta(2.0, 3.0), lambda s: stats.beta(2.0, 3.0).logpdf(s)),
}


# The fixed point is what it should be.


def test_flat_scales_are_the_relevances_of_a_relevance_vector_machine():
    from sklearn.linear_model import ARDRegression

    none = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    peer = ARDRegression(**none, tol=1e-12, max_iter=20_000, threshold_lambda=1e12, fit_intercept=False).fit(X, Y)
    tau = np.ones(4)
    for _ in range(2000):  # Tipping (2001), the EM update of section 3
        mean, covariance = posterior(tau**-0.5 / SIGMA0, peer.alpha_)
        tau = 1 / (mean**2 + np.diag(covariance))
    np.testing.assert_allclose(tau, peer.lambda_, rtol=1e-5)
    found = em(linear(flat(), float(peer.alpha_)), EXACT, *ARRAYS, tolerance=1e-5, progress=False)
    assert found.converged and found.trace["change"].iloc[-1] < 1e-5
    np.testing.assert_allclose((found.scales[SITE] * SIGMA0) ** -2.0, peer.lambda_, rtol=1e-4)
    np.testing.assert_allclose(found.loc["layer0.weight"][:, 0], peer.coef_, rtol=1e-4)
    np.testing.assert_allclose(found.scale["layer0.weight"][:, 0], np.sqrt(np.diag(peer.sigma_)), rtol=1e-4)


@pytest.mark.parametrize("name", LAWS)
def test_em_maximises_the_evidence_and_its_bound_is_that(name):
    law, log_p = LAWS[name]
    found = run(law)

    def objective(scale):
        return evidence(scale) + log_p(scale).sum()

    start = np.arctanh(2 * np.full(4, 0.5) - 1) if name == "beta" else np.zeros(4)
    image = (lambda z: (np.tanh(z) + 1) / 2) if name == "beta" else np.exp
    best = optimize.minimize(lambda z: -objective(image(z)), start, options={"gtol": 1e-7})
    np.testing.assert_allclose(found.scales[SITE], image(best.x), rtol=2e-4)
    np.testing.assert_allclose(found.trace["bound"].iloc[-1], objective(found.scales[SITE]), atol=1e-3)
    assert np.diff(found.trace["bound"]).min() > -1e-4  # single precision of some 60 nats, and of 20 draws
    assert abs(np.log(2 * found.scales[SITE]).sum()) > 0.1  # a density of lambda for that of lambda^2 would be seen


def test_the_bound_is_of_the_scales_of_its_e_step():
    start = np.array([0.3, 0.8, 1.5, 2.0])
    found = run(flat(), start={SITE: start}, iterations=1)
    assert list(found.trace.columns) == ["iteration", "bound", "log_joint", "change"] and len(found.trace) == 1
    np.testing.assert_allclose(found.trace["bound"], evidence(start), atol=1e-3)
    np.testing.assert_allclose(found.trace["change"], np.max(np.abs(np.log(found.scales[SITE] / start))), rtol=1e-6)
    mean, covariance = posterior(start)
    np.testing.assert_allclose(found.loc["layer0.weight"][:, 0], mean, rtol=1e-4)
    m_step = np.sqrt(mean**2 + np.diag(covariance)) / SIGMA0
    np.testing.assert_allclose(found.scales[SITE], m_step, rtol=1e-4)
    assert not found.converged


@pytest.mark.parametrize("config", [svi(guide="mean_field"), svi(guide="local")], ids=["mean_field", "local"])
def test_the_bound_of_independent_normals_is_less_by_their_divergence(config):
    settings = {"steps": 4000, "lr": 0.02, "particles": 4, "draws": 2000}
    start = np.array([0.3, 0.8, 1.5, 2.0])
    found = run(flat(), dataclasses.replace(config, **settings), start={SITE: start}, iterations=1)
    covariance = posterior(start)[1]
    gap = 0.5 * (np.linalg.slogdet(covariance)[1] + np.log(np.diag(np.linalg.inv(covariance))).sum())
    assert gap > 0.7  # more than twice the tolerance
    np.testing.assert_allclose(found.trace["bound"], evidence(start) - gap, atol=0.3)
    assert np.isnan(found.trace["log_joint"][0]) == (config.guide.name == "local")


@pytest.mark.parametrize(
    "config, within",
    [
        (NUTS(warmup=200, draws=500, chains=2), 0.03),
        (SGLD(warmup=1000, draws=1000, thin=10, step_size=0.05, chains=2), 0.05),
    ],
    ids=["nuts", "sgld"],
)
def test_samplers_come_near(config, within):
    """Monte-Carlo moments, known to about a percent; that the law of the scales is improper does not matter."""
    exact, found = run(flat(), EXACT, tolerance=1e-3), run(flat(), config, tolerance=1e-2)
    np.testing.assert_allclose(found.scales[SITE], exact.scales[SITE], rtol=within)
    assert found.trace["bound"].isna().all() and found.trace["log_joint"].notna().all()
    assert found.converged  # the same random numbers in every E-step
    assert found.fit.draws["layer0.weight"].shape == (2, config.draws, 4, 1)


def test_regularised_scales_are_those_of_the_site_they_are_made_of():
    found = run(noises.regularised_half_cauchy(0.7, 1.5), iterations=3)
    raw = found.scales[f"{SITE}.raw"]
    np.testing.assert_allclose(found.scales[SITE], 1.5 * np.sin(np.arctan(raw / 1.5)), rtol=1e-6)
    again = run(noises.regularised_half_cauchy(0.7, 1.5), start=found.scales, iterations=1)
    assert again.trace["bound"][0] > found.trace["bound"].iloc[-1] - 1e-4


# The M-step without a closed form.

RNG = np.random.default_rng(1)
SECOND = {"layer0.weight": RNG.uniform(0.01, 2.0, (4, 3)), "layer1.weight": RNG.uniform(0.01, 2.0, (3, 1))}


def bare(law):
    """The noise without its closed form."""

    def program(p, name, shape):
        def sample(name, fn, infer=None):
            return p.sample(name, fn)

        return law.program(p._replace(sample=sample), name, shape)

    return dataclasses.replace(law, program=program, m_step=None)


def m_step(law, structure="ard", sigma0=SIGMA0, sweeps=1, second=SECOND):
    program = gaussian(mlp(3, bias=False), prior(law, structure, "hierarchical", sigma0), PRECISION)
    with jax.enable_x64(True):
        trace = scales.tracer(program, *ARRAYS)
        first = trace({})
        names = [name for name, site in first.items() if scales.is_scale(name) and site["type"] == "sample"]
        ones = {name: 0.7 * np.ones(first[name]["value"].shape) for name in names}
        return scales.maximiser(trace, names, sweeps)(ones, second)


@pytest.mark.parametrize(
    "law",
    [noises.half_cauchy(0.7), noises.inverse_gamma(2.5, 1.4), noises.uniform(), noises.gaussian(0.4)],
    ids=str,
)
def test_the_numerical_m_step_is_the_closed_form(law):
    closed, found = m_step(law), m_step(bare(law))
    for name in closed:  # the closed form of the inverse gamma is the mode of lambda^2: correct for the power
        expected = closed[name]
        if law.m_step.power == 2:
            m, count = (SECOND[f"{name.partition('.')[0]}.weight"] / SIGMA0**2).sum(1), (3, 1)[name[5] == "1"]
            expected = np.sqrt((m + 2 * 1.4) / (count + 2 * 2.5 + 1))
            assert np.max(np.abs(expected / closed[name] - 1)) > 0.01
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


def test_products_without_a_closed_form_are_at_a_joint_mode():
    law = noises.half_cauchy(0.7)
    closed, found = m_step(law, "ard_add", sweeps=3000), m_step(bare(law), "ard_add")
    for name in closed:
        np.testing.assert_allclose(found[name], closed[name], rtol=1e-5)


def fixed_point(s, scale, sigma0, d):
    """Eq 13 of the paper, corrected, for a Rayleigh(1): its right side at a scale; s is the mean second moment."""
    return s / sigma0**2 + scale**3 / d * (1 / scale - scale)


def test_the_fixed_point_of_the_paper_put_right():
    square, sigma0, d = 0.374274, 1.3, 3
    s = sigma0**2 * (square - (square - square**2) / d)
    second = {"layer0.weight": np.full((4, 3), s), "layer1.weight": np.ones((3, 1))}
    for law in (noises.rayleigh(1.0), bare(noises.rayleigh(1.0))):
        found = m_step(law, sigma0=sigma0, second=second)[SITE][0]
        np.testing.assert_allclose(found**2, square, rtol=1e-7)
        np.testing.assert_allclose(fixed_point(s, found, sigma0, d), square, rtol=1e-7)
        printed = s + (1 - found**2) * np.exp(-(found**2) / 2)  # eq 13 as it stands in the paper
        assert abs(printed / found**2 - 1) > 1


# Cost, and what ends early.


def counted(law):
    traces, weight = [], prior(law, "ard", "hierarchical", SIGMA0)

    def program(p, name, shape):
        traces.append(name)
        return weight(p, name, shape)

    return gaussian(mlp(bias=False), program, PRECISION), traces


@pytest.mark.parametrize(
    "config", [dataclasses.replace(EXACT, steps=20), NUTS(warmup=20, draws=20, chains=1)], ids=["laplace", "nuts"]
)
def test_further_iterations_compile_nothing(config, monkeypatch):
    (program, traces), seen, compiled = counted(noises.half_cauchy(0.7)), [], compiles.counted(monkeypatch)

    def look(*_):
        seen.append((len(traces), len(compiled)))

    em(program, config, *ARRAYS, iterations=4, tolerance=1e-9, progress=look)
    traced, blocks = np.array(seen).T
    assert set(blocks) == {1} and len(set(traced)) == 1


def test_ctrl_c_keeps_the_iterations_there_are(caplog):
    def stop(done, total, message):
        assert (total, message[:7]) == (50, "change ")
        if done == 2:
            raise KeyboardInterrupt

    found = run(flat(), dataclasses.replace(EXACT, steps=50), progress=stop)
    assert len(found.trace) == 2 and not found.converged
    assert "em ends after 2 of 50 iterations: interrupted" in caplog.text


@pytest.mark.parametrize("error", [FloatingPointError("svi stopped"), ValueError("svi found no mode")])
def test_an_e_step_that_fails_keeps_the_iterations_before_it(error, monkeypatch, caplog):
    calls = []

    def third_fails(*args):
        calls.append(args)
        if len(calls) == 3:
            raise error
        return fit_checked(*args)

    fit_checked = em_module.fit_checked
    monkeypatch.setattr(em_module, "fit_checked", third_fails)
    quick = dataclasses.replace(EXACT, steps=50)
    found = run(flat(), quick)
    assert len(found.trace) == 2 and not found.converged
    assert f"em ends after 2 of 50 iterations: {error}" in caplog.text
    calls[:] = [None, None]
    with pytest.raises(type(error), match=str(error)):  # nothing to keep
        run(flat(), quick)


def test_a_scale_of_zero_is_an_error():
    step = MStep(lambda xp, m, count: 0 * m, 1)

    def program(p, name, shape):
        return p.sample(name, p.dist.HalfCauchy(1.0).expand(shape).to_event(1), infer={"m_step": step})

    with pytest.raises(FloatingPointError, match="layer0.scale is zero or not finite"):
        run(Noise(program, "none"), dataclasses.replace(EXACT, steps=50))


# Moments of guides.


@pytest.mark.parametrize("guide", ["laplace", "mean_field"])
def test_moments_of_guides(guide):
    """Laplace has the exact posterior, a mean field the sds of the diagonal of its precision."""
    config = svi(guide=guide, steps=1500, lr=0.03, draws=2, particles=4)
    mean, covariance = posterior(np.ones(4))
    sd = {"laplace": np.diag(covariance) ** 0.5, "mean_field": np.diag(np.linalg.inv(covariance)) ** -0.5}[guide]
    found = fit(gaussian(mlp(bias=False), normal(SIGMA0), PRECISION), config, *ARRAYS, progress=False)
    np.testing.assert_allclose(found.loc["layer0.weight"][..., 0], [mean], atol=0.01)
    np.testing.assert_allclose(found.scale["layer0.weight"][..., 0], [sd], rtol=0.03)


@pytest.mark.parametrize("guide", ["laplace", "mean_field"])
def test_moments_of_guides_are_of_real_sites(guide):
    config = svi(guide=guide, steps=500, draws=2, chains=2)
    found = fit(gaussian(mlp(bias=False), normal(SIGMA0)), config, *ARRAYS, progress=False)
    assert set(found.loc) == set(found.scale) == {"layer0.weight"} and "precision" in found.draws
    assert found.loc["layer0.weight"].shape == found.scale["layer0.weight"].shape == (2, 4, 1)


# What it refuses.


@pytest.mark.parametrize(
    "law, form, said",
    [
        (noises.bernoulli(), "expanded", "em needs continuous scales, .* or the continuous stand-in, beta"),
        (noises.half_cauchy(), "expanded", "em sets the scale of a weight, not of its base; use form='hierarchical'"),
        (noises.half_cauchy(), "marginal", "this program samples none; use a prior with a noise"),
    ],
)
def test_programs_are_refused(law, form, said):
    law = noises.inverse_gamma() if form == "marginal" else law
    with pytest.raises(ValueError, match=said):
        em(linear(law, form=form), EXACT, *ARRAYS, progress=False)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"iterations": 0}, "em: iterations must be positive"),
        ({"start": {"layer0.scales": np.ones(4)}}, "did you mean 'layer0.scale'"),
        ({"start": {SITE: np.ones(3)}}, r"layer0.scale has shape \(3,\); it needs \(4,\)"),
        ({"start": {SITE: -np.ones(4)}}, "must lie inside the support"),
    ],
)
def test_bad_settings_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        run(noises.half_cauchy(), **settings)


@pytest.mark.needs_pyro
def test_torch_is_refused():
    import torch

    with pytest.raises(ValueError, match="em runs in NumPyro only; give it JAX arrays"):
        em(linear(flat()), EXACT, torch.tensor(X), torch.tensor(Y))
