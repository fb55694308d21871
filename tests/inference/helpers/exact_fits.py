"""Fits whose posterior is known exactly: the linear model, its draws made by NumPy, no inference involved."""

import numpy as np
from linear_model import PRECISION, SIGMA0, data, model, posterior
from noisezoo.data import Data
from noisezoo.inference.driver.result import Fit
from noisezoo.inference.judging.datatree import to_datatree
from scipy.stats import multivariate_normal, norm

TRAIN, TEST, FEATURES = 60, 200, 3
Y_MEAN, Y_SCALE = 50.0, 7.0
CHAINS, DRAWS = 4, 1000

__all__ = ["model"]


def exact_data(rows=TRAIN):
    """The linear model's data as `Data`, the target in units that are 7 times the standardised ones."""
    x, y = data(rows + TEST, FEATURES, seed=3)
    return Data(
        name="exact",
        task="regression",
        classes=(),
        x_train=x[:rows],
        x_test=x[rows:],
        y_train=y[:rows],
        y_test=y[rows:],
        features=("a", "b", "c"),
        target="strength",
        unit="MPa",
        x_mean=np.zeros(FEATURES),
        x_scale=np.ones(FEATURES),
        y_mean=Y_MEAN,
        y_scale=Y_SCALE,
        split=0,
    )


def normal(found):
    """The exact posterior of (weights, bias)."""
    return multivariate_normal(*posterior(found.x_train, found.y_train))


def log_joint(found, theta):
    """log p(theta, y) in standardised units, `theta` (..., features + 1)."""
    f = theta[..., :-1] @ found.x_train.T + theta[..., -1:]
    likelihood = norm.logpdf(found.y_train, f, PRECISION**-0.5).sum(-1)
    return likelihood + norm.logpdf(theta[..., :-1], 0, SIGMA0).sum(-1) + norm.logpdf(theta[..., -1], 0, 1)


def predictive(found):
    """Mean and sd of f and of y at the test rows, in the target's units: exact."""
    mean, covariance = posterior(found.x_train, found.y_train)
    design = np.c_[found.x_test, np.ones(TEST)]
    variance = np.einsum("ij,jk,ik->i", design, covariance, design)
    return Y_MEAN + Y_SCALE * design @ mean, Y_SCALE * variance**0.5, Y_SCALE * (variance + 1 / PRECISION) ** 0.5


def theta_draws(found, chains=CHAINS, draws=DRAWS, width=1.0, apart=0.0, seed=0):
    """Draws (chain, draw, features + 1), `width` times too wide, each chain `apart` sds further off."""
    law = normal(found)
    theta = law.rvs((chains, draws), random_state=seed).reshape(chains, draws, -1)
    sd = np.sqrt(np.diag(law.cov_object.covariance))
    return law.mean + width * (theta - law.mean) + apart * np.arange(chains)[:, None, None] * sd


def sites(theta):
    """The sites of the program, which is in expanded form with scales of one: weight and base are the same."""
    weight = theta[..., :-1, None].astype(np.float32)
    return {"layer0.base": weight, "layer0.weight": weight, "layer0.bias": theta[..., -1:].astype(np.float32)}


def made_fit(theta, ppl="numpyro", strategy="nuts", **settings):
    """A fit around draws of (weights, bias)."""
    return Fit(
        strategy=strategy,
        settings={},
        ppl=ppl,
        draws=sites(theta),
        seconds={"compile": 1.0, "adapt": 2.0, "sample": 4.0},
        **settings,
    )


def nuts(found, ppl="numpyro", **settings):
    theta = theta_draws(found, **settings)
    energy = np.random.default_rng(1).normal(size=theta.shape[:2])
    return made_fit(theta, ppl, stats={"diverging": np.zeros(theta.shape[:2], bool), "energy": energy})


def guide(found, width=1.0, seed=5, chains=1, **settings):
    """A normal guide around the exact mean, its sds `width` times the exact ones; with its densities."""
    law = normal(found)
    theta = theta_draws(found, chains=chains, width=width, seed=seed)
    log_q = multivariate_normal(law.mean, width**2 * law.cov_object.covariance).logpdf(theta)
    stats = {"log_p": log_joint(found, theta), "log_q": log_q.reshape(theta.shape[:2])}
    about = {"strategy": "svi", "independent_chains": False, "approximation": True} | settings
    return made_fit(theta, stats=stats, **about)


def tree(fit, found):
    return to_datatree(fit, model(), found)
