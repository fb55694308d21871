"""Variational EM and the dropout family in Pyro: the same numbers as in NumPyro, and optima that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pyro
import pytest
import torch
from linear_model import PRECISION, SIGMA0
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.guides import dropout, elbo, normals
from noisezoo.inference.strategies.guides import local as numpyro_local
from noisezoo.inference.strategies.guides.em import EM
from noisezoo.inference.strategies.guides.layout import layout
from noisezoo.inference.strategies.optimisation import m_step
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.pyro.guides import elbo as pyro_elbo
from noisezoo.inference.strategies.pyro.guides import em, local
from noisezoo.inference.target.numpyro import density
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp, residual_mlp
from noisezoo.models.ppl import language
from noisezoo.models.weights.parametrisation import normal, prior
from pyro_driver import X, Y

XT, YT, XJ, YJ = torch.as_tensor(X), torch.as_tensor(Y), jnp.asarray(X), jnp.asarray(Y)


def net(structure, law):
    weight = prior(law, structure, "hierarchical", 0.7)
    return likelihoods.gaussian(residual_mlp(3, 3), weight, PRECISION)


def values(sites, steps):
    """Values for the guide's parameters."""
    rng = np.random.default_rng(0)
    return {
        f"{name}.{part}": rng.normal(0.0 if part == "loc" else -1.5, 0.5, site.shape).astype(np.float32)
        for name, site in sites.items()
        if name not in steps
        for part in ("loc", "log_scale")
    }


@pytest.mark.parametrize("kl", ["sum", "mean"])
@pytest.mark.parametrize("structure", ["ard", "inner_add", "inner_ard_add"])
@pytest.mark.parametrize("law", [noises.inverse_gamma(3.0, 2.0), noises.half_cauchy(0.6), noises.log_uniform()])
def test_both_languages_have_the_same_divergence_and_gradient(structure, law, kl):
    program, config = net(structure, law), EM(kl=kl, sweeps=2)
    sites = local.layout(program, XT, YT)
    given = values(sites, m_step.m_steps({name: site.m_step for name, site in sites.items()}))

    def in_torch():
        tensors = {name: torch.tensor(v, requires_grad=True) for name, v in given.items()}

        def guide(x, y):
            start = lambda name, *_: tensors[name]  # noqa: E731
            p = language("pyro")._replace(param=lambda name, init: init)
            normals.sample(p, sites, config, start, local.LocalNormal, em.scale_optimiser(program, config, x, y))

        found = pyro_elbo.parts(*pyro_elbo.traces(program, guide, (XT, YT), {})).kl
        found.backward()
        return found.item(), {name: t.grad.numpy() for name, t in tensors.items()}

    def kl_of(params):
        found = density.sites(program, XJ, YJ)

        def guide(x, y):
            choose = m_step.scale_optimiser(program, config.sweeps, config.kl == "sum", x, y)
            sites = layout(program, found, x, y)
            normals.sample(language("numpyro"), sites, config, lambda *_: None, numpyro_local.LocalNormal, choose)

        return elbo.parts(jax.random.PRNGKey(0), params, program, guide, (XJ, YJ), {}).kl

    expected, gradient = jax.jit(jax.value_and_grad(kl_of))({name: jnp.asarray(v) for name, v in given.items()})
    found, gradients = in_torch()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for name in given:
        np.testing.assert_allclose(gradients[name], gradient[name], rtol=2e-3, atol=2e-3)


def test_a_fit_by_em():
    """The scales are points, the loss falls, and the draws are whole."""
    config = svi(guide="em", steps=400, lr=0.02, batch_size=20, draws=7)
    found = fit(net("inner_ard_add", noises.inverse_gamma(3.0, 2.0)), config, XT, YT, progress=False)
    assert found.draws["layer1.scale.unit"].shape == (1, 7, 3) and found.draws["layer1.scale.layer"].shape == (1, 7)
    assert np.ptp(found.draws["layer1.scale.unit"], axis=1).max() == 0
    assert np.ptp(found.draws["layer1.weight"], axis=1).min() > 0
    assert found.history["loss"][0, -10:].mean() < found.history["loss"][0, :10].mean()
    assert set(found.loc) == {f"layer{i}.{what}" for i in range(3) for what in ("weight", "bias")}


def test_em_refuses_programs_without_scales():
    with pytest.raises(ValueError, match="samples none; use svi:guide=local"):
        fit(likelihoods.gaussian(mlp(), normal(), PRECISION), svi(guide="em", steps=2), XT, YT, progress=False)


# The dropout family.


@pytest.mark.parametrize("mask", ["function", "example"])
@pytest.mark.parametrize("objective", ["average", "importance", "tail_adaptive"])
def test_both_languages_have_the_same_objective(objective, mask):
    log_lik = np.random.default_rng(0).normal(-2, 1.5, (6, 4)).astype(np.float32)
    config = svi(guide="dropout", objective=objective, mask=mask)
    expected = dropout.objective(jnp, config.guide, jnp.asarray(log_lik), 3.0)
    found = dropout.objective(language("pyro").xp, config.guide, torch.tensor(log_lik), 3.0)
    np.testing.assert_allclose(found.item(), expected, rtol=1e-5)


def test_a_mask_for_each_example_is_the_same_ridge():
    a = 0.5
    program = likelihoods.gaussian(mlp(), prior(noises.gaussian_dropout(a), "ard", sigma0=SIGMA0), PRECISION)
    config = svi(guide="dropout", mask="example", steps=2000, lr=0.02, batch_size=30, draws=5, prediction="mean_weight")
    draws = fit(program, config, XT, YT, progress=False).draws
    design = np.c_[X, np.ones(len(X))]
    gram = design.T @ design
    penalty = np.diag(np.r_[np.full(2, SIGMA0**-2), 1.0]) + PRECISION * a * np.diag([*np.diag(gram)[:2], 0.0])
    ridge = np.linalg.solve(PRECISION * gram + penalty, PRECISION * design.T @ Y)
    point = np.r_[draws["layer0.base"][0, 0, :, 0], draws["layer0.bias"][0, 0]]
    np.testing.assert_allclose(point, ridge, atol=0.05)
    np.testing.assert_array_equal(draws["layer0.scale"], 1.0)


@pytest.mark.parametrize("law", [noises.bernoulli(0.9), noises.beta()])
def test_every_objective_trains_a_network(law):
    program = likelihoods.gaussian(mlp(4), prior(law))
    config = svi(guide="dropout", mask="example", objective="tail_adaptive", particles=3, steps=20, draws=3)
    found = fit(program, config, XT, YT, progress=False)
    assert all(np.isfinite(v).all() for v in found.draws.values())


@pytest.mark.parametrize(
    "law, settings, said",
    [
        (noises.half_cauchy(), {"prediction": "mean_weight"}, "has no known mean for a mean weight"),
        (noises.regularised_half_cauchy(), {"mask": "example"}, "drawn as they are"),
    ],
)
def test_what_dropout_refuses(law, settings, said):
    program = likelihoods.gaussian(mlp(), prior(law))
    with pytest.raises((ValueError, TypeError), match=said):
        fit(program, svi(guide="dropout", steps=2, draws=2, **settings), XT, YT, progress=False)


@pytest.fixture(autouse=True)
def store():
    """A parameter store of the test's own; torch seeded."""
    with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        torch.manual_seed(0)
        yield
