"""Ways to predict under noise: where the function is linear in the weights, two of them are known exactly."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo import fit
from noisezoo.inference.judging.prediction_modes import networks, points, prediction_modes
from noisezoo.inference.strategies.parse import svi
from noisezoo.models import catalogue
from noisezoo.models.laws import directions
from noisezoo.models.likelihoods import categorical, gaussian
from noisezoo.models.networks import mlp
from scipy import stats

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)).astype(np.float32)
BETA = np.array([1.0, -2.0, 0.5, 0.0, 1.5], np.float32)
Y = (X @ BETA + 0.1 * RNG.normal(size=40)).astype(np.float32)
POINTS = {
    "layer0.base": np.array([[0.3], [0.1], [-0.2], [0.4], [0.1]], np.float32),
    "layer0.magnitude": np.array([2.0], np.float32),
}


def linear(spec):
    return gaussian(mlp(bias=False), catalogue.prior(spec), precision=4.0)


@pytest.mark.parametrize("on", ["weights", "activations"])
@pytest.mark.parametrize("language", ["numpyro", "pyro"])
def test_a_linear_net_by_hand(language, on):
    """f of the mean weights is the mean of f, that of the centre is g x'v; the ensemble's density is a mixture's."""
    model, draws = linear(f"rotation_normal:alpha=0.5,on={on}"), 4000 if language == "numpyro" else 1000
    if language == "pyro":
        torch = pytest.importorskip("torch")
        pytest.importorskip("pyro")
        x, y = torch.tensor(X), torch.tensor(Y)
    else:
        x, y = jnp.asarray(X), jnp.asarray(Y)
    found = prediction_modes(model, POINTS, x, y, draws=draws, seed=3)
    v = POINTS["layer0.base"][:, 0] / np.linalg.norm(POINTS["layer0.base"])
    centre = 2.0 * X @ v
    shrunk = directions.rotation_normal(0.5).mean_cosine(5) * centre

    def judged(f):
        return {"rmse": math.sqrt(np.mean((f - Y) ** 2)), "mlpd": np.mean(stats.norm.logpdf(Y, f, 0.5))}

    for way, f in (("centre", centre), ("mean_weights", shrunk)):
        assert dict(found.loc[way]) == pytest.approx(judged(f), rel=1e-4)
    f = networks(model, POINTS, x, y, draws=draws, seed=3)
    assert f.shape == (draws, 40)
    np.testing.assert_allclose(f.mean(axis=0), shrunk, atol=5 * f.std(axis=0).max() / math.sqrt(draws))
    density = np.mean(stats.norm.pdf(Y, f, 0.5), axis=0)
    assert found.loc["ensemble", "mlpd"] == pytest.approx(np.mean(np.log(density)), rel=1e-3)
    assert found.loc["one_draw", "mlpd"] < found.loc["ensemble", "mlpd"]
    assert found.loc["one_draw", "rmse"] == pytest.approx(np.mean(np.sqrt(np.mean((f - Y) ** 2, axis=1))), rel=1e-4)


def test_the_same_seed_gives_the_same_numbers():
    model, x, y = linear("tangent:alpha=0.2"), jnp.asarray(X), jnp.asarray(Y)
    first, again, other = (prediction_modes(model, POINTS, x, y, draws=5, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.loc[["ensemble"]].equals(other.loc[["ensemble"]])
    assert first.loc["centre"].equals(other.loc["centre"])


def test_without_noise_all_ways_are_one():
    model, x = categorical(mlp(4), catalogue.prior("weight_norm"), 3), jnp.asarray(X)
    y = jnp.asarray(np.arange(40) % 3)
    found = fit(model, svi(guide="dropout", steps=50, draws=2), x, y, progress=False)
    table = prediction_modes(model, points(found), x, y, draws=3)
    assert list(table.columns) == ["accuracy", "mlpd"]
    np.testing.assert_allclose(table - table.loc["centre"], 0, atol=1e-5)


@pytest.mark.parametrize(
    "spec, unknown",
    [("tangent_as_released:alpha=0.2", ["mean_weights"]), ("half_cauchy", ["mean_weights", "centre"])],
)
def test_means_that_are_not_known(spec, unknown, language):
    """Nor is the centre of a direction taken for its mean."""
    if language == "pyro":
        import torch

        x, y = torch.tensor(X), torch.tensor(Y)
    else:
        x, y = jnp.asarray(X), jnp.asarray(Y)
    found = prediction_modes(linear(spec), POINTS, x, y, draws=3)
    assert found.loc[unknown].isna().all(axis=None)
    assert found.drop(index=unknown).notna().all(axis=None)


def test_refusals():
    x, y = jnp.asarray(X), jnp.asarray(Y)
    with pytest.raises(ValueError, match="draws must be positive"):
        prediction_modes(linear("weight_norm"), POINTS, x, y, draws=0)
    found = fit(linear("weight_norm"), svi(guide="mean_field", steps=5, draws=2), x, y, progress=False)
    with pytest.raises(ValueError, match="svi:guide=dropout"):
        points(found)


def test_a_direction_that_is_turned_far_fails_when_it_is_not_turned():
    """Figure 3 in small: a net that learned under noise does without it what it never saw."""
    from noisezoo import data

    d = data.load("digits")
    x, y = jnp.asarray(d.x_train), jnp.asarray(d.y_train)
    model = categorical(mlp(256, 256, 256, activation="relu"), catalogue.prior("projected:alpha=0.04"), 10)
    config = svi(guide="dropout", steps=1500, lr=3e-3, batch_size=100, draws=1)
    found = fit(model, config, x, y, progress=False)
    table = prediction_modes(model, points(found), jnp.asarray(d.x_test), jnp.asarray(d.y_test), draws=30)
    assert table.loc["ensemble", "accuracy"] > 0.75
    assert table.loc["centre", "accuracy"] < table.loc["ensemble", "accuracy"] - 0.1
    assert jax.tree.all(jax.tree.map(lambda v: np.isfinite(v).all(), points(found)))
