"""Weight normalisation: w = g v / norm(v), a magnitude and a direction for each unit (Salimans & Kingma 2016).

====================  ===================================================  =============================
site                  law                                                  guides ``local``, ``flipout``
====================  ===================================================  =============================
``layerN.base``       v: its direction uniform (`models.ppl.sphere`)       a point
``layerN.magnitude``  g: half-Cauchy                                       log-normal
``layerN.weight``     g v / norm(v), deterministic
====================  ===================================================  =============================

A point of v pays nothing, for directions are uniform, and its length is free: a guide with points leaves the law of v
out, and the law of the length matters to strategies that sample v, or take the mode of all sites.

A vector is a column of the weight matrix, the weights into one output unit, or a row, those out of one input unit
(Kirichenko 2018, section 4.3); a kernel always has one for each output channel.
"""

import math
from functools import cache
from typing import Any

from ...errors import unknown
from ..ppl import PPL
from ..ppl.named import named
from ..ppl.sphere import normalised
from ..unsampled.rotated import vector_axes

OVER = ("outputs", "inputs")
SPREAD = 0.01  # sd of the first entries of v: short, so that it turns quickly at first, and more slowly as it grows


@cache
def prior(over: str = "outputs") -> Any:
    """The prior ``(p, name, shape) -> weight`` without noise; `over` is ``"outputs"`` or ``"inputs"``."""
    check_over(over)

    @named(f"weight_norm:over={over}")
    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        g = magnitude(p, name, shape, over)
        return p.deterministic(f"{name}.weight", wide(g, shape, over) * direction(p, name, shape, over))

    return weight


def direction(p: PPL, name: str, shape: tuple[int, ...], over: str = "outputs") -> Any:
    """Unit vectors like the weight, from the site ``{name}.base``."""
    along = vector_axes(shape, side(shape, over))
    infer = {"guide": "point", "start": 0.0, "spread": SPREAD}
    base = p.sample(f"{name}.base", p.uniform_direction(shape, along), infer=infer)
    return normalised(p.xp, base, along)


def magnitude(p: PPL, name: str, shape: tuple[int, ...], over: str = "outputs", scale: float = 1.0) -> Any:
    """The site ``{name}.magnitude``, g ~ half-Cauchy(scale): (units,); a sign would be one of v."""
    return p.sample(f"{name}.magnitude", p.dist.HalfCauchy(scale).expand(units(shape, over)).to_event(1))


def units(shape: tuple[int, ...], over: str) -> tuple[int]:
    """How many vectors a weight of this shape has."""
    return (shape[-1 if side(shape, over) == "outputs" else -2],)


def entries(shape: tuple[int, ...], over: str) -> int:
    """How many entries each vector has."""
    return math.prod(shape[axis] for axis in vector_axes(shape, side(shape, over)))


def check_entries(name: str, shape: tuple[int, ...], over: str) -> None:
    """Raise ValueError unless the vectors have two entries: a single number cannot be turned."""
    if entries(shape, over) < 2:
        can_change = over == "outputs" and side(shape, "inputs") == "inputs"
        fix = "use over='inputs'" if can_change else "widen the layer"
        raise ValueError(f"{name} has vectors of a single weight, which cannot be turned; {fix}")


def wide(values: Any, shape: tuple[int, ...], over: str) -> Any:
    """One number per vector, to go with the weight."""
    return values if side(shape, over) == "outputs" else values[..., :, None]


def side(shape: tuple[int, ...], over: str) -> str:
    """`over`, as far as a layer of this shape has it: kernels, and a layer of one output, have vectors over outputs."""
    return over if len(shape) == 2 and shape[-1] > 1 else "outputs"


def check_over(over: str) -> None:
    """Raise ValueError unless `over` is known."""
    if over not in OVER:
        raise unknown("dimension to normalise over", over, OVER)
