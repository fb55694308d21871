"""Every multiplicative noise is a prior: one program of it runs under SVI, NUTS and SGLD, in NumPyro and in Pyro.

The names below are handed on from where they live, and only when asked for: importing the package imports neither JAX
nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data import load
    from .inference.driver.fit import fit
    from .inference.runs.compare import compare
    from .models.ppl import ppl

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "fit", "load", "ppl"]

_HOME = {"compare": ".inference.runs.compare", "fit": ".inference.driver.fit", "load": ".data", "ppl": ".models.ppl"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
