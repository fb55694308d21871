"""Stochastic-gradient Langevin dynamics, BlackJAX's, on a program in unconstrained space.

With N rows, log joint L (minibatch estimate L~), temperature T and step size e_t:

    z <- z + (e_t / N) grad L~(z) + N(0, 2 T e_t / N),    e_t = step_size (1 + t / warmup)^-decay.

Dividing by N makes the step size that of gradient descent on the mean loss, whatever the size of the data; the
stationary law as e -> 0 is p(z given y)^(1/T).  Source: Welling & Teh (2011).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp

from .algorithm import Algorithm
from .target import Sites, constrain, draw_rows, potential, refuse_discrete, refuse_improper, start


@dataclass(frozen=True)
class SGLD:
    """Settings of `sgld`.

    warmup, draws, thin : steps before the first draw, draws per chain, steps per draw.
    step_size : e_0, in units of a learning rate on the mean loss.
    decay : exponent of the polynomial step-size schedule; 0 for a constant step.
    batch_size : rows per step, drawn with replacement; None for all.
    temperature : T; 1 for the posterior.
    chains : independent chains.
    """

    warmup: int = 20_000
    draws: int = 1000
    thin: int = 50
    step_size: float = 0.03
    decay: float = 0.0
    batch_size: int | None = None
    temperature: float = 1.0
    chains: int = 4

    def __post_init__(self) -> None:
        for name in ("warmup", "draws", "thin", "step_size", "temperature", "chains"):
            if not getattr(self, name) > 0:
                raise ValueError(f"sgld: {name} must be positive, got {getattr(self, name)}")
        if self.decay < 0:
            raise ValueError(f"sgld: decay must not be negative, got {self.decay}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"sgld: batch_size must be positive, got {self.batch_size}")


class State(NamedTuple):
    """Where the chain is (unconstrained) and how many steps it took."""

    z: Any
    t: Any


@lru_cache(maxsize=32)
def algorithm(config: SGLD, model: Callable, found: Sites) -> Algorithm:
    """Bind `sgld` to a NumPyro program ``model(x, y)`` (with ``batch_size=`` if the config has one)."""
    refuse_discrete("sgld", found)
    refuse_improper("sgld", found)

    def gradient(z: Any, minibatch: Any) -> Any:
        x, y, rows = minibatch
        return jax.tree.map(jnp.negative, jax.grad(lambda z: potential(model, z, x, y, rows))(z))

    move: Any = blackjax.sgld(gradient).step  # typed as if it took no minibatch

    def init(key: Any, x: Any, y: Any) -> State:
        return State(start(model, found, key, x, y), jnp.zeros((), int))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        row_key, noise_key = jax.random.split(key)
        rows = draw_rows(row_key, x.shape[0], config.batch_size)
        size = config.step_size * (1.0 + state.t / config.warmup) ** -config.decay / x.shape[0]
        z = move(noise_key, state.z, (x, y, rows), size, config.temperature)
        return State(z, state.t + 1), {}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        return constrain(model, state.z, x, y), {"lp": -potential(model, state.z, x, y)}

    return Algorithm(init, step, draw, config.warmup, config.thin, config.draws, config.chains)
