"""Networks: functions ``(p, x, prior, out) -> f`` written in the array namespace only, for either language.

`x` has shape (rows, features), `f` has shape (rows, out).  Every weight matrix comes from the one `prior`
``(p, name, shape) -> weight``; biases have a standard normal prior.  Layers are called layer0, layer1, ...
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from .local import Unsampled
from .names import unknown
from .ppl import PPL
from .weight import Prior

Network = Callable[[PPL, Any, Prior, int], Any]

ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda xp, h: xp.tanh(h),
    "relu": lambda xp, h: xp.where(h > 0, h, xp.zeros_like(h)),
}


def linear(h: Any, w: Any) -> Any:
    """The action of a weight (unit_in, unit_out) on activations (rows, unit_in)."""
    return w.act(h) if isinstance(w, Unsampled) else h @ w


def layer(p: PPL, h: Any, prior: Prior, name: str, out: int) -> Any:
    """An affine layer: activations (rows, unit_in) to pre-activations (rows, out)."""
    weight = prior(p, name, (h.shape[-1], out))
    bias = p.sample(f"{name}.bias", p.dist.Normal(0.0, 1.0).expand((out,)).to_event(1))
    return linear(h, weight) + bias


@cache
def mlp(*widths: int, activation: str = "tanh") -> Network:
    """A multilayer perceptron with hidden layers of these widths; ``mlp()`` has none and is a linear model.

    ``activation`` is ``"tanh"`` or ``"relu"``.  Raises ValueError for widths that are not positive.
    """
    return _stack(widths, activation, residual=False)


@cache
def residual_mlp(*widths: int, activation: str = "relu") -> Network:
    """A residual perceptron: h <- f(h W + b) + h wherever a layer keeps its width, a plain layer elsewhere.

    Source: Nalisnick, Hernandez-Lobato & Smyth (2019), where the first hidden layer is not residual.
    """
    return _stack(widths, activation, residual=True)


def _stack(widths: tuple[int, ...], activation: str, residual: bool) -> Network:
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if any(not isinstance(w, int) or w < 1 for w in widths):
        raise ValueError(f"widths must be positive integers, got {widths}")
    act = ACTIVATIONS[activation]

    def network(p: PPL, x: Any, prior: Prior, out: int) -> Any:
        h = x
        for i, width in enumerate(widths):
            new = act(p.xp, layer(p, h, prior, f"layer{i}", width))
            h = new + h if residual and i > 0 and h.shape[-1] == width else new
        return layer(p, h, prior, f"layer{len(widths)}", out)

    return network


NETWORKS: dict[str, Callable[..., Network]] = {"mlp": mlp, "residual_mlp": residual_mlp}
