"""The latent sites of a program, and who cannot sample them."""

from typing import Any, NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]

LEARNED = "empirical-Bayes"  # a program with learned scales has no prior that is fixed before the data
RELATIVES = "half_cauchy or gamma_precision"  # proper ones of most improper priors
NETWORK_SITES = (".weight", ".bias", ".gain")  # that make the function; what else a guide has, a scale say, does not
FUNCTION = "f"  # the deterministic site of function values: recomputed where needed, never stored


class Sites(NamedTuple):
    """What a program samples.

    latent, discrete : names of the latent sites, and of the discrete ones among them.
    improper : why its prior is improper, "" if it is proper.
    instead : proper relatives, in words.
    """

    latent: tuple[str, ...]
    discrete: tuple[str, ...]
    improper: str = ""
    instead: str = ""


def described(latent: tuple[str, ...], discrete: tuple[str, ...], marks: list[dict[str, Any]], learned: bool) -> Sites:
    """The sites of a program; `marks` are the ``infer`` of its sample sites, `learned` whether it has parameters."""
    mark = next((mark for mark in marks if mark.get("improper")), {"improper": LEARNED} if learned else None)
    return Sites(latent, discrete, *((mark["improper"], mark.get("instead", RELATIVES)) if mark else ()))


def refuse_discrete(strategy: str, sites: Sites) -> None:
    """Raise ValueError if the program has discrete sites, which a gradient cannot move."""
    if sites.discrete:
        raise ValueError(
            f"{strategy} needs continuous scales, and {sites.discrete[0]} is discrete; use nuts (Gibbs inside), "
            "svi:guide=dropout, or the continuous stand-in, beta"
        )


def refuse_improper(strategy: str, sites: Sites) -> None:
    """Raise ValueError if the prior is improper, so that there is no posterior to sample."""
    if sites.improper:
        raise ValueError(
            f"{strategy} cannot sample: the {sites.improper} prior is improper and so is its posterior; "
            f"use a proper relative such as {sites.instead}"
        )


def without_function(values: dict) -> dict:
    """The sites that a fit stores: all but the function values."""
    return {name: value for name, value in values.items() if name != FUNCTION}


def check_draws(latent: Any, draws: Arrays) -> None:
    """Raise ValueError if the draws lack one of the latent sites."""
    if missing := [name for name in latent if name not in draws]:
        raise ValueError(f"the draws lack the site {missing[0]} of this program; were they made by another one?")
