"""A fit's netCDF file, and the means in it: where another fit begins."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .sites import Arrays


def load(path: str | Path) -> Any:
    """Read what `save` wrote, all of it into memory.

    Raises FileNotFoundError if there is no file, ValueError if it is truncated or not one of ours.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            fit = tree.load()
    except Exception as error:  # h5py, h5netcdf and xarray raise many kinds for a broken file
        raise ValueError(f"{path} is not a whole netCDF file; run the fit again ({type(error).__name__})") from error
    if "posterior" not in fit.children or "strategy" not in fit.attrs:
        raise ValueError(f"{path} is not a fit of noisezoo: it lacks the posterior group or its attributes")
    return fit


def means(path: str | Path, shapes: dict[str, tuple[int, ...]]) -> Arrays:
    """Posterior means of these sites from a file that `save` wrote: where another fit begins.

    Those of its best chain (`best_chain`), for a mean over chains of a network is none of them.  Raises
    FileNotFoundError or ValueError if there is no such file, it is of another network, or it holds NaN.
    """
    tree, values = load(path), {}
    for name, shape in shapes.items():
        groups = [group for group in ("guide", "moments", "posterior") if name in tree.children.get(group, {})]
        if not groups:
            raise ValueError(f"{path} lacks the site {name} of this program; start from a fit of the same network")
        site = tree[groups[0]][name].isel(chain=best_chain(tree))
        values[name] = (site.mean("draw") if "draw" in site.dims else site).to_numpy()
        if values[name].shape != shape:
            raise ValueError(f"{path}: {name} has shape {values[name].shape}, and this program needs {shape}")
        if not np.isfinite(values[name]).all():
            raise ValueError(f"{path}: {name} holds NaN or infinite values; start from another fit")
    return values


def best_chain(tree: Any) -> int:
    """The restart of the lowest loss over the last tenth of its history, else the chain of the highest mean ``lp``."""
    if "history" in tree.children and "loss" in tree["history"]:
        loss = tree["history"]["loss"].transpose("chain", ...).values
        return int(np.argmin(loss[:, -max(1, loss.shape[1] // 10) :].mean(axis=1)))
    if "sample_stats" in tree.children and "lp" in tree["sample_stats"]:
        return int(np.argmax(tree["sample_stats"]["lp"].transpose("chain", ...).values.mean(axis=1)))
    return 0
