"""Errors that name the fix: an unknown name with the nearest known ones, and what went wrong in one sentence."""

import difflib
from collections.abc import Iterable, Mapping


def sentence(error: Exception) -> str:
    """What went wrong, in one sentence; with the type of an error that is not of our own words."""
    text = " ".join(str(error).split())
    ours = isinstance(error, (ValueError, FloatingPointError, ImportError, OSError)) and text
    return text if ours else f"{type(error).__name__}: {text}".removesuffix(": ")


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
