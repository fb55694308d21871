"""Checks of settings: one clear sentence for a bad value."""

from collections.abc import Iterable
from typing import Any

from ...errors import unknown


def check_positive(strategy: str, config: Any, *names: str) -> None:
    """Raise ValueError unless these settings are positive; None passes."""
    for name, value in _given(config, names):
        if not value > 0:
            raise ValueError(f"{strategy}: {name} must be positive, got {value}")


def check_not_negative(strategy: str, config: Any, *names: str) -> None:
    """Raise ValueError unless these settings are zero or positive; None passes."""
    for name, value in _given(config, names):
        if not value >= 0:
            raise ValueError(f"{strategy}: {name} must not be negative, got {value}")


def check_choice(config: Any, **choices: Iterable[str]) -> None:
    """Raise ValueError unless each of these settings is one of its known words."""
    for name, words in choices.items():
        if getattr(config, name) not in words:
            raise unknown(name, getattr(config, name), words)


def _given(config: Any, names: Iterable[str]) -> Iterable[tuple[str, Any]]:
    return ((name, getattr(config, name)) for name in names if getattr(config, name) is not None)
