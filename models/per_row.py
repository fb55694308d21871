"""A scale that differs between the rows of a minibatch: dropout's mask, one for each example.

A guide may put it where a noise would sample its scales.  Multiplied by a weight it makes a weight that acts on each
row with that row's own scales, as `models.local.Unsampled` acts with noise of its own; the network need not know.
"""

from dataclasses import dataclass, replace
from typing import Any

from .ppl import ppl


@dataclass(frozen=True)
class PerRow:
    """Scales (rows, *shape) that stand for scales of `shape`, or for a weight once they have met one.

    Each row of a dense layer sees its own scales: h_n -> sum_i h_ni lambda_ni w_ij.  Raises TypeError where it would
    have to act as the kernel of a convolution.
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
        if other.ndim != 2:
            raise TypeError("scales of each row's own multiply the weight of a dense layer, not a kernel")
        return PerRow(self._layer(), other if self.weight is None else self.weight * other)

    __rmul__ = __mul__

    def act(self, h: Any) -> Any:
        """h @ w for activations h (rows, unit_in), each row with its own scales."""
        if self.scale.shape[-1] == 1:  # shared by the units out
            return (h * self.scale[..., 0]) @ self.weight
        if self.scale.shape[-2] == 1:  # shared by the units in
            return (h @ self.weight) * self.scale[:, 0]
        return ppl(h).xp.matmul(h[:, None, :], self.scale * self.weight)[:, 0]

    def _layer(self) -> Any:
        """Scales (rows, unit_in or 1, unit_out or 1)."""
        rows = self.scale.shape[0]
        return self.scale if self.scale.ndim == 3 else self.scale.reshape((rows, *self.scale.shape[1:], 1, 1)[:3])
