"""Names of functions that functions make: what the catalogue calls them, in place of where they were made."""

from collections.abc import Callable
from typing import Any


def named(name: str) -> Callable[[Any], Any]:
    """A decorator: the function itself, called `name` wherever it is shown.

    >>> named("mlp:50")(lambda p, x, prior, out: x)  # doctest: +ELLIPSIS
    <function mlp:50 at 0x...>
    """

    def called(function: Any) -> Any:
        function.__name__ = function.__qualname__ = name
        return function

    return called


def name_of(function: Any) -> str:
    """What a function is called, or the type of what is called as one."""
    return getattr(function, "__name__", type(function).__name__)
