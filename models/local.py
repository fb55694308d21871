"""A weight that is not yet sampled: a factorised normal that acts on activations and samples what comes out.

The local reparameterisation trick (Kingma, Salimans & Welling 2015, section 2.2): if w ~ N(loc, scale^2) independently,
then h @ w ~ N(h @ loc, h^2 @ scale^2), and drawing that costs one normal per pre-activation, lowers the variance of the
gradient and gives every row a draw of its own.  Flipout (Wen et al. 2018) draws one perturbation of the weight and gives
every row its own random signs of it.

A network need not know: `network.linear` asks the weight to act.  A guide decides what the weight is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from .ppl import ppl

TINY = 1e-16  # keeps the derivative of a square root finite where all activations are zero


class Unsampled(NamedTuple):
    """A factorised normal weight (..., unit_in, unit_out); reshaped or multiplied by an array it stays one.

    loc, scale : mean and standard deviation, of one shape.
    normal : ``shape -> standard normals``, which carries the randomness of a language.
    flipout : whether rows share one perturbation up to signs (flipout) or have noise of their own (local).
    """

    loc: Any
    scale: Any
    normal: Callable[[tuple[int, ...]], Any]
    flipout: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.loc.shape)

    def reshape(self, shape: tuple[int, ...]) -> "Unsampled":
        return self._replace(loc=self.loc.reshape(shape), scale=self.scale.reshape(shape))

    def __mul__(self, factor: Any) -> "Unsampled":
        return self._replace(loc=self.loc * factor, scale=self.scale * abs(factor))

    __rmul__ = __mul__

    def act(self, h: Any) -> Any:
        """h @ w for activations h (rows, ..., unit_in): a draw for every row (and position)."""
        return _flipout(h, self) if self.flipout else _local(h, self)


def _local(h: Any, w: Unsampled) -> Any:
    mean, variance = h @ w.loc, h**2 @ w.scale**2
    return mean + ppl(h).xp.sqrt(variance + TINY) * w.normal(tuple(mean.shape))


def _flipout(h: Any, w: Unsampled) -> Any:
    xp, (*_, unit_in, unit_out) = ppl(h).xp, w.shape
    each = (h.shape[0], *(1 for _ in h.shape[1:-1]))
    noise = w.normal((unit_in * unit_out + each[0] * (unit_in + unit_out),))
    perturbation = noise[: unit_in * unit_out].reshape((unit_in, unit_out))
    signs = xp.sign(noise[unit_in * unit_out :]).reshape((*each, unit_in + unit_out))
    before, after = signs[..., :unit_in], signs[..., unit_in:]
    return h @ w.loc + ((h * before) @ (w.scale * perturbation)) * after
