"""Stochastic-gradient Hamiltonian Monte Carlo on a program in unconstrained space.

With h^2 = e_t / N (see `sgmcmc`), a minibatch estimate L~ of the log joint and a momentum p of unit mass,

    p <- (1 - friction) p + h grad L~(z) + N(0, 2 friction T),    z <- z + h p,

that is, gradient descent on the mean loss with learning rate e_t and momentum 1 - friction, and the noise that goes
with it.  The variance of the minibatch gradient is not estimated: it adds to the noise and vanishes with the step size.

Source: Chen, Fox & Guestrin (2014), eq 15.  BlackJAX 1.7 moves z first, which gains energy unless the friction is above
e_t times the curvature; and its ``sghmc`` draws a new momentum of variance 1 for every call, so that its law is that of
T = 1 at any temperature.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .algorithm import Algorithm
from .sgmcmc import Frictional, Kernel, Now, bind
from .target import Sites


@dataclass(frozen=True)
class SGHMC(Frictional):
    """Settings of `sghmc`: those of `SGMCMC`, and

    friction : share of the momentum that is lost at each step, in (0, 1).
    """


@lru_cache(maxsize=32)
def algorithm(config: SGHMC, model: Callable, found: Sites) -> Algorithm:
    """Bind `sghmc` to a NumPyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    return bind(config, model, found, kernel(config))


def kernel(config: SGHMC) -> Kernel:
    """The update."""

    def move(xp: Any, z: dict, momentum: dict, gradient: dict, noise: dict, now: Now) -> tuple[dict, dict]:
        h, width = xp.sqrt(now.size), xp.sqrt(2 * config.friction * now.temperature)
        momentum = {k: (1 - config.friction) * p + h * gradient[k] + width * noise[k] for k, p in momentum.items()}
        return {k: z[k] + h * p for k, p in momentum.items()}, momentum

    return Kernel(lambda xp, noise, size: noise, move)
