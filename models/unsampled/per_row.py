"""A scale that differs between the rows of a minibatch: dropout's mask, one for each example.

A guide may put it where a noise would sample its scales.  Multiplied by a weight it makes a weight that acts on each
row with that row's own scales, as `Unsampled` acts with noise of its own; the network need not know.

See ``docs/gotchas.md#a-mask-for-the-function-is-not-a-mask-for-each-example``.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from ..ppl import ppl
from .action import times_columns

KERNEL = "scales of each row's own multiply a kernel by its input or by its output units, not by its weights"


@dataclass(frozen=True)
class PerRow:
    """Scales (rows, *shape) that stand for scales of `shape`, or for a weight once they have met one.

    Each row sees its own scales: h_n -> sum_i h_ni lambda_ni w_ij; the units of a kernel are channels.  Raises
    TypeError for scales that differ between the weights of a kernel.
    """

    scale: Any
    weight: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.scale.shape[1:] if self.weight is None else self.weight.shape)

    def __getitem__(self, index: Any) -> "PerRow":
        return replace(self, scale=self.scale[(slice(None), *index)])

    def __mul__(self, other: Any) -> "PerRow":
        if isinstance(other, PerRow):
            ours, theirs = self._layer(), other._layer()
            return PerRow(ours * theirs)
        if getattr(other, "ndim", 0) == 0:
            return replace(self, scale=self.scale * other)
        layer = self._layer()
        if other.ndim > 2 and (layer.ndim > 3 or 1 not in layer.shape[1:]):
            raise TypeError(KERNEL)
        return PerRow(layer, other if self.weight is None else self.weight * other)

    __rmul__ = __mul__

    def reshape(self, shape: tuple[int, ...]) -> "PerRow":
        """A kernel (height, width, unit_in, unit_out) as a matrix."""
        places, scale = math.prod(self.weight.shape[:-2]), self.scale
        if scale.shape[1] > 1:
            scale = ppl(scale).xp.concat([scale] * places, axis=1)
        return PerRow(scale, self.weight.reshape(shape))

    def act(self, h: Any) -> Any:
        """h @ w for activations h (rows, unit_in), each row with its own scales."""
        if self.scale.shape[-1] == 1:  # shared by the units out
            return (h * self.scale[..., 0]) @ self.weight
        if self.scale.shape[-2] == 1:  # shared by the units in
            return (h @ self.weight) * self.scale[:, 0]
        return ppl(h).xp.matmul(h[:, None, :], self.scale * self.weight)[:, 0]

    def act_on_columns(self, h: Any) -> Any:
        """The same for activations with the rows last: (unit_in, ..., rows) to (unit_out, ..., rows)."""

        def wide(scale: Any) -> Any:
            return scale.T.reshape((scale.shape[1], *(1 for _ in h.shape[1:-1]), scale.shape[0]))

        if self.scale.shape[-1] == 1:
            return times_columns(h * wide(self.scale[..., 0]), self.weight)
        return times_columns(h, self.weight) * wide(self.scale[:, 0])

    def _layer(self) -> Any:
        """Scales (rows, unit_in or 1, unit_out or 1); those of a kernel's weights have more axes."""
        rows = self.scale.shape[0]
        return self.scale if self.scale.ndim >= 3 else self.scale.reshape((rows, *self.scale.shape[1:], 1, 1)[:3])
