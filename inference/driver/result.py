"""A fit: what the driver returns, in either language."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..target.sites import Arrays

LAST = 5  # records of the history, a twentieth of it, that make the ELBO of a guide whose weights are not drawn


def last_elbo(log_lik: np.ndarray, kl: np.ndarray) -> float:
    """The ELBO over the last records of a history, (chain, record)."""
    return float((log_lik - kl)[:, -LAST:].mean())


@dataclass(frozen=True)
class Fit:
    """Draws and what is known of how they came about.

    Attributes
    ----------
    strategy : ``"svi"``, ``"nuts"``, ``"sgld"``, ...
    settings : the strategy's config as a dict.
    ppl : ``"numpyro"`` or ``"pyro"``.
    draws : site -> (chain, draw, *site shape), in the constrained space; weights that are deterministic are included.
    stats : name -> (chain, draw): diverging, energy, lp, ... of the sampler; log_p and log_q of a guide.
    history : name -> (chain, record): the loss along the way, and its step.
    seconds : compile, adapt, sample; the run at half the step is part of the last.
    independent_chains : the draws are chains, so that R-hat and ESS mean something (False for a guide).
    approximation : the draws come from a density that is known (log_q), so that Pareto k-hat means something.
    loc, scale : site -> (chain, *site shape): mean and sd of the real sites of the guides ``mean_field``, ``laplace``,
        ``local``, ``flipout`` and ``em``, or of all sites over all steps of a stochastic-gradient sampler.
    optimisation : name -> (chain,): of a guide that ends by itself: ``converged``; the last learning rate ``lr``; the
        R-hat ``rhat`` of the last iterates; and the ``change`` that the last fall of the rate made, in posterior sds.
    half : draws of the sites, as `draws`, of a run at half the step of a stochastic-gradient sampler.
    stopped : what stopped the run before its last draw; empty if nothing did.
    """

    strategy: str
    settings: dict[str, Any]
    ppl: str
    draws: Arrays
    stats: Arrays = field(default_factory=dict)
    history: Arrays = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    independent_chains: bool = True
    approximation: bool = False
    loc: Arrays = field(default_factory=dict)
    scale: Arrays = field(default_factory=dict)
    optimisation: Arrays = field(default_factory=dict)
    half: Arrays = field(default_factory=dict)
    stopped: str = ""
