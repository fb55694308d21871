"""Units of directions and magnitudes: their table, against quadrature and draws, and networks without some of them."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from direction_fits import made
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging import direction_posterior
from noisezoo.inference.judging.predict import predict
from noisezoo.inference.sparsity import unit_removal
from noisezoo.inference.strategies.parse import svi
from noisezoo.models.likelihoods import categorical, gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.papers import direction_magnitude
from noisezoo.models.ppl import truncated_integrals
from scipy.stats import truncnorm

ROWS, FEATURES, HIDDEN, CLASSES = 60, 4, 12, 3
MODEL = categorical(mlp(HIDDEN), direction_magnitude.prior(), CLASSES)
rng = np.random.default_rng(0)
X = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
Y = np.argmax(X[:, :CLASSES] + 0.1 * rng.normal(size=(ROWS, CLASSES)), axis=1).astype(np.int32)


def torch_or_jax(language, values):
    if language == "numpyro":
        return jnp.asarray(values)
    import torch

    return torch.tensor(values)


def by_hand(draws, x):
    """f (draw, rows, outputs) of a perceptron with these weights and biases, in the first chain."""
    h, count = x, sum(site.endswith(".bias") for site in draws)
    for i in range(count):
        h = h @ draws[f"layer{i}.weight"][0] + draws[f"layer{i}.bias"][0][:, None]
        h = np.tanh(h) if i < count - 1 else h
    return h


@pytest.fixture(scope="module")
def fitted():
    settings = svi(guide="local", steps=400, lr=0.02, draws=3000, init_scale=0.05, kl_warmup=200)
    return fit(MODEL, settings, jnp.asarray(X), jnp.asarray(Y), progress=False)


@pytest.mark.parametrize("over", ["outputs", "inputs"])
def test_the_network_of_mean_weights_has_the_mean_of_a_linear_function(over, language):
    """f of the mean weights is the mean of f over draws; the centre has weights m v."""
    model, sizes = categorical(mlp(bias=False), direction_magnitude.prior(over=over), CLASSES), (FEATURES, CLASSES)
    found = made(sizes, over, draws=20_000)
    x = torch_or_jax(language, X)
    mean, centre = (
        predict(model, direction_posterior._one_network(found, ["layer0"], way, 0), x).f[0, 0]
        for way in ("mean_weights", "centre")
    )
    weights = found.draws["layer0.weight"][0]
    error = weights.std(axis=0).max() / math.sqrt(len(weights)) * np.linalg.norm(X, axis=1).max()
    np.testing.assert_allclose(mean, X @ weights.mean(axis=0), atol=5 * error)
    axis = 0 if over == "outputs" else 1
    v = found.draws["layer0.base"][0, 0] / np.linalg.norm(found.draws["layer0.base"][0, 0], axis=axis, keepdims=True)
    np.testing.assert_allclose(centre, X @ (v * np.expand_dims(found.loc["layer0.magnitude"][0], axis)), atol=1e-5)


def test_ways_to_predict(fitted):
    table = direction_posterior.posterior_prediction_modes(MODEL, fitted, jnp.asarray(X), jnp.asarray(Y))
    assert list(table.index) == ["ensemble", "one_draw", "mean_weights", "centre"]
    assert list(table.columns) == ["accuracy", "mlpd"] and table.notna().all(axis=None)
    found = predict(MODEL, fitted.draws, jnp.asarray(X), jnp.asarray(Y))
    density = np.exp(found.log_lik[0].astype(float))
    assert table.loc["ensemble", "mlpd"] == pytest.approx(np.log(density.mean(axis=0)).mean(), rel=1e-4)
    assert table.loc["one_draw", "mlpd"] == pytest.approx(np.log(density).mean(), rel=1e-4)
    assert table.loc["one_draw", "mlpd"] < table.loc["ensemble", "mlpd"]


@pytest.mark.parametrize("change", [{"strategy": "nuts"}, {"loc": {"layer0.plane": 0, "layer1.plane": 0}}])
def test_mean_weights_that_are_not_known_have_no_numbers(fitted, change):
    other = replace(fitted, **{k: fitted.loc | v if k == "loc" else v for k, v in change.items()})
    table = direction_posterior.posterior_prediction_modes(MODEL, other, jnp.asarray(X), jnp.asarray(Y))
    assert table.loc[["mean_weights", "centre"]].isna().all(axis=None)
    assert table.loc[["ensemble", "one_draw"]].notna().all(axis=None)


def test_a_table_says_what_q_is(fitted):
    table = direction_posterior.by_unit(fitted)
    assert list(table["layer"].unique()) == ["layer0", "layer1"]
    assert list(table["unit"]) == [*range(HIDDEN), *range(CLASSES)]
    for layer, part in table.groupby("layer"):
        m, s = (found[f"{layer}.magnitude"][0] for found in (fitted.loc, fitted.scale))
        angle = [found[f"{layer}.angle"][0].astype(float) for found in (fitted.loc, fitted.scale)]
        np.testing.assert_allclose(part["m"], m)
        np.testing.assert_allclose(part["size"] ** 2, m.astype(float) ** 2 + s.astype(float) ** 2, rtol=1e-6)
        np.testing.assert_allclose(part["log_alpha"], np.log(s**2 / m**2), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            part["angle"], truncated_integrals.mean(np, *angle, 0, direction_posterior.QUARTER), rtol=1e-5
        )
        cosine = truncated_integrals.mean_cosine(np, *angle, 0, direction_posterior.QUARTER)
        np.testing.assert_allclose(1 - part["mean_cosine"], 1 - cosine, rtol=1e-4)


def test_the_mean_weight_is_the_shrunk_direction(fitted):
    table, checked = direction_posterior.by_unit(fitted), 0
    for layer, part in table.groupby("layer"):
        weight, base = (fitted.draws[f"{layer}.{site}"][0].astype(float) for site in ("weight", "base"))
        v = base[0] / np.linalg.norm(base[0], axis=0)
        mean, error = weight.mean(axis=0), weight.std(axis=0) / math.sqrt(len(weight))
        wanted = np.sign(part["m"].to_numpy()) * part["shrunk"].to_numpy() * v
        assert np.all(np.abs(mean - wanted) < 4.5 * error)
        unshrunk = part["m"].to_numpy() * v
        checked += np.sum(np.abs(mean - unshrunk) > 4.5 * error)  # the test can tell
    assert checked > 10


@pytest.mark.parametrize("loc, scale", [(0.3, 0.2), (0.0, 0.001), (-1.0, 0.2), (2.5, 0.4), (0.7, 50.0)])
def test_the_sd_of_an_angle(loc, scale):
    found = made((2, 3), draws=1)
    found.loc["layer0.angle"][:], found.scale["layer0.angle"][:] = loc, scale
    law = truncnorm((0 - loc) / scale, (direction_posterior.QUARTER - loc) / scale, loc, scale)
    np.testing.assert_allclose(direction_posterior.by_unit(found)["angle_sd"], law.std(), rtol=1e-4)


def test_the_table_of_a_chain_and_of_draws_alone():
    found = made((4, 5, 3), draws=7, chains=2)
    np.testing.assert_allclose(direction_posterior.by_unit(found, chain=1)["m"][:5], found.loc["layer0.magnitude"][1])
    for other in (replace(found, loc={}, scale={}), replace(found, strategy="sgld")):  # whose loc is another thing
        table = direction_posterior.by_unit(other, chain=1)[:5]
        g, e = (found.draws[f"layer0.{site}"][1].astype(float) for site in ("magnitude", "angle"))
        wanted = {
            "m": g.mean(0),
            "sd": g.std(0),
            "angle": e.mean(0),
            "angle_sd": e.std(0),
            "mean_cosine": np.cos(e).mean(0),
        }
        for name, values in wanted.items():
            np.testing.assert_allclose(table[name], values, err_msg=name)
    assert (
        direction_posterior.by_unit(replace(found, loc={**found.loc, "layer0.magnitude": np.zeros((2, 5))}))[
            "log_alpha"
        ][0]
        == np.inf
    )


def test_a_network_without_units_is_that_with_zero_weights(fitted):
    few = replace(fitted, draws={site: values[:, :30] for site, values in fitted.draws.items()})
    masks = {"layer0": np.arange(HIDDEN) % 3 == 0, "layer1": np.arange(CLASSES) == 1}
    draws = unit_removal.without(few, masks)
    for layer, mask in masks.items():
        assert np.all((draws[f"{layer}.weight"] == 0) == mask) and np.all((draws[f"{layer}.magnitude"] == 0) == mask)
    x = jnp.asarray(X)
    np.testing.assert_allclose(predict(MODEL, draws, x).f[0], by_hand(draws, X), atol=2e-4)
    whole = unit_removal.without(few, {})
    assert all(np.array_equal(whole[site], few.draws[site]) for site in few.draws)
    assert np.abs(predict(MODEL, whole, x).f[0] - by_hand(draws, X)).max() > 0.1
    empty = predict(MODEL, unit_removal.without(few, unit_removal.removed(few, math.inf)), x).f[0]
    h = np.tanh(few.draws["layer0.bias"][0])[:, None]
    constant = h @ few.draws["layer1.weight"][0] + few.draws["layer1.bias"][0][:, None]
    np.testing.assert_allclose(empty, np.broadcast_to(constant, empty.shape), atol=1e-5)  # biases are left


def test_a_curve_removes_the_smallest_units_first(fitted):
    few = replace(fitted, draws={site: values[:, :30] for site, values in fitted.draws.items()})
    x, y = jnp.asarray(X), jnp.asarray(Y)
    curve = unit_removal.curve(MODEL, few, x, y, [0.5, 0, 1, 0.25])
    assert list(curve) == ["fraction", "removed", "accuracy", "mlpd"]
    assert list(curve["fraction"]) == [0, 0.25, 0.5, 1] and list(curve["removed"]) == [0, 3, 6, 12]
    table = direction_posterior.by_unit(few)
    hidden = np.sort(table.loc[table["layer"] == "layer0", "shrunk"])
    for gone, (_, row) in zip((0, 3, 6, 12), curve.iterrows(), strict=True):
        masks = unit_removal.removed(few, hidden[gone] if gone < HIDDEN else math.inf)
        assert sum(mask.sum() for mask in masks.values()) == gone and not masks["layer1"].any()
        found = predict(MODEL, unit_removal.without(few, masks), x, y)
        p = np.exp(found.f[0].astype(float))
        p = (p / p.sum(axis=-1, keepdims=True)).mean(axis=0)
        assert row["accuracy"] == pytest.approx(np.mean(p.argmax(axis=-1) == Y))
        assert row["mlpd"] == pytest.approx(np.mean(np.log(p[np.arange(ROWS), Y])), abs=1e-4)
    assert curve["accuracy"].iloc[0] > 0.8 > curve["accuracy"].iloc[-1]


def test_the_inputs_of_a_regression_may_go_but_not_its_output(language):
    model = gaussian(mlp(3), direction_magnitude.prior(over="inputs"), precision=4.0)
    found, target = made((FEATURES, 3, 1), over="inputs"), X[:, 0]
    x, y = (jnp.asarray(values) for values in (X, target))
    if language == "pyro":
        import torch

        x, y = torch.tensor(X), torch.tensor(target)
    curve = unit_removal.curve(model, found, x, y, (0, 1))
    assert list(curve["removed"]) == [0, FEATURES]  # a layer of one output has its vectors over outputs
    f = [by_hand(found.draws, values)[..., 0].mean(axis=0) for values in (X, 0 * X)]
    np.testing.assert_allclose(curve["rmse"], [np.sqrt(np.mean((part - target) ** 2)) for part in f], rtol=1e-4)


@pytest.mark.parametrize("over", ["outputs", "inputs"])
@pytest.mark.parametrize("sizes", [(4, 3, 3), (3, 4, 5), (5, 4, 2)])
def test_outputs_of_the_network_stay_and_its_inputs_go(over, sizes):
    found = made(sizes, over)
    masks = unit_removal.removed(found, math.inf)
    assert masks["layer0"].all() and masks["layer1"].all() == (over == "inputs")
    gone = unit_removal.without(found, {"layer1": np.arange(len(masks["layer1"])) == 1})["layer1.weight"] == 0
    wanted = np.zeros(sizes[1:], bool)
    wanted[(slice(None), 1) if over == "outputs" else 1] = True
    assert np.all(gone == wanted)
    assert not any(mask.any() for mask in unit_removal.removed(found, 0.0).values())


def test_kernels_have_their_units_over_outputs():
    found = made((3, 3, 4), over="inputs")
    for site in ("base", "weight"):
        found.draws[f"layer1.{site}"] = np.ones((1, 20, 5, 5, 3, 3), np.float32)
    assert (
        unit_removal.removed(found, math.inf)["layer0"].all()
        and not unit_removal.removed(found, math.inf)["layer1"].any()
    )


def test_what_does_not_fit_is_refused():
    found = made((4, 5, 3), draws=2)
    other = replace(found, draws={site: v for site, v in found.draws.items() if ".angle" not in site})
    with pytest.raises(ValueError, match="needs a fit whose units have directions"):
        direction_posterior.by_unit(other)
    with pytest.raises(ValueError, match="no chain 1; choose one from 0 to 0"):
        direction_posterior.by_unit(found, chain=1)
    with pytest.raises(ValueError, match="layer0 must be 5 booleans, one for each unit; got bool of shape"):
        unit_removal.without(found, {"layer0": np.zeros(4, bool)})
    with pytest.raises(ValueError, match="got int64"):
        unit_removal.without(found, {"layer0": np.arange(5)})
    with pytest.raises(ValueError, match="unknown layer 'layer4'"):
        unit_removal.without(found, {"layer4": np.zeros(5, bool)})
    for bad in (-1, math.nan):
        with pytest.raises(ValueError, match="threshold of the length"):
            unit_removal.removed(found, bad)
    for bad in ([0, 1.1], [-0.1], [math.nan], []):
        with pytest.raises(ValueError, match="lie between 0 and 1"):
            unit_removal.curve(MODEL, found, X, Y, bad)
    with pytest.raises(ValueError, match="its outputs, which stay; give it a hidden layer"):
        unit_removal.curve(MODEL, made((4, 3)), X, Y)
