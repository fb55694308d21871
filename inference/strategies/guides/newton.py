"""The mode of a density near a point: Newton's method, damped where the density is not concave (Levenberg, 1944)."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve

STEPS = 20  # at most: each takes a Hessian
TOLERANCE = 1e-3  # nats that a further step would gain: about what single precision can tell
FIRST = 1e-3  # damping to begin with, in units of the Hessian's mean diagonal
Derivatives = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def mode(value: Callable[[np.ndarray], float], derivatives: Derivatives, z: np.ndarray) -> np.ndarray:
    """The minimum of `value` (n,) -> nats that Newton's method finds from `z`, or how far it came.

    `derivatives` gives the gradient (n,) and the Hessian (n, n).
    """
    lowest, damping = value(z), 0.0
    for _ in range(STEPS):
        gradient, hessian = (np.asarray(d, np.float64) for d in derivatives(z))
        if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            return z
        least = FIRST * max(np.abs(np.diag(hessian)).mean(), FIRST)
        for _ in range(STEPS):
            step = _newton_step(gradient, hessian, damping)
            if step is not None and (reached := value(z - step)) <= lowest + TOLERANCE:
                break
            damping = max(10 * damping, least)
        else:
            return z
        z, lowest, gain = z - step, reached, 0.5 * gradient @ step
        if damping == 0 and gain < TOLERANCE:
            return z
        damping = damping / 10 if damping > least else 0.0
    return z


def _newton_step(gradient: np.ndarray, hessian: np.ndarray, damping: float) -> np.ndarray | None:
    """The damped step downwards; None where the damped Hessian is not positive definite."""
    try:
        return cho_solve(cho_factor(hessian + damping * np.eye(len(gradient))), gradient)
    except np.linalg.LinAlgError:
        return None
