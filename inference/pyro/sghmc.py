"""Stochastic-gradient Hamiltonian Monte Carlo on a Pyro program: the kernel is that of NumPyro's `sghmc`."""

from collections.abc import Callable

from ..algorithm import Algorithm
from ..sghmc import SGHMC, kernel
from ..target import Sites
from .sgmcmc import bind


def algorithm(config: SGHMC, model: Callable, found: Sites) -> Algorithm:
    """Bind `sghmc` to a Pyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    return bind(config, model, found, kernel(config))
