"""The categorical likelihood: classification by softmax."""

from functools import cache
from numbers import Integral
from typing import Any

from ...errors import check_number
from ..networks.layers import Network
from ..ppl import PPL
from ..weights.parametrisation import Prior
from .model import Model, model_of


@cache
def categorical(network: Network, prior: Prior, classes: int) -> Model:
    """Classification: y ~ Categorical(softmax(f(x))), `y` (rows,) integers below `classes`; `f` (rows, classes)."""
    check_number("classes", classes, Integral)
    if classes < 2:
        raise ValueError(f"a categorical likelihood needs at least 2 classes, got {classes}")

    def outcome(p: PPL) -> Any:
        return lambda f, y: p.sample("y", p.dist.Categorical(logits=f), obs=y)

    return model_of(network, prior, classes, outcome, likelihood="categorical")
