"""What a result came from: versions of packages, a checksum of the data."""

import hashlib
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

PACKAGES = (
    *("noisezoo", "numpyro", "jax", "pyro-ppl", "torch", "blackjax", "optax"),
    *("arviz-base", "arviz-stats", "numpy", "scipy", "pandas", "xarray"),
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that are installed, of those that matter."""
    installed = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def checksum(data: Any) -> str:
    """The sha256 of a data set's arrays, training and test rows as they are fitted."""
    digest = hashlib.sha256()
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
