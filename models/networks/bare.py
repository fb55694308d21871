"""A network as a program without a prior, to be filled in with weights."""

from collections.abc import Callable
from functools import cache
from typing import Any

from ..ppl import ppl
from .layers import Network


@cache
def bare_program(network: Network, out: int) -> Callable[..., Any]:
    """A program ``x -> f`` with the sites of a network and no prior of its weights, to be filled in."""

    def model(x: Any) -> Any:
        p = ppl(x)
        f = network(p, x, lambda p, name, shape: p.deterministic(f"{name}.weight", p.xp.zeros(shape)), out)
        return p.deterministic("f", f[..., 0] if out == 1 else f)

    return model
