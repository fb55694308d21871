"""The test error along the way as weights are pruned, and what a curve says in short."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...models.ppl.compiled import kept
from ..driver.progress import Progress, progress_bar
from ..target.numpyro.evaluation import function_of_weights
from ..target.sites import Arrays
from . import evaluation
from .scores import (
    RULES,
    checked_fractions,
    chosen_chain,
    has,
    posterior_of,
    rank_weights,
    scores_of,
    some_draws,
    total_size,
)

FRACTIONS = (*np.arange(37) / 40, *np.arange(91, 101) / 100)  # finer where most is gone
DRAWS, BAND_ROWS = 20, 1000  # of the band: draws, and test rows at most
BAND = (0.05, 0.95)
WITHIN = 1e-9  # beyond a limit that is met up to rounding
AT = (0.0, 0.5, 0.8, 0.9, 0.95)  # fractions whose error a summary tells


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
    progress : show a bar; or a function ``(done, total, message)`` to call instead.

    Returns columns ``rule``, ``fraction``, ``removed`` (weights), ``error`` of the mean weights without the removed
    ones (%, or RMSE in the target's units, as ``unit`` says), and ``low`` and ``high``: the 5% and 95% quantiles of the
    error of posterior draws without the same weights, NaN where draws are missing or all the same.  The band looks at
    1000 test rows at most, evenly spaced, and is moved by what the error of the mean weights differs on them.

    Raises ValueError as `scores` and `masks_at` do, and if the fit is one of another program.
    """
    posterior = posterior_of(tree, chain)
    names = [rule for rule in RULES if has(posterior, RULES[rule].needs)] if rules is None else list(rules)
    if not names:
        raise ValueError(f"there is no rule to prune by; name some of {', '.join(RULES)}")
    fractions = checked_fractions(FRACTIONS if fractions is None else fractions)
    ranks = {rule: rank_weights(scores_of(posterior, rule, by, seed), by) for rule in names}
    evaluation.outputs(model, posterior.loc, data.x_test[:1])  # says what does not go together
    nets = [] if isinstance(tree, (tuple, list)) or draws < 1 else some_draws(tree, draws, chosen_chain(tree, chain))
    judge, done = _judge(model, data, posterior.loc, nets if _varies(nets, posterior.loc) else []), []
    cuts, rows = [round(fraction * total_size(ranks[names[0]])) for fraction in fractions], []
    with progress_bar("prune", progress) as report_progress:
        for i, (rule, order) in enumerate(ranks.items()):
            errors = next((e for other, e in done if _equal(order, other)), None)  # log_alpha goes as snr does
            if errors is None:
                errors = []
                for cut in cuts:
                    errors.append(judge(order, cut))
                    report_progress(i * len(cuts) + len(errors), len(ranks) * len(cuts), rule)
                done.append((order, errors))
            report_progress((i + 1) * len(cuts), len(ranks) * len(cuts), rule)
            removed = [sum(np.count_nonzero(rank < cut) for rank in order.values()) for cut in cuts]
            rows += [(rule, *row) for row in zip(fractions, removed, *zip(*errors, strict=True), strict=True)]
    table = pd.DataFrame(rows, columns=["rule", "fraction", "removed", "error", "low", "high"])
    return table.assign(unit="RMSE" if data.task == "regression" else "%")


def area(curve: pd.DataFrame) -> pd.Series:
    """The mean error over all fractions of a `curve`, by rule: the area under it (trapezoids) over its width."""

    def mean(part: pd.DataFrame) -> float:
        x, error = part["fraction"].to_numpy(), part["error"].to_numpy()
        return float(np.sum(np.diff(x) * (error[1:] + error[:-1]) / 2) / (x[-1] - x[0])) if len(x) > 1 else np.nan

    return _by_rule(curve, mean, "area")


def removable(curve: pd.DataFrame, within: float = 1.0) -> pd.Series:
    """The largest fraction of a `curve` up to which no error is `within` above the unpruned one, by rule.

    For classes `within` is in percentage points (from 1.5% up to 2.5%), for a regression in percent of the unpruned
    RMSE.  Raises ValueError if a rule's curve does not begin at fraction 0 with a finite error, or for a negative
    `within`.
    """
    if not within >= 0:
        raise ValueError(f"within, how much above the unpruned error, must not be negative, got {within}")

    def largest_fraction(part: pd.DataFrame) -> float:
        x, error = part["fraction"].to_numpy(), part["error"].to_numpy()
        if x[0] != 0:
            raise ValueError(f"the curve begins at fraction {x[0]:g}; give it one that begins at 0, the unpruned net")
        if not np.isfinite(error[0]):
            raise ValueError("the unpruned net has no finite error; fit it again")
        limit = error[0] + within if set(part["unit"]) == {"%"} else error[0] * (1 + within / 100)
        too_high = np.flatnonzero(~(error <= limit + WITHIN))
        return float(x[too_high[0] - 1] if len(too_high) else x[-1])

    return _by_rule(curve, largest_fraction, "removable")


def summary(curve: pd.DataFrame) -> pd.DataFrame:
    """A `curve` in one row for each rule: `area`, `removable`, and the error at 0%, 50%, 80%, 90% and 95% removed.

    An error is NaN if the curve has not that fraction.
    """
    errors = curve.pivot_table(index="rule", columns="fraction", values="error", sort=False).reindex(columns=list(AT))
    errors.columns = [f"{fraction:.0%}" for fraction in AT]
    return pd.concat([area(curve), removable(curve), errors], axis=1).rename_axis("rule")


def _judge(model: Callable, data: Any, loc: Arrays, nets: list[Arrays]) -> Callable[[Arrays, int], tuple]:
    """``(ranks, cut) -> (error, low, high)`` of the means `loc`, and of `nets`, without what ranks below the cut."""
    import jax
    import jax.numpy as jnp

    pruned = _pruned(model)
    loc, *nets = jax.tree.map(jnp.asarray, [loc, *nets])
    x, y = np.asarray(data.x_test, np.float32), np.asarray(data.y_test)
    factor = data.y_scale if data.task == "regression" else 1.0
    sample = np.linspace(0, len(x) - 1, min(len(x), BAND_ROWS)).round().astype(int)
    all_parts, some_parts = _chunks(x), _chunks(x[sample])
    on_device: list = [None, None]

    def judge(ranks: Arrays, cut: int) -> tuple[float, float, float]:
        if on_device[0] is not ranks:
            on_device[:] = ranks, {site: jnp.asarray(rank) for site, rank in ranks.items()}

        def run(net: Any, parts: list) -> list:
            return [pruned(net, on_device[1], cut, part) for part in parts]

        means, draws = run(loc, all_parts), [run(net, some_parts) for net in nets]  # all are sent before one is fetched
        f = np.concatenate(means)[: len(x)]
        error = factor * evaluation.error_of(f, y)
        if not draws:
            return error, np.nan, np.nan
        errors = [factor * evaluation.error_of(np.concatenate(draw)[: len(sample)], y[sample]) for draw in draws]
        band = np.quantile(errors, BAND) + error - factor * evaluation.error_of(f[sample], y[sample])
        low, high = np.maximum(band, 0)
        return error, float(low), float(high)

    return judge


@kept
def _pruned(model: Callable) -> Callable:
    """``(values, ranks, cut, x) -> f`` with zeros for the weights of a rank below the cut, compiled."""
    import jax
    import jax.numpy as jnp

    function = function_of_weights(model)

    def pruned(values: dict, ranks: dict, cut: Any, x: Any) -> Any:
        remaining = {site: jnp.where(ranks[site] >= cut, v, 0) if site in ranks else v for site, v in values.items()}
        return function(remaining, x)

    return jax.jit(pruned)


def _chunks(x: np.ndarray) -> list:
    """Rows in parts of one size that fit into memory; the last one is filled up."""
    import jax.numpy as jnp

    most = max(1, min(evaluation.ROWS, evaluation.CELLS // x.shape[1]))
    size = -(-len(x) // -(-len(x) // most))
    return [jnp.asarray(x[np.arange(first, first + size) % len(x)]) for first in range(0, len(x), size)]


def _varies(nets: list[Arrays], loc: Arrays) -> bool:
    """Whether these draws are of the whole net, and not all the same."""
    return len(nets) > 1 and set(nets[0]) == set(loc) and any((nets[0][s] != n[s]).any() for n in nets[1:] for s in loc)


def _equal(ranks: Arrays, others: Arrays) -> bool:
    return all(np.array_equal(rank, others[site]) for site, rank in ranks.items())


def _by_rule(curve: pd.DataFrame, of: Callable[[pd.DataFrame], float], name: str) -> pd.Series:
    parts = curve.groupby("rule", sort=False)
    return pd.Series({str(rule): of(part.sort_values("fraction")) for rule, part in parts}, name=name, dtype=float)
