"""The smaller net that is left of a trimmed one: units that do nothing are taken out, and the function stays the same.

For nets that are a plain sequence of layers ``layer0``, ``layer1``, ...: dense ones (in, out), or convolutions
(kh, kw, in, out), each perhaps pooled, followed by dense ones; the first dense layer after a convolution sees its
output flattened channel-last, so that row r belongs to channel r mod channels.  A unit is an input feature, a hidden
unit or a channel.  It goes

- if no kept weight leads from it, perhaps over other units, to an output; or, for a hidden unit,
- if no kept weight leads to it from an input: then its output is a constant, act(bias + constants before it), which is
  added to the biases of the next layer.  A constant channel in front of a convolution goes only if it is zero, since a
  padded convolution sees the edge of any other constant.

The second test is made from the inputs on, the first from the outputs back; one pass of each reaches the fixed point,
since a unit that is led to from an input hands that on to every unit that it leads to.
"""

import inspect
from typing import Any, NamedTuple

import numpy as np

from ...models.networks import NETWORKS
from ...models.networks.layers import ACTIVATIONS
from ..target.sites import Arrays
from .trimming import trimmed, weights

ARROW = "->"


class Smaller(NamedTuple):
    """A net with the units that stay.

    kept : masks over the units of each level: input features (or channels), hidden units, outputs.
    arrays : the trimmed arrays in their old shapes, with zeros wherever a unit is gone and its constant in the next
        biases; as a net they are the same function as the trimmed one.
    """

    kept: tuple[np.ndarray, ...]
    arrays: Arrays


def smaller(loc: Arrays, masks: Arrays, activation: str = "relu") -> Smaller:
    """Take out what does nothing.

    `activation` is that of every hidden layer, ``"relu"`` or ``"tanh"``.  Raises ValueError if the layers are not a
    plain sequence, or lack biases.
    """
    trimmed_arrays = trimmed(loc, masks)
    if any(name.endswith(".gain") for name in loc):
        raise ValueError("units cannot be taken out of a net that normalises its layers: each changes all the others")
    sites = weights(loc)
    kernels = [trimmed_arrays[site].astype(np.float64) for site in sites]
    biases = [trimmed_arrays[_bias(site, trimmed_arrays)].astype(np.float64) for site in sites]
    check_sequence(kernels)
    varies, constants = _forward(kernels, biases, activation)
    kept = tuple(v & n for v, n in zip(varies, _backward(kernels), strict=True))
    kept = (*kept[:-1], np.ones_like(kept[-1]))  # an output stays, constant or not
    removed_constants = [np.where(k, 0.0, c) for k, c in zip(kept, constants, strict=True)]
    arrays = dict(trimmed_arrays)
    for i, (site, kernel) in enumerate(zip(sites, kernels, strict=True)):
        shift = _rows(removed_constants[i], kernel) @ kernel.sum(axis=tuple(range(kernel.ndim - 2)))
        kept_weights = _rows(kept[i], kernel)[:, None] & kept[i + 1]
        bias = np.where(kept[i + 1], biases[i] + shift, 0.0)
        arrays[site] = np.where(kept_weights, trimmed_arrays[site], 0).astype(trimmed_arrays[site].dtype)
        arrays[_bias(site, trimmed_arrays)] = bias.astype(trimmed_arrays[_bias(site, trimmed_arrays)].dtype)
    return Smaller(kept, arrays)


def compact(small: Smaller) -> tuple[Arrays, np.ndarray]:
    """The arrays in their new shapes, and the indices of the inputs they take; at least one unit of every level."""
    kept = [k if k.any() else np.arange(k.size) == 0 for k in small.kept]
    arrays = {}
    for i, site in enumerate(weights(small.arrays)):
        kernel, bias = small.arrays[site], _bias(site, small.arrays)
        arrays[site] = kernel[..., _rows(kept[i], kernel), :][..., kept[i + 1]]
        arrays[bias] = small.arrays[bias][kept[i + 1]]
    return arrays, np.flatnonzero(kept[0])


def architecture(small: Smaller) -> dict[str, Any]:
    """The net that is left, in plain Python that JSON can hold.

    ``text`` : units of each level before and after, such as ``"784-300-100-10 -> 433-97-61-10"``.
    ``units`` : those after.
    ``weights`` : weights of the smaller net, dense, without biases.
    ``compression`` : weights of the old net over them, None if there are none.
    """
    units = [int(k.sum()) for k in small.kept]
    kernels = [small.arrays[site] for site in weights(small.arrays)]
    counts = [int(k[..., _rows(small.kept[i], k), :][..., small.kept[i + 1]].size) for i, k in enumerate(kernels)]
    before = sum(k.size for k in kernels)
    return {
        "text": f"{'-'.join(str(k.size) for k in small.kept)} {ARROW} {'-'.join(map(str, units))}",
        "units": units,
        "weights": sum(counts),
        "compression": before / sum(counts) if sum(counts) else None,
    }


def compact_spec(network: str, small: Smaller) -> str:
    """The spec of the smaller net; raises ValueError for a net with convolutions, whose sizes no spec names."""
    if any(small.arrays[site].ndim != 2 for site in weights(small.arrays)):
        raise ValueError("only a net of dense layers is cut down to a smaller one")
    widths = [max(int(k.sum()), 1) for k in small.kept[1:-1]]
    return f"mlp:{'-'.join(map(str, widths))},activation={activation(network)}" if widths else "linear"


def activation(network: str) -> str:
    """The activation that a network's spec names, or the network's default; a LeNet's is relu."""
    name, _, settings = network.partition(":")
    for part in settings.split(","):
        if part.partition("=")[0].strip() == "activation":
            return part.partition("=")[2].strip()
    parameters = inspect.signature(NETWORKS[name]).parameters if name in NETWORKS else {}
    return parameters["activation"].default if "activation" in parameters else "relu"


def check_sequence(kernels: list[np.ndarray]) -> None:
    """Raise ValueError unless each layer can take what the one before it gives."""
    for i, (first, second) in enumerate(zip(kernels[:-1], kernels[1:], strict=True)):
        flattened = first.ndim > 2 and second.ndim == 2
        outputs, inputs = first.shape[-1], second.shape[-2]
        if first.ndim < second.ndim or (inputs % outputs if flattened else inputs != outputs):
            raise ValueError(
                f"layer{i + 1} takes {inputs} units and layer{i} gives {outputs}: not a plain sequence of layers"
            )


def _forward(kernels: list[np.ndarray], biases: list[np.ndarray], activation: str) -> tuple[list, list]:
    """By level: which units vary with the input, and the value of those that do not (0 for the others)."""
    varies, values = [np.ones(kernels[0].shape[-2], bool)], [np.zeros(kernels[0].shape[-2])]
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        window = tuple(range(kernel.ndim - 2))
        active = (kernel != 0).any(axis=window) & _rows(varies[i], kernel)[:, None]
        constant = bias + _rows(values[i], kernel) @ kernel.sum(axis=window)
        if i + 1 < len(kernels):
            constant = np.asarray(ACTIVATIONS[activation](np, constant))
        varying = active.any(axis=0)
        if i + 1 < len(kernels) and kernels[i + 1].ndim > 2:
            varying |= constant != 0
        varies.append(varying)
        values.append(np.where(varying, 0.0, constant))
    return varies, values


def _backward(kernels: list[np.ndarray]) -> list[np.ndarray]:
    """By level: which units a kept weight leads from, over such units, to an output."""
    needed = [np.ones(kernels[-1].shape[-1], bool)]
    for i in range(len(kernels) - 1, -1, -1):
        kernel = kernels[i]
        rows = ((kernel != 0).any(axis=tuple(range(kernel.ndim - 2))) & needed[0]).any(axis=1)
        units = kernels[i - 1].shape[-1] if i else kernel.shape[-2]
        needed.insert(0, rows.reshape(-1, units).any(axis=0))
    return needed


def _rows(units: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """What is known of units, for the rows of the next kernel: the same, or once per place of a flattened image."""
    return np.tile(units, kernel.shape[-2] // units.size)


def _bias(site: str, arrays: Arrays) -> str:
    name = f"{site.removesuffix('.weight')}.bias"
    if name not in arrays:
        raise ValueError(f"there is no {name} to go with {site}; give the means of the biases too")
    return name
