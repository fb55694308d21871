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
    endless : of those, the ones that Gibbs steps cannot go through: their support is not 0, 1, ..., K.
    improper : why its prior is improper, "" if it is proper.
    instead : proper relatives, in words.
    """

    latent: tuple[str, ...]
    discrete: tuple[str, ...]
    improper: str = ""
    instead: str = ""
    endless: tuple[str, ...] = ()


def described(
    latent: tuple[str, ...],
    discrete: tuple[str, ...],
    marks: list[dict[str, Any]],
    learned: bool,
    endless: tuple[str, ...] = (),
) -> Sites:
    """The sites of a program; `marks` are the ``infer`` of its sample sites, `learned` whether it has parameters."""
    mark = next((mark for mark in marks if mark.get("improper")), {"improper": LEARNED} if learned else {})
    instead = mark.get("instead", RELATIVES) if mark else ""
    return Sites(latent, discrete, mark.get("improper", ""), instead, endless)


def mark(law: Any, infer: dict[str, Any]) -> dict[str, Any]:
    """The ``infer`` of a sample site; of a flat law it says that it is improper, whether its author does or not."""
    while hasattr(law, "base_dist"):
        law = law.base_dist
    return {"improper": "flat", **infer} if type(law).__name__ == "ImproperUniform" else infer


def refuse_discrete(strategy: str, sites: Sites, nuts: str = "nuts (Gibbs inside)") -> None:
    """Raise ValueError if the program has discrete sites, which a gradient cannot move; `nuts` is the first way out."""
    if sites.discrete:
        ways = "" if sites.endless else f"{nuts}, "
        raise ValueError(
            f"{strategy} needs continuous scales, and {sites.discrete[0]} is discrete; use {ways}svi:guide=dropout, "
            "or the continuous stand-in, beta"
        )


def refuse_endless(strategy: str, sites: Sites) -> None:
    """Raise ValueError if the program has a discrete site that Gibbs steps cannot go through."""
    if sites.endless:
        raise ValueError(
            f"{strategy} goes through the values of a discrete scale, and those of {sites.endless[0]} are not "
            "0, 1, ..., K; use a Bernoulli, Categorical or Binomial law, svi:guide=dropout, or a continuous noise"
        )


def no_nuts(sites: Sites, language: str) -> str:
    """Why `nuts` does not apply to a program in a language, in a few words; "" if it does."""
    if sites.improper:
        return f"the {sites.improper} prior is improper"
    if sites.discrete and language == "pyro":
        return "Pyro has no Gibbs steps for discrete scales, NumPyro has"
    return "Gibbs steps cannot go through the values of its discrete scales" if sites.endless else ""


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
