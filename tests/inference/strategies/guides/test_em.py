"""Variational EM: scales at the M-step for every structure, the objective in closed form, and its exact optimum."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear_model import PRECISION, data
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.guides import elbo, local, normals
from noisezoo.inference.strategies.guides.em import EM
from noisezoo.inference.strategies.guides.layout import layout
from noisezoo.inference.strategies.optimisation import m_step
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.target.numpyro import density
from noisezoo.models import noises
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp, residual_mlp
from noisezoo.models.ppl import language
from noisezoo.models.weights.parametrisation import normal, prior
from scipy import stats

X, Y = (jnp.asarray(a) for a in data())
A, B = 3.0, 2.0
IG = noises.inverse_gamma(A, B)
WIDTH = 4
RNG = np.random.default_rng(0)
SECOND = {  # E[w^2] of the layers of residual_mlp(4, 4) on three features
    f"layer{i}.weight": RNG.uniform(0.01, 2.0, shape)
    for i, shape in enumerate([(3, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)])
}


def net(structure, law=IG):
    return gaussian(residual_mlp(WIDTH, WIDTH), prior(law, structure, "hierarchical", 1.0), PRECISION)


def optimum(program, sweeps=1, second=SECOND):
    """Squared scales by site, and what each adds to the divergence."""
    sites = local.layout(program, density.sites(program, X, Y), X, Y)
    steps = m_step.m_steps({name: site.m_step for name, site in sites.items()})
    values = {name: jnp.zeros(site.shape) for name, site in sites.items() if name not in steps}
    choose = m_step.scale_optimiser(program, sweeps, True, X, Y)
    shapes = {name: sites[name].shape for name in steps}
    second = {name: jnp.asarray(v, jnp.float32) for name, v in second.items()}
    return {
        name: (np.asarray(v, np.float64) ** 2, float(d))
        for name, (v, d) in choose(steps, shapes, values, second).items()
    }


def step(m, count):
    return (m + 2 * B) / (count + 2 * A + 2)


def rows(layer):
    return SECOND[f"layer{layer}.weight"].sum(1)


def columns(layer):
    return SECOND[f"layer{layer}.weight"].shape[1]


# The M-steps of each structure: Nalisnick, Hernandez-Lobato & Smyth (2019), as released, with tau^2 put right.


def test_rows():
    found = optimum(net("ard"))
    for layer in range(3):
        np.testing.assert_allclose(found[f"layer{layer}.scale"][0], step(rows(layer), columns(layer)), rtol=1e-5)


def test_layers_inside_and_rows_at_the_ends():
    found = optimum(net("inner_add"))
    np.testing.assert_allclose(found["layer1.scale"][0], step(SECOND["layer1.weight"].sum(), WIDTH**2), rtol=1e-5)
    for layer in (0, 2):
        np.testing.assert_allclose(found[f"layer{layer}.scale"][0], step(rows(layer), columns(layer)), rtol=1e-5)


def test_every_weight():
    found = optimum(net("iid"))
    np.testing.assert_allclose(found["layer1.scale"][0], step(SECOND["layer1.weight"], 1), rtol=1e-5)


def test_products_take_turns():
    found = optimum(net("inner_ard_add"))
    unit = step(rows(1), WIDTH)
    np.testing.assert_allclose(found["layer1.scale.unit"][0], unit, rtol=1e-5)
    np.testing.assert_allclose(found["layer1.scale.layer"][0], step((rows(1) / unit).sum(), WIDTH**2), rtol=1e-5)


@pytest.mark.parametrize("law", [IG, noises.half_cauchy(0.7)])
def test_products_come_to_a_fixed_point_that_is_a_mode(law):
    """After many sweeps each scale is the M-step given the other, which after one sweep it is not."""
    moments, update = SECOND["layer1.weight"], law.m_step.update

    def back(logs):
        def pull(of):
            return {"unit": of["w"].sum(1), "layer": of["w"].sum()}

        return {"w": (logs["unit"][:, None] + logs["layer"]) * np.ones((1, WIDTH))}, pull

    def away(sweeps):
        start = {"unit": np.zeros(WIDTH), "layer": np.zeros(())}
        steps = dict.fromkeys(start, law.m_step)
        logs = m_step.optimum(np, back, steps, start, {"w": moments}, sweeps)
        unit, layer = np.exp(2 * logs["unit"]), np.exp(2 * logs["layer"])
        wanted = update(np, moments.sum(1) / layer, WIDTH), update(np, (moments.sum(1) / unit).sum(), WIDTH**2)
        return max(np.max(np.abs(wanted[0] / unit - 1)), abs(wanted[1] / layer - 1))

    assert away(2000) < 1e-12
    assert away(1) > 0.05


def test_a_width_other_than_one_counts():
    program = gaussian(mlp(), prior(IG, "ard", "hierarchical", 0.5), PRECISION)
    found = optimum(program, second={"layer0.weight": SECOND["layer0.weight"][:, :1]})
    np.testing.assert_allclose(found["layer0.scale"][0], step(SECOND["layer0.weight"][:, 0] / 0.25, 1), rtol=1e-5)


def test_a_structure_of_ones_own():
    """Two rows of the first layer share a scale, and the third has none of its own."""

    def pairs(p, name, law, shape):
        shared = law(p, name, ())
        return p.xp.stack([shared, shared, p.xp.ones(())])[:, None]

    program = gaussian(mlp(), prior(IG, pairs, "hierarchical", 1.0), PRECISION)
    second = SECOND["layer0.weight"][:, :1]
    found = optimum(program, second={"layer0.weight": second})
    np.testing.assert_allclose(found["layer0.scale"][0], step(second[:2].sum(), 2), rtol=1e-5)


def test_the_density_is_that_of_the_squared_scale():
    """-log p(lambda) and what is added to it make -log p(lambda^2)."""
    found, added = optimum(net("ard"))["layer0.scale"]
    log_p = stats.invgamma(A, scale=B).logpdf(found) + np.log(2 * found**0.5)
    np.testing.assert_allclose(added - log_p.sum(), -stats.invgamma(A, scale=B).logpdf(found).sum(), rtol=1e-4)


# The objective.


def linear(form="hierarchical", law=IG):
    return gaussian(mlp(), prior(law, "ard", form, 1.0), PRECISION)


def parts(config, params, program=None):
    program = program or linear()
    found = density.sites(program, X, Y)

    def guide(x, y):
        choose = m_step.scale_optimiser(program, config.sweeps, config.kl == "sum", x, y)
        sites = layout(program, found, x, y)
        normals.sample(language("numpyro"), sites, config, lambda *_: None, local.LocalNormal, choose)

    one = partial(elbo.parts, params=params, model=program, guide=guide, args=(X, Y), kwargs={})
    return jax.jit(one)(jax.random.PRNGKey(0))


def params():
    means, sds = np.array([[0.5], [-1.0], [0.2]]), np.array([[-2.0], [-1.5], [-2.5]])
    values = {"layer0.weight.loc": means, "layer0.weight.log_scale": sds}
    values |= {"layer0.bias.loc": np.array([0.3]), "layer0.bias.log_scale": np.array([-3.0])}
    return {name: jnp.asarray(v, jnp.float32) for name, v in values.items()}


def divergences():
    """Of the weights and biases, and -log p(lambda^2), in closed form."""
    p = {name: np.asarray(v, np.float64).ravel() for name, v in params().items()}

    def kl(name, sd):
        loc, scale = p[f"{name}.loc"], np.exp(p[f"{name}.log_scale"])
        return np.sum(np.log(sd / scale) + (scale**2 + loc**2) / (2 * sd**2) - 0.5)

    square = step(p["layer0.weight.loc"] ** 2 + np.exp(2 * p["layer0.weight.log_scale"]), 1)
    return kl("layer0.weight", square**0.5) + kl("layer0.bias", 1.0), -stats.invgamma(A, scale=B).logpdf(square).sum()


def test_the_divergence_of_the_elbo_has_the_density_of_the_scales():
    np.testing.assert_allclose(parts(EM(), params()).kl, sum(divergences()), rtol=1e-5)


def test_the_mean_divergence_has_not():
    np.testing.assert_allclose(parts(EM(kl="mean"), params()).kl, divergences()[0], rtol=1e-5)


def test_the_mean_divergence_is_weighted_by_rows_over_weights():
    """The loss of a step, from the parts that are recorded beside it."""
    history = fit(linear(), svi(guide="em", kl="mean", steps=1, draws=1), X, Y, progress=False).history
    expected = history["kl"] * len(Y) / 3 - history["log_lik"]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


def test_log_uniform_scales_have_the_density_of_their_square():
    """p(lambda^2) is 1 / lambda^2: its law is flat, and a factor and the change of variable do the rest."""
    found = parts(EM(), params(), linear(law=noises.log_uniform()))
    p = {name: np.asarray(v, np.float64).ravel() for name, v in params().items()}
    m = p["layer0.weight.loc"] ** 2 + np.exp(2 * p["layer0.weight.log_scale"])
    square = m / 3
    kl = np.sum(0.5 * np.log(square) - p["layer0.weight.log_scale"] + m / (2 * square) - 0.5)
    bias = 3.0 + (np.exp(-6.0) + 0.3**2) / 2 - 0.5
    np.testing.assert_allclose(found.kl, kl + bias + np.log(square).sum() + 3 * np.log(2), rtol=1e-5)


def test_the_optimum_of_a_linear_model():
    """Means of the exact posterior given the scales, sds of its diagonal precision, and scales at their M-step."""
    found = fit(linear(), svi(guide="em", steps=20_000, lr=0.01, particles=4, draws=2), X, Y, progress=False)
    scale = found.draws["layer0.scale"][0, 0].astype(np.float64)
    design = np.c_[X, np.ones(len(X))].astype(np.float64)
    precision = PRECISION * design.T @ design + np.diag(np.r_[scale**-2.0, 1.0])
    mean, sd = np.linalg.solve(precision, PRECISION * design.T @ Y), np.diag(precision) ** -0.5
    np.testing.assert_allclose(found.loc["layer0.weight"][0, :, 0], mean[:-1], atol=0.003)
    np.testing.assert_allclose(found.scale["layer0.weight"][0, :, 0], sd[:-1], rtol=0.02)
    np.testing.assert_allclose(scale**2, step(mean[:-1] ** 2 + sd[:-1] ** 2, 1), rtol=0.01)
    assert "layer0.scale" not in found.loc  # a point
    assert np.ptp(found.draws["layer0.scale"], axis=1).max() == 0


# What it refuses.


@pytest.mark.parametrize(
    "program, said",
    [
        (linear("expanded"), "use form='hierarchical'"),
        (linear(law=noises.beta()), "layer0.scale has no closed-form M-step; use svi:guide=local"),
        (gaussian(mlp(), normal(), PRECISION), "this program samples none; use svi:guide=local"),
    ],
)
def test_programs_without_m_steps_are_refused(program, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        fit(program, svi(guide="em", steps=2), X, Y, progress=False)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"guide": "local", "sweeps": 3}, "sweeps is a setting of the guide em, not of the guide local"),
        ({"guide": "map", "kl": "mean"}, "kl is a setting of the guides local, flipout and em"),
        ({"guide": "em", "kl": "men"}, "did you mean 'mean'"),
        ({"guide": "em", "sweeps": 0}, "sweeps must be positive"),
        ({"decay": 1.5}, "decay, a share of the steps, must lie between 0 and 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        svi(**settings)
