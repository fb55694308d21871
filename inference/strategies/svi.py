"""Stochastic variational inference: fit a guide to the posterior by maximising the ELBO, then draw from it.

Each guide is a file of `guides`, with settings of its own; what all of them share is here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..target.sites import Sites
from . import guides
from .algorithm import Algorithm
from .guides.automatic import MeanField
from .settings import check_numbers, check_positive


@dataclass(frozen=True)
class SVI:
    """Settings of `svi`.

    guide : the settings of a guide, such as ``Local(kl_warmup=1000)``; the classes are in `guides`.
    steps : gradient steps, at most; none for 100000 of a guide that ends by itself (mean_field, low_rank, full_rank,
        flow), 10000 of others.  The guides laplace and pathfinder take none.
    lr : Adam's first learning rate; none for 0.1 of mean_field, which is fitted in posterior sds, 0.01 of others.
    tolerance : how far a lower learning rate may still move the guide, in posterior sds, root mean square over its
        coordinates, for a guide that ends by itself to do so; none to take all steps.
    decay : the share of the steps, the last ones, over which the learning rate falls to zero, linearly, in a run that
        has not ended before.
    batch_size : rows per step, drawn with replacement; None for all.
    particles : draws of the guide per gradient; none for 10 of a guide that ends by itself, on data of which ten draws
        cost little more than one, 1 of others.
    draws : posterior draws taken from the fitted guide, per chain.
    chains : independent restarts.
    """

    name: ClassVar[str] = "svi"
    guide: Any = field(default_factory=MeanField)
    steps: int | None = None
    lr: float | None = None
    tolerance: float | None = 0.1
    decay: float = 0.5
    batch_size: int | None = None
    particles: int | None = None
    draws: int = 1000
    chains: int = 1

    def __post_init__(self) -> None:
        if getattr(self.guide, "name", None) not in guides.GUIDES:
            raise TypeError(
                f"svi: guide takes the settings of a guide, such as MeanField() or Local(kl_warmup=1000), "
                f"got {self.guide!r}; by name it is parse('svi:guide=local')"
            )
        ends_by_itself = getattr(self.guide, "ends_by_itself", False)
        if self.steps is None:
            object.__setattr__(self, "steps", 100_000 if ends_by_itself else 10_000)
        if self.particles is None and not ends_by_itself:
            object.__setattr__(self, "particles", 1)
        object.__setattr__(self, "lr", getattr(self.guide, "lr", 0.01) if self.lr is None else self.lr)
        check_numbers("svi", self)
        if not 0 <= self.decay <= 1:
            raise ValueError(f"svi: decay, a share of the steps, must lie between 0 and 1, got {self.decay}")
        check_positive("svi", self, "steps", "lr", "tolerance", "batch_size", "particles", "draws", "chains")


def algorithm(config: SVI, model: Callable, sites: Sites) -> Algorithm:
    """Bind `svi` to a NumPyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    return guides.implementation(config.guide, "numpyro")(config, model, sites)
