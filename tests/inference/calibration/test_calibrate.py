"""Strategies against simulated data: an error that was planted is found, and none where there is none."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.calibration import simulations
from noisezoo.inference.calibration.calibrate import LEVEL, calibrate, said
from noisezoo.inference.calibration.quantities import LOG_LIKELIHOOD, NOISE_SD, WEIGHTS, quantities
from noisezoo.inference.calibration.simulations import LARGEST
from noisezoo.inference.driver.result import Fit
from noisezoo.inference.strategies.parse import parse
from noisezoo.models import catalogue
from scipy.stats import norm

RNG = np.random.default_rng(3)
X, NEW = (jnp.asarray(RNG.normal(size=(rows, 4)), jnp.float32) for rows in (8, 3))
NUTS = "nuts:start=none,warmup=150,draws=100,chains=1,max_tree_depth=5,method=vectorised"
COUNT = 160


def config(text):
    return next(iter(parse(text).values()))


def model(prior, structure="iid", network="linear", precision=4.0):
    laid = catalogue.prior(prior) if prior == "normal" else catalogue.prior(prior, structure)
    return catalogue.model(laid, catalogue.network(network), "regression", precision=precision)


@pytest.fixture(scope="module")
def fitted():
    """The program that is fitted, the same one in all tests."""
    return model("rayleigh")


@pytest.fixture(scope="module")
def planted(fitted):
    """What NUTS on that program says of data from a prior whose scale is so many times that of the program."""

    def found(factor):
        made = simulations.of_prior(model(f"rayleigh:scale={factor}"), X, COUNT, seed=5)
        return calibrate(fitted, config(NUTS), made, NEW, seed=6)

    return {factor: found(factor) for factor in (1.0, 1.2)}


def test_the_right_scale_is_calibrated(planted):
    right = planted[1.0]
    assert right.p > 0.05 and not right.failed and 20 <= right.draws <= 100
    word, sentence = said(right.pit, right.p_values, right.ess, right.draws)
    assert word == "calibrated" and f"in {COUNT} simulations" in sentence


def test_a_scale_that_is_off_by_a_fifth_is_found(planted):
    wrong = planted[1.2]
    assert wrong.p < 1e-3 and wrong.worst in ("layer0.scale", WEIGHTS)
    word, sentence = said(wrong.pit, wrong.p_values, wrong.ess, wrong.draws)
    assert word == "not calibrated" and sentence.startswith(f"{wrong.worst}: the posterior is too low on average")


def test_a_guide_that_is_too_narrow_is_found(fitted):
    together = X.at[:, 1].set(X[:, 0] + 0.1 * X[:, 1])  # two columns that go together
    made = simulations.of_prior(fitted, together, COUNT, seed=7)
    narrow = calibrate(fitted, config("svi:steps=1000,draws=100"), made, together[:2], seed=8)
    assert narrow.p < LEVEL and narrow.draws == 100  # draws of a guide are not thinned


def test_the_posterior_at_data_of_ones_own():
    """A linear model with normal weights: NUTS agrees with itself at twice the data."""
    program, y = model("normal", precision=1.0), X[:, 0] + jnp.asarray(RNG.normal(size=8), jnp.float32)
    made = simulations.of_posterior(program, config("nuts:warmup=300,draws=300,chains=2"), X, y, COUNT, seed=1)
    assert made.x.shape == (16, 4) and len(made.ys) == COUNT
    for replicate in made.ys[:3]:
        np.testing.assert_array_equal(replicate[:8], y)
        assert not np.allclose(replicate[8:], y)
    exact = calibrate(program, config(NUTS), made, NEW, seed=2)
    assert exact.p > LEVEL, exact.p_values
    other = made._replace(ys=[one.at[:8].set(-y) for one in made.ys])  # a posterior of other data
    assert calibrate(program, config(NUTS), other, NEW, seed=2).p < LEVEL


def test_data_from_the_prior_are_of_the_size_of_data():
    heavy = model("half_cauchy:scale=20", precision=4.0)
    made = simulations.of_prior(heavy, X, 30, seed=1)
    assert 0.01 < made.accepted < 0.9 and len(made.ys) == 30 and made.truth["layer0.scale"].shape == (30, 4, 1)
    assert all(np.abs(y).max() <= LARGEST for y in made.ys)
    with pytest.raises(ValueError, match="data sets drawn from the prior have no target above 20.*smaller scale"):
        simulations.of_prior(model("half_cauchy:scale=1e6", precision=4.0), X, 30, seed=1)
    with pytest.raises(ValueError, match="prior is improper: there is nothing to simulate from it"):
        simulations.of_prior(model("log_uniform"), X, 30, seed=1)


def test_fits_that_fail_are_left_out_if_they_are_few(fitted, monkeypatch):
    from noisezoo.inference.calibration import calibrate as module

    made = simulations.of_prior(fitted, X, 30, seed=1)
    one = Fit("svi", {}, "numpyro", {k: v[None] for k, v in made.truth.items()}, independent_chains=False)

    def some_fail(model, config, xs, ys, seeds, progress):
        return [FloatingPointError("it diverged") if i < failing else one for i in range(len(ys))]

    monkeypatch.setattr(module, "fit_many", some_fail)
    failing = 3
    found = calibrate(fitted, config("svi:steps=5,draws=20"), made, NEW)
    assert found.failed == ["it diverged"] * 3 and len(found.pit["f(x1)"]) == 27
    failing = 4
    with pytest.raises(ValueError, match="4 of 30 fits failed; the first: it diverged"):
        calibrate(fitted, config("svi:steps=5,draws=20"), made, NEW)


def test_quantities_do_not_see_places_and_signs():
    net = model("half_cauchy", "ard", "mlp:3", precision=None)
    x, y = X[:, :2], X[:, 2]
    made = simulations.of_prior(net, x, 2, seed=1)
    draws, order, sign = dict(made.truth), np.array([2, 0, 1]), np.array([1, -1, 1])
    moved = {
        "layer0.base": draws["layer0.base"][:, :, order] * sign,
        "layer0.bias": draws["layer0.bias"][:, order] * sign,
        "layer1.base": draws["layer1.base"][:, order] * sign[:, None],
        "layer1.scale": draws["layer1.scale"][:, order],
        "layer0.weight": draws["layer0.weight"][:, :, order] * sign,
        "layer1.weight": draws["layer1.weight"][:, order] * sign[:, None],
    }
    one, same = (quantities(net, {**draws, **part}, x, y, NEW[:, :2]) for part in ({}, moved))
    names = ["f(x1)", "f(x2)", "f(x3)", NOISE_SD, "layer0.scale", "layer1.scale", WEIGHTS, LOG_LIKELIHOOD]
    assert sorted(one) == sorted(names)
    for name in names:
        np.testing.assert_allclose(one[name], same[name], rtol=1e-5, err_msg=name)
    at_rows = quantities(net, draws, x, y, x[:3])
    f = np.stack([quantities(net, draws, x, y, x[i : i + 1])["f(x1)"] for i in range(8)], axis=1)
    np.testing.assert_allclose(at_rows["f(x2)"], f[:, 1], rtol=1e-5)
    expected = norm.logpdf(np.asarray(y), f, one[NOISE_SD][:, None]).sum(axis=1)
    np.testing.assert_allclose(one[LOG_LIKELIHOOD], expected, rtol=1e-4)


@pytest.mark.needs_pyro
def test_pyro_ranks_the_same_quantities(fitted):
    import torch

    x, new = torch.tensor(np.array(X)), torch.tensor(np.array(NEW))
    made = simulations.of_prior(fitted, x, 4, seed=1)
    found = calibrate(fitted, config("svi:steps=10,draws=20"), made, new)
    assert set(found.pit) == {"f(x1)", "f(x2)", "f(x3)", "layer0.scale", WEIGHTS, LOG_LIKELIHOOD}
    assert all(len(u) == 4 and ((0 < u) & (u < 1)).all() for u in found.pit.values())
    again = simulations.of_posterior(fitted, config("svi:steps=10,draws=20"), x, made.ys[0], 4, seed=1)
    assert again.x.shape == (16, 4) and torch.equal(again.ys[3][:8], made.ys[0])
