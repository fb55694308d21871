"""Pyro's strategies on a posterior that is known, by the driver or call by call."""

import itertools

import numpy as np
import torch
from linear_model import PRECISION, SIGMA0, data, ones
from noisezoo.inference import strategies
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.target.pyro import density
from noisezoo.models.networks.layers import layer
from noisezoo.models.ppl import ppl
from noisezoo.models.weights.parametrisation import prior

X, Y = data(features=2)
COPIES = 16


def copies(x, y=None):
    """The model of `linear_model` with COPIES outputs of the same data: so many draws of one posterior at once."""
    p = ppl(x)
    f = layer(p, x, prior(ones, sigma0=SIGMA0), "layer0", COPIES)
    with p.plate("data", x.shape[0], dim=-1):
        p.sample("y", p.dist.Normal(f, PRECISION**-0.5).to_event(1), obs=y[:, None].expand(-1, COPIES))


def bind(config, model, x, y):
    """The algorithm of a config on a program."""
    return strategies.implementation(config, "pyro")(config, model, density.sites(model, x, y))


def chain(algorithm, x, y, number=0):
    """One chain, torch seeded for every call: the info of each warmup step, then (sites, stats) of each draw."""
    calls = itertools.count(1000003 * number)

    def call(function, *args):
        key = next(calls)
        torch.manual_seed(key)
        return function(key, *args, x, y)

    state = call(algorithm.init)
    for _ in range(algorithm.warmup):
        state, info = call(algorithm.step, state)
        yield info
    if algorithm.ready is not None:
        state = call(algorithm.ready, state)
    for _ in range(algorithm.draws):
        for _ in range(algorithm.thin):
            state, _ = call(algorithm.step, state)
        yield call(algorithm.draw, state)


def run(config, model, x=X, y=Y):
    """Draws and stats, name -> (chain, draw, ...), by the package's own driver."""
    found = fit(model, config, torch.as_tensor(x), torch.as_tensor(y), progress=False)
    return found.draws, found.stats


def weights(draws):
    """Draws of (weights, bias) of a linear model, each output a draw of its own, shape (draws, features + 1)."""
    both = np.concatenate([draws["layer0.weight"], draws["layer0.bias"][..., None, :]], axis=-2)
    return np.moveaxis(both, -2, -1).reshape(-1, both.shape[-2])


def check(draws, mean, covariance, mean_within, sd_within):
    """Means within so many posterior sds, sds within a fraction."""
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(0) - mean) / sd).max() < mean_within
    assert np.abs(draws.std(0) / sd - 1).max() < sd_within
