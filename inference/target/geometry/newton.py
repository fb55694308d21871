"""The mode of a density near a point, by SciPy's Newton steps within a trust region."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import minimize

STEPS = 20  # at most: each takes a Hessian
TOLERANCE = 1e-3  # of the gradient, in nats: about what single precision can tell
Derivatives = Callable[[np.ndarray], tuple[Any, Any]]


def mode(value: Callable[[np.ndarray], float], derivatives: Derivatives, z: np.ndarray) -> np.ndarray:
    """The minimum of `value` (n,) -> nats that Newton's method finds from `z`, or how far it came.

    `derivatives` gives the gradient (n,) and the Hessian (n, n).
    """

    @lru_cache(maxsize=1)
    def at(content: bytes) -> tuple[np.ndarray, np.ndarray]:
        gradient, hessian = derivatives(np.frombuffer(content).copy())
        return np.asarray(gradient, np.float64), np.asarray(hessian, np.float64)

    if not all(np.isfinite(part).all() for part in at(z.tobytes())):
        return z
    options = {"maxiter": STEPS, "gtol": TOLERANCE}
    known = {"jac": lambda z: at(z.tobytes())[0], "hess": lambda z: at(z.tobytes())[1]}
    try:
        return minimize(value, z, method="trust-exact", options=options, **known).x
    except (ValueError, np.linalg.LinAlgError):  # a step that leaves the numbers there are
        return z
