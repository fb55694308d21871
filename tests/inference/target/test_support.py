"""Targets that a likelihood does not take are refused before anything runs, in both languages."""

import numpy as np
import pandas as pd
import pytest
from noisezoo import compare, fit
from noisezoo.data import from_frame
from noisezoo.inference.driver.fit_many import fit_many
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.models.likelihoods import bernoulli, categorical, gaussian
from noisezoo.models.likelihoods.model import model_of
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import normal

X = np.linspace(-2, 2, 30, dtype=np.float32)[:, None]
HIGH = (X[:, 0] > 0).astype(int)
THREE = np.digitize(X[:, 0], [-0.7, 0.7])
QUICK = svi(guide="map", steps=2, draws=2)


def poisson(network, prior):
    return model_of(network, prior, 1, lambda p: lambda f, y: p.sample("y", p.dist.Poisson(p.xp.exp(f)), obs=y))


def beta(network, prior):
    def outcome(p):
        return lambda f, y: p.sample("y", p.dist.Beta(p.xp.exp(f), p.xp.ones_like(f)), obs=y)

    return model_of(network, prior, 1, outcome)


BINARY = bernoulli(mlp(), normal())
CLASSES = categorical(mlp(), normal(), 3)
COUNTS = poisson(mlp(), normal())
SHARES = beta(mlp(), normal())


def arrays(language, *values):
    if language == "pyro":
        import torch

        return [torch.as_tensor(v) for v in values]
    import jax.numpy as jnp

    return [jnp.asarray(v) for v in values]


@pytest.mark.parametrize(
    "program, y, says",
    [
        (BINARY, HIGH + 1, "y holds 2, .* it takes 0 or 1: number the two classes 0 and 1"),
        (BINARY, 2 * HIGH - 1, "y holds -1"),
        (BINARY, np.float32(HIGH) / 2, "y holds 0.5"),
        (CLASSES, THREE + 1, "y holds 3, .* whole numbers 0 to 2: number the 3 classes from 0"),
        (CLASSES, THREE - 1, "y holds -1, .* whole numbers 0 to 2"),
        (COUNTS, np.float32(THREE) - 1, "y holds -1, .* counts 0, 1, 2"),
        (COUNTS, np.float32(THREE) + 0.5, "y holds 0.5, .* counts"),
        (SHARES, np.float32(THREE), "numbers between 0 and 1"),
    ],
)
@pytest.mark.parametrize("config", [QUICK, NUTS(warmup=2, draws=2), SGLD(warmup=2, draws=2)])
def test_other_targets_are_refused(program, y, says, config, language):
    with pytest.raises(ValueError, match=says):
        fit(program, config, *arrays(language, X, y), progress=False)


def test_a_program_that_is_compiled_already_looks_at_new_targets(language):
    x, right, wrong = arrays(language, X, HIGH, HIGH + 1)
    assert fit(BINARY, QUICK, x, right, progress=False).draws
    with pytest.raises(ValueError, match="y holds 2"):
        fit(BINARY, QUICK, x, wrong, progress=False)


def test_each_of_many_data_sets_is_looked_at():
    x, right, wrong = arrays("numpyro", X, HIGH, HIGH + 1)
    with pytest.raises(ValueError, match="y holds 2"):
        fit_many(BINARY, QUICK, [x, x], [right, wrong], [0, 1], progress=False)


@pytest.mark.parametrize(
    "program, says",
    [
        (gaussian(mlp(), normal()), "one for regression targets, and those of flowers are categorical"),
        (bernoulli(mlp(), normal()), "one for binary targets, and those of flowers are categorical"),
        (categorical(mlp(), normal(), 4), "has 4 classes, and flowers has 3"),
    ],
)
def test_a_likelihood_of_another_task_is_refused_before_any_fit(program, says):
    table = from_frame(pd.DataFrame({"x": X[:, 0], "kind": np.array(list("abc"))[THREE]}), "kind", name="flowers")
    with pytest.raises(ValueError, match=says):
        compare(program, table, {"map": QUICK}, progress=False)
