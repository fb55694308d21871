"""Poles of a density: places where it grows without bound, so that there is no mode to find."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ...models.ppl import ppl
from ...models.ppl.programs import log_joint
from .sites import NETWORK_SITES, Sites

FAR = {-1: (18.0, 27.0), 1: (8.0, 13.0)}  # logarithms of how near to zero scales and weights are put, scales to an end
GROWTH = 0.05  # nats between these that are no rounding: log log(1 / w), the slowest pole, has 0.4 for each weight
WEIGHTS = (*NETWORK_SITES, ".base", ".magnitude")


def refuse_pole(strategy: str, model: Callable, sites: Sites, x: Any, y: Any) -> None:
    """Raise ValueError if the density of the program, in constrained space, has no mode.

    It is followed as the scales, the weights, or both go to zero, and as the scales go to the other end.
    """
    density = import_module(f".{ppl(x).name}.density", __package__)
    x, y = x[:1], y[:1]  # the likelihood is bounded; of few rows it does not drown the prior
    z, constrain = density.start_and_constrain(model, sites, x, y)
    scales = [name for name in sites.latent if ".scale" in name]
    weights = [name for name in sites.latent if name.endswith(WEIGHTS)]
    for moved, shrunk, sign in ((scales, (), -1), ((), weights, -1), (scales, weights, -1), (scales, (), 1)):
        near, nearer = (_at(model, z, constrain, x, y, moved, shrunk, sign, far) for far in FAR[sign])
        if nearer == float("inf") or nearer - near > GROWTH + 1e-5 * abs(near):
            end = "zero" if sign < 0 else "its upper end"
            raise ValueError(
                f"{strategy} finds no mode: the density grows without bound as {(*moved, *shrunk)[0]} goes to {end}; "
                "use the expanded form of a proper noise, or guide=mean_field"
            )


def _at(
    model: Callable, z: dict, constrain: Callable, x: Any, y: Any, moved: Any, shrunk: Any, sign: int, far: float
) -> float:
    """The log joint with the scales in `moved` so `far` out, and the weights in `shrunk` so small."""
    out = {name: value + sign * far if name in moved else value for name, value in z.items()}
    values = constrain(out)
    unbounded = [name for name in moved if (values[name] == out[name]).all()]  # such a scale is of either sign
    for name in (*shrunk, *unbounded):
        values[name] = z[name] * math.exp(-far)
    return float(log_joint(model, values, x, y))
