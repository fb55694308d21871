"""Flipout: independent normals, the rows sharing one draw of the weights up to random signs (Wen et al. 2018)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ...target.sites import Sites
from ..algorithm import Algorithm
from .local import LocalNormal, bind
from .normals import Normals


@dataclass(frozen=True)
class Flipout(Normals):
    """Settings of the guide ``flipout``: those of `Normals`."""

    name: ClassVar[str] = "flipout"


class FlipoutNormal(LocalNormal):
    """A normal whose draw is the unsampled weight, to be perturbed alike in all rows up to signs."""

    flipout = True


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide to a NumPyro program; `config` is an `SVI`."""
    return bind(config, model, sites, FlipoutNormal)
