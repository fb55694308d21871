"""How the learning rate falls at the end of the steps."""

from typing import Any


def falling(config: Any, step: Any) -> Any:
    """What the learning rate is multiplied by at a step, a number or an array: 1, then over the share `decay` of the
    steps linear to zero."""
    last = max(config.steps - int((1 - config.decay) * config.steps), 1)
    left = (config.steps - step) / last
    return left.clip(0.0, 1.0) if hasattr(left, "clip") else min(max(left, 0.0), 1.0)
