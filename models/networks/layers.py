"""Networks: functions ``(p, x, prior, out) -> f`` written in the array namespace only, for either language.

`x` has shape (rows, features), `f` has shape (rows, out).  Every weight comes from the one `prior`
``(p, name, shape) -> weight``: a matrix (unit_in, unit_out) or a kernel (height, width, unit_in, unit_out); an array,
not yet sampled (`unsampled.local_reparameterisation`), or with scales of its own for each row (`unsampled.per_row`).
Biases, where there are any, have a standard normal prior.  Layers are called layer0, layer1, ...

The rows of an image network are images: side * side pixels, or side * side * 3 numbers with the channel last.  Inside,
images are (unit, height, width, rows): patches are then copied in long runs, and a convolution is one product of two
matrices.  In a compiled loop on a CPU that is about level with torch's convolutions (tests/benchmarks/convolution.py);
XLA's own are several times slower.
"""

from collections.abc import Callable
from typing import Any

from ...errors import unknown
from ..ppl import PPL
from ..unsampled.action import linear, linear_columns
from ..weights.parametrisation import Prior

Network = Callable[[PPL, Any, Prior, int], Any]


ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda xp, h: xp.tanh(h),
    "relu": lambda xp, h: xp.where(h > 0, h, xp.zeros_like(h)),
}
PADDINGS = ("valid", "same")


def layer(p: PPL, h: Any, prior: Prior, name: str, out: int, bias: bool = True) -> Any:
    """An affine layer, or a linear one: activations (rows, unit_in) to pre-activations (rows, out)."""
    z = linear(h, prior(p, name, (h.shape[-1], out)))
    return z + bias_site(p, name, out) if bias else z


def conv(xp: Any, h: Any, w: Any, padding: str = "valid") -> Any:
    """The convolution of images (unit_in, height, width, rows) with a kernel (kh, kw, unit_in, unit_out), of stride 1.

    The kernel is not flipped.  ``"valid"`` keeps the (height - kh + 1) x (width - kw + 1) places where it lies inside
    the image; ``"same"`` puts zeros around the image, so that it keeps its size, for kernels of odd height and width.

    Returns pre-activations (unit_out, height', width', rows).  Raises ValueError for an unknown padding, an even kernel
    that should keep the size and a kernel larger than the image.
    """
    kh, kw, _, out = w.shape
    if padding not in PADDINGS:
        raise unknown("padding", padding, PADDINGS)
    if padding == "same":
        if not (kh % 2 and kw % 2):
            raise ValueError(f"padding 'same' needs a kernel of odd height and width, got {kh} x {kw}")
        h = _surround(xp, _surround(xp, h, kh // 2, 1), kw // 2, 2)
    height, width = h.shape[1] - kh + 1, h.shape[2] - kw + 1
    if height < 1 or width < 1:
        raise ValueError(f"a kernel of {kh} x {kw} does not fit into an image of {h.shape[1]} x {h.shape[2]}")
    shifted = [h[:, i : i + height, j : j + width] for i in range(kh) for j in range(kw)]
    return linear_columns(xp.concat(shifted, axis=0), w.reshape((-1, out)))


def max_pool(xp: Any, h: Any, size: int) -> Any:
    """The largest number of each size x size block of images (unit, height, width, rows); the rest is dropped."""
    units, height, width, rows = h.shape
    height, width = height // size, width // size
    blocks = h[:, : height * size, : width * size].reshape((units, height, size, width, size, rows))
    return xp.max(blocks, axis=(2, 4))


def bias_site(p: PPL, name: str, out: int) -> Any:
    """The biases (out,) of a layer, standard normal."""
    return p.sample(f"{name}.bias", p.dist.Normal(0.0, 1.0).expand((out,)).to_event(1))


def relu(p: PPL, h: Any) -> Any:
    """max(h, 0), elementwise."""
    return ACTIVATIONS["relu"](p.xp, h)


def per_unit(values: Any, h: Any) -> Any:
    """One number per unit, to go with (unit, ..., rows)."""
    return values.reshape((-1, *(1 for _ in h.shape[1:])))


def _surround(xp: Any, h: Any, width: int, axis: int) -> Any:
    """So many zeros on either side of axis 1 or 2."""
    zeros = [xp.zeros_like(h[:, :1] if axis == 1 else h[:, :, :1])] * width
    return xp.concat([*zeros, h, *zeros], axis=axis)
