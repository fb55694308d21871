"""Stochastic-gradient Langevin dynamics on a Pyro program: the kernel is that of NumPyro's `sgld`."""

from collections.abc import Callable

from ..algorithm import Algorithm
from ..sgld import SGLD, kernel
from ..target import Sites
from .sgmcmc import bind


def algorithm(config: SGLD, model: Callable, found: Sites) -> Algorithm:
    """Bind `sgld` to a Pyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    return bind(config, model, found, kernel(config))
