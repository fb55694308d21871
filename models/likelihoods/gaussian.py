"""The Gaussian likelihood: regression."""

from functools import cache
from typing import Any

from ...errors import check_size
from ..networks.layers import Network
from ..ppl import PPL
from ..weights.parametrisation import Prior
from .model import Model, model_of


@cache
def gaussian(network: Network, prior: Prior, precision: tuple[float, float] | float = (1.0, 0.1)) -> Model:
    """Regression: y ~ N(f(x), 1 / precision), `x` (rows, features) and `y` (rows,), both floating point.

    ``precision`` is a pair (a, b) for a Gamma(a, rate b) prior, or one positive number for a known precision: that of y
    as given (standardised).  The default is weak, an exponential of mean 10.  The Gamma(6, 6) of Hernandez-Lobato &
    Adams (2015) keeps the noise sd above about 0.2 on a few hundred rows, too much for data with little noise.
    """
    if isinstance(precision, tuple) and len(precision) != 2:
        raise ValueError(f"precision must be a number, or a pair (a, b) for a Gamma(a, rate b) prior, got {precision}")
    for value in precision if isinstance(precision, tuple) else (precision,):
        check_size("precision", value)

    def outcome(p: PPL) -> Any:
        tau = p.sample("precision", p.dist.Gamma(*precision)) if isinstance(precision, tuple) else precision
        return lambda f, y: p.sample("y", p.dist.Normal(f, tau**-0.5), obs=y)

    return model_of(network, prior, 1, outcome, likelihood="gaussian")
