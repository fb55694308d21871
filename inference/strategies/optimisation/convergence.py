"""When a stochastic optimisation has converged, in either language.

The learning rate is held until the iterates are stationary, or drift by less than a tolerance; then it is divided by
`FACTOR`, and the optimisation goes on from their average.  It ends once that has moved the average by less than the
tolerance.  What is looked at is a window, the second half of the steps at a rate, in `BATCHES` batches: R-hat of the
batches, and the drift, how far the guide at the average of the first half of them is from that at the second.  A window
that fails is followed by one twice as long.

Distances are symmetrised divergences in nats for each latent number; the root of one is about a shift in posterior sds.

Source: Dhaka, Catalina, Andersen, Magnusson, Huggins & Vehtari (2020); Welandawe, Andersen, Vehtari & Huggins (2024).
"""

from typing import Any, NamedTuple

FACTOR = 4.0  # that the learning rate is divided by
BATCHES = 8
FIRST = 400  # steps at the first rate, the second half of which is its first window
RHAT = 1.2  # of the batches of a window, as a root mean square over the parameters, below which they are stationary
ACCURATE = 2.0  # of the tolerance: the drift at the end is at most that, or the average is not known well enough


class Window(NamedTuple):
    """Sums over the iterates of a window, by batch; of one parameter array or of a flat vector.

    origin : the first iterate, from which deviations are taken, (...).
    sums : of the deviations, (batch, ...).
    squares : of the deviations, over all batches, (...).
    """

    origin: Any
    sums: Any
    squares: Any


def first_window(fallen: Any) -> Any:
    """Steps of the first window at a rate that has fallen by so much: iterates take as much longer to get anywhere."""
    return FIRST // 2 * fallen


def batch_means(window: Window, steps: Any) -> Any:
    """Means (batch, ...) of the iterates of a window of so many steps."""
    return window.origin + window.sums * (BATCHES / steps)


def rhat_squared(window: Window, steps: Any) -> Any:
    """R-hat^2 (...) of the batches of a window: the variance with and without that of their means, in ratio."""
    means = window.sums * (BATCHES / steps)
    between = ((means - means.mean(0)) ** 2).sum(0) / (BATCHES - 1)
    within = window.squares / steps - (means**2).mean(0)
    return 1 + between / within.clip(1e-30)
