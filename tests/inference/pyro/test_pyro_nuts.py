"""Pyro's NUTS against a posterior that is known."""

import numpy as np
import pytest
import torch
from linear_model import model, posterior
from noisezoo.inference.nuts import NUTS
from noisezoo.inference.pyro import nuts, target
from noisezoo.models import likelihood, noise
from noisezoo.models.network import mlp
from noisezoo.models.weight import prior
from pyro_driver import X, Y, check, run, weights


def test_posterior_known_exactly():
    draws, stats = run(NUTS(warmup=200, draws=750, chains=2, mass="dense", target_accept=0.8), model())
    mean, covariance = posterior(X, Y)
    check(weights(draws), mean, covariance, 0.1, 0.05)
    assert draws["layer0.weight"].shape == (2, 750, 2, 1)
    assert not stats["diverging"].any()
    assert 0.7 < stats["acceptance_rate"].mean() < 0.99
    assert (np.ptp(stats["step_size"], axis=1) == 0).all(), "the step size must not move after the warmup"
    # energy = -lp + kinetic, and the kinetic energy of a Gaussian momentum is a chi-square / 2: d / 2 on average
    before = stats["lp"][:, :-1]
    kinetic = (stats["energy"][:, 1:] + before).mean()
    np.testing.assert_allclose(kinetic, 1.5, rtol=0.15)


def test_a_constrained_site_and_its_weight():
    """y ~ N(0, 1 / tau) with tau ~ Gamma(6, 6) is conjugate, if the network is nothing."""
    y = np.random.default_rng(1).normal(size=40).astype(np.float32)
    program = likelihood.gaussian(_nothing, prior(noise.half_cauchy()))
    draws, _ = run(NUTS(warmup=150, draws=700, chains=1), program, np.ones((40, 1), np.float32), y)
    a, b = 6 + 40 / 2, 6 + (y**2).sum() / 2
    np.testing.assert_allclose(draws["precision"].mean(), a / b, rtol=0.03)
    np.testing.assert_allclose(draws["precision"].std(), np.sqrt(a) / b, rtol=0.12)


def _nothing(p, x, prior, out):
    return 0.0 * x


def test_a_divergence_is_recorded():
    """A step size held at a value far too large must be seen in the stats."""
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    algorithm = nuts.algorithm(NUTS(warmup=1, draws=1), model(), target.sites(model(), x, y))
    torch.manual_seed(0)
    state = algorithm.init(0, x, y)
    state.kernel._adapter.step_size = 1e3
    state, _ = algorithm.step(0, state, x, y)
    _, stats = algorithm.draw(0, state, x, y)
    assert stats["diverging"] and stats["acceptance_rate"] < 0.01


@pytest.mark.parametrize(
    "weight, says",
    [
        (prior(noise.log_uniform()), "improper"),
        (prior(noise.bernoulli(), form="expanded"), "NumPyro"),
    ],
)
def test_refused(weight, says):
    with pytest.raises(ValueError, match=says):
        run(NUTS(), likelihood.gaussian(mlp(), weight))
