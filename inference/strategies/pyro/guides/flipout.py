"""Flipout in Pyro: the counterpart of `..guides.flipout`."""

from collections.abc import Callable
from typing import Any

from ....target.sites import Sites
from ...algorithm import Algorithm
from .local import LocalNormal, bind


class FlipoutNormal(LocalNormal):
    """A normal whose draw is the unsampled weight, to be perturbed alike in all rows up to signs."""

    flipout = True


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide to a Pyro program; `config` is an `SVI`."""
    return bind(config, model, sites, FlipoutNormal)
