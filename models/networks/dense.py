"""Dense networks: perceptrons, residual perceptrons, LeNet-300-100."""

from functools import cache
from typing import Any

from ...errors import unknown
from ..ppl import PPL
from ..ppl.named import named
from ..weights.parametrisation import Prior
from .layers import ACTIVATIONS, Network, layer

WIDEST = 1_000_000  # units of a hidden layer


@cache
def mlp(*widths: int, activation: str = "tanh", bias: bool = True) -> Network:
    """A multilayer perceptron with hidden layers of these widths; ``mlp()`` has none and is a linear model.

    ``activation`` is ``"tanh"`` or ``"relu"``.  Raises ValueError for widths that are not positive.
    """
    settings = f",activation={activation}" * (activation != "tanh") + ",bias=0" * (not bias)
    name = f"mlp:{'-'.join(map(str, widths))}{settings}" if widths else f"linear{settings}"
    return named(name)(_stack(widths, activation, bias, residual=False))


@cache
def residual_mlp(*widths: int, activation: str = "relu", bias: bool = True) -> Network:
    """A residual perceptron: h <- f(h W + b) + h wherever a layer keeps its width, a plain layer elsewhere.

    Source: Nalisnick, Hernandez-Lobato & Smyth (2019), where the first hidden layer is not residual.  A layer of weight
    zero still adds f(b): only without biases does its input go through unchanged, as in stochastic depth.
    """
    settings = f",activation={activation}" * (activation != "relu") + ",bias=0" * (not bias)
    return named(f"residual_mlp:{'-'.join(map(str, widths))}{settings}")(
        _stack(widths, activation, bias, residual=True)
    )


@cache
def lenet_300_100() -> Network:
    """LeNet-300-100: a perceptron with 300 and 100 ReLU units, 266,200 weights on MNIST (LeCun et al. 1998)."""
    return mlp(300, 100, activation="relu")


def _stack(widths: tuple[int, ...], activation: str, bias: bool, residual: bool) -> Network:
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if any(not isinstance(w, int) or w < 1 for w in widths):
        raise ValueError(f"widths must be positive integers, got {widths}")
    if max(widths, default=1) > WIDEST:
        raise ValueError(f"a hidden layer has at most {WIDEST:,} units, got {max(widths)}")
    act = ACTIVATIONS[activation]

    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h = x
        for i, width in enumerate(widths):
            new = act(p.xp, layer(p, h, prior, f"layer{i}", width, bias))
            h = new + h if residual and i > 0 and h.shape[-1] == width else new
        return layer(p, h, prior, f"layer{len(widths)}", out, bias)

    return network
