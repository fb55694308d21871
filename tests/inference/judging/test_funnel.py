"""Divergences that gather at the neck of a funnel, and the form that has none."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.sampler.funnel import LEAST, funnel
from noisezoo.inference.judging.verdict import chain_problems
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import log_normal
from noisezoo.models.weights.parametrisation import FORMS, prior

CHAINS, DRAWS, UNITS = 4, 500, 3


def tree(log_scale, diverging, weight="layer0.weight", name="layer0.scale"):
    """Draws (chain, draw, unit) of a scale, some of them divergent, under a form that samples `weight`."""
    variables = {name: np.exp(log_scale), weight: np.zeros((*log_scale.shape, 2))}
    posterior = {k: (("chain", "draw", *(f"{k}{i}" for i in range(v.ndim - 2))), v) for k, v in variables.items()}
    stats = {"diverging": (("chain", "draw"), diverging)}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(posterior), "sample_stats": xr.Dataset(stats)})


def normal(seed=0):
    return np.random.default_rng(seed).normal(size=(CHAINS, DRAWS, UNITS))


@pytest.mark.parametrize(
    "end, weight, says",
    [
        (-1, "layer0.weight", "where layer0.scale is small: a funnel; try --form expanded"),
        (1, "layer0.base", "where layer0.scale is large: a funnel; try --form hierarchical"),
        (1, "layer0.weight", ""),
        (-1, "layer0.base", ""),
    ],
)
def test_the_neck_is_named(end, weight, says):
    """Of one unit of three; the other end of a scale is no neck."""
    z = normal()
    assert funnel(tree(z, end * z[..., 1] > 1.5, weight)) == says


def test_divergences_without_a_place_say_nothing():
    """In a hundred programs of three scales, none of which has to do with the divergences."""
    for seed in range(100):
        diverging = np.random.default_rng(1000 + seed).uniform(size=(CHAINS, DRAWS)) < 0.02
        assert funnel(tree(normal(seed), diverging)) == ""


def test_few_divergences_say_nothing():
    z = normal()
    few = z[..., 1] <= np.sort(z[..., 1].ravel())[LEAST - 2]
    assert few.sum() == LEAST - 1 and funnel(tree(z, few)) == ""


def test_the_verdict_says_it():
    row = {"rhat_f": 1.0, "ess_bulk_f": 1000, "divergences": 100}
    ((word, reason),) = chain_problems(row, CHAINS, CHAINS * DRAWS, "where layer0.scale is small")
    assert word == "divergent" and reason == "100 of 2000 transitions diverged where layer0.scale is small"


@pytest.fixture(scope="module")
def neal():
    """Neal's funnel: log scale ~ N(0, 1.5^2) of ten weights about which data say next to nothing, in both forms."""
    x, y = jnp.ones((1, 10)), jnp.zeros(1)
    programs = {f: gaussian(mlp(), prior(log_normal(scale=1.5), "add", f), precision=1e-6) for f in FORMS[:2]}
    config = NUTS(warmup=300, draws=1000, chains=4, target_accept=0.8)
    return {form: fit(program, config, x, y, progress=False) for form, program in programs.items()}


def made(found):
    stats = {k: (("chain", "draw"), v) for k, v in found.stats.items()}
    draws = {k: (("chain", "draw", *(f"{k}{i}" for i in range(v.ndim - 2))), v) for k, v in found.draws.items()}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(draws), "sample_stats": xr.Dataset(stats)})


def test_of_neals_funnel_the_marginal_is_right_in_the_form_that_is_advised(neal):
    """The law of log scale is its prior; the form with the neck has divergences there, and does not reach its end."""
    logs = {form: np.log(found.draws["layer0.scale"]) for form, found in neal.items()}
    assert funnel(made(neal["hierarchical"])) == "where layer0.scale is small: a funnel; try --form expanded"
    assert neal["hierarchical"].stats["diverging"].sum() > 10 * neal["expanded"].stats["diverging"].sum()
    np.testing.assert_allclose(logs["expanded"].std(), 1.5, rtol=0.08)
    np.testing.assert_allclose(logs["expanded"].mean(), 0.0, atol=0.15)
    assert np.quantile(logs["expanded"], 0.01) == pytest.approx(-2.326 * 1.5, abs=0.4)
    assert np.quantile(logs["hierarchical"], 0.01) > -2.326 * 1.5 + 0.4
