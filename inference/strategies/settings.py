"""Checks of settings: one clear sentence for a bad value."""

import math
from collections.abc import Iterable
from dataclasses import fields
from numbers import Integral, Real
from types import UnionType
from typing import Any, get_args

from ...errors import unknown

MOST = 2**31 - 1  # of a whole number
SIZES = (1e-30, 1e30)  # of a number that is not zero: single precision holds these


def check_numbers(strategy: str, config: Any) -> None:
    """Raise ValueError for a number that is not finite or of a size that cannot be computed with, and TypeError for
    what is no number where the config has one."""
    for field in fields(config):
        kinds = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
        value: Any = getattr(config, field.name)
        if value is None or not {int, float} & set(kinds) or (str in kinds and isinstance(value, str)):
            continue  # which words are known is the config's to say
        whole = int in kinds
        wanted: Any = Integral if whole else Real
        if isinstance(value, bool) or not isinstance(value, wanted):
            kind = "a whole number" if whole else "a number"
            raise TypeError(f"{strategy}: {field.name} must be {kind}, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{strategy}: {field.name} must be finite, got {value}")
        if whole and abs(value) > MOST:
            raise ValueError(f"{strategy}: {field.name} must be at most {MOST}, got {value}")
        if value and not SIZES[0] <= abs(value) <= SIZES[1]:
            raise ValueError(
                f"{strategy}: {field.name} must be 0 or between {SIZES[0]} and {SIZES[1]} in size, got {value}"
            )


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
