"""Real data sets by name, or a table of your own: pandas in, standardised arrays out.

>>> from noisezoo import data
>>> data.CATALOGUE["diabetes"].shape
(442, 10)
>>> d = data.load("diabetes", split=0)
>>> d.x_train.shape, d.x_test.shape
((397, 10), (45, 10))

Importing this package is light (`CATALOGUE` is plain facts); NumPy, pandas and scikit-learn come with the first `load`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .catalogue import CATALOGUE
from .entry import Entry

if TYPE_CHECKING:
    from .frame import Data, from_frame, understood
    from .loader import load

__all__ = ["CATALOGUE", "Data", "Entry", "from_frame", "load", "understood"]

_LAZY = {"Data": "frame", "from_frame": "frame", "load": "loader", "understood": "frame"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
