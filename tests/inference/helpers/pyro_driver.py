"""Pyro's strategies on a posterior that is known, by the driver or call by call."""

import itertools

import torch
from linear_model import data
from noisezoo.inference import strategies
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.target.pyro import density

X, Y = data(features=2)


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
    if algorithm.after_warmup is not None:
        state = call(algorithm.after_warmup, state)
    for _ in range(algorithm.draws):
        for _ in range(algorithm.thin):
            state, _ = call(algorithm.step, state)
        yield call(algorithm.draw, state)


def run(config, model, x=X, y=Y):
    """Draws and stats, name -> (chain, draw, ...), by the package's own driver."""
    found = fit(model, config, torch.as_tensor(x), torch.as_tensor(y), progress=False)
    return found.draws, found.stats
