"""The memory that the draws of a run take, counted before it begins."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from .precision import precision
from .sites import Sites

COPIES = 2  # of the draws, while those of all blocks are joined
LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


def check_memory(config: Any, sites: Sites, language: str) -> None:
    """Raise ValueError if the draws that a config asks for do not fit into the memory of this machine."""
    numbers = config.draws * config.chains * sites.kept
    size, memory = COPIES * numbers * np.dtype(precision(language)).itemsize, of_machine()
    if size > memory:
        fix = "lower draws, and raise thin to go as far" if hasattr(config, "thin") else "lower draws"
        raise ValueError(
            f"{config.name}: {config.draws:,} draws of {config.chains} chain{'s' * (config.chains > 1)}, each of "
            f"{sites.kept:,} numbers, take {size / 1e9:,.1f} GB, and this machine has {memory / 1e9:,.1f}; {fix}"
        )


def of_machine() -> int:
    """Bytes of memory that this process may have at most."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = LIMIT.read_text().strip() if LIMIT.is_file() else "max"
    return min(memory, int(limit)) if limit.isdigit() else memory
