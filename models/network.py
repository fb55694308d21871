"""Networks: functions ``(p, x, prior, out) -> f`` written in the array namespace only, for either language.

`x` has shape (rows, features), `f` has shape (rows, out).  Every weight comes from the one `prior`
``(p, name, shape) -> weight``: a matrix (unit_in, unit_out) or a kernel (height, width, unit_in, unit_out); an array,
not yet sampled (`noisezoo.models.local`), or with scales of its own for each row (`noisezoo.models.per_row`).  Biases,
where there are any, have a standard normal prior.  Layers are called layer0, layer1, ...

The rows of an image network are images: side * side pixels, or side * side * 3 numbers with the channel last.  Inside,
images are (unit, height, width, rows): patches are then copied in long runs, and a convolution is one product of two
matrices.  In a compiled loop on a CPU that is about level with torch's convolutions (tests/benchmarks/convolution.py);
XLA's own are several times slower.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from .local import times_columns
from .names import unknown
from .ppl import PPL
from .weight import Prior

Network = Callable[[PPL, Any, Prior, int], Any]

ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda xp, h: xp.tanh(h),
    "relu": lambda xp, h: xp.where(h > 0, h, xp.zeros_like(h)),
}
PADDINGS = ("valid", "same")
EPSILON = 1e-5  # added to a variance that is divided by
VGG = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # a pool after each group


def linear(h: Any, w: Any) -> Any:
    """The action of a weight (unit_in, unit_out) on activations (..., unit_in)."""
    return w.act(h) if hasattr(w, "act") else h @ w


def layer(p: PPL, h: Any, prior: Prior, name: str, out: int, bias: bool = True) -> Any:
    """An affine layer, or a linear one: activations (rows, unit_in) to pre-activations (rows, out)."""
    z = linear(h, prior(p, name, (h.shape[-1], out)))
    return z + _bias(p, name, out) if bias else z


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
    return _columns(xp.concat(shifted, axis=0), w.reshape((-1, out)))


def max_pool(xp: Any, h: Any, size: int) -> Any:
    """The largest number of each size x size block of images (unit, height, width, rows); the rest is dropped."""
    units, height, width, rows = h.shape
    height, width = height // size, width // size
    blocks = h[:, : height * size, : width * size].reshape((units, height, size, width, size, rows))
    return xp.max(blocks, axis=(2, 4))


@cache
def mlp(*widths: int, activation: str = "tanh", bias: bool = True) -> Network:
    """A multilayer perceptron with hidden layers of these widths; ``mlp()`` has none and is a linear model.

    ``activation`` is ``"tanh"`` or ``"relu"``.  Raises ValueError for widths that are not positive.
    """
    return _stack(widths, activation, bias, residual=False)


@cache
def residual_mlp(*widths: int, activation: str = "relu", bias: bool = True) -> Network:
    """A residual perceptron: h <- f(h W + b) + h wherever a layer keeps its width, a plain layer elsewhere.

    Source: Nalisnick, Hernandez-Lobato & Smyth (2019), where the first hidden layer is not residual.  A layer of weight
    zero still adds f(b): only without biases does its input go through unchanged, as in stochastic depth.
    """
    return _stack(widths, activation, bias, residual=True)


@cache
def lenet_300_100() -> Network:
    """LeNet-300-100: a perceptron with 300 and 100 ReLU units, 266,200 weights on MNIST (LeCun et al. 1998)."""
    return mlp(300, 100, activation="relu")


@cache
def lenet5() -> Network:
    """LeNet-5 as Caffe has it, 430,500 weights on MNIST, with a ReLU after every hidden layer.

    20 kernels of 5 x 5, pool, 50 of 5 x 5, pool, 500 units; no padding, pools of 2 x 2.  Images of at least 16 x 16.
    """

    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h = _images(p.xp, x, "lenet5", 16)
        h = _convolution(p, h, prior, "layer0", 20, size=5, padding="valid", pool=True)
        h = _convolution(p, h, prior, "layer1", 50, size=5, padding="valid", pool=True)
        h = _relu(p, layer(p, _flat(p.xp, h), prior, "layer2", 500))
        return layer(p, h, prior, "layer3", out)

    return network


@cache
def alexnet() -> Network:
    """A small AlexNet for CIFAR-10: five convolutions and two dense layers, 4.4 million weights at 32 x 32 x 3.

    The channels of Krizhevsky (2014), with 3 x 3 kernels, zero-padded: 64, pool, 192, pool, 384, 256, 256, pool; then
    512 units and the output.  ReLU after every hidden layer.  Images of at least 8 x 8.
    """

    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h = _images(p.xp, x, "alexnet", 8)
        for i, (channels, pool) in enumerate(((64, True), (192, True), (384, False), (256, False), (256, True))):
            h = _convolution(p, h, prior, f"layer{i}", channels, size=3, padding="same", pool=pool)
        h = _relu(p, layer(p, _flat(p.xp, h), prior, "layer5", 512))
        return layer(p, h, prior, "layer6", out)

    return network


@cache
def vgg() -> Network:
    """The VGG-like network for CIFAR-10: 13 convolutions and two dense layers, 14.98 million weights at 32 x 32 x 3.

    3 x 3 kernels, zero-padded: two of 64, pool, two of 128, pool, three of 256, pool, twice three of 512 and a pool;
    then 512 units and the output (torch.ch/blog/2015/07/30/cifar.html).  Images of at least 32 x 32.

    The original has batch normalisation after every hidden layer, which makes an output depend on the other rows of its
    batch: there is no likelihood of independent rows.  Here each row is normalised by itself, over its units and places
    (layer normalisation: Ba, Kiros & Hinton 2016), then multiplied by a gain per unit, the site ``layerN.gain`` with
    prior N(1, 1), and shifted by the layer's bias.
    """

    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h, number = _images(p.xp, x, "vgg", 32), 0
        for group in VGG:
            for channels in group:
                name, number = f"layer{number}", number + 1
                z = conv(p.xp, h, prior(p, name, (3, 3, h.shape[0], channels)), "same")
                h = _relu(p, _normalised(p, z, name))
            h = max_pool(p.xp, h, 2)
        name, h = f"layer{number}", _flat(p.xp, h)
        z = linear(h, prior(p, name, (h.shape[1], 512)))
        h = _relu(p, _normalised(p, z.T, name).T)
        return layer(p, h, prior, f"layer{number + 1}", out)

    return network


NETWORKS: dict[str, Callable[..., Network]] = {
    f.__name__: f for f in (mlp, residual_mlp, lenet_300_100, lenet5, alexnet, vgg)
}


def _stack(widths: tuple[int, ...], activation: str, bias: bool, residual: bool) -> Network:
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if any(not isinstance(w, int) or w < 1 for w in widths):
        raise ValueError(f"widths must be positive integers, got {widths}")
    act = ACTIVATIONS[activation]

    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h = x
        for i, width in enumerate(widths):
            new = act(p.xp, layer(p, h, prior, f"layer{i}", width, bias))
            h = new + h if residual and i > 0 and h.shape[-1] == width else new
        return layer(p, h, prior, f"layer{len(widths)}", out, bias)

    return network


def _images(xp: Any, x: Any, network: str, least: int) -> Any:
    """Rows of side * side numbers, or three times as many, as images (channel, side, side, rows)."""
    rows, features = x.shape
    for channels in (1, 3):
        side = math.isqrt(features // channels)
        if side**2 * channels == features and side >= least:
            return xp.permute_dims(x.reshape((rows, side, side, channels)), (3, 1, 2, 0))
    raise ValueError(
        f"{network} needs square images of 1 or 3 channels and at least {least} x {least} pixels, "
        f"such as {least**2} or {3 * least**2} features, got {features}"
    )


def _flat(xp: Any, h: Any) -> Any:
    """Images (unit, height, width, rows) as rows of numbers, the unit last: (rows, height * width * unit)."""
    return xp.permute_dims(h, (3, 1, 2, 0)).reshape((h.shape[3], -1))


def _convolution(p: PPL, h: Any, prior: Prior, name: str, channels: int, *, size: int, padding: str, pool: bool) -> Any:
    """A hidden layer of so many kernels, with bias and ReLU.

    The pool comes before these two: they keep the order of numbers, so f is the same, and have a quarter of the work.
    """
    z = conv(p.xp, h, prior(p, name, (size, size, h.shape[0], channels)), padding)
    z = max_pool(p.xp, z, 2) if pool else z
    return _relu(p, z + _per_unit(_bias(p, name, channels), z))


def _normalised(p: PPL, z: Any, name: str) -> Any:
    """Pre-activations (unit, ..., rows), normalised within each row, with the gain and the bias of their layer."""
    units = z.shape[0]
    gain = p.sample(f"{name}.gain", p.dist.Normal(1.0, 1.0).expand((units,)).to_event(1))
    within = tuple(range(z.ndim - 1))
    centred = z - p.xp.mean(z, axis=within, keepdims=True)
    sd = p.xp.sqrt(p.xp.mean(centred**2, axis=within, keepdims=True) + EPSILON)
    return centred / sd * _per_unit(gain, z) + _per_unit(_bias(p, name, units), z)


def _bias(p: PPL, name: str, out: int) -> Any:
    return p.sample(f"{name}.bias", p.dist.Normal(0.0, 1.0).expand((out,)).to_event(1))


def _relu(p: PPL, h: Any) -> Any:
    return ACTIVATIONS["relu"](p.xp, h)


def _per_unit(values: Any, h: Any) -> Any:
    """One number per unit, to go with (unit, ..., rows)."""
    return values.reshape((-1, *(1 for _ in h.shape[1:])))


def _surround(xp: Any, h: Any, width: int, axis: int) -> Any:
    """So many zeros on either side of axis 1 or 2."""
    zeros = [xp.zeros_like(h[:, :1] if axis == 1 else h[:, :, :1])] * width
    return xp.concat([*zeros, h, *zeros], axis=axis)


def _columns(h: Any, w: Any) -> Any:
    """As `linear`, with the units first and the rows last: (unit_in, ..., rows) to (unit_out, ..., rows)."""
    return w.act_on_columns(h) if hasattr(w, "act_on_columns") else times_columns(h, w)
