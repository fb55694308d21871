"""When a stochastic optimisation has converged, in either language.

The learning rate is held until the iterates are stationary and their average is known well enough; then it is divided
by `FACTOR`, and the optimisation goes on from the average.  It ends once that has moved the average by less than a
tolerance.  What is looked at is a window, the second half of the steps at a rate, in `BATCHES` batches: at the first
rate R-hat of the batches, and at all how far the guide at the average of the first half of them is from that at the
second.  A window that fails is followed by one twice as long.

Distances are symmetrised divergences in nats for each latent number; the root of one is about a shift in posterior sds.

Source: Dhaka, Catalina, Andersen, Magnusson, Huggins & Vehtari (2020); Welandawe, Andersen, Vehtari & Huggins (2024).
"""

from typing import Any, NamedTuple

FACTOR = 4.0  # that the learning rate is divided by
BATCHES = 8
FIRST = 400  # steps of the first window at a rate: the second half of so many
STILL = 0.2  # of the tolerance: a guide that moves less than that within a window need not be stationary
RHAT = 1.2  # of the batches of a window, as a root mean square over the parameters


class Window(NamedTuple):
    """Sums over the iterates of a window, by batch; of one parameter array or of a flat vector.

    origin : the first iterate, from which deviations are taken, (...).
    sums : of the deviations, (batch, ...).
    squares : of the deviations, over all batches, (...).
    """

    origin: Any
    sums: Any
    squares: Any


def batch_means(window: Window, steps: Any) -> Any:
    """Means (batch, ...) of the iterates of a window of so many steps."""
    return window.origin + window.sums * (BATCHES / steps)


def rhat_squared(window: Window, steps: Any) -> Any:
    """R-hat^2 (...) of the batches of a window: the variance with and without that of their means, in ratio."""
    means = window.sums * (BATCHES / steps)
    between = ((means - means.mean(0)) ** 2).sum(0) / (BATCHES - 1)
    within = window.squares / steps - (means**2).mean(0)
    return 1 + between / within.clip(1e-30)
