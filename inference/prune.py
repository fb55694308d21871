"""Pruning by posterior moments: which weights go first, and what the test error makes of it.

A *rule* gives each weight an importance from its posterior mean mu and standard deviation sigma; weights are set to
zero in the order of their importance, the least important first.  Signal to noise, abs(mu) / sigma, takes the uncertain
weights.  Nalisnick, Anandkumar & Smyth (2015, section 6) hold that a weight which may vary is robust and should stay,
and order by abs(mu) + sigma (their equation 17).  `RULES` has these and others, `curve` the error along the way.

Any fit whose weights are sites can be pruned, of whatever task.  The moments are those of one chain: chains of a
network are different networks, and a mean over permuted units is none of them.  Where the draws of one chain go from
mode to mode, the same holds of them.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..models.names import unknown
from . import folder, sparsity
from .fit import Arrays
from .progress import Progress, progress_bar

Moments = tuple[Arrays, Arrays]
GROUPS = ("guide", "moments", "posterior")  # where moments are looked for, in this order
BY = ("weight", "unit")
FRACTIONS = (*np.arange(37) / 40, *np.arange(91, 101) / 100)  # finer where most is gone
DRAWS, BAND_ROWS = 20, 1000  # of the band: draws, and test rows at most
BAND = (0.05, 0.95)
WITHIN = 1e-9  # beyond a limit that is met up to rounding
AT = (0.0, 0.5, 0.8, 0.9, 0.95)  # fractions whose error a summary tells


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
    name, chain = _group(tree), _chain(tree, chain)
    if name == "posterior":
        return _of_draws(_draws(tree, chain))
    found = {str(site): v.isel(chain=chain).values for site, v in tree[name].data_vars.items()}
    scale = {site.removesuffix(".sd"): v for site, v in found.items() if site.endswith(".sd")}
    return sparsity.network_sites(found), sparsity.network_sites(scale)


def some_draws(tree: Any, count: int, chain: int | None = None) -> list[Arrays]:
    """At most `count` draws of the weights and biases of one chain, evenly spaced; [] if the posterior has none."""
    values = _draws(tree, _chain(tree, chain))
    if not any(site.endswith(".weight") for site in values):
        return []
    have = len(next(iter(values.values())))
    picked = np.unique(np.linspace(0, have - 1, min(count, have)).round().astype(int))
    return [{site: v[i] for site, v in values.items()} for i in picked]


def applicable(tree: Any, chain: int | None = None) -> list[str]:
    """The rules that a fit's DataTree, or a pair of means and sds, has enough for."""
    found = _posterior(tree, chain)
    return [rule for rule in RULES if _has(found, RULES[rule].needs)]


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
    return _scores(_posterior(tree, chain), rule, by, seed)


def masks(scores: Arrays, fraction: float, by: str = "weight") -> Arrays:
    """Which weights are kept once this fraction of all weights is gone, site -> mask.

    Of all n weight sites' weights together, the round(fraction n) of lowest score go, equal ones in the order of their
    places; with `scores` by unit and ``by="unit"`` the units of lowest score, as many as are whole in that number.
    Raises ValueError for a fraction outside [0, 1] and for scores that are NaN.
    """
    (fraction,), ranks = _fractions([fraction]), _ranks(scores, by)
    cut = round(fraction * _size(ranks))
    return {site: rank >= cut for site, rank in ranks.items()}


def curve(
    model: Callable,
    tree: Any,
    data: Any,
    rules: Sequence[str] | None = None,
    fractions: Iterable[float] | None = None,
    by: str = "weight",
    draws: int = DRAWS,
    seed: int = 0,
    chain: int | None = None,
    progress: bool | Progress = False,
) -> pd.DataFrame:
    """The test error along the way, one row for each rule and fraction.

    Parameters
    ----------
    model : the program in NumPyro, ``(x, y=None) -> f``.
    tree : a fit's DataTree, or a pair of means and sds.
    data : its ``x_test``, ``y_test``, ``task`` and ``y_scale`` are looked at.
    rules : names of `RULES`; by default all that are `applicable`.
    fractions : of the weights that are removed; by default 47 from 0 to 1.
    by, seed, chain : see `scores`.
    draws : how many posterior draws make the band, 0 for none.
    progress : show a bar; or a function ``(done, total, message)`` that is told instead.

    Returns columns ``rule``, ``fraction``, ``removed`` (weights), ``error`` of the mean weights without the removed
    ones (%, or RMSE in the target's units, as ``unit`` says), and ``low`` and ``high``: the 5% and 95% quantiles of the
    error of posterior draws without the same weights, NaN where draws are missing or all the same.  The band looks at
    1000 test rows at most, evenly spaced, and is moved by what the error of the mean weights differs on them.

    Raises ValueError as `scores` and `masks` do, and if the fit is one of another program.
    """
    found = _posterior(tree, chain)
    names = [rule for rule in RULES if _has(found, RULES[rule].needs)] if rules is None else list(rules)
    if not names:
        raise ValueError(f"there is no rule to prune by; name some of {', '.join(RULES)}")
    fractions = _fractions(FRACTIONS if fractions is None else fractions)
    ranks = {rule: _ranks(_scores(found, rule, by, seed), by) for rule in names}
    sparsity.outputs(model, found.loc, data.x_test[:1])  # says what does not go together
    nets = [] if isinstance(tree, (tuple, list)) or draws < 1 else some_draws(tree, draws, _chain(tree, chain))
    judge, done = _judge(model, data, found.loc, nets if _varies(nets, found.loc) else []), []
    cuts, rows = [round(fraction * _size(ranks[names[0]])) for fraction in fractions], []
    with progress_bar("prune", progress) as tell:
        for i, (rule, own) in enumerate(ranks.items()):
            errors = next((errors for other, errors in done if _equal(own, other)), None)  # log_alpha goes as snr does
            if errors is None:
                errors = []
                for cut in cuts:
                    errors.append(judge(own, cut))
                    tell(i * len(cuts) + len(errors), len(ranks) * len(cuts), rule)
                done.append((own, errors))
            tell((i + 1) * len(cuts), len(ranks) * len(cuts), rule)
            gone = [sum(np.count_nonzero(rank < cut) for rank in own.values()) for cut in cuts]
            rows += [(rule, *row) for row in zip(fractions, gone, *zip(*errors, strict=True), strict=True)]
    table = pd.DataFrame(rows, columns=["rule", "fraction", "removed", "error", "low", "high"])
    return table.assign(unit="RMSE" if data.task == "regression" else "%")


def area(curve: pd.DataFrame) -> pd.Series:
    """The mean error over all fractions of a `curve`, by rule: the area under it (trapezoids) over its width."""

    def mean(part: pd.DataFrame) -> float:
        at, error = part["fraction"].to_numpy(), part["error"].to_numpy()
        return float(np.sum(np.diff(at) * (error[1:] + error[:-1]) / 2) / (at[-1] - at[0])) if len(at) > 1 else np.nan

    return _by_rule(curve, mean, "area")


def removable(curve: pd.DataFrame, within: float = 1.0) -> pd.Series:
    """The largest fraction of a `curve` up to which no error is `within` above the unpruned one, by rule.

    For classes `within` is in percentage points (from 1.5% up to 2.5%), for a regression in percent of the unpruned
    RMSE.  Raises ValueError if a rule's curve does not begin at fraction 0 with a finite error, or for a negative
    `within`.
    """
    if not within >= 0:
        raise ValueError(f"within, how much above the unpruned error, must not be negative, got {within}")

    def last(part: pd.DataFrame) -> float:
        at, error = part["fraction"].to_numpy(), part["error"].to_numpy()
        if at[0] != 0:
            raise ValueError(f"the curve begins at fraction {at[0]:g}; give it one that begins at 0, the unpruned net")
        if not np.isfinite(error[0]):
            raise ValueError("the unpruned net has no finite error; fit it again")
        limit = error[0] + within if set(part["unit"]) == {"%"} else error[0] * (1 + within / 100)
        over = np.flatnonzero(~(error <= limit + WITHIN))
        return float(at[over[0] - 1] if len(over) else at[-1])

    return _by_rule(curve, last, "removable")


def summary(curve: pd.DataFrame) -> pd.DataFrame:
    """A `curve` in one row for each rule: `area`, `removable`, and the error at 0%, 50%, 80%, 90% and 95% removed.

    An error is NaN if the curve has not that fraction.
    """
    errors = curve.pivot_table(index="rule", columns="fraction", values="error", sort=False).reindex(columns=list(AT))
    errors.columns = [f"{fraction:.0%}" for fraction in AT]
    return pd.concat([area(curve), removable(curve), errors], axis=1).rename_axis("rule")


def prune(
    run: str | Path,
    strategy: str = "",
    rules: Sequence[str] | None = None,
    by: str = "weight",
    out: str | Path | None = None,
    progress: bool | Progress = False,
) -> tuple[pd.DataFrame, list[Path]]:
    """Prune a fit in the folder of a run; returns its `curve`, and where its table and its figure are.

    They are ``prune-<strategy>.csv`` and ``.png`` (``prune-<strategy>-unit`` by unit), by default in the folder of the
    run.  `strategy` is the label of the fit, needed if several have weights.  Raises ValueError or FileNotFoundError,
    of one sentence, for a run or a fit that is not there or cannot be pruned, and for data that are no longer those of
    the run.
    """
    from .. import data as datasets
    from ..models import catalogue
    from . import prune_plots
    from .draws import load
    from .session import checksum
    from .trim import program, width

    run = Path(run)
    told = folder.read_run(run)
    label, tree = _fit(told["fits"], strategy, lambda entry: load(run / entry["file"]))
    options = told["options"]
    data = datasets.load(options["data"], split=options["split"])
    if checksum(data) != told["data_sha256"]:
        raise ValueError(f"the data {options['data']} are no longer those of the run; run the comparison again")
    model = program(catalogue.network(options["network"]), width(data.task, len(data.classes)))
    found = curve(model, tree, data, rules, by=by, progress=progress)
    out, name = run if out is None else Path(out), f"prune-{folder.file_name(label)}{'-unit' * (by == 'unit')}"
    out.mkdir(parents=True, exist_ok=True)
    table, picture = out / f"{name}.csv", out / f"{name}.png"
    folder.write(table, found.to_csv(index=False))
    figure = prune_plots.curves(found, f"{label}: {options['network']} on {options['data']}")
    folder.through(picture, lambda part: figure.savefig(part))
    return found, [table, picture]


def _fit(fits: dict[str, Any], strategy: str, load: Callable) -> tuple[str, Any]:
    """Label and tree of the fit that is asked for, or of the only one with weights."""
    if strategy and strategy not in fits:
        raise unknown("strategy of this run", strategy, fits)
    done = {label: entry for label, entry in fits.items() if entry["status"] in ("done", "partly done")}
    if strategy:
        if strategy not in done:
            raise ValueError(f"{strategy} has no fit in this run ({fits[strategy]['status']}); run it again")
        return strategy, load(done[strategy])
    trees = {label: load(entry) for label, entry in done.items()}
    having = {label: tree for label, tree in trees.items() if _groups(tree)}
    if not having:
        raise ValueError("this run has no fit with weights to prune; run the comparison again with another --form")
    if len(having) > 1:
        raise ValueError(f"several fits have weights to prune ({', '.join(having)}); choose one by --strategy")
    return next(iter(having.items()))


def _groups(tree: Any) -> list[str]:
    """The groups that hold weights, the first of which is the best source of moments."""
    there = [name for name in GROUPS if name in tree.children]
    return [name for name in there if any(str(site).endswith(".weight") for site in tree[name].data_vars)]


def _group(tree: Any) -> str:
    if not (having := _groups(tree)):
        raise ValueError(
            "this posterior has no weights (layer0.weight, ...); fit a program whose prior makes weights, such as one "
            "of the form hierarchical or expanded"
        )
    return having[0]


def _chain(tree: Any, chain: int | None) -> int:
    """The chain that is asked for, or the best."""
    chains = tree[_group(tree)].sizes["chain"]
    if chain is not None:
        if not 0 <= chain < chains:
            raise ValueError(f"there is no chain {chain}; choose one from 0 to {chains - 1}")
        return chain
    return sparsity.best_chain(tree)


def _draws(tree: Any, chain: int) -> Arrays:
    """Draws (draw, ...) of the sites that make the function, of one chain."""
    found = tree["posterior"].data_vars if "posterior" in tree.children else {}
    sites = {str(site): v for site, v in found.items() if str(site).endswith(sparsity.SITES)}
    return {site: v.isel(chain=chain).transpose("draw", ...).values for site, v in sites.items()}


def _of_draws(draws: Arrays) -> Moments:
    """Mean and sd over draws, the latter zero exactly if they are all the same."""
    loc = {site: v.mean(axis=0, dtype=np.float64) for site, v in draws.items()}
    scale = {site: np.sqrt(sum((one - loc[site]) ** 2 for one in v) / len(v)) for site, v in draws.items()}
    loc, scale = ({site: v.astype(draws[site].dtype) for site, v in part.items()} for part in (loc, scale))
    return loc, scale


def _posterior(tree: Any, chain: int | None) -> _Posterior:
    if isinstance(tree, (tuple, list)):
        if len(tree) != 2 or not all(isinstance(part, dict) for part in tree):
            raise TypeError("give a fit's DataTree, or a pair (means, sds) of dicts by site")
        loc, scale = ({k: np.asarray(v) for k, v in sparsity.network_sites(part).items()} for part in tree)
        share = {}
    elif not hasattr(tree, "children"):
        raise TypeError(f"give a fit's DataTree, or a pair (means, sds) of dicts by site, not a {type(tree).__name__}")
    else:
        loc, scale = moments(tree, chain)
        share = {k: (v != 0).mean(axis=0) for k, v in _draws(tree, _chain(tree, chain)).items() if k.endswith("weight")}
    for site in sparsity.weights(loc):
        if site not in scale or scale[site].shape != loc[site].shape:
            raise ValueError(
                f"{site} has no sds of the shape of its means, {np.shape(loc[site])}; give those of one fit"
            )
        if loc[site].ndim < 2:
            raise ValueError(f"{site} has shape {loc[site].shape}; a weight is (unit in, unit out) or a kernel")
        if not (np.isfinite(loc[site]).all() and np.isfinite(scale[site]).all() and (scale[site] >= 0).all()):
            raise ValueError(f"{site} has means or sds that are not finite, or negative sds; fit it again")
    return _Posterior(loc, scale, share)


def _has(found: _Posterior, needs: str) -> bool:
    """Whether a posterior has what a rule needs."""
    if needs == "zeros":
        return any((share < 1).any() for share in found.share.values())
    return not needs or any((found.scale[site] > 0).any() for site in sparsity.weights(found.loc))


def _scores(found: _Posterior, rule: str, by: str, seed: int) -> Arrays:
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    _check(by)
    if not _has(found, RULES[rule].needs):
        lacks = {"sds": "the sd of every weight is zero", "zeros": "no draw of a weight is exactly zero"}
        others = ", ".join(name for name in RULES if _has(found, RULES[name].needs))
        raise ValueError(f"the rule {rule} does not apply, {lacks[RULES[rule].needs]}; use one of {others}")
    rng, scores = np.random.default_rng(seed), {}
    for site in sparsity.weights(found.loc):
        loc, scale = (part[site].astype(np.float64) for part in (found.loc, found.scale))
        share = found.share.get(site, np.ones(loc.shape))
        if by == "unit":
            loc, scale, share = np.sqrt(_of_unit(loc**2)), np.sqrt(_of_unit(scale**2)), _of_unit(share)
        score = RULES[rule].score(loc, scale, share, rng)
        scores[site] = np.array(np.broadcast_to(score, found.loc[site].shape))
    return scores


def _of_unit(values: np.ndarray) -> np.ndarray:
    """The mean over the weights that leave each unit, with axes of length 1 for them."""
    return values.mean(axis=_leaving(values), keepdims=True)


def _leaving(values: np.ndarray) -> tuple[int, ...]:
    """All axes but that of the units in."""
    return tuple(axis for axis in range(values.ndim) if axis != values.ndim - 2)


def _ranks(scores: Arrays, by: str) -> Arrays:
    """How many weights are gone before each one, or before the last one of its unit is; integers.

    Of any number k of weights, those of rank below k are the ones that go.
    """
    _check(by)
    sites = sparsity.weights(scores)
    if bad := [site for site in sites if np.isnan(scores[site]).any()]:
        raise ValueError(f"{bad[0]} has scores that are NaN; take those that scores() gives")
    keys = [scores[s].max(axis=_leaving(scores[s]), keepdims=True) if by == "unit" else scores[s] for s in sites]
    sizes = np.concatenate([np.full(k.size, scores[s].size // k.size) for s, k in zip(sites, keys, strict=True)])
    order = np.argsort(np.concatenate([key.ravel() for key in keys]), kind="stable")
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.cumsum(sizes[order]) - 1
    parts = np.split(ranks, np.cumsum([key.size for key in keys])[:-1])
    shaped = zip(sites, keys, parts, strict=True)
    return {site: np.broadcast_to(part.reshape(key.shape), scores[site].shape) for site, key, part in shaped}


def _judge(model: Callable, data: Any, loc: Arrays, nets: list[Arrays]) -> Callable[[Arrays, int], tuple]:
    """``(ranks, cut) -> (error, low, high)`` of the means `loc`, and of `nets`, without what ranks below the cut."""
    import jax
    import jax.numpy as jnp

    pruned = _pruned(model)
    loc, *nets = jax.tree.map(jnp.asarray, [loc, *nets])
    x, y = np.asarray(data.x_test, np.float32), np.asarray(data.y_test)
    factor = data.y_scale if data.task == "regression" else 1.0
    some = np.linspace(0, len(x) - 1, min(len(x), BAND_ROWS)).round().astype(int)
    all_parts, some_parts = _chunks(x), _chunks(x[some])
    sent: list = [None, None]

    def judge(ranks: Arrays, cut: int) -> tuple[float, float, float]:
        if sent[0] is not ranks:
            sent[:] = ranks, {site: jnp.asarray(rank) for site, rank in ranks.items()}

        def run(net: Any, parts: list) -> list:
            return [pruned(net, sent[1], cut, part) for part in parts]

        means, others = (
            run(loc, all_parts),
            [run(net, some_parts) for net in nets],
        )  # all are sent before one is fetched
        f = np.concatenate(means)[: len(x)]
        error = factor * sparsity.error_of(f, y)
        if not others:
            return error, np.nan, np.nan
        found = [factor * sparsity.error_of(np.concatenate(other)[: len(some)], y[some]) for other in others]
        moved = np.quantile(found, BAND) + error - factor * sparsity.error_of(f[some], y[some])
        low, high = np.maximum(moved, 0)
        return error, float(low), float(high)

    return judge


@lru_cache(maxsize=32)
def _pruned(model: Callable) -> Callable:
    """``(values, ranks, cut, x) -> f`` with zeros for the weights of a rank below the cut, compiled."""
    import jax
    import jax.numpy as jnp

    function = sparsity.function(model)

    def pruned(values: dict, ranks: dict, cut: Any, x: Any) -> Any:
        left = {site: jnp.where(ranks[site] >= cut, v, 0) if site in ranks else v for site, v in values.items()}
        return function(left, x)

    return jax.jit(pruned)


def _chunks(x: np.ndarray) -> list:
    """Rows in parts of one size that fit into memory; the last one is filled up."""
    import jax.numpy as jnp

    most = max(1, min(sparsity.ROWS, sparsity.CELLS // x.shape[1]))
    size = -(-len(x) // -(-len(x) // most))
    return [jnp.asarray(x[np.arange(first, first + size) % len(x)]) for first in range(0, len(x), size)]


def _varies(nets: list[Arrays], loc: Arrays) -> bool:
    """Whether these draws are of the whole net, and not all the same."""
    return len(nets) > 1 and set(nets[0]) == set(loc) and any((nets[0][s] != n[s]).any() for n in nets[1:] for s in loc)


def _equal(ranks: Arrays, others: Arrays) -> bool:
    return all(np.array_equal(rank, others[site]) for site, rank in ranks.items())


def _size(arrays: Arrays) -> int:
    return sum(v.size for v in arrays.values())


def _fractions(fractions: Iterable[float]) -> list[float]:
    found = sorted({float(fraction) for fraction in fractions})
    if not found:
        raise ValueError("there are no fractions of the weights to remove; give some between 0 and 1")
    if not all(0 <= fraction <= 1 for fraction in found):
        bad = next((fraction for fraction in found if not 0 <= fraction <= 1), None)
        raise ValueError(f"fractions of the weights to remove lie between 0 and 1, got {bad}")
    return found


def _check(by: str) -> None:
    if by not in BY:
        raise unknown("thing to prune by", by, BY)


def _by_rule(curve: pd.DataFrame, of: Callable[[pd.DataFrame], float], name: str) -> pd.Series:
    parts = curve.groupby("rule", sort=False)
    return pd.Series({str(rule): of(part.sort_values("fraction")) for rule, part in parts}, name=name, dtype=float)
