"""Pruning by posterior moments: which weights go first.

A *rule* gives each weight an importance from its posterior mean mu and standard deviation sigma; weights are set to
zero in the order of their importance, the least important first.  Signal to noise, abs(mu) / sigma, takes the uncertain
weights.  Nalisnick, Anandkumar & Smyth (2015, section 6) hold that a weight which may vary is robust and should stay,
and order by abs(mu) + sigma (their equation 17).  `RULES` has these and others.

Any fit whose weights are sites can be pruned, of whatever task.  The moments are those of one chain: chains of a
network are different networks, and a mean over permuted units is none of them.  Where the draws of one chain go from
mode to mode, the same holds of them.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ...errors import unknown
from ..target import sites as sites_module
from ..target import warm_start
from ..target.sites import Arrays
from . import trimming

Moments = tuple[Arrays, Arrays]
GROUPS = ("guide", "moments", "posterior")  # where moments are looked for, in this order
BY = ("weight", "unit")


class Rule(NamedTuple):
    """In which order weights go.

    score : ``(loc, scale, share, rng) -> importance``, elementwise; the lowest goes first.  `share` of draws in which
        the weight is not zero, `rng` a NumPy generator.
    text : the rule in words.
    needs : ``"sds"`` or ``"zeros"`` (draws of which some are exactly zero), ``""`` if means will do.
    """

    score: Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
    text: str
    needs: str = ""


def _snr(loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """abs(loc) / scale; 0 where `loc` is zero, whatever the `scale`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(loc != 0, np.abs(loc) / scale, 0.0)


def _minus_log_alpha(loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 2 * np.log(_snr(loc, scale))


RULES = {
    "snr": Rule(lambda m, s, *_: _snr(m, s), "signal to noise, |mean| / sd", "sds"),
    "spr": Rule(lambda m, s, *_: np.abs(m) + s, "signal plus robustness, |mean| + sd", "sds"),
    "second_moment": Rule(lambda m, s, *_: m**2 + s**2, "second moment, mean^2 + sd^2", "sds"),
    "magnitude": Rule(lambda m, *_: np.abs(m), "size of the mean, |mean|"),
    "log_alpha": Rule(lambda m, s, *_: _minus_log_alpha(m, s), "-log(sd^2 / mean^2), ordered as snr", "sds"),
    "inclusion": Rule(lambda m, s, share, _: share, "probability that the weight is not zero", "zeros"),
    "random": Rule(lambda m, s, share, rng: rng.uniform(size=m.shape), "at random"),
}


class _Posterior(NamedTuple):
    """Of one chain: means and sds of the sites that make the function, and the share of draws that are not zero."""

    loc: Arrays
    scale: Arrays
    share: Arrays


def moments(tree: Any, chain: int | None = None) -> Moments:
    """Means and standard deviations of the weights and biases of one chain, site -> array.

    From the group ``guide`` of a fit's DataTree, else from ``moments``, else over the draws in ``posterior`` (ddof 0).
    By default the chain of the lowest loss, else that of the highest mean ``lp``.  Raises ValueError if there are no
    weights, or no such chain.
    """
    name, chain = _group(tree), chosen_chain(tree, chain)
    if name == "posterior":
        return _of_draws(_draws(tree, chain))
    by_site = {str(site): v.isel(chain=chain).values for site, v in tree[name].data_vars.items()}
    scale = {site.removesuffix(".sd"): v for site, v in by_site.items() if site.endswith(".sd")}
    return trimming.network_sites(by_site), trimming.network_sites(scale)


def some_draws(tree: Any, count: int, chain: int | None = None) -> list[Arrays]:
    """At most `count` draws of the weights and biases of one chain, evenly spaced; [] if the posterior has none."""
    values = _draws(tree, chosen_chain(tree, chain))
    if not any(site.endswith(".weight") for site in values):
        return []
    have = len(next(iter(values.values())))
    chosen = np.unique(np.linspace(0, have - 1, min(count, have)).round().astype(int))
    return [{site: v[i] for site, v in values.items()} for i in chosen]


def applicable(tree: Any, chain: int | None = None) -> list[str]:
    """The rules that a fit's DataTree, or a pair of means and sds, has enough for."""
    posterior = posterior_of(tree, chain)
    return [rule for rule in RULES if has(posterior, RULES[rule].needs)]


def scores(tree: Any, rule: str, by: str = "weight", seed: int = 0, chain: int | None = None) -> Arrays:
    """How important each weight is to a rule, site -> array of the weight's shape; the lowest goes first.

    Parameters
    ----------
    tree : a fit's DataTree, or a pair of means and sds.
    rule : a name of `RULES`.
    by : ``"weight"``, or ``"unit"``: all weights that leave a unit (a row of a matrix, axis -2 of a kernel) have one
        importance and go together.  It is that of the root mean squares of their mu and sigma: under ``second_moment``
        the s_j of Nalisnick et al. (2015, eq 14), under ``log_alpha`` and ``snr`` the ratio of their eq 15.
    seed : of the rule ``random``.
    chain : as for `moments`.

    Raises ValueError for an unknown rule, for one that needs sds or exact zeros which are not there, and for moments
    that are not finite.
    """
    return scores_of(posterior_of(tree, chain), rule, by, seed)


def masks_at(scores: Arrays, fraction: float, by: str = "weight") -> Arrays:
    """Which weights are kept once this fraction of all weights is gone, site -> mask.

    Of all n weight sites' weights together, the round(fraction n) of lowest score go, equal ones in the order of their
    places; with `scores` by unit and ``by="unit"`` the units of lowest score, as many as are whole in that number.
    Raises ValueError for a fraction outside [0, 1] and for scores that are NaN.
    """
    (fraction,), ranks = checked_fractions([fraction]), rank_weights(scores, by)
    cut = round(fraction * total_size(ranks))
    return {site: rank >= cut for site, rank in ranks.items()}


def groups_with_weights(tree: Any) -> list[str]:
    """The groups that hold weights, the first of which is the best source of moments."""
    present = [name for name in GROUPS if name in tree.children]
    return [name for name in present if any(str(site).endswith(".weight") for site in tree[name].data_vars)]


def _group(tree: Any) -> str:
    if not (groups := groups_with_weights(tree)):
        raise ValueError(
            "this posterior has no weights (layer0.weight, ...); fit a program whose prior makes weights, such as one "
            "of the form hierarchical or expanded"
        )
    return groups[0]


def chosen_chain(tree: Any, chain: int | None) -> int:
    """The chain that is asked for, or the best."""
    chains = tree[_group(tree)].sizes["chain"]
    if chain is not None:
        if not 0 <= chain < chains:
            raise ValueError(f"there is no chain {chain}; choose one from 0 to {chains - 1}")
        return chain
    return warm_start.best_chain(tree)


def _draws(tree: Any, chain: int) -> Arrays:
    """Draws (draw, ...) of the sites that make the function, of one chain."""
    variables = tree["posterior"].data_vars if "posterior" in tree.children else {}
    sites = {str(site): v for site, v in variables.items() if str(site).endswith(sites_module.NETWORK_SITES)}
    return {site: v.isel(chain=chain).transpose("draw", ...).values for site, v in sites.items()}


def _of_draws(draws: Arrays) -> Moments:
    """Mean and sd over draws, the latter zero exactly if they are all the same."""
    loc = {site: v.mean(axis=0, dtype=np.float64) for site, v in draws.items()}
    scale = {site: np.sqrt(sum((draw - loc[site]) ** 2 for draw in v) / len(v)) for site, v in draws.items()}
    loc, scale = ({site: v.astype(draws[site].dtype) for site, v in part.items()} for part in (loc, scale))
    return loc, scale


def posterior_of(tree: Any, chain: int | None) -> _Posterior:
    """What the rules look at, of a fit's DataTree or of a pair (means, sds); raises what `moments` does."""
    if isinstance(tree, (tuple, list)):
        if len(tree) != 2 or not all(isinstance(part, dict) for part in tree):
            raise TypeError("give a fit's DataTree, or a pair (means, sds) of dicts by site")
        loc, scale = ({k: np.asarray(v) for k, v in trimming.network_sites(part).items()} for part in tree)
        share = {}
    elif not hasattr(tree, "children"):
        raise TypeError(f"give a fit's DataTree, or a pair (means, sds) of dicts by site, not a {type(tree).__name__}")
    else:
        loc, scale = moments(tree, chain)
        share = {
            k: (v != 0).mean(axis=0) for k, v in _draws(tree, chosen_chain(tree, chain)).items() if k.endswith("weight")
        }
    for site in trimming.weights(loc):
        if site not in scale or scale[site].shape != loc[site].shape:
            raise ValueError(
                f"{site} has no sds of the shape of its means, {np.shape(loc[site])}; give those of one fit"
            )
        if loc[site].ndim < 2:
            raise ValueError(f"{site} has shape {loc[site].shape}; a weight is (unit in, unit out) or a kernel")
        if not (np.isfinite(loc[site]).all() and np.isfinite(scale[site]).all() and (scale[site] >= 0).all()):
            raise ValueError(f"{site} has means or sds that are not finite, or negative sds; fit it again")
    return _Posterior(loc, scale, share)


def has(posterior: _Posterior, requirement: str) -> bool:
    """Whether a posterior has what a rule needs."""
    if requirement == "zeros":
        return any((share < 1).any() for share in posterior.share.values())
    return not requirement or any((posterior.scale[site] > 0).any() for site in trimming.weights(posterior.loc))


def scores_of(posterior: _Posterior, rule: str, by: str, seed: int) -> Arrays:
    """`scores` of a posterior that has been read."""
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    _check(by)
    if not has(posterior, RULES[rule].needs):
        reasons = {"sds": "the sd of every weight is zero", "zeros": "no draw of a weight is exactly zero"}
        applicable_rules = ", ".join(name for name in RULES if has(posterior, RULES[name].needs))
        raise ValueError(f"the rule {rule} does not apply, {reasons[RULES[rule].needs]}; use one of {applicable_rules}")
    rng, scores = np.random.default_rng(seed), {}
    for site in trimming.weights(posterior.loc):
        loc, scale = (part[site].astype(np.float64) for part in (posterior.loc, posterior.scale))
        share = posterior.share.get(site, np.ones(loc.shape))
        if by == "unit":
            loc, scale, share = np.sqrt(_of_unit(loc**2)), np.sqrt(_of_unit(scale**2)), _of_unit(share)
        score = RULES[rule].score(loc, scale, share, rng)
        scores[site] = np.array(np.broadcast_to(score, posterior.loc[site].shape))
    return scores


def _of_unit(values: np.ndarray) -> np.ndarray:
    """The mean over the weights that leave each unit, with axes of length 1 for them."""
    return values.mean(axis=_leaving(values), keepdims=True)


def _leaving(values: np.ndarray) -> tuple[int, ...]:
    """All axes but that of the units in."""
    return tuple(axis for axis in range(values.ndim) if axis != values.ndim - 2)


def rank_weights(scores: Arrays, by: str) -> Arrays:
    """How many weights are gone before each one, or before the last one of its unit is; integers.

    Of any number k of weights, those of rank below k are the ones that go.
    """
    _check(by)
    sites = trimming.weights(scores)
    if not_a_number := [site for site in sites if np.isnan(scores[site]).any()]:
        raise ValueError(f"{not_a_number[0]} has scores that are NaN; take those that scores() gives")
    keys = [scores[s].max(axis=_leaving(scores[s]), keepdims=True) if by == "unit" else scores[s] for s in sites]
    sizes = np.concatenate([np.full(k.size, scores[s].size // k.size) for s, k in zip(sites, keys, strict=True)])
    order = np.argsort(np.concatenate([key.ravel() for key in keys]), kind="stable")
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.cumsum(sizes[order]) - 1
    parts = np.split(ranks, np.cumsum([key.size for key in keys])[:-1])
    shaped = zip(sites, keys, parts, strict=True)
    return {site: np.broadcast_to(part.reshape(key.shape), scores[site].shape) for site, key, part in shaped}


def total_size(arrays: Arrays) -> int:
    """How many entries the arrays have together."""
    return sum(v.size for v in arrays.values())


def checked_fractions(fractions: Iterable[float]) -> list[float]:
    """The fractions in ascending order, each once; raises ValueError unless all are between 0 and 1."""
    values = sorted({float(fraction) for fraction in fractions})
    if not values:
        raise ValueError("there are no fractions of the weights to remove; give some between 0 and 1")
    if not all(0 <= fraction <= 1 for fraction in values):
        outside = next((fraction for fraction in values if not 0 <= fraction <= 1), None)
        raise ValueError(f"fractions of the weights to remove lie between 0 and 1, got {outside}")
    return values


def _check(by: str) -> None:
    if by not in BY:
        raise unknown("thing to prune by", by, BY)
