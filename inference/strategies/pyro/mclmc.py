"""Microcanonical Langevin Monte Carlo has no kernel in torch: what is said to those who ask for it in Pyro."""

from collections.abc import Callable

from ...target.sites import Sites
from ..algorithm import Algorithm
from ..mclmc import MCLMC


def algorithm(config: MCLMC, model: Callable, sites: Sites) -> Algorithm:
    """Raise ValueError: `mclmc` is BlackJAX's."""
    raise ValueError("mclmc runs in NumPyro only, its kernel is BlackJAX's; use JAX arrays (--ppl numpyro), or nuts")
