"""Discrete laws as NumPyro's Gibbs steps want them: a value for each coordinate, out of 0, 1, ..., K."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpyro.distributions import Independent
from numpyro.primitives import Messenger


def is_countable(law: Any) -> bool:
    """Whether Gibbs steps can go through the values of a discrete law: each of its coordinates is one of 0, 1, ..., K.

    NumPyro's steps propose these numbers, whatever the support.
    """
    law = opened(law)
    if law.event_shape or not law.has_enumerate_support:
        return False
    with jax.ensure_compile_time_eval():
        try:
            values = np.ravel(law.enumerate_support(expand=False))
        # The law has no such list (Binomials that differ in their number of trials), or JAX cannot make it yet: what it
        # depends on, such as that number, is another site's or, under jit, any array.  Any other error is a law's own.
        except (NotImplementedError, jax.errors.JAXTypeError):
            return False
    return np.array_equal(values, np.arange(len(values)))


def opened(law: Any) -> Any:
    """A law without its ``to_event``, which hides the coordinates."""
    while isinstance(law, Independent):
        law = law.base_dist
    return law


class _Opened(Messenger):
    """Opens the discrete laws of a program; the log joint stays as it is."""

    def process_message(self, msg: Any) -> None:
        if msg["type"] == "sample" and isinstance(msg["fn"], Independent) and msg["fn"].has_enumerate_support:
            msg["fn"] = opened(msg["fn"])


def by_coordinate(model: Callable) -> Callable:
    """The same program, its discrete sites open to Gibbs steps."""
    return _Opened(model)
