"""The stochastic-gradient Nose-Hoover thermostat on a program in unconstrained space.

As `sghmc`, but the share a of the momentum that a step loses is a variable: it grows while the momentum is too hot and
falls while it is too cold, so that it takes up minibatch noise of unknown size.  With h^2 = e_t / N and d coordinates,

    p' <- (1 - a) p + h grad L~(z) + N(0, 2 friction T),    z <- z + h p',    a <- a + h^2 (p' (p' + p) / 2d - T),

a beginning at the friction.  The heat is taken half-way between two momenta: with p' p' in its place, as in the paper,
a settles at 1 - sqrt(1 - 2 friction), and the law is too narrow however small the step.  The h^2 before the bracket is
at most friction^2: in coordinates scaled to one it is of order one, and a would swing below zero.
Source: Ding, Fang, Babbush, Chen, Skeel & Neven (2014), algorithm 2.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ..target.schedule import Step
from .stochastic_gradient import Frictional, Kernel


@dataclass(frozen=True)
class SGNHT(Frictional):
    """Settings of `sgnht`: those of `SGMCMC`, and

    friction : share of the momentum that is lost at each step, in (0, 1): at first, and that of the injected noise.
    """

    name: ClassVar[str] = "sgnht"

    def kernel(self) -> Kernel:
        """The update of a step."""

        def init(xp: Any, noise: dict, size: Any) -> tuple[dict, Any]:
            return noise, self.friction + xp.zeros_like(size)

        def update(xp: Any, z: dict, auxiliary: Any, gradient: dict, noise: dict, step: Step) -> tuple[dict, Any]:
            old, share = auxiliary
            h, width = xp.sqrt(step.size), xp.sqrt(2 * self.friction * step.temperature)
            new = {k: (1 - share) * p + h * gradient[k] + width * noise[k] for k, p in old.items()}
            kinetic = sum(xp.sum(p * (p + old[k])) for k, p in new.items()) / sum(
                2 * math.prod(p.shape) for p in new.values()
            )
            gain = xp.where(step.size < self.friction**2, step.size, self.friction**2)
            share = share + gain * (kinetic - step.temperature)
            return {k: z[k] + h * p for k, p in new.items()}, (new, share)

        return Kernel(init, update)
