"""Adam whose learning rate falls by itself, in JAX: `convergence` says when, and when to end."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from .convergence import (
    ACCURATE,
    BATCHES,
    FACTOR,
    FIRST,
    RHAT,
    Window,
    batch_means,
    first_window,
    rhat_squared,
)
from .schedule import falling

Distance = Callable[[Any, Any], Any]


class State(NamedTuple):
    """Adam's moments, and where the optimisation is.

    step, since : steps in all, and at this learning rate.
    window : steps before the window at this rate, which is as long.
    lr : the learning rate.
    iterates : a `Window` for each parameter.
    before : the average at the rate before this one.
    rhat, change : of the last window, and what the last fall of the rate changed; infinite before there is one.
    converged : whether it has ended.
    """

    moments: Any
    step: Any
    since: Any
    window: Any
    lr: Any
    iterates: Any
    before: Any
    rhat: Any
    change: Any
    converged: Any


def adam(config: Any, distance: Distance | None) -> optax.GradientTransformation:
    """The optimiser of an `SVI`: with a tolerance and a distance between guides it ends by itself, and then stands at
    the average of the iterates.

    `distance` is ``(params, params) -> nats``, a symmetrised divergence for each latent number; None where none is
    known, and then all steps are taken.
    """
    if config.tolerance is None or distance is None:
        return optax.adam(lambda step: config.lr * falling(config, step))
    scaling: Any = optax.scale_by_adam()

    def init(params: Any) -> State:
        zero, never = jnp.zeros((), jnp.int32), jnp.asarray(jnp.inf)
        lr, first = jnp.asarray(float(config.lr)), jnp.asarray(FIRST // 2, jnp.int32)
        windows = jax.tree.map(_window, params)
        begun: Any = (zero, zero, first, lr, windows, params, never, never, jnp.asarray(False))
        return State(*(scaling.init(params), *begun))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        scaled, moments = scaling.update(updates, state.moments, params)
        rate = jnp.where(state.converged, 0.0, state.lr * falling(config, state.step))
        updates = jax.tree.map(lambda u: -rate * u, scaled)
        state = _recorded(state._replace(moments=moments), optax.apply_updates(params, updates))
        due = (state.since == 2 * state.window) & ~state.converged
        due &= falling(config, state.step) == 1.0
        looks = due.astype(int)  # one or none: a vectorised `cond` would look at every step
        return jax.lax.fori_loop(0, looks, lambda _, carry: looked_at(carry[0], carry[1], params), (updates, state))

    def looked_at(updates: Any, state: State, params: Any) -> tuple[Any, State]:
        means = jax.tree.map(lambda window: batch_means(window, state.window), state.iterates, is_leaf=_is_window)
        first, second, average = (
            jax.tree.map(lambda m, part=part: m[part].mean(0), means)
            for part in (slice(BATCHES // 2), slice(BATCHES // 2, None), slice(None))
        )
        rhat = _root_mean_square(state)
        drift = jnp.sqrt(distance(first, second))
        begun = state.lr < 0.99 * config.lr  # from an average
        settled = (rhat < RHAT) | (drift < config.tolerance)
        change = jnp.where(settled & begun, jnp.sqrt(distance(state.before, average)), state.change)
        converged = settled & (change < config.tolerance) & (drift < ACCURATE * config.tolerance)
        lr = jnp.where(settled & ~converged, state.lr / FACTOR, state.lr)
        moved = jax.tree.map(lambda a, p, u: jnp.where(settled, a - p, u), average, params, updates)
        return moved, state._replace(
            since=jnp.where(settled, 0, state.since),
            window=jnp.where(settled, jnp.round(first_window(config.lr / lr)).astype(jnp.int32), 2 * state.window),
            lr=lr,
            before=jax.tree.map(lambda a, b: jnp.where(settled, a, b), average, state.before),
            rhat=rhat,
            change=change,
            converged=converged,
        )

    return optax.GradientTransformation(init, update)


def ended(optimiser: Any) -> dict[str, Any]:
    """``ended``, 1 of a step after the last; nothing of an optimiser that takes all its steps."""
    states = _states(optimiser)
    return {"ended": states[0].converged.astype(float)} if states else {}


def summary(optimiser: Any) -> dict[str, Any]:
    """How an optimisation ended, scalars: see `State`; nothing of an optimiser that takes all its steps."""
    names = ("converged", "lr", "rhat", "change")
    return {name: getattr(state, name) for state in _states(optimiser) for name in names}


def _states(optimiser: Any) -> list[State]:
    """The state of `adam` within that of the library that calls it."""
    return [s for s in jax.tree.leaves(optimiser, is_leaf=lambda s: isinstance(s, State)) if isinstance(s, State)]


def _window(leaf: Any) -> Window:
    return Window(leaf, jnp.zeros((BATCHES, *leaf.shape), leaf.dtype), jnp.zeros_like(leaf))


def _is_window(node: Any) -> bool:
    return isinstance(node, Window)


def _recorded(state: State, params: Any) -> State:
    """The state after a step to these parameters, in its window if the step is in there."""
    place = state.since - state.window  # of the step in the window
    inside, first = place >= 0, place == 0
    batch = jnp.clip(place * BATCHES // state.window, 0, BATCHES - 1)

    def record(window: Window, leaf: Any) -> Window:
        origin = jnp.where(first, leaf, window.origin)
        deviation = jnp.where(inside, leaf - origin, 0.0)
        kept = jnp.where(first, 0.0, 1.0)
        sums = (window.sums * kept).at[batch].add(deviation)
        return Window(origin, sums, window.squares * kept + deviation**2)

    iterates = jax.tree.map(record, state.iterates, params, is_leaf=_is_window)
    return state._replace(iterates=iterates, step=state.step + 1, since=state.since + 1)


def _root_mean_square(state: State) -> Any:
    """R-hat over all parameters."""
    squares = [
        rhat_squared(window, state.window).ravel() for window in jax.tree.leaves(state.iterates, is_leaf=_is_window)
    ]
    return jnp.sqrt(jnp.concatenate(squares).mean())
