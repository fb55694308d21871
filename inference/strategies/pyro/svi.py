"""Stochastic variational inference in Pyro: the settings and the guides are those of the NumPyro `svi`."""

from collections.abc import Callable

from ...target.sites import Sites
from .. import guides
from ..algorithm import Algorithm
from ..svi import SVI


def algorithm(config: SVI, model: Callable, sites: Sites) -> Algorithm:
    """Bind `svi` to a Pyro program ``model(x, y)`` (with ``batch_size=`` if the config has one).

    Raises ValueError if the guide does not apply to the program.
    """
    return guides.implementation(config.guide, "pyro")(config, model, sites)
