"""Errors that name the fix: an unknown name with the nearest known ones, numbers at the edge, one sentence for all."""

import difflib
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

OWN_FILES: dict[str, str] = {}  # of users, as they gave them, by the names that Python has for them


def sentence(error: Exception) -> str:
    """What went wrong, in one sentence; with the line of a user's own file, or the type of an error that is not ours.

    Of another's long words, the first paragraph.
    """
    text, place = " ".join(str(error).split()), line_of_own_file(error)
    ours = isinstance(error, (ValueError, FloatingPointError, ImportError, OSError)) and text
    if ours and place.partition(",")[0] in text:
        return text
    first = " ".join(str(error).strip().partition("\n\n")[0].split())
    return f"{place}{': ' if place else ''}{type(error).__name__}: {first}".removesuffix(": ")


def line_of_own_file(error: BaseException) -> str:
    """The last line of a user's own file that an error, or what caused it, came through; "" if it came through none."""
    found, seen, cause = "", set(), error
    while cause is not None and id(cause) not in seen and not found:
        seen.add(id(cause))
        trace = cause.__traceback__
        while trace is not None:
            if file := OWN_FILES.get(trace.tb_frame.f_code.co_filename):
                found = f"{file}, line {trace.tb_lineno}"
            trace = trace.tb_next
        cause = cause.__cause__ or cause.__context__
    return found


SHOWN = 20  # known names listed before "..."


def unknown(kind: str, name: str, known: Iterable[str], meanings: Mapping[str, str] | None = None) -> ValueError:
    """The error to raise for a `name` that is not among the `known` names of this `kind`; it says what near ones mean.

    >>> unknown("noise", "half_cauchi", ["half_cauchy", "beta"])
    ValueError("unknown noise 'half_cauchi'; did you mean 'half_cauchy'? Known: half_cauchy, beta")
    """
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=2)
    told = [f"{one!r} ({meanings[one].rstrip('.')})" if meanings and one in meanings else repr(one) for one in near]
    hint = f"; did you mean {' or '.join(told)}?" if near else "."
    more = f", ... ({len(known)} in all)" if len(known) > SHOWN else ""
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(known[:SHOWN])}{more}")


LEAST, MOST = 1e-15, 1e15  # of a positive parameter: single precision holds the squares of these, and of no more
SEEDS = 2**32  # of JAX; beyond them they begin anew


def check_number(what: str, value: Any, kind: Any = Real) -> None:
    """Raise TypeError unless a parameter is a number; of the `kind` `numbers.Integral`, a whole one."""
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{what} must be {'a whole number' if kind is Integral else 'a number'}, got {value!r}")


def check_size(what: str, value: float) -> None:
    """Raise TypeError unless a parameter is a number, and ValueError unless it is positive and of a size that single
    precision can compute with."""
    check_number(what, value)
    if not LEAST <= value <= MOST:
        raise ValueError(f"{what} must be positive and finite ({LEAST:g} to {MOST:g}), got {value}")


def check_seed(seed: int) -> None:
    """Raise TypeError unless a seed is a whole number, and ValueError unless it is one that JAX tells apart."""
    check_number("a seed", seed, Integral)
    if not 0 <= seed < SEEDS:
        raise ValueError(f"a seed must lie between 0 and {SEEDS - 1}, got {seed}")
