"""Noise on activations: a row x is turned and stretched before its layer's weight acts on it ("signal rotation").

Kirichenko (2018), section 3.5: x = norm(x) xhat, and the noise of weight vectors is put on the unit vector xhat, and on
norm(x).  A draw for each row costs one number per activation, not one per weight, so that rows need not share noise.
"""

from typing import Any, NamedTuple

from ..ppl import ppl
from ..ppl.sphere import normalised, rotate
from .action import TINY, linear

DENSE = "noise on activations is for dense layers; use on='weights' for the kernels of a convolution"


class Signal(NamedTuple):
    """The weight of a dense layer, and what happens to its activations first.

    weight : an array, or a weight that acts.
    angle : e, by which a row is turned, () or (rows,); None for not at all.
    plane : standard normals, (unit_in,) or (rows, unit_in), whose part at right angles to a row says where to.
    factor : what a row is multiplied by, () or (rows,).
    """

    weight: Any
    angle: Any
    plane: Any
    factor: Any = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.weight.shape)

    def reshape(self, shape: tuple[int, ...]) -> Any:
        raise ValueError(DENSE)

    def act(self, h: Any) -> Any:
        """(noise on h) @ w for activations h (rows, unit_in)."""
        return linear(self.noisy(h), self.weight)

    def noisy(self, h: Any) -> Any:
        """The rows (rows, unit_in) with their noise."""
        xp = ppl(h).xp
        if self.angle is not None:
            norm = xp.sqrt(xp.sum(h**2, axis=-1, keepdims=True) + TINY)
            h = norm * rotate(xp, normalised(xp, h, (-1,)), self.plane, _column(self.angle))
        return _column(self.factor) * h


def _column(values: Any) -> Any:
    """() or (rows,) to go with (rows, unit_in)."""
    return values[:, None] if getattr(values, "ndim", 0) == 1 else values
