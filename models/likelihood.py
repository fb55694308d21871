"""Likelihoods: from a network and a prior to a model ``(x, y=None, batch_size=None) -> f``.

The likelihood owns the data plate.  With `batch_size` the plate draws that many rows, the network sees only those, and
the log likelihood is scaled by rows / batch_size, so that its expectation is that of the full data.  A model is an
ordinary NumPyro or Pyro model: hand it to their ``MCMC``, ``SVI``, ``Predictive`` and handlers as it is.

Sites: those of the network, ``f`` (deterministic), the observed ``y``, and ``precision`` where it is learned.  Under
`soft_targets`, whose `y` are the probabilities that a teacher gives, ``y`` is a factor, and there is none without `y`.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from .network import Network
from .ppl import PPL, ppl
from .weight import Prior

Model = Callable[..., Any]


@cache
def gaussian(network: Network, prior: Prior, precision: tuple[float, float] | float = (1.0, 0.1)) -> Model:
    """Regression: y ~ N(f(x), 1 / precision), `x` (rows, features) and `y` (rows,), both floating point.

    ``precision`` is a pair (a, b) for a Gamma(a, rate b) prior, or one positive number for a known precision: that of y
    as given (standardised).  The default is weak, an exponential of mean 10.  The Gamma(6, 6) of Hernandez-Lobato &
    Adams (2015) keeps the noise sd above about 0.2 on a few hundred rows, too much for data with little noise.
    """
    learned = isinstance(precision, tuple)
    if not all(v > 0 for v in (precision if learned else (precision,))):  # type: ignore[union-attr]
        raise ValueError(f"precision must be positive, got {precision}")

    def outcome(p: PPL) -> Any:
        tau = p.sample("precision", p.dist.Gamma(*precision)) if isinstance(precision, tuple) else precision
        return lambda f, y: p.sample("y", p.dist.Normal(f, tau**-0.5), obs=y)

    return _model(network, prior, 1, outcome)


@cache
def bernoulli(network: Network, prior: Prior) -> Model:
    """Binary classification: y ~ Bernoulli(sigmoid(f(x))), `y` (rows,) of 0 and 1; `f` are logits (rows,)."""
    return _model(network, prior, 1, lambda p: lambda f, y: p.sample("y", p.dist.Bernoulli(logits=f), obs=y))


@cache
def categorical(network: Network, prior: Prior, classes: int) -> Model:
    """Classification: y ~ Categorical(softmax(f(x))), `y` (rows,) integers below `classes`; `f` (rows, classes)."""
    if classes < 2:
        raise ValueError(f"a categorical likelihood needs at least 2 classes, got {classes}")
    return _model(network, prior, classes, lambda p: lambda f, y: p.sample("y", p.dist.Categorical(logits=f), obs=y))


@cache
def soft_targets(network: Network, prior: Prior, classes: int, temperature: float = 1.0) -> Model:
    """Learning from a teacher: T^2 sum_c y_c log softmax(f(x) / T)_c, `y` (rows, classes) the teacher's probabilities.

    `y` are those at the same temperature T (`noisezoo.inference.distil.teacher`); `f` (rows, classes).  With T = 1 and
    one-hot `y` it is the log likelihood of `categorical`, whose sites it has: judge the student by that program.  A
    binary teacher gives two columns, for a student of two classes.

    Source: Hinton, Vinyals & Dean (2015), section 2; the T^2 keeps the size of the gradient.
    """
    if classes < 2:
        raise ValueError(f"soft targets need at least 2 classes, got {classes}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}")

    def outcome(p: PPL) -> Any:
        def observe(f: Any, y: Any) -> None:
            if y is not None:
                z = f / temperature
                z = z - p.xp.max(z, axis=-1, keepdims=True)
                log_p = z - p.xp.log(p.xp.sum(p.xp.exp(z), axis=-1, keepdims=True))
                p.factor("y", temperature**2 * p.xp.sum(y * log_p, axis=-1))

        return observe

    return _model(network, prior, classes, outcome, (classes,))


def _model(network: Network, prior: Prior, out: int, outcome: Callable, event: tuple[int, ...] = ()) -> Model:
    """The program of an `outcome` ``p -> (f, y) -> None``; one row of y has the shape `event`."""

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
    if batch_size is not None and not 0 < batch_size <= x.shape[0]:
        raise ValueError(f"batch_size must lie between 1 and the {x.shape[0]} rows, got {batch_size}")
