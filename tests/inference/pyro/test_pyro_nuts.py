"""Pyro's NUTS: what it tells and learns.  Its law is in test_exact_problems."""

import numpy as np
import pytest
import torch
from exact_problems import COPIES, PROBLEMS
from linear_model import model, posterior
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import prior
from pyro_driver import X, Y, bind, run


def test_what_is_told_of_a_draw():
    draws, stats = run(NUTS(warmup=100, draws=200, chains=1, target_accept=0.8), PROBLEMS["linear"].program)
    assert draws["layer0.weight"].shape == (1, 200, 2, COPIES)
    assert not stats["diverging"].any()
    assert 0.6 < stats["acceptance_rate"].mean() < 0.99
    assert (np.ptp(stats["step_size"], axis=1) == 0).all(), "the step size must not move after the warmup"
    # energy = -lp at the start + kinetic energy of a Gaussian momentum, on average half a unit for each of 3 * COPIES
    kinetic = (stats["energy"][:, 1:] + stats["lp"][:, :-1]).mean()
    np.testing.assert_allclose(kinetic, 1.5 * COPIES, rtol=0.05)


def test_a_dense_mass_is_learned():
    """The inverse mass matrix estimates the posterior covariance; Pyro orders sites by name."""
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    algorithm = bind(NUTS(warmup=800, draws=1, mass="dense"), model(), x, y)
    torch.manual_seed(0)
    state = algorithm.init(0, x, y)
    for t in range(800):
        state, _ = algorithm.step(t, state, x, y)
    (inverse_mass,) = state.kernel.inverse_mass_matrix.values()
    covariance = posterior(X, Y)[1]
    order = [2, 0, 1] if sorted(state.z)[0] == "layer0.bias" else [0, 1, 2]
    covariance = covariance[np.ix_(order, order)]
    np.testing.assert_allclose(inverse_mass, covariance, atol=0.3 * covariance.max())


def test_a_constrained_site_and_its_weight():
    """y ~ N(0, 1 / tau) with tau ~ Gamma(6, 6) is conjugate, if the network is nothing."""
    y = np.random.default_rng(1).normal(size=40).astype(np.float32)
    program = likelihoods.gaussian(_nothing, prior(noises.half_cauchy()), precision=(6.0, 6.0))
    draws, _ = run(NUTS(warmup=150, draws=700, chains=1), program, np.ones((40, 1), np.float32), y)
    a, b = 6 + 40 / 2, 6 + (y**2).sum() / 2
    np.testing.assert_allclose(draws["precision"].mean(), a / b, rtol=0.03)
    np.testing.assert_allclose(draws["precision"].std(), np.sqrt(a) / b, rtol=0.12)


def _nothing(p, x, prior, out):
    return 0.0 * x


def test_a_divergence_is_recorded():
    """A step size held at a value far too large must be seen in the stats."""
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    algorithm = bind(NUTS(warmup=1, draws=1), model(), x, y)
    torch.manual_seed(0)
    state = algorithm.init(0, x, y)
    state.kernel._adapter.step_size = 1e3
    state, _ = algorithm.step(0, state, x, y)
    _, stats = algorithm.draw(0, state, x, y)
    assert stats["diverging"] and stats["acceptance_rate"] < 0.01


@pytest.mark.parametrize(
    "weight, says",
    [
        (prior(noises.log_uniform()), "improper"),
        (prior(noises.bernoulli(), form="expanded"), "NumPyro"),
    ],
)
def test_refused(weight, says):
    with pytest.raises(ValueError, match=says):
        run(NUTS(), likelihoods.gaussian(mlp(), weight))
