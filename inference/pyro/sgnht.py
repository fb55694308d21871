"""The stochastic-gradient Nose-Hoover thermostat on a Pyro program: the kernel is that of NumPyro's `sgnht`."""

from collections.abc import Callable

from ..algorithm import Algorithm
from ..sgnht import SGNHT, kernel
from ..target import Sites
from .sgmcmc import bind


def algorithm(config: SGNHT, model: Callable, found: Sites) -> Algorithm:
    """Bind `sgnht` to a Pyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    return bind(config, model, found, kernel(config))
