"""Step sizes along a chain: see `..strategies.stochastic_gradient`."""

from typing import Any, NamedTuple


class Step(NamedTuple):
    """Its `size` e_t / N, its temperature, whether it is of the warmup, and N."""

    size: Any
    temperature: Any
    warm: Any
    rows: int


def schedule(xp: Any, config: Any, e_0: Any, t: Any, rows: int) -> tuple[Step, Any]:
    """Step `t` (an array; it counts from that of the warmup) on so many rows, and its weight in the moments."""
    after = xp.where(t >= config.warmup, 1.0, 0.0)
    if config.schedule == "polynomial":
        size = e_0 * (1.0 + t / config.warmup) ** -config.decay
        noisy = xp.ones_like(after)
    else:
        place = ((t - config.warmup) % config.thin) / config.thin
        size = 0.5 * e_0 * (1.0 + xp.cos(xp.pi * place))
        noisy = xp.where(place >= config.explore, 1.0, 0.0)
    return Step(size / rows, config.temperature * noisy, t < config.warmup, rows), after * noisy * size
