"""The one place that keeps what was compiled: at most `MOST` owners, the least recently used of which goes first.

An owner is whatever compiled programs belong to: a fit's program, settings and shapes of data, or a program whose draws
are evaluated.  All that an owner has is let go of together.
"""

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from threading import RLock
from typing import Any

# Owners, some 50 MB each.  A fit has two, itself and its program; a second fit of what is kept compiles nothing.
MOST = 8
# What JAX compiles is held in rings of references, which only a collection of garbage breaks.  That takes the longer,
# the larger the process is, so that as many as are kept go at once.
_gone = 0

_owners: OrderedDict[Hashable, dict[Hashable, Any]] = OrderedDict()
_lock = RLock()  # chains and Dask's workers have threads


def keep(owner: Hashable, key: Hashable, make: Callable[[], Any]) -> Any:
    """What ``make()`` gives, made once for an `owner` and a `key`, as long as the owner is kept."""
    with _lock:
        programs = _owners.setdefault(owner, {})
        _owners.move_to_end(owner)
        if len(_owners) > MOST:
            _owners.popitem(last=False)
            _collect_now_and_then()
    if key not in programs:
        programs.setdefault(key, make())  # with no lock held: a compilation takes seconds
    return programs[key]


def kept(make: Callable[..., Any]) -> Callable[..., Any]:
    """``make(program, *rest)``, kept by the program and the rest."""

    @wraps(make)
    def wrapped(program: Any, *rest: Any) -> Any:
        return keep(program, (make, *rest), lambda: make(program, *rest))

    return wrapped


def _collect_now_and_then() -> None:
    global _gone
    _gone += 1
    if _gone >= MOST:
        _gone = 0
        gc.collect()


def let_go() -> None:
    """Forget all that was compiled."""
    with _lock:
        _owners.clear()
    gc.collect()
