"""A small net that learns from a large one: soft targets (Hinton, Vinyals & Dean 2015), the rival of pruning.

The probabilities of a `teacher` are the `y` of the program `likelihoods.soft_targets`, which the ordinary driver fits;
`widths` makes the student as small as a pruned net is.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..target.sites import Arrays
from . import evaluation, trimming


def teacher(model: Callable, nets: Arrays | Sequence[Arrays], x: Any, temperature: float = 1.0) -> np.ndarray:
    """Soft targets softmax(f(x) / T) (rows, classes), of two classes where `f` is one logit; single precision.

    Parameters
    ----------
    model : the teacher's program in NumPyro.
    nets : weights and biases of one net, site -> array, or several such nets (`scores.some_draws`), whose probabilities
        are averaged.
    x : (rows, features).
    temperature : T; the higher, the softer.

    Raises ValueError for a temperature that is not positive, no nets, and what `evaluation.outputs` refuses.
    """
    from scipy.special import softmax

    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}")
    nets = [nets] if isinstance(nets, dict) else list(nets)
    if not nets:
        raise ValueError("there are no nets to learn from; give the weights of one, or some draws")
    total = 0.0
    for net in nets:
        f = evaluation.outputs(model, trimming.network_sites(net), x).astype(np.float64)
        total = total + softmax((f if f.ndim == 2 else np.stack([np.zeros_like(f), f], axis=-1)) / temperature, axis=-1)
    return np.asarray(total / len(nets), np.float32)


def widths(fraction: float, inputs: int, hidden: Sequence[int], out: int) -> list[int]:
    """Hidden widths of a dense student with at most (1 - fraction) of the weights, biases not counted.

    As deep as the teacher of widths `hidden`, all of them made narrower by the same factor, the largest that will do,
    and rounded down.  Raises ValueError for a fraction outside [0, 1), no hidden layer, and if a student with one unit
    in each layer is still too large.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction of the weights to save lies in [0, 1), got {fraction}")
    if not hidden:
        raise ValueError("a net without hidden layers has no smaller one of the same depth; give hidden widths")
    most = (1 - fraction) * _count(inputs, hidden, out) + 1e-6  # not off by a rounding
    factors = sorted({k / width for width in hidden for k in range(1, width + 1)}, reverse=True)
    for factor in factors:
        narrowed = [max(1, int(factor * width + 1e-9)) for width in hidden]
        if _count(inputs, narrowed, out) <= most:
            return narrowed
    least = _count(inputs, [1] * len(hidden), out)
    raise ValueError(f"a net of this depth has at least {least} weights, more than {most:.0f}; save a smaller fraction")


def _count(inputs: int, hidden: Sequence[int], out: int) -> int:
    return sum(a * b for a, b in pairwise((inputs, *hidden, out)))
