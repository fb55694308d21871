"""A fit's netCDF file, and the means or the draws in it: where another fit begins."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from .. import files, seals
from .sites import Arrays

FIX = "run the fit again"


SEALED = "sealed"  # attribute of a file that ends in the sha256 of its content
INFLATED = 1032  # bytes that a byte of a file may stand for: deflate, which netCDF compresses by, reaches no more


def load(path: str | Path, sha256: str = "") -> Any:
    """Read what `save` wrote, all of it into memory; `sha256` is what `save` returned, if it is known.

    Raises FileNotFoundError if there is no file, ValueError if it is truncated, was changed, is not one of ours or not
    the one of this `sha256`, or if it declares arrays that a file of its size cannot hold.
    """
    path = files.regular(path)
    found = seals.read_seal(path, FIX)
    if sha256 and found != sha256:
        raise ValueError(f"{path} is not whole, or not the file that this run wrote; put that one back, or {FIX}")
    try:
        with h5py.File(path) as file:  # where this fails, h5netcdf would print a traceback too
            file.visititems(lambda name, value: dict(value.attrs) and None)
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            declared = sum(v.nbytes for group in tree.subtree for v in group.variables.values())
            huge = declared > INFLATED * path.stat().st_size
            fit = tree if huge else tree.load()
    except Exception as error:  # h5py, h5netcdf and xarray raise many kinds for a broken file
        raise ValueError(f"{path} is not a whole netCDF file; {FIX} ({type(error).__name__})") from error
    if huge:
        raise ValueError(f"{path} declares {declared:,} bytes of arrays, which a file of its size cannot hold; {FIX}")
    if SEALED in fit.attrs and not found:
        raise ValueError(f"{path} has lost the seal in its last line: it is not whole; {FIX}")
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


def draws_of(path: str | Path, shapes: dict[str, tuple[int, ...]]) -> Arrays:
    """Posterior draws (chain, draw, ...) of these sites from a file that `save` wrote.

    Raises FileNotFoundError or ValueError if there is no such file, it is of another program, or it holds NaN.
    """
    posterior, values = load(path)["posterior"], {}
    for name, shape in shapes.items():
        if name not in posterior:
            raise ValueError(
                f"{path} lacks the site {name} of this program; start from a fit of the same network, prior and form"
            )
        values[name] = posterior[name].transpose("chain", "draw", ...).to_numpy()
        if values[name].shape[2:] != shape:
            raise ValueError(f"{path}: {name} has shape {values[name].shape[2:]}, and this program needs {shape}")
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
