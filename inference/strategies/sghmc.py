"""Stochastic-gradient Hamiltonian Monte Carlo on a program in unconstrained space.

With h^2 = e_t / N (see `stochastic_gradient`), a minibatch estimate L~ of the log joint and a momentum p of unit mass,

    p <- (1 - friction) p + h grad L~(z) + N(0, 2 friction T),    z <- z + h p,

that is, gradient descent on the mean loss with learning rate e_t and momentum 1 - friction, and the noise that goes
with it.  The variance of the minibatch gradient is not estimated: it adds to the noise and vanishes with the step size.

Source: Chen, Fox & Guestrin (2014), eq 15.  BlackJAX 1.7 moves z first, which gains energy unless the friction is above
e_t times the curvature; and its ``sghmc`` draws a new momentum of variance 1 for every call, so that its law is that of
T = 1 at any temperature.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..target.schedule import Step
from .stochastic_gradient import Frictional, Kernel


@dataclass(frozen=True)
class SGHMC(Frictional):
    """Settings of `sghmc`: those of `SGMCMC`, and

    friction : share of the momentum that is lost at each step, in (0, 1).
    """

    name: ClassVar[str] = "sghmc"

    def kernel(self) -> Kernel:
        """The update of a step."""

        def update(xp: Any, z: dict, momentum: dict, gradient: dict, noise: dict, step: Step) -> tuple[dict, dict]:
            h, width = xp.sqrt(step.size), xp.sqrt(2 * self.friction * step.temperature)
            momentum = {k: (1 - self.friction) * p + h * gradient[k] + width * noise[k] for k, p in momentum.items()}
            return {k: z[k] + h * p for k, p in momentum.items()}, momentum

        return Kernel(lambda xp, noise, size: noise, update)
