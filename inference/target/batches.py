"""How many draws and rows are evaluated at once.

See ``docs/gotchas.md#minibatches-are-drawn-with-replacement``.
"""

from typing import Any

import numpy as np

SEEDS = 1_000_003  # apart: the seeds of chunks of rows
BATCH = 50  # draws that are evaluated at once, at most
ROWS = 100_000  # rows that are evaluated at once, at most, those of all draws of a batch together
CELLS = 2_000_000  # features that are evaluated at once: convolutions take some hundred times as much memory


def most_rows(x: Any) -> int:
    """How many rows are evaluated at once, those of all draws of a batch together."""
    return int(np.clip(CELLS // x.shape[1], 1, ROWS))


def rows_at_once(x: Any) -> int:
    """How many rows of `x` are evaluated at once."""
    return min(x.shape[0], most_rows(x))
