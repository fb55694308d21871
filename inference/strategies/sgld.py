"""Stochastic-gradient Langevin dynamics on a program in unconstrained space.

With size s = e_t / N (`stochastic_gradient`), a minibatch estimate L~ of the log joint, a diagonal preconditioner G,

    z <- z + s G grad L~(z) + N(0, 2 T s G).

``rmsprop`` takes G = 1 / (1e-5 + sqrt(V)), V a running mean of the squared gradient of the mean loss: small steps where
the loss is steep.  V is learned in the warmup and stays as it is afterwards, so that the stationary law is that without
a preconditioner, with no term missing (that of Li et al. adapts throughout and leaves one out).  Step sizes are then
those of RMSprop, 1e-3 or less.

Sources: Welling & Teh (2011); Li, Chen, Carlson & Carin (2016), for the preconditioner.

See ``docs/gotchas.md#temperature-is-a-convention``.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ...errors import unknown
from ..target.schedule import Step
from .stochastic_gradient import SGMCMC, Kernel

PRECONDITIONERS = ("none", "rmsprop")
MEMORY, FLOOR = 0.99, 1e-5  # of the running mean of squares, and below its root (Li et al. 2016)


@dataclass(frozen=True)
class SGLD(SGMCMC):
    """Settings of `sgld`: those of `SGMCMC`, and

    preconditioner : ``none`` or ``rmsprop``, of a `step_size` that is given; ``auto`` finds scales of its own.
    """

    name: ClassVar[str] = "sgld"
    preconditioner: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preconditioner not in PRECONDITIONERS:
            raise unknown("preconditioner", self.preconditioner, PRECONDITIONERS)
        if self.automatic and self.preconditioner != "none":
            raise ValueError(
                f"sgld: preconditioner={self.preconditioner} needs a step_size, such as 1e-3; step_size=auto finds "
                "scales of its own, so leave one of them out"
            )

    def kernel(self) -> Kernel:
        """The update of a step."""
        if self.preconditioner == "rmsprop":
            return Kernel(_zero_squares, _preconditioned)
        return Kernel(lambda xp, noise, size: {}, _langevin)


def _langevin(xp: Any, z: dict, auxiliary: dict, gradient: dict, noise: dict, step: Step) -> tuple[dict, dict]:
    width = xp.sqrt(2 * step.temperature * step.size)
    return {k: z[k] + step.size * gradient[k] + width * noise[k] for k in z}, auxiliary


def _zero_squares(xp: Any, noise: dict, size: Any) -> tuple[dict, Any]:
    """The running mean of squares, and the total weight in it, by which the zeros that it begins at are left out."""
    return {name: xp.zeros_like(v) for name, v in noise.items()}, xp.zeros_like(size)


def _preconditioned(xp: Any, z: dict, auxiliary: Any, gradient: dict, noise: dict, step: Step) -> tuple[dict, Any]:
    squares, weight = auxiliary
    share = xp.where(step.warm, 1 - MEMORY, 0.0)
    squares = {k: v + share * ((gradient[k] / step.rows) ** 2 - v) for k, v in squares.items()}
    weight = weight + share * (1 - weight)

    def updated(name: str) -> Any:
        size = step.size / (FLOOR + xp.sqrt(squares[name] / weight))
        return z[name] + size * gradient[name] + xp.sqrt(2 * step.temperature * size) * noise[name]

    return {name: updated(name) for name in z}, (squares, weight)
