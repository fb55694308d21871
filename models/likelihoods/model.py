"""What all likelihoods share: the model ``(x, y=None, batch_size=None) -> f`` of a network, a prior and an outcome.

The likelihood owns the data plate.  With `batch_size` the plate draws that many rows, the network sees only those, and
the log likelihood is scaled by rows / batch_size, so that its expectation is that of the full data.  A model is an
ordinary NumPyro or Pyro model: hand it to their ``MCMC``, ``SVI``, ``Predictive`` and handlers as it is.

Sites: those of the network, ``f`` (deterministic), the observed ``y``, and ``precision`` where it is learned.  Under
`soft_targets`, whose `y` are the probabilities that a teacher gives, ``y`` is a factor, and there is none without `y`.
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any

from ...errors import check_number
from ..networks.layers import Network
from ..ppl import ppl
from ..ppl.named import name_of, named
from ..weights.parametrisation import Prior

Model = Callable[..., Any]


def model_of(
    network: Network, prior: Prior, out: int, outcome: Callable, event: tuple[int, ...] = (), likelihood: str = "model"
) -> Model:
    """The program of an `outcome` ``p -> (f, y) -> None``; one row of y has the shape `event`.

    It is called by its parts, as ``gaussian(mlp:50, half_cauchy ard expanded)`` is.
    """

    @named(f"{likelihood}({name_of(network)}, {name_of(prior)})")
    def model(x: Any, y: Any = None, batch_size: int | None = None) -> Any:
        p = ppl(x) if y is None else ppl(x, y)
        _check_rows(x, y, batch_size, event)
        data = p.plate("data", x.shape[0], subsample_size=batch_size, dim=-1)
        with data:
            x_rows = p.subsample(x, event_dim=1)
            y_rows = y if y is None else p.subsample(y, event_dim=len(event))
        f = network(p, x_rows, prior, out)
        f = p.deterministic("f", f[..., 0] if out == 1 else f)
        if out == 1 and y_rows is not None:
            y_rows = p.xp.astype(y_rows, f.dtype)  # whole numbers too: torch asks for floats
        observe = outcome(p)
        with data:
            observe(f, y_rows)
        return f

    return model


def _check_rows(x: Any, y: Any, batch_size: int | None, event: tuple[int, ...]) -> None:
    if x.ndim != 2:
        raise ValueError(f"x must have shape (rows, features), got {tuple(x.shape)}")
    if y is not None and tuple(y.shape) != (x.shape[0], *event):
        raise ValueError(f"y must have shape {(x.shape[0], *event)} to go with x, got {tuple(y.shape)}")
    if batch_size is not None:
        check_number("batch_size", batch_size, Integral)
    if batch_size is not None and not 0 < batch_size <= x.shape[0]:
        raise ValueError(f"batch_size must lie between 1 and the {x.shape[0]} rows, got {batch_size}")
