"""Who shares a scale: a structure lays the scales of a noise over a weight matrix.

A structure is a function ``(p, name, noise, shape) -> scale`` that broadcasts against a weight of `shape`
``(..., unit_in, unit_out)``: a matrix, or a convolution's kernel (height, width, unit_in, unit_out), whose units are
channels.  It asks the noise for as many scales as it needs and never gathers, it broadcasts.

Sources: rows (ARD) and layers (ADD) and their product are Nalisnick, Hernandez-Lobato & Smyth (2019); one scale per
weight (DropConnect's structure) is the unstructured baseline of the same paper.  One for each output unit is noise on
the magnitude of a weight vector, Kirichenko (2018, section 3.4).
"""

from collections.abc import Callable
from typing import Any

from ..ppl import PPL

Shape = tuple[int, ...]
Structure = Callable[[PPL, str, Callable, Shape], Any]


def iid(p: PPL, name: str, noise: Callable, shape: Shape) -> Any:
    """One scale per weight; the shape of the weight."""
    return noise(p, name, shape)


def ard(p: PPL, name: str, noise: Callable, shape: Shape) -> Any:
    """Automatic relevance determination: one scale per input unit, shared by its row; shape ``(unit_in, 1)``."""
    return noise(p, name, shape[-2:-1])[:, None]


def add(p: PPL, name: str, noise: Callable, shape: Shape) -> Any:
    """Automatic depth determination: one scale for the whole layer; shape ``()``."""
    return noise(p, name, ())


def ard_add(p: PPL, name: str, noise: Callable, shape: Shape) -> Any:
    """The product of a scale per input unit and a scale per layer; shape ``(unit_in, 1)``."""
    return ard(p, f"{name}.unit", noise, shape) * add(p, f"{name}.layer", noise, shape)


def output(p: PPL, name: str, noise: Callable, shape: Shape) -> Any:
    """One scale per output unit, shared by its column: noise on its magnitude; shape ``(1, unit_out)``."""
    return noise(p, name, shape[-1:])[None, :]


def inner_add(p: PPL, name: str, noise: Callable, shape: Shape) -> Any:
    """One scale for each layer that keeps its width, one per input unit elsewhere: ADD as the paper's networks have it.

    A residual network can do without a layer that keeps its width, and without no other.
    """
    return (add if _keeps_width(shape) else ard)(p, name, noise, shape)


def inner_ard_add(p: PPL, name: str, noise: Callable, shape: Shape) -> Any:
    """A scale per input unit, times one for each layer that keeps its width: the paper's ARD-ADD."""
    return (ard_add if _keeps_width(shape) else ard)(p, name, noise, shape)


def _keeps_width(shape: Shape) -> bool:
    return shape[-2] == shape[-1]


STRUCTURES: dict[str, Structure] = {f.__name__: f for f in (iid, ard, add, output, ard_add, inner_add, inner_ard_add)}
