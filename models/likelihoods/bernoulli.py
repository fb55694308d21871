"""The Bernoulli likelihood: binary classification by logits."""

from functools import cache
from typing import Any

from ..networks.layers import Network
from ..ppl import PPL
from ..weights.parametrisation import Prior
from .model import Model, model_of


@cache
def bernoulli(network: Network, prior: Prior) -> Model:
    """Binary classification: y ~ Bernoulli(sigmoid(f(x))), `y` (rows,) of 0 and 1; `f` are logits (rows,)."""

    def outcome(p: PPL) -> Any:
        return lambda f, y: p.sample("y", p.dist.Bernoulli(logits=f), obs=y)

    return model_of(network, prior, 1, outcome, likelihood="bernoulli")
