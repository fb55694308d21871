"""Variational EM: independent normals, and every scale a point at the M-step of its noise (see `m_step`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ...target.sites import Sites
from ..algorithm import Algorithm
from ..optimisation import m_step
from ..settings import check_positive
from .local import LocalNormal, bind
from .normals import Normals


@dataclass(frozen=True)
class EM(Normals):
    """Settings of the guide ``em``: those of `Normals`, and

    sweeps : how often the scales of a weight take turns at their M-steps in each step.
    """

    name: ClassVar[str] = "em"
    scales_are_points: ClassVar[bool] = True
    sweeps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("svi", self, "sweeps")


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide to a NumPyro program; `config` is an `SVI`."""
    settings = config.guide

    def scales(x: Any, y: Any) -> Callable:
        return m_step.scale_optimiser(model, settings.sweeps, settings.kl == "sum", x, y)

    return bind(config, model, sites, LocalNormal, scales)
