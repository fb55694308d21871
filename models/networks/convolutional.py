"""Convolutional networks: LeNet-5, a small AlexNet, a VGG."""

import math
from functools import cache
from typing import Any

from ..ppl import PPL
from ..ppl.named import named
from ..unsampled.action import linear
from ..weights.parametrisation import Prior
from .layers import Network, bias_site, conv, layer, max_pool, per_unit, relu

EPSILON = 1e-5  # added to a variance that is divided by
VGG = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # a pool after each group


@cache
def lenet5() -> Network:
    """LeNet-5 as Caffe has it, 430,500 weights on MNIST, with a ReLU after every hidden layer.

    20 kernels of 5 x 5, pool, 50 of 5 x 5, pool, 500 units; no padding, pools of 2 x 2.  Images of at least 16 x 16.
    """

    @named("lenet5")
    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h = _images(p.xp, x, "lenet5", 16)
        h = _convolution(p, h, prior, "layer0", 20, size=5, padding="valid", pool=True)
        h = _convolution(p, h, prior, "layer1", 50, size=5, padding="valid", pool=True)
        h = relu(p, layer(p, _flat(p.xp, h), prior, "layer2", 500))
        return layer(p, h, prior, "layer3", out)

    return network


@cache
def alexnet() -> Network:
    """A small AlexNet for CIFAR-10: five convolutions and two dense layers, 4.4 million weights at 32 x 32 x 3.

    The channels of Krizhevsky (2014), with 3 x 3 kernels, zero-padded: 64, pool, 192, pool, 384, 256, 256, pool; then
    512 units and the output.  ReLU after every hidden layer.  Images of at least 8 x 8.
    """

    @named("alexnet")
    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h = _images(p.xp, x, "alexnet", 8)
        for i, (channels, pool) in enumerate(((64, True), (192, True), (384, False), (256, False), (256, True))):
            h = _convolution(p, h, prior, f"layer{i}", channels, size=3, padding="same", pool=pool)
        h = relu(p, layer(p, _flat(p.xp, h), prior, "layer5", 512))
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

    @named("vgg")
    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h, number = _images(p.xp, x, "vgg", 32), 0
        for group in VGG:
            for channels in group:
                name, number = f"layer{number}", number + 1
                z = conv(p.xp, h, prior(p, name, (3, 3, h.shape[0], channels)), "same")
                h = relu(p, _normalised(p, z, name))
            h = max_pool(p.xp, h, 2)
        name, h = f"layer{number}", _flat(p.xp, h)
        z = linear(h, prior(p, name, (h.shape[1], 512)))
        h = relu(p, _normalised(p, z.T, name).T)
        return layer(p, h, prior, f"layer{number + 1}", out)

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
    return relu(p, z + per_unit(bias_site(p, name, channels), z))


def _normalised(p: PPL, z: Any, name: str) -> Any:
    """Pre-activations (unit, ..., rows), normalised within each row, with the gain and the bias of their layer."""
    units = z.shape[0]
    gain = p.sample(f"{name}.gain", p.dist.Normal(1.0, 1.0).expand((units,)).to_event(1))
    within = tuple(range(z.ndim - 1))
    centred = z - p.xp.mean(z, axis=within, keepdims=True)
    sd = p.xp.sqrt(p.xp.mean(centred**2, axis=within, keepdims=True) + EPSILON)
    return centred / sd * per_unit(gain, z) + per_unit(bias_site(p, name, units), z)
