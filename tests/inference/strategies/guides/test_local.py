"""Guides of independent normals, unsampled weights and all, in NumPyro: exact ELBOs, exact optima, settings."""

import logging
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
import pytest
from linear_model import PRECISION, SIGMA0, data, model, ones, posterior
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies import svi as svi_module
from noisezoo.inference.strategies.guides import elbo as elbo_module
from noisezoo.inference.strategies.guides import flipout, local, normals
from noisezoo.inference.strategies.guides.layout import layout
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.target.numpyro import density
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy
from noisezoo.models.papers import empirical_bayes, sparse_vd
from noisezoo.models.ppl import language
from noisezoo.models.weights.parametrisation import prior
from numpyro import handlers
from numpyro.infer import SVI as NumPyroSVI
from numpyro.infer import TraceMeanField_ELBO, autoguide

X, Y = (jnp.asarray(a) for a in data())
KINDS = {"local": local.LocalNormal, "flipout": flipout.FlipoutNormal, "sampled": None}
DRAWS = 8000
SIGMAS = 5  # standard errors: a false alarm in a million
LOCAL = svi(guide="local")
NET = gaussian(mlp(6), prior(ones, sigma0=0.5), precision=PRECISION)


def guide_of(program, kind):
    """The guide of `svi`, with weights that wait or are sampled, as a NumPyro program."""
    found = density.sites(program, X, Y)

    def start(name, shape, mean, sd):
        return lambda key: mean + sd * jax.random.normal(key, shape)

    def guide(x, y, rows=None, batch_size=None):
        normals.sample(language("numpyro"), layout(program, found, x, y), LOCAL.guide, start, KINDS[kind])

    return guide


def values_of(program, seed=0, log_scale=None):
    """Values for the guide's parameters: means of a half, scales around 0.2."""
    sites, rng = layout(program, density.sites(program, X, Y), X, Y), np.random.default_rng(seed)

    def value(name, shape):
        if name.endswith(".loc"):
            return 0.5 * rng.normal(size=shape)
        return rng.normal(-1.6, 0.3, size=shape) if log_scale is None else np.full(shape, log_scale)

    shapes = {f"{name}.{part}": site.shape for name, site in sites.items() for part in ("loc", "log_scale")}
    return {name: jnp.asarray(value(name, shape), jnp.float32) for name, shape in shapes.items()}


@lru_cache
def parts(program, kind, seed=0):
    """So many draws of the two parts of the ELBO at `values_of`, float64."""
    arguments = {"model": program, "guide": guide_of(program, kind), "args": (X, Y), "kwargs": {}}
    one = partial(elbo_module.parts, params=values_of(program), **arguments)
    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.PRNGKey(seed), DRAWS))
    return elbo_module.Parts(*(np.asarray(v, np.float64) for v in found))


def error(draws):
    return draws.std() / np.sqrt(len(draws))


def kl_normal(loc, scale, sd):
    """KL(N(loc, scale^2) || N(0, sd^2)), summed."""
    return np.sum(np.log(sd / scale) + (scale**2 + loc**2) / (2 * sd**2) - 0.5)


def exact_elbo(params):
    """Expected log likelihood and divergence of the linear model, whose pre-activations are normal: closed form."""
    p = {k: np.asarray(v, np.float64) for k, v in params.items()}
    w, b = p["layer0.base.loc"][:, 0], p["layer0.bias.loc"]
    ws, bs = np.exp(p["layer0.base.log_scale"])[:, 0], np.exp(p["layer0.bias.log_scale"])
    x, y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    square = (y - x @ w - b) ** 2 + x**2 @ ws**2 + bs**2
    log_lik = -0.5 * len(y) * np.log(2 * np.pi / PRECISION) - 0.5 * PRECISION * square.sum()
    return log_lik, kl_normal(w, ws, SIGMA0) + kl_normal(b, bs, 1.0)


# The ELBO.


@pytest.mark.parametrize("kind", KINDS)
def test_the_elbo_of_a_linear_model_is_the_closed_form(kind):
    log_lik, kl = exact_elbo(values_of(model()))
    found = parts(model(), kind)
    np.testing.assert_allclose(found.kl, kl, rtol=1e-5)
    assert abs(found.log_lik.mean() - log_lik) < SIGMAS * error(found.log_lik)
    assert abs(0.95 * found.log_lik.mean() - log_lik) > SIGMAS * error(found.log_lik)  # and it would be seen


@pytest.mark.parametrize("kind", ["local", "flipout"])
def test_the_elbo_of_a_network_is_numpyros(kind):
    """Its TraceMeanField_ELBO with sampled weights: the divergence exactly, the expected log likelihood in the mean."""
    stock, kl = numpyros_elbo()
    ours = parts(NET, kind)
    np.testing.assert_allclose(ours.kl, kl, rtol=1e-5)
    total = ours.kl - ours.log_lik
    assert abs(total.mean() - stock.mean()) < SIGMAS * np.hypot(error(total), error(stock))


def unobserved(program):
    """The program that nothing was observed of: its loss is the divergence."""
    return handlers.block(program, hide_fn=lambda site: site.get("is_observed", False))


@lru_cache
def numpyros_elbo():
    """Draws of its loss, and its divergence."""

    def loss(program, key):
        return TraceMeanField_ELBO().loss(key, values_of(NET), program, guide_of(NET, "sampled"), X, Y)

    keys = jax.random.split(jax.random.PRNGKey(7), DRAWS)
    stock = jax.jit(jax.vmap(partial(loss, NET)))(keys)
    return np.asarray(stock, np.float64), float(jax.jit(partial(loss, unobserved(NET)))(keys[0]))


def test_local_noise_is_less_variable():
    """What the trick is for: at the same parameters the ELBO of independent rows varies less."""
    sampled, _ = numpyros_elbo()
    assert parts(NET, "local").log_lik.std() < 0.8 * sampled.std()


def test_a_scale_times_an_unsampled_weight():
    """The expanded form of a horseshoe: a log-normal guide for the scales, sampled, times a weight that waits."""
    program = gaussian(mlp(), prior(half_cauchy(), "ard"), PRECISION)
    ours, sampled = parts(program, "local"), parts(program, "sampled", seed=1)
    for a, b in zip(ours, sampled, strict=True):
        assert abs(a.mean() - b.mean()) < SIGMAS * np.hypot(error(a), error(b))


def test_minibatches_are_unbiased():
    """Without noise the mean over all minibatches of one row is the log likelihood of all rows, exactly."""
    params = values_of(NET, log_scale=-30.0)
    guide, program = guide_of(NET, "local"), density.on_rows(NET)

    def one(rows):
        return elbo_module.parts(jax.random.PRNGKey(0), params, program, guide, (X, Y, rows), {})

    whole, single = jax.jit(lambda rows: (one(None), jax.vmap(one)(rows)))(jnp.arange(len(Y))[:, None])
    np.testing.assert_allclose(single.log_lik.mean(), whole.log_lik, rtol=1e-5)
    np.testing.assert_allclose(single.kl, whole.kl, rtol=1e-6)
    assert single.log_lik.std() > 1


def test_particles_are_averaged():
    params, guide, key = values_of(NET), guide_of(NET, "local"), jax.random.PRNGKey(3)
    elbo = elbo_module.LocalMeanField_ELBO(num_particles=4, kl_weight=0.5)

    @jax.jit
    def everything():
        one = partial(elbo_module.parts, params=params, model=NET, guide=guide, args=(X, Y), kwargs={})
        each = jax.vmap(one)(jax.random.split(key, 4))
        return each, elbo_module.particles(one, key, 4), elbo.loss(key, params, NET, guide, X, Y)

    each, mean, loss = everything()
    assert each.log_lik.shape == (4,) and each.log_lik.std() > 0.1
    np.testing.assert_allclose(mean.log_lik, each.log_lik.mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, 0.5 * each.kl[0] - each.log_lik.mean(), rtol=1e-5)


def test_every_site_has_noise_of_its_own():
    """Two kernels of one shape under one key."""
    program = gaussian(mlp(3, 3), prior(ones), PRECISION)
    known = handlers.substitute(guide_of(program, "local"), data=values_of(program))

    @jax.jit
    def draw(key):
        sites = handlers.trace(elbo_module.OneSplit(known, key)).get_trace(X, Y)
        return jnp.stack([sites[f"layer{i}.base"]["value"].normal((1000,)) for i in range(3)])

    assert np.abs(np.corrcoef(draw(jax.random.PRNGKey(0))) - np.eye(3)).max() < 0.2


# With NumPyro's own SVI.


def losses(elbo, program, guide, params):
    """Draws of a loss."""
    keys = jax.random.split(jax.random.PRNGKey(1), DRAWS)
    return np.asarray(jax.jit(jax.vmap(lambda key: elbo.loss(key, params, program, guide, X, Y)))(keys), np.float64)


def test_a_guide_of_numpyro():
    """One auxiliary site for all, whose density is the guide's: the divergence is that of independent normals."""
    guide, known, unseen = autoguide.AutoDiagonalNormal(model()), values_of(model()), unobserved(model())
    NumPyroSVI(model(), guide, optax.adam(0.1), elbo_module.LocalMeanField_ELBO()).init(jax.random.PRNGKey(0), X, Y)
    loc, scale = (jnp.r_[known[f"layer0.base.{of}"][:, 0], known[f"layer0.bias.{of}"]] for of in ("loc", "log_scale"))
    found = losses(elbo_module.LocalMeanField_ELBO(), unseen, guide, {"auto_loc": loc, "auto_scale": jnp.exp(scale)})
    assert abs(found.mean() - exact_elbo(known)[1]) < SIGMAS * error(found) < 0.2


def test_a_guide_with_a_minibatch_of_its_own():
    """The guide draws the rows, and the program uses the same."""

    def program(x, y):
        with numpyro.plate("data", 60, subsample_size=5):
            z = numpyro.sample("z", numpyro.distributions.Normal(0, 1))
            numpyro.sample("y", numpyro.distributions.Normal(z, 1), obs=numpyro.subsample(y, event_dim=0))

    def guide(x, y):
        slope = numpyro.param("slope", 0.3)
        with numpyro.plate("data", 60, subsample_size=5):
            numpyro.sample("z", numpyro.distributions.Normal(slope * numpyro.subsample(y, event_dim=0), 1.0))

    elbos = elbo_module.LocalMeanField_ELBO(), TraceMeanField_ELBO()
    ours, theirs = (losses(elbo, program, guide, {"slope": jnp.asarray(0.3)}) for elbo in elbos)
    assert abs(ours.mean() - theirs.mean()) < SIGMAS * np.hypot(error(ours), error(theirs))


def optimum(program, steps=3000):
    """The guide's parameters by `numpyro.infer.SVI`."""
    rate = optax.linear_schedule(0.02, 0.0, steps // 2, steps // 2)
    stock = NumPyroSVI(program, guide_of(program, "local"), optax.adam(rate), elbo_module.LocalMeanField_ELBO(4))
    return stock.run(jax.random.PRNGKey(0), steps, X, Y, progress_bar=False).params


def check_posterior(loc, log_scale, temperature=1.0, y=Y):
    """The best independent normals: means of the posterior, variances 1 / (its precision matrix)_ii."""
    design = np.c_[np.asarray(X), np.ones(len(y))].astype(float)
    precision = PRECISION / temperature * design.T @ design + np.diag(np.r_[np.full(3, SIGMA0**-2), 1.0])
    mean = np.linalg.solve(precision, PRECISION / temperature * design.T @ np.asarray(y))
    sd = np.diag(precision) ** -0.5
    found = [np.concatenate([part[k].ravel() for k in ("base", "bias")]) for part in (loc, log_scale)]
    assert np.abs((found[0] - mean) / sd).max() < 0.15
    np.testing.assert_allclose(np.exp(found[1]), sd, rtol=0.08)


# The strategy.


def run(program, config, **settings):
    return fit(program, config, X, Y, progress=False, **settings)


def check_fit(found, **settings):
    loc, scale = ({k.removeprefix("layer0."): v[0] for k, v in part.items()} for part in (found.loc, found.scale))
    check_posterior(loc, {k: np.log(v) for k, v in scale.items()}, **settings)


@pytest.mark.parametrize("guide", ["local", "flipout"])
def test_svi_finds_the_posterior(guide):
    found = run(model(), svi(guide=guide, steps=4000, lr=0.01, particles=4, draws=4000))
    check_fit(found)
    assert found.loc["layer0.base"].shape == found.scale["layer0.base"].shape == (1, 3, 1)
    draws = found.draws["layer0.base"][0]
    np.testing.assert_allclose(draws.mean(0), found.loc["layer0.base"][0], atol=0.01)
    np.testing.assert_allclose(draws.std(0), found.scale["layer0.base"][0], rtol=0.06)
    np.testing.assert_array_equal(found.draws["layer0.weight"], found.draws["layer0.base"])
    assert not found.independent_chains


def test_the_same_posterior_in_means_and_alphas():
    """Away from a mean of zero, where sigma = sqrt(alpha) abs(mu) vanishes and a mean cannot change its sign."""
    y = Y + 0.5 * X[:, 1]
    config = svi(guide="local", parameters="alpha", steps=10_000, lr=0.01, draws=1)
    check_fit(fit(model(), config, X, y, progress=False), y=y)


def test_a_weighted_divergence_is_a_temperature():
    """kl_weight = 5, in minibatches: on a linear model the posterior with a fifth of the data's precision."""
    config = svi(guide="local", kl_weight=5.0, batch_size=20, steps=10_000, lr=0.01, draws=1)
    found = run(model(), config)
    check_fit(found, temperature=5.0)
    with pytest.raises(AssertionError):
        check_fit(found)


def test_the_divergence_rises_after_pretraining():
    """Nothing for 20 steps, then a fortieth more with each step; the history has a record of every step and chain."""
    config = svi(guide="local", steps=100, kl_weight=0.5, pretrain=20, kl_warmup=40, draws=3, chains=2)
    found = run(model(), config)
    ramp = np.clip((np.arange(100) - 19) / 40, 0, 1)
    assert ramp[19] == 0 and ramp[20] == 1 / 40 and ramp[59] == 1
    loss, kl, log_lik = (found.history[name] for name in ("loss", "kl", "log_lik"))
    np.testing.assert_allclose(loss, 0.5 * ramp * kl - log_lik, rtol=1e-4)
    loc = found.loc["layer0.base"]
    assert loc.shape == (2, 3, 1) and found.draws["layer0.weight"].shape == (2, 3, 3, 1)
    assert not np.array_equal(loc[0], loc[1])


WIDE = jnp.concatenate([X, jax.random.normal(jax.random.PRNGKey(0), (60, 5))], 1)  # five inputs that say nothing


def test_log_alpha_is_clipped():
    """At both ends: three inputs want a smaller alpha, and some of five a larger one."""
    program = gaussian(mlp(), sparse_vd.prior(), PRECISION)
    config = svi(guide="local", log_alpha_clip=2.0, init_scale=0.5, steps=2000, draws=1)
    found = fit(program, config, WIDE, Y, progress=False)
    log_alpha = 2 * np.log(found.scale["layer0.weight"] / np.abs(found.loc["layer0.weight"]))
    assert log_alpha.min() == pytest.approx(-2, abs=1e-4) and log_alpha.max() == pytest.approx(2, abs=1e-4)


def test_log_scale_is_clipped():
    """Under a hyperprior with a near 1/2, where the divergence rewards a large scale without bound."""
    program = gaussian(mlp(), empirical_bayes.prior(0.505, 1e-8), PRECISION)
    found = run(program, svi(guide="local", log_scale_max=-4.0, init_scale=0.01, steps=300, draws=1))
    assert np.log(found.scale["layer0.weight"]).max() == pytest.approx(-4, abs=1e-4)


# Priors with which there is more to say.


def test_learned_precisions_are_the_closed_form():
    """tau = 1 / (mu^2 + sigma^2) at the optimum, where both programs have the same divergence."""
    learned, closed = (gaussian(mlp(), make(), PRECISION) for make in (empirical_bayes.learned, empirical_bayes.prior))
    params = optimum(learned)
    mu, sigma = params["layer0.weight.loc"], jnp.exp(params["layer0.weight.log_scale"])
    np.testing.assert_allclose(params["layer0.scale"] ** -2, 1 / (mu**2 + sigma**2), rtol=0.05)
    guide, key = guide_of(closed, "local"), jax.random.PRNGKey(0)
    ours, theirs = (elbo_module.parts(key, params, program, guide, (X, Y), {}) for program in (learned, closed))
    assert theirs.kl <= ours.kl < theirs.kl + 0.01
    np.testing.assert_allclose(ours.log_lik, theirs.log_lik, rtol=1e-5)


def test_a_prior_without_a_closed_form_is_sampled_and_said(caplog):
    """Student t: no divergence from a normal is known; the expanded form of the same prior needs none."""
    program = gaussian(mlp(), empirical_bayes.student_t(1.5, 0.5, "marginal"), PRECISION)
    with caplog.at_level(logging.WARNING, "noisezoo"):
        found = run(program, svi(guide="local", steps=300, draws=5))
    assert [r.getMessage() for r in caplog.records] == [normals.UNREGISTERED.format("layer0.weight")]
    assert found.draws["layer0.weight"].shape == (1, 5, 3, 1) and np.isfinite(found.history["loss"]).all()


def test_a_horseshoe_in_expanded_form(caplog):
    with caplog.at_level(logging.WARNING, "noisezoo"):
        found = run(gaussian(mlp(), prior(half_cauchy(), "ard"), PRECISION), svi(guide="local", steps=3000, draws=400))
    assert not caplog.records
    scale, base, weight = (found.draws[f"layer0.{name}"] for name in ("scale", "base", "weight"))
    np.testing.assert_allclose(weight, scale[..., None] * base, rtol=1e-5)
    assert scale.min() > 0 and "layer0.scale" not in found.loc and "layer0.base" in found.scale
    mean, covariance = posterior(np.asarray(X), np.asarray(Y))
    assert np.abs(weight.mean((0, 1))[:, 0] - mean[:3]).max() < 4 * np.sqrt(np.diag(covariance)).max()


@pytest.mark.parametrize("config", [NUTS(warmup=1, draws=1), SGLD(warmup=1, draws=1), svi(guide="dropout")])
@pytest.mark.parametrize("make", [sparse_vd.prior, empirical_bayes.prior, empirical_bayes.learned])
def test_samplers_refuse_priors_that_are_none(config, make):
    with pytest.raises(
        ValueError,
        match="prior is (improper|chosen by the data), .*use .* gamma_precision",
    ):
        run(gaussian(mlp(), make(), PRECISION), config)


# Settings and checkpoints.


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"kl_weight": 0.5}, "kl_weight is a setting of the guides local, flipout and em, not of the guide mean_field"),
        ({"alpha": 0.5}, "alpha is a setting of the guides local, flipout and em"),
        ({"parameters": "alpha", "guide": "full_rank"}, "parameters is a setting .* not of the guide full_rank"),
        ({"log_alpha_clip": 8.0, "guide": "map"}, "log_alpha_clip is a setting"),
        ({"log_scale_max": -4.0}, "log_scale_max is a setting"),
        ({"pretrain": 10}, "pretrain is a setting"),
        ({"kl_warmup": 10}, "kl_warmup is a setting"),
        ({"init_scale": 0.5}, "init_scale is a setting"),
        ({"start": "fit.nc"}, "start is a setting"),
        ({"guide": "local", "kl_weight": -1.0}, "kl_weight must not be negative"),
        ({"guide": "local", "kl_warmup": -1}, "kl_warmup must not be negative"),
        ({"guide": "local", "init_scale": 0.0}, "init_scale must be positive"),
        ({"guide": "local", "alpha": 0.0}, "alpha must be positive"),
        ({"guide": "local", "log_alpha_clip": -8.0}, "log_alpha_clip must be positive"),
        ({"guide": "local", "parameters": "sigmas"}, "did you mean 'sigma'"),
        ({"guide": "local", "alpha": 0.5, "parameters": "alpha"}, "alpha holds it fixed"),
        ({"guide": "local", "alpha": 0.5, "log_alpha_clip": 8.0}, "alpha holds it fixed"),
        ({"guide": "local", "parameters": "alpha", "log_scale_max": -4.0}, "log_scale_max bounds a learned sigma"),
    ],
)
def test_settings_that_mean_nothing(settings, says):
    with pytest.raises(ValueError, match=says):
        svi(**settings)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_resumed_equals_uninterrupted(part, tmp_path):
    def tell(done, total, message):
        if done >= part * total:
            raise Interrupted

    program = gaussian(mlp(), sparse_vd.prior(), PRECISION)
    config = svi(guide="local", steps=300, batch_size=20, kl_warmup=200, draws=40)
    path = tmp_path / "run.safetensors"
    whole = run(program, config, seed=3)
    with pytest.raises(Interrupted):
        fit(program, config, X, Y, seed=3, progress=tell, checkpoint=path)
    resumed = run(program, config, seed=3, checkpoint=path)
    for kind in ("draws", "history", "loc", "scale"):
        for site, expected in getattr(whole, kind).items():
            np.testing.assert_array_equal(getattr(resumed, kind)[site], expected, err_msg=site)
    assert set(whole.loc) == set(whole.scale) == {"layer0.weight", "layer0.bias"}


def test_guides_that_have_moments():
    found = density.sites(model(), X, Y)
    having = [
        config for config in (svi(), LOCAL, svi(guide="flow")) if svi_module.algorithm(config, model(), found).moments
    ]
    assert having == [svi(), LOCAL]
