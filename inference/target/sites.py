"""The latent sites of a program, and who cannot sample them."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ...models.ppl import ppl

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
    pays_only : whether its law exists only as what a normal pays for it (the divergence), not for single weights.
    support : of y, a constraint of the language; None where y is no sample site.
    size : how many numbers the latent sites are.
    kept : how many a draw has: those, and deterministic sites such as weights, but not the function values.
    """

    latent: tuple[str, ...]
    discrete: tuple[str, ...]
    improper: str = ""
    instead: str = ""
    endless: tuple[str, ...] = ()
    pays_only: bool = False
    support: Any = None
    size: int = 0
    kept: int = 0


def described(
    latent: tuple[str, ...],
    discrete: tuple[str, ...],
    trace: dict[str, Any],
    learned: bool,
    endless: tuple[str, ...] = (),
) -> Sites:
    """The sites of a program from its trace, site -> dict; `learned` says whether it has parameters."""
    marks = [mark(site["fn"], site.get("infer") or {}) for site in trace.values() if site["type"] == "sample"]
    improper = next((m for m in marks if m.get("improper")), {"improper": LEARNED} if learned else {})
    support = trace["y"]["fn"].support if trace.get("y", {}).get("type") == "sample" else None
    made = [name for name, site in without_function(trace).items() if _is_deterministic(site)]
    size, more = (sum(math.prod(trace[name]["value"].shape) for name in names) for names in (latent, made))
    return Sites(
        latent,
        discrete,
        improper.get("improper", ""),
        improper.get("instead", RELATIVES) if improper else "",
        endless,
        bool(improper.get("pays_only")),
        support,
        size,
        size + more,
    )


def _is_deterministic(site: dict[str, Any]) -> bool:
    """Whether a site of a trace, in either language, is a value that the program records."""
    return site["type"] == "deterministic" or bool((site.get("infer") or {}).get("_deterministic"))


def sites_of(model: Callable, x: Any, y: Any) -> Sites:
    """The sites of a program, in the language of these arrays."""
    return import_module(f".{ppl(x).name}.density", __package__).sites(model, x, y)


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
        return f"the {sites.improper} prior is {'chosen by the data' if sites.improper == LEARNED else 'improper'}"
    if sites.discrete and language == "pyro":
        return "Pyro has no Gibbs steps for discrete scales, NumPyro has"
    return "Gibbs steps cannot go through the values of its discrete scales" if sites.endless else ""


def refuse_improper(strategy: str, sites: Sites) -> None:
    """Raise ValueError if the prior is improper, so that there is no posterior to sample."""
    if sites.improper:
        chosen = "prior is chosen by the data, so that there is no posterior"
        why = chosen if sites.improper == LEARNED else "prior is improper, and so is its posterior"
        raise ValueError(
            f"{strategy} cannot sample: the {sites.improper} {why}; use a proper relative such as {sites.instead}"
        )


def refuse_pays_only(strategy: str, sites: Sites) -> None:
    """Raise ValueError if the prior has a divergence but no density, for a guide that draws weights and needs one.

    The mean over q of a density that is at its best for each weight is not the best for q: E max is not max E.
    """
    if sites.pays_only:
        raise ValueError(
            f"{strategy} draws weights, and the {sites.improper} prior is defined by what a normal guide pays for it, "
            f"not weight by weight; use svi:guide=local or flipout, or a proper relative such as {sites.instead}"
        )


def check_mode(strategy: str, nats: Any) -> None:
    """Raise FloatingPointError if the log density at a mode, found in double precision, is not finite in that of a
    fit."""
    if not math.isfinite(nats):
        raise FloatingPointError(
            f"{strategy} stopped before its first draw: the log density at the mode is not finite; standardise x and y "
            "if they are large; else another form may help"
        )


def without_function(values: dict) -> dict:
    """The sites that a fit stores: all but the function values."""
    return {name: value for name, value in values.items() if name != FUNCTION}


def check_draws(latent: Any, draws: Arrays) -> None:
    """Raise ValueError if the draws lack one of the latent sites."""
    if missing := [name for name in latent if name not in draws]:
        raise ValueError(f"the draws lack the site {missing[0]} of this program; were they made by another one?")
