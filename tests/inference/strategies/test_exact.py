"""What is known of strategies beyond the table of test_exact_problems: how steps and noise act."""

import itertools

import jax.numpy as jnp
import numpy as np
from linear_model import data, model, posterior, stacked
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from scipy.special import softmax
from scipy.stats import multivariate_normal

X, Y = data()


def run(config, **settings):
    return fit(model(), config, jnp.asarray(X), jnp.asarray(Y), progress=False, **settings)


def test_sgld_discretisation_shrinks_with_the_step():
    """On a Gaussian of curvature h, Langevin with step e has variance 1 / (h (1 - e h / 2)): too wide by a little."""
    found = [run(SGLD(warmup=2000, draws=1000, thin=20, step_size=e, chains=8)) for e in (0.05, 0.005)]
    sd = np.sqrt(np.diag(posterior(X, Y)[1]))
    excess = [np.linalg.norm(stacked(f).std(0) / sd - 1) for f in found]
    assert excess[1] < excess[0]


def test_decaying_steps_decay():
    """A move is as long as the square root of its step, step_size / (1 + t / warmup) at decay 1."""
    config = SGLD(warmup=500, draws=4000, thin=1, step_size=0.01, decay=1.0, chains=4)
    moves = np.abs(np.diff(run(config).draws["layer0.weight"], axis=1)).mean((0, 2, 3))
    length = (1 + np.arange(500, 4500) / 500) ** -0.5
    measured, expected = (v[-500:].mean() / v[:500].mean() for v in (moves, length))
    np.testing.assert_allclose(measured, expected, rtol=0.1)


def test_dropout_guide_is_monte_carlo_dropout():
    """q(lambda, W) = p(lambda) delta(W): lambda is drawn from its prior, and W minimises the penalised expected loss.

    For a linear model with Gaussian noise N(1, a) on the inputs the expected loss is a ridge regression whose penalty
    is a sum_j w_j^2 sum_i x_ij^2 / 2 in units of the precision: closed form (Wager, Wang & Liang 2013).
    """
    from linear_model import PRECISION, SIGMA0
    from noisezoo.models import likelihoods, noises
    from noisezoo.models.networks import mlp
    from noisezoo.models.weights.parametrisation import prior

    a = 0.3
    program = likelihoods.gaussian(mlp(), prior(noises.gaussian_dropout(a=a), sigma0=SIGMA0), precision=PRECISION)
    config = svi(guide="dropout", steps=20_000, lr=0.01, particles=8, draws=4000)
    found = fit(program, config, jnp.asarray(X), jnp.asarray(Y), progress=False)
    scale = found.draws["layer0.scale"].reshape(-1, 3)
    np.testing.assert_allclose(scale.mean(0), 1.0, atol=0.05)
    np.testing.assert_allclose(scale.var(0), a, rtol=0.1)
    design = np.c_[X, np.ones(len(X))].astype(float)
    penalty = np.r_[PRECISION * a * (X**2).sum(0) + SIGMA0**-2, 1.0]
    ridge = np.linalg.solve(PRECISION * design.T @ design + np.diag(penalty), PRECISION * design.T @ Y)
    fitted = np.r_[found.draws["layer0.base"][0, 0, :, 0], found.draws["layer0.bias"][0, 0]]
    np.testing.assert_allclose(fitted, ridge, atol=0.02)


def test_spike_and_slab_by_gibbs_against_enumeration():
    """Inclusion probabilities of 10 features, against the sum over all 2^10 models."""
    from noisezoo.models import likelihoods, noises
    from noisezoo.models.networks import mlp
    from noisezoo.models.weights.parametrisation import prior

    precision, sigma0, features = 1.0, 1.0, 10
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, features)).astype(np.float32)
    truth = np.r_[1.0, -0.8, 0.4, 0.3, 0.2, np.zeros(5)]
    y = (x @ truth + rng.normal(size=40)).astype(np.float32)
    program = likelihoods.gaussian(mlp(), prior(noises.bernoulli(p=0.3), sigma0=sigma0), precision=precision)
    config = NUTS(warmup=500, draws=4000, chains=4)
    found = fit(program, config, jnp.asarray(x), jnp.asarray(y), progress=False)
    included = found.draws["layer0.scale"].mean((0, 1))
    np.testing.assert_allclose(included, inclusion(x, y, 0.3, sigma0, precision), atol=0.05)
    assert set(np.unique(found.draws["layer0.scale"])) == {0.0, 1.0}


def inclusion(x, y, keep, sigma0, precision):
    """Exact posterior inclusion probabilities (features,) of the linear spike and slab with a standard normal bias."""
    models = np.array(list(itertools.product([0, 1], repeat=x.shape[1])))
    covariance = (models[:, None, :] * x) @ x.T.astype(float) * sigma0**2 + 1.0 + np.eye(len(y)) / precision
    log_weight = [multivariate_normal(np.zeros(len(y)), c).logpdf(y) for c in covariance]
    log_weight += models.sum(1) * np.log(keep) + (1 - models).sum(1) * np.log(1 - keep)
    return softmax(log_weight) @ models
