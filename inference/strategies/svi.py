"""Stochastic variational inference: fit a guide to the posterior by maximising the ELBO, then draw from it.

Each guide is a file of `guides`, with settings of its own; what all of them share is here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import optax

from ..target.sites import Sites
from . import guides
from .algorithm import Algorithm
from .guides.automatic import MeanField
from .settings import check_numbers, check_positive


@dataclass(frozen=True)
class SVI:
    """Settings of `svi`.

    guide : the settings of a guide, such as ``Local(kl_warmup=1000)``; the classes are in `guides`.
    steps : gradient steps.
    lr : Adam's learning rate.
    decay : the share of the steps, the last ones, over which the learning rate falls to zero, linearly.
    batch_size : rows per step, drawn with replacement; None for all.
    particles : draws of the guide per gradient.
    draws : posterior draws taken from the fitted guide, per chain.
    chains : independent restarts.
    """

    name: ClassVar[str] = "svi"
    guide: Any = field(default_factory=MeanField)
    steps: int = 10_000
    lr: float = 0.01
    decay: float = 0.5
    batch_size: int | None = None
    particles: int = 1
    draws: int = 1000
    chains: int = 1

    def __post_init__(self) -> None:
        if getattr(self.guide, "name", None) not in guides.GUIDES:
            raise TypeError(
                f"svi: guide takes the settings of a guide, such as MeanField() or Local(kl_warmup=1000), "
                f"got {self.guide!r}; by name it is parse('svi:guide=local')"
            )
        check_numbers("svi", self)
        if not 0 <= self.decay <= 1:
            raise ValueError(f"svi: decay, a share of the steps, must lie between 0 and 1, got {self.decay}")
        check_positive("svi", self, "steps", "lr", "batch_size", "particles", "draws", "chains")


def algorithm(config: SVI, model: Callable, sites: Sites) -> Algorithm:
    """Bind `svi` to a NumPyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    return guides.implementation(config.guide, "numpyro")(config, model, sites, optax.adam(_rate(config)))


def constant_steps(config: SVI) -> int:
    """How many steps the learning rate is constant, before it falls to zero."""
    return int((1 - config.decay) * config.steps)


def _rate(config: SVI) -> Any:
    steps = constant_steps(config)
    return optax.linear_schedule(config.lr, 0.0, config.steps - steps, steps) if steps < config.steps else config.lr
