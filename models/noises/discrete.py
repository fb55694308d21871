"""Discrete scales: dropout's own, spike and slab."""

import math
from contextlib import ExitStack
from functools import cache
from typing import Any

from ...errors import LEAST, check_number
from ..ppl import PPL
from .noise import GSM, Noise, scipy_law


@cache
def bernoulli(p: float = 0.5) -> Noise:
    """Dropout: lambda ~ Bernoulli(p), `p` the probability to keep; the prior is a spike at 0 and a Gaussian slab."""
    check_number("bernoulli: p", p)
    if not LEAST <= p <= 1:
        raise ValueError(f"bernoulli: p, the probability to keep a unit, must lie in (0, 1], got {p}")

    def closed_form(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import normal

        return math.log(p) + normal(w, sigma0)

    return Noise(
        lambda ppl, name, shape: 1.0 * _plated(ppl, name, shape, ppl.dist.Bernoulli(probs=p)),
        "bernoulli",
        (("p", p),),
        prior="spike and slab",
        source=f"Mitchell & Beauchamp (1988); {GSM}, eq 8",
        law=scipy_law("bernoulli", p),
        closed_form=closed_form,
        discrete=True,
    )


def _plated(p: PPL, name: str, shape: tuple[int, ...], law: Any) -> Any:
    """A discrete law in plates, one for each axis, where Gibbs sampling can enumerate its support."""
    with ExitStack() as stack:
        for axis in range(-len(shape), 0):
            stack.enter_context(p.plate(f"{name}.axis{axis}", shape[axis], dim=axis))
        return p.sample(name, law)
