"""Numbers that papers print, as tables: to stand beside what comes out here, never to be tuned to."""

from importlib import resources

import pandas as pd

from ...errors import unknown


def published(name: str) -> pd.DataFrame:
    """The published table `name`; its ``source`` and ``table`` say where it stands in print.

    ``"sparsity"`` : error in %, compression = weights / weights kept.
    ``"structured_shrinkage"`` : UCI errors in the target's units, what they are printed as, and what they are.
    ``"random_labels"`` : accuracies and shares of zero weights in %.
    ``"beside"`` : of each paper, a few of its numbers beside ours, mean ± sd (``docs/results/beside.py``).
    ``"direction_magnitude"`` : test accuracies on MNIST, as shares, without seeds or errors.

    Raises ValueError for an unknown name.
    """
    tables = {
        file.name.removesuffix(".csv"): file for file in resources.files(__name__).iterdir() if file.name[-4:] == ".csv"
    }
    if name not in tables:
        raise unknown("published table", name, tables)
    with resources.as_file(tables[name]) as path:
        return pd.read_csv(path)
