"""The likelihood of soft targets: learning from a teacher's probabilities."""

import math
from functools import cache
from numbers import Integral
from typing import Any

from ...errors import check_number
from ..networks.layers import Network
from ..ppl import PPL
from ..weights.parametrisation import Prior
from .model import Model, model_of


@cache
def soft_targets(network: Network, prior: Prior, classes: int, temperature: float = 1.0) -> Model:
    """Learning from a teacher: T^2 sum_c y_c log softmax(f(x) / T)_c, `y` (rows, classes) the teacher's probabilities.

    `y` are those at the same temperature T (`sparsity.distillation.teacher`); `f` (rows, classes).  With T = 1 and
    one-hot `y` it is the log likelihood of `categorical`, whose sites it has: judge the student by that program.  A
    binary teacher gives two columns, for a student of two classes.

    Source: Hinton, Vinyals & Dean (2015), section 2; the T^2 keeps the size of the gradient.
    """
    check_number("classes", classes, Integral)
    check_number("temperature", temperature)
    if classes < 2:
        raise ValueError(f"soft targets need at least 2 classes, got {classes}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}")

    def outcome(p: PPL) -> Any:
        def observe(f: Any, y: Any) -> None:
            if y is not None:
                z = f / temperature
                z = z - p.xp.max(z, axis=-1, keepdims=True)
                log_p = z - p.xp.log(p.xp.sum(p.xp.exp(z), axis=-1, keepdims=True))
                p.factor("y", temperature**2 * p.xp.sum(y * log_p, axis=-1))

        return observe

    return model_of(network, prior, classes, outcome, (classes,), likelihood="soft_targets")
