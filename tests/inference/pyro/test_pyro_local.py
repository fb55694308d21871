"""Guides `local` and `flipout` in Pyro: the ELBO against Pyro's own and against NumPyro's, the laws, and fits."""

import logging
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyro
import pytest
import torch
import xarray as xr
from linear_model import PRECISION, SIGMA0, ones
from linear_model import model as linear_model
from noisezoo.data import load
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import save
from noisezoo.inference.strategies.guides import elbo as numpyro_elbo
from noisezoo.inference.strategies.guides import flipout as numpyro_flipout
from noisezoo.inference.strategies.guides import local as numpyro_local
from noisezoo.inference.strategies.guides import normals
from noisezoo.inference.strategies.guides.layout import layout as numpyro_layout
from noisezoo.inference.strategies.guides.local import Local
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.optimisation.schedule import falling
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.pyro.guides import elbo as pyro_elbo
from noisezoo.inference.strategies.pyro.guides import flipout, local
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.target.numpyro import density as numpyro_density
from noisezoo.inference.target.pyro import density
from noisezoo.inference.target.sites import Sites
from noisezoo.models.likelihoods import categorical, gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy
from noisezoo.models.papers import empirical_bayes, sparse_vd
from noisezoo.models.ppl import language
from noisezoo.models.weights.parametrisation import prior
from noisezoo.models.weights.structure import ard
from pyro.infer import SVI as PyroSVI
from pyro.infer import TraceMeanField_ELBO, autoguide
from pyro_driver import X, Y

XT, YT = torch.as_tensor(X[:12]), torch.as_tensor(Y[:12])
LAWS = {"local": local.LocalNormal, "flipout": flipout.FlipoutNormal}
NUMPYRO_LAWS = {"local": numpyro_local.LocalNormal, "flipout": numpyro_flipout.FlipoutNormal}
GUIDES = pytest.mark.parametrize("name", ["local", "flipout"])
SIGMAS = 5  # standard errors: a false alarm in a million
NORMAL = prior(ones, form="hierarchical", sigma0=SIGMA0)
CLOSED = {  # priors whose divergence is known, so that the ELBO of all sites but y is
    "normal": NORMAL,
    "sparse_vd": sparse_vd.prior(),
    "sparse_vd_approximate": sparse_vd.prior(approximate=True),
    "empirical_bayes": empirical_bayes.prior(),
    "empirical_bayes_gamma": empirical_bayes.prior(0.7, 0.1),
    "empirical_bayes_learned": empirical_bayes.learned(0.7, 0.1),
}


@pytest.fixture(autouse=True)
def store():
    """A parameter store of the test's own; torch seeded."""
    with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        torch.manual_seed(0)
        yield


def net(weight, units=3, precision=PRECISION):
    return gaussian(mlp(units), weight, precision)


def starts(sites, seed=0):
    """Values of the guide's parameters, by name."""
    rng = np.random.default_rng(seed)
    draw = {"loc": lambda shape: rng.normal(size=shape), "log_scale": lambda shape: rng.normal(-1.0, 0.5, shape)}
    values = {f"{name}.{part}": draw[part](site.shape) for name, site in sites.items() for part in draw}
    return {name: value.astype(np.float32) for name, value in values.items()}


def guide_of(sites, law, values):
    """The guide that starts at these values, in Pyro; without a law all weights are sampled."""

    def guide(*args, **kwargs):
        def start(name, *_):
            return torch.tensor(values[name])

        normals.sample(language("pyro"), sites, Local(), start, law)

    return guide


def draws(model, guide, number, data=(XT, YT)):
    """(log_lik, kl) of so many draws, each an array (number,)."""
    with torch.no_grad():
        found = [pyro_elbo.parts(*pyro_elbo.traces(model, guide, data, {})) for _ in range(number)]
    return (np.array([float(part) for part in each]) for each in zip(*found, strict=True))


def mean(values):
    """The mean of independent draws and its standard error."""
    return values.mean(), values.std() / math.sqrt(len(values))


def seeded(elbo, model, guide, seed=3):
    torch.manual_seed(seed)
    return elbo.loss(model, guide, XT, YT)


# The ELBO, where Pyro's own applies


@pytest.mark.parametrize("weight", [NORMAL, prior(half_cauchy(), ard), empirical_bayes.learned(0.7, 0.1)])
@pytest.mark.parametrize("precision", [PRECISION, (6.0, 6.0)], ids=["known", "learned"])
def test_sampled_weights_give_pyros_own_elbo(weight, precision):
    """Draw by draw: closed forms, sites that fall back on log q - log p, factors, parameters."""
    model = net(weight, precision=precision)
    sites = local.layout(model, XT, YT)
    guide = guide_of(sites, None, starts(sites))
    assert seeded(pyro_elbo.LocalMeanField_ELBO(), model, guide) == pytest.approx(
        seeded(TraceMeanField_ELBO(), model, guide), rel=1e-5
    )


def test_auxiliary_sites_give_pyros_own_elbo():
    model = net(NORMAL, precision=(6.0, 6.0))
    guide = autoguide.AutoNormal(model)
    guide(XT, YT)
    assert seeded(pyro_elbo.LocalMeanField_ELBO(), model, guide) == pytest.approx(
        seeded(TraceMeanField_ELBO(), model, guide), rel=1e-5
    )


@GUIDES
def test_unsampled_weights_give_pyros_own_elbo_on_average(name):
    model = net(NORMAL)
    sites = local.layout(model, XT, YT)
    values = starts(sites)
    own, stock = guide_of(sites, LAWS[name], values), guide_of(sites, None, values)
    log_lik, kl = draws(model, own, 800)
    with torch.no_grad():
        elbos = np.array([-TraceMeanField_ELBO().loss(model, stock, XT, YT) for _ in range(800)])
    assert np.ptp(kl) == 0
    (ours, error), (theirs, their_error) = mean(log_lik), mean(elbos + kl[0])
    assert abs(ours - theirs) < SIGMAS * math.hypot(error, their_error)
    assert math.hypot(error, their_error) < 0.05 * abs(theirs)


@GUIDES
def test_elbo_of_a_linear_model_is_known(name):
    """log N(y; E f, 1 / precision) - precision / 2 var f, summed over rows, and two normals' divergence."""
    model = linear_model()
    sites = local.layout(model, XT, YT)
    values = starts(sites)
    loc = {site: values[f"{site}.loc"] for site in sites}
    sd = {site: np.exp(values[f"{site}.log_scale"]) for site in sites}
    residual = Y[:12] - (X[:12] @ loc["layer0.base"])[:, 0] - loc["layer0.bias"]
    variance = X[:12] ** 2 @ sd["layer0.base"][:, 0] ** 2 + sd["layer0.bias"] ** 2
    expected = 0.5 * np.log(PRECISION / (2 * np.pi)) - PRECISION / 2 * (residual**2 + variance)
    pays = sum(
        (np.log(s / sd[site]) + (sd[site] ** 2 + loc[site] ** 2) / (2 * s**2) - 0.5).sum()
        for site, s in (("layer0.base", SIGMA0), ("layer0.bias", 1.0))
    )
    log_lik, kl = draws(model, guide_of(sites, LAWS[name], values), 2000)
    found, error = mean(log_lik)
    assert abs(found - expected.sum()) < SIGMAS * error < 0.2 * PRECISION / 2 * variance.sum()
    np.testing.assert_allclose(kl, pays, rtol=1e-5)


def test_pyros_svi_takes_the_elbo():
    """With its validation on; the weight multiplies the divergence alone, particles are averaged."""
    model = net(CLOSED["empirical_bayes_learned"])
    sites = local.layout(model, XT, YT)
    guide = guide_of(sites, local.LocalNormal, starts(sites))
    none, one, three = (
        seeded(pyro_elbo.LocalMeanField_ELBO(1, kl_weight), model, guide) for kl_weight in (0.0, 1.0, 3.0)
    )
    assert three - none == pytest.approx(3 * (one - none), rel=1e-4)
    torch.manual_seed(3)
    two = [pyro_elbo.LocalMeanField_ELBO().loss(model, guide, XT, YT) for _ in range(2)]
    assert seeded(pyro_elbo.LocalMeanField_ELBO(num_particles=2), model, guide) == pytest.approx(np.mean(two), rel=1e-6)
    with pyro.validation_enabled():
        svi = PyroSVI(model, guide, pyro.optim.Adam({"lr": 0.02}), pyro_elbo.LocalMeanField_ELBO())
        losses = [svi.step(XT, YT) for _ in range(150)]
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


def test_minibatches_are_scaled_to_all_rows():
    model = density.on_rows(net(NORMAL))
    sites = local.layout(model, XT, YT)
    values = {k: v if k.endswith(".loc") else np.full_like(v, -30) for k, v in starts(sites).items()}  # no noise
    guide = guide_of(sites, local.LocalNormal, values)
    log_lik, kl = draws(model, guide, 1)
    first, second = (tuple(draws(model, guide, 1, (XT, YT, rows))) for rows in torch.arange(12).chunk(2))
    np.testing.assert_allclose((first[0] + second[0]) / 2, log_lik, rtol=1e-5)
    assert first[0] != second[0] and first[1] == second[1] == kl


# The same in NumPyro


def numpyro_draws(model, name, values, number):
    x, y = jnp.asarray(X[:12]), jnp.asarray(Y[:12])
    sites = numpyro_layout(model, numpyro_density.sites(model, x, y), x, y)

    def guide(x, y):
        def start(name, *_):
            return jnp.asarray(values[name])

        normals.sample(language("numpyro"), sites, Local(), start, NUMPYRO_LAWS[name])

    one = jax.jit(jax.vmap(lambda key: numpyro_elbo.parts(key, {}, model, guide, (x, y), {})))
    return (np.asarray(part, np.float64) for part in one(jax.random.split(jax.random.PRNGKey(0), number)))


@pytest.mark.parametrize("weight", CLOSED)
def test_divergence_is_that_of_numpyro(weight):
    model = net(CLOSED[weight])
    sites = local.layout(model, XT, YT)
    values = starts(sites)
    assert all(site.local == (len(site.shape) == 2) and site.transform is None for site in sites.values())
    _, ours = draws(model, guide_of(sites, local.LocalNormal, values), 1)
    _, theirs = numpyro_draws(model, "local", values, 1)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)


@GUIDES
def test_expected_log_likelihood_is_that_of_numpyro(name):
    model = net(sparse_vd.prior())
    sites = local.layout(model, XT, YT)
    values = starts(sites)
    ours, error = mean(next(draws(model, guide_of(sites, LAWS[name], values), 800)))
    theirs, their_error = mean(next(numpyro_draws(model, name, values, 20_000)))
    assert abs(ours - theirs) < SIGMAS * math.hypot(error, their_error) < 0.25 * abs(theirs)


def test_a_learned_scale_at_its_optimum_pays_what_the_closed_form_does():
    learned, closed = net(empirical_bayes.learned()), net(empirical_bayes.prior())
    sites = local.layout(learned, XT, YT)
    values = starts(sites)
    for name in ("layer0", "layer1"):
        loc, sd = values[f"{name}.weight.loc"], np.exp(values[f"{name}.weight.log_scale"])
        best = torch.tensor(np.sqrt(loc**2 + sd**2))
        pyro.param(f"{name}.scale", best, constraint=pyro.distributions.constraints.positive)
    (_, pays), (_, known) = (draws(m, guide_of(sites, local.LocalNormal, values), 1) for m in (learned, closed))
    np.testing.assert_allclose(pays, known, rtol=1e-5)
    with pyro.get_param_store().scope():  # a scale of one is another
        _, other = draws(learned, guide_of(sites, local.LocalNormal, values), 1)
    assert other > 1.1 * pays


# The laws


def law(name, loc, scale):
    return LAWS[name](loc, scale).to_event(2)


@GUIDES
def test_pre_activations_have_the_moments_of_sampled_weights(name):
    loc, scale = torch.randn(4, 3), torch.rand(4, 3) + 0.2
    h = torch.randn(2, 4)
    found = torch.stack([law(name, loc, scale)().act(h) for _ in range(5000)]).double()
    expected, variance = (h @ loc).double(), (h**2 @ scale**2).double()
    deviation = (found - expected) ** 2
    assert ((found.mean(0) - expected).abs() < SIGMAS * (variance / 5000).sqrt()).all()
    assert ((deviation.mean(0) - variance).abs() < SIGMAS * deviation.std(0) / math.sqrt(5000)).all()


def test_rows_share_a_perturbation_up_to_signs_or_nothing():
    loc, scale, h = torch.randn(1, 1), torch.rand(1, 1), torch.ones(6, 1)
    noise = {name: (law(name, loc, scale)().act(h) - loc).abs() for name in LAWS}
    torch.testing.assert_close(noise["flipout"], noise["flipout"][:1].expand(6, 1))
    assert len(noise["local"].unique()) == 6


# Fits


@pytest.fixture(scope="module")
def digits():
    found = load("digits")
    return torch.as_tensor(found.x_train[:400]), torch.as_tensor(found.y_train[:400])


DIGITS = {"guide": "local", "lr": 0.01, "batch_size": 100, "init_scale": 0.01}


def classifier(weight):
    return categorical(mlp(20, activation="relu"), weight, 10)


@GUIDES
def test_fit(name, digits):
    """The loss falls, the digits are told apart, draws are those of the moments that are told."""
    config = svi(**{**DIGITS, "guide": name}, steps=250, draws=300, kl_weight=0.1)
    found = fit(classifier(empirical_bayes.prior()), config, *digits, progress=False)
    assert not any(site.startswith("f") for site in found.draws) and found.stats == {}
    loss, log_lik = found.history["loss"][0], found.history["log_lik"][0]
    assert loss[-1] < 0.6 * loss[0] and log_lik[-1] / 400 > -0.7 > log_lik[0] / 400
    assert set(found.loc) == set(found.scale) == {f"layer{i}.{part}" for i in (0, 1) for part in ("weight", "bias")}
    for site, loc in found.loc.items():
        z = (found.draws[site] - loc[:, None]) / found.scale[site][:, None]
        assert abs(z.mean()) < SIGMAS / math.sqrt(z.size) and abs(z.var() - 1) < SIGMAS * math.sqrt(2 / z.size)
    h = digits[0].numpy()
    for i in (0, 1):
        h = np.maximum(h, 0) if i else h
        h = h @ found.loc[f"layer{i}.weight"][0] + found.loc[f"layer{i}.bias"][0]
    assert (h.argmax(1) == digits[1].numpy()).mean() > 0.85


def test_history_is_of_the_weighted_divergence(digits):
    """No weight for `pretrain` steps, then a ramp."""
    config = svi(**DIGITS, steps=12, draws=1, kl_weight=0.5, pretrain=3, kl_warmup=4, particles=2)
    history = fit(classifier(sparse_vd.prior()), config, *digits, progress=False).history
    weight = 0.5 * np.array([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(history["loss"][0], weight * history["kl"][0] - history["log_lik"][0], rtol=1e-5)
    for t in range(12):
        assert local.ramp(t, 3, 4) == pytest.approx(float(numpyro_local.ramp(t, 3, 4)))


@pytest.mark.parametrize("steps", [1, 7, 100])
def test_learning_rate_is_that_of_numpyro(steps):
    half, config = steps // 2, svi(steps=steps, lr=0.3)
    theirs = optax.linear_schedule(config.lr, 0.0, max(steps - half, 1), half)
    for t in range(steps + 1):
        assert config.lr * falling(config, t) == pytest.approx(float(theirs(t)), abs=1e-6)
    assert [falling(svi(steps=steps, decay=0.0), t) for t in range(steps)] == steps * [1.0]
    assert falling(svi(steps=100, decay=0.2), 80) == 1.0 and falling(svi(steps=100, decay=0.2), 90) == pytest.approx(
        0.5
    )


def test_first_step_of_adam_is_the_learning_rate(digits):
    """Wherever the gradient is not zero."""
    algorithm = local.algorithm(svi(**{**DIGITS, "lr": 0.005}), classifier(sparse_vd.prior()), Sites((), ()))
    state = algorithm.init(0, *digits)
    before = {name: value.detach().clone() for name, value in state.params["params"].items()}
    algorithm.step(0, state, *digits)
    moved = torch.cat([(v.detach() - before[name]).abs().ravel() for name, v in state.params["params"].items()])
    assert len(moved) == 2 * (64 * 20 + 20 + 20 * 10 + 10)
    assert moved.max() < 0.00501 and (moved > 0.0049).float().mean() > 0.9


def test_a_fit_is_a_function_of_the_seed(digits):
    """Chains do not touch each other, nor torch's random state, nor Pyro's parameters."""
    config = {**DIGITS, "steps": 8, "draws": 2}
    model = classifier(empirical_bayes.learned())
    before = torch.get_rng_state()
    one, again, other = (
        fit(model, svi(**config, chains=chains), *digits, seed=seed, progress=False)
        for chains, seed in ((1, 0), (2, 0), (1, 1))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert len(pyro.get_param_store()) == 0
    for name, value in one.draws.items():
        np.testing.assert_array_equal(value[0], again.draws[name][0])
        assert (again.draws[name][0] != again.draws[name][1]).any() and (value != other.draws[name]).any()
    np.testing.assert_array_equal(one.history["loss"][0], again.history["loss"][0])


def test_warm_start(digits, tmp_path):
    """From the means of a fit's weights, where the chains begin alike."""
    shapes = {"layer0.weight": (64, 20), "layer0.bias": (20,), "layer1.weight": (20, 10), "layer1.bias": (10,)}
    values = {name: np.random.default_rng(0).normal(size=(1, 4, *shape)) for name, shape in shapes.items()}
    dims = {name: ("chain", "draw", *(f"{name}.{i}" for i in range(len(shape)))) for name, shape in shapes.items()}
    posterior = xr.Dataset({name: (dims[name], value) for name, value in values.items()})
    save(
        xr.DataTree.from_dict({"/": xr.Dataset(attrs={"strategy": "svi"}), "/posterior": posterior}),
        tmp_path / "fit.nc",
    )
    config = svi(**{**DIGITS, "lr": 1e-9}, steps=2, draws=1, chains=2, start=str(tmp_path / "fit.nc"))
    found = fit(classifier(sparse_vd.prior()), config, *digits, progress=False)
    for name, value in values.items():
        np.testing.assert_allclose(found.loc[name], np.repeat(value.mean(1), 2, axis=0), atol=1e-6)


def test_unregistered_divergence_is_said_once(digits, caplog):
    """Then the weights are sampled, and the fit goes on."""
    config = svi(**DIGITS, steps=30, draws=2, chains=2)
    with caplog.at_level(logging.WARNING):
        found = fit(classifier(empirical_bayes.student_t(1.0, 1.0, "marginal")), config, *digits, progress=False)
    assert caplog.messages == [normals.UNREGISTERED.format(f"layer{i}.weight") for i in (0, 1)]
    assert found.loc["layer0.weight"].shape == (2, 64, 20)
    assert np.isfinite(found.history["loss"]).all()


@GUIDES
def test_expanded_form(name, digits, caplog):
    config = svi(**{**DIGITS, "guide": name}, steps=60, draws=3)
    with caplog.at_level(logging.WARNING):
        found = fit(classifier(prior(half_cauchy(), ard)), config, *digits, progress=False)
    assert not caplog.messages
    assert set(found.loc) == {f"layer{i}.{part}" for i in (0, 1) for part in ("base", "bias")}
    draws = found.draws
    weight = draws["layer0.scale"][..., None] * draws["layer0.base"]
    np.testing.assert_allclose(draws["layer0.weight"], weight, rtol=1e-5)
    assert (draws["layer0.scale"] > 0).all()
    assert found.history["loss"][0, -10:].mean() < found.history["loss"][0, :10].mean()


@pytest.mark.parametrize("config", [NUTS(warmup=1, draws=1), SGLD(warmup=1, draws=1)], ids=["nuts", "sgld"])
@pytest.mark.parametrize(
    "weight, why",
    [
        (sparse_vd.prior(), "log-uniform prior is improper"),
        (empirical_bayes.prior(), "empirical-Bayes prior is chosen by the data"),
        (empirical_bayes.learned(), "empirical-Bayes prior is chosen by the data"),
    ],
)
def test_samplers_refuse_an_improper_prior(config, weight, why):
    with pytest.raises(ValueError, match=f"the {why}"):
        fit(net(weight), config, XT, YT, progress=False)
    assert len(pyro.get_param_store()) == 0


def test_another_guide_scores_its_draws_under_the_learned_scales():
    """log p at the end is not that of the scales at the start."""
    model = net(empirical_bayes.learned())
    found = fit(model, svi(steps=300, lr=0.05, draws=20), XT, YT, progress=False)
    values = {name: torch.as_tensor(value[0, 0]) for name, value in found.draws.items()}
    at_start = density.log_joint(model, values, XT, YT)[0].item()
    assert found.stats["log_p"][0, 0] > at_start + 1
