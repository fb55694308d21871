"""Stochastic variational inference in Pyro: the settings and the guides are those of the NumPyro `svi`."""

from collections.abc import Callable

from ...target.sites import Sites
from .. import guides
from ..algorithm import Algorithm
from ..svi import SVI, constant_steps


def algorithm(config: SVI, model: Callable, sites: Sites) -> Algorithm:
    """Bind `svi` to a Pyro program ``model(x, y)`` (with ``batch_size=`` if the config has one).

    Raises ValueError if the guide does not apply to the program.
    """
    return guides.implementation(config.guide, "pyro")(config, model, sites, rate(config))


def rate(config: SVI) -> Callable[[int], float]:
    """What the learning rate is multiplied by at a step: 1, then over the share `decay` of the steps linear to zero."""
    steps = constant_steps(config)
    falling = config.steps - steps
    return lambda t: min(1.0, max(0.0, 1.0 - (t - steps) / falling)) if falling else 1.0
