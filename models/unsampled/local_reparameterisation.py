"""A weight that is not yet sampled: a factorised normal that acts on activations and samples what comes out.

The local reparameterisation trick (Kingma, Salimans & Welling 2015, section 2.2): if w ~ N(loc, scale^2) independently,
then h @ w ~ N(h @ loc, h^2 @ scale^2), and drawing that costs one normal per pre-activation, lowers the variance of the
gradient and gives every row a draw of its own.  Flipout (Wen et al. 2018) draws one perturbation of the weight and
gives every row its own random signs of it.

A network need not know: `action.linear` asks the weight to act.  A guide decides what the weight is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..ppl import ppl
from .action import TINY, times_columns


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

    def for_rows(self, rows: int) -> Any:
        """A draw for each of so many rows, (rows, *shape)."""
        return self.loc + self.scale * self.normal((rows, *self.shape))

    def act(self, h: Any) -> Any:
        """h @ w for activations h (rows, ..., unit_in): a draw for every row (and position)."""
        return self._act(h, lambda h, w: h @ w, lambda rows, units: (rows, *(1 for _ in h.shape[1:-1]), units))

    def act_on_columns(self, h: Any) -> Any:
        """The same for activations with the rows last: (unit_in, ..., rows) to (unit_out, ..., rows)."""
        return self._act(h, times_columns, lambda rows, units: (units, *(1 for _ in h.shape[1:-1]), rows), -1)

    def _act(self, h: Any, times: Callable, signs_shape: Callable, rows_axis: int = 0) -> Any:
        xp, mean = ppl(h).xp, times(h, self.loc)
        if not self.flipout:
            return mean + xp.sqrt(times(h**2, self.scale**2) + TINY) * self.normal(tuple(mean.shape))
        (unit_in, unit_out), rows = self.shape, h.shape[rows_axis]
        sizes = (unit_in * unit_out, rows * unit_in, rows * unit_out)
        noise = self.normal((sum(sizes),))
        perturbation = noise[: sizes[0]].reshape(self.shape)
        signs_in = xp.sign(noise[sizes[0] : sizes[0] + sizes[1]]).reshape(signs_shape(rows, unit_in))
        signs_out = xp.sign(noise[sizes[0] + sizes[1] :]).reshape(signs_shape(rows, unit_out))
        return mean + times(h * signs_in, self.scale * perturbation) * signs_out
