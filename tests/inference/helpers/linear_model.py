"""A model whose posterior is known: no hidden layer, scales of one, a known precision."""

import numpy as np

PRECISION = 4.0
SIGMA0 = 0.8


def ones(p, name, shape):
    """A noise that is none."""
    return p.xp.ones(shape)


def data(rows=60, features=3, seed=0):
    """Correlated inputs (rows, features) and outputs (rows,), float32."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)) @ (np.eye(features) + 0.5)
    y = x @ np.linspace(-1, 1, features) + 0.3 + rng.normal(size=rows) / np.sqrt(PRECISION)
    return x.astype(np.float32), y.astype(np.float32)


def model():
    from noisezoo.models.likelihoods import gaussian
    from noisezoo.models.networks import mlp
    from noisezoo.models.weights.parametrisation import prior

    return gaussian(mlp(), prior(ones, sigma0=SIGMA0), precision=PRECISION)


def posterior(x, y, temperature=1.0):
    """Mean and covariance of (weights, bias); bias has a standard normal prior."""
    design = np.c_[x, np.ones(len(x))].astype(np.float64)
    prior = np.diag(np.r_[np.full(x.shape[1], SIGMA0**-2.0), 1.0])
    precision = PRECISION * design.T @ design + prior
    covariance = np.linalg.inv(precision)
    return covariance @ (PRECISION * design.T @ y), covariance * temperature


def stacked(fit):
    """Draws of (weights, bias), shape (draws, features + 1)."""
    weight, bias = fit.draws["layer0.weight"], fit.draws["layer0.bias"]
    return np.concatenate([weight[..., 0], bias], axis=-1).reshape(-1, weight.shape[-2] + 1)
