"""Arrays of NumPy, JAX and torch alike: their precision, constants, numbers as arrays."""

from typing import Any

import numpy as np


def precision(x: Any) -> str:
    """The name of the floating-point type of an array, or of a Python number."""
    return "float32" if "float32" in str(getattr(x, "dtype", "")) else "float64"


def as_arrays(xp: Any, *values: Any) -> list[Any]:
    """Numbers as arrays, in the precision of those values that are arrays."""
    dtype = next((v.dtype for v in values if hasattr(v, "dtype")), None)
    return [v if hasattr(v, "dtype") else xp.asarray(float(v), dtype=dtype) for v in values]


def like(xp: Any, values: Any, array: Any) -> Any:
    """`values` in the precision, and on the device, of an array."""
    return array.new_tensor(values) if hasattr(array, "new_tensor") else xp.asarray(values, dtype=array.dtype)


def constant(value: Any) -> Any:
    """The value, to be differentiated no further."""
    if hasattr(value, "detach"):
        return value.detach()
    if isinstance(value, np.ndarray | np.generic):
        return value
    from jax.lax import stop_gradient

    return stop_gradient(value)


def or_zero(xp: Any, where: Any, value: Any) -> Any:
    """`value` where the condition holds, else 0."""
    return xp.where(where, value, 0 * value)


def non_negative(xp: Any, value: Any) -> Any:
    """max(value, 0), elementwise."""
    return xp.clip(value, 0.0, None)
