"""Data sets that a model makes, each with the values that made it.

Two sources.  From the *prior*: theta ~ p(theta), y ~ p(y given theta); inference is then of p(theta given y) (Talts,
Betancourt, Simpson, Vehtari & Gelman 2018, arXiv 1804.06788).  From a *posterior* at somebody's data: theta ~ p(theta
given y_obs), y ~ p(y given theta); inference is then of p(theta given y, y_obs), from the data and their replicate
together (Säilynoja, Schmitt, Bürkner & Vehtari 2025, Posterior SBC, arXiv 2502.03279).  In both the truth is, given
all that the inference sees, one more draw of the law that is to be inferred.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ...models.ppl import ppl
from ..driver.fit import fit
from ..judging.predict import predict
from ..target.sites import Arrays, sites_of

LARGEST = 20.0  # of a simulated target, in size: no standardised target is larger
ROUNDS = 50  # of draws from the prior, until enough data sets are small enough


class Simulations(NamedTuple):
    """Data sets of one shape, and their truths.

    x : (rows, features), of all data sets.
    ys : (rows,) of each; arrays of the language.
    truth : site -> (simulation, ...), the values that made it, latent sites and what the program makes of them.
    accepted : the share of data sets that were kept.
    """

    x: Any
    ys: list[Any]
    truth: Arrays
    accepted: float = 1.0


def of_prior(model: Callable, x: Any, count: int, seed: int = 0) -> Simulations:
    """So many data sets from the prior of a program at `x` (rows, features), none with a target above `LARGEST`.

    A heavy-tailed prior makes targets of any size, which nobody would hand to an inference as they are.  To leave them
    out does no harm: whether a data set is kept depends on y alone, so that p(theta given y) of those kept is the same.

    Raises ValueError for an improper prior, and where too few data sets are small enough.
    """
    p = ppl(x)
    if improper := sites_of(model, x, p.xp.zeros(x.shape[0])).improper:
        raise ValueError(
            f"the {improper} prior is improper: there is nothing to simulate from it; use a proper noise, or calibrate "
            "at data of your own"
        )
    evaluation = import_module(f"...target.{p.name}.evaluation", __name__)
    parts: list[Arrays] = []
    kept = drawn = 0
    while kept < count and drawn < ROUNDS * count:
        sites = {name: np.asarray(v) for name, v in evaluation.prior_draws(model, x, count, seed + drawn).items()}
        small = (np.abs(sites["y"]) <= LARGEST).reshape(count, -1).all(axis=1)  # and a number
        parts.append({name: values[small] for name, values in sites.items()})
        kept, drawn = kept + int(small.sum()), drawn + count
    if kept < count:
        raise ValueError(
            f"only {kept} of {drawn} data sets drawn from the prior have no target above {LARGEST:g}, and {count} are "
            "needed; choose a smaller scale, or calibrate at data of your own"
        )
    truth = {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
    ys = [p.xp.asarray(y) for y in truth.pop("y")]
    return Simulations(x, ys, {k: v for k, v in truth.items() if k not in ("f", "data")}, kept / drawn)


def of_posterior(model: Callable, config: Any, x: Any, y: Any, count: int, seed: int = 0) -> Simulations:
    """So many data sets, each of `x`, `y` and a replicate of `y` from the posterior that a strategy finds there.

    The truths are draws of that one fit, spread evenly over its chains.  So this asks whether the strategy agrees with
    itself once there are twice the data: necessary for a posterior that is right, and as much as the data can tell.
    """
    p = ppl(x, y)
    found = fit(model, config, x, y, seed=seed, progress=False)
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in found.draws.items()}
    total = len(next(iter(flat.values())))
    if total < count:
        raise ValueError(
            f"{config.name} makes {total} draws, and {count} simulations need one each; ask for more draws"
        )
    truth = {name: values[np.linspace(0, total - 1, count).astype(int)] for name, values in flat.items()}
    replicates = predict(model, {name: values[None] for name, values in truth.items()}, x, seed=seed + 1).y[0]
    ys = [p.xp.concat([y, p.xp.astype(p.xp.asarray(replicate), y.dtype)]) for replicate in replicates]
    return Simulations(p.xp.concat([x, x]), ys, truth)
