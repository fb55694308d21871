"""How a weight acts on activations: an array multiplies them, a weight that is not sampled yet does as it says."""

from typing import Any

TINY = 1e-16  # keeps the derivative of a square root finite where all activations are zero


def times_columns(h: Any, w: Any) -> Any:
    """w.T @ h for h (unit_in, ..., rows)."""
    return (w.T @ h.reshape((h.shape[0], -1))).reshape((w.shape[1], *h.shape[1:]))


def linear(h: Any, w: Any) -> Any:
    """The action of a weight (unit_in, unit_out) on activations (..., unit_in)."""
    return w.act(h) if hasattr(w, "act") else h @ w


def linear_columns(h: Any, w: Any) -> Any:
    """As `linear`, with the units first and the rows last: (unit_in, ..., rows) to (unit_out, ..., rows)."""
    return w.act_on_columns(h) if hasattr(w, "act_on_columns") else times_columns(h, w)
