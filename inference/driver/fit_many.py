"""One program fitted to several data sets of one shape at once, such as the splits of a table."""

from collections.abc import Callable, Sequence
from typing import Any

from ...models.ppl import ppl
from ..strategies.algorithm import Algorithm
from ..target.precision import widened
from ..target.sites import Arrays
from .fit import as_fit, bind, check_data
from .loop import check_finite, run_loop
from .progress import progress_bar
from .result import Fit

# Of a fit: arrays (chain, ...) by name.
PER_CHAIN = ("draws", "stats", "history", "loc", "scale", "optimisation", "half")


def fit_many(
    model: Callable, config: Any, xs: Sequence[Any], ys: Sequence[Any], seeds: Sequence[int], progress: bool = True
) -> list[Fit | FloatingPointError]:
    """Run a strategy on one program and several data sets of one shape, such as the splits of a table, all at once.

    Parameters
    ----------
    xs, ys : JAX arrays (rows, features) and (rows,), of each data set.
    seeds : of each data set; its fit depends on that, not on the others or on its place among them, up to rounding.

    A data set whose run diverges has the error that `fit` would raise in its place, and the others go on.  The seconds
    of a fit are its share of the time of all.  Ctrl-C and errors of the program or the data are as in `fit`.
    """
    xs, ys = ([widened(a)[0] for a in arrays] for arrays in (xs, ys))
    shapes = {(*x.shape, *y.shape) for x, y in zip(xs, ys, strict=True)}
    if len(shapes) != 1 or len(seeds) != len(xs):
        raise ValueError(f"fit_many needs data of one shape and a seed for each, got {len(shapes)} shapes of {len(xs)}")
    for x, y in zip(xs, ys, strict=True):
        p = ppl(x, y)
        if p.name != "numpyro":
            raise ValueError("fit_many runs in NumPyro only; give it JAX arrays, or call fit for one after another")
        check_data(p, config, x, y)
    algorithm, engine_class = [bind("numpyro", config, model, x, y) for x, y in zip(xs, ys, strict=True)][0]
    failed: dict[int, FloatingPointError] = {}

    def check(strategy: str, step: int, block: dict[str, Arrays]) -> None:
        for i in set(range(len(xs))) - set(failed):
            try:
                check_finite(strategy, step, {part: _lanes(v, i, algorithm.chains) for part, v in block.items()})
            except FloatingPointError as error:
                failed[i] = error
        if len(failed) == len(xs):
            raise failed[0]

    with progress_bar(config.name, progress) as report_progress:
        engine = engine_class.of_many(algorithm, seeds, list(zip(xs, ys, strict=True)))
        try:
            records = run_loop(algorithm, engine, config.name, report_progress, None, None, check)
        except FloatingPointError:
            return [failed[i] for i in range(len(xs))]
    records["seconds"] = {k: v / len(xs) for k, v in records["seconds"].items()}
    return [failed.get(i) or as_fit(config, "numpyro", algorithm, _own(records, i, algorithm)) for i in range(len(xs))]


def _own(records: dict[str, Any], i: int, algorithm: Algorithm) -> dict[str, Any]:
    """The records of data set number `i`."""
    return {k: _lanes(v, i, algorithm.chains) if k in PER_CHAIN else v for k, v in records.items()}


def _lanes(arrays: Arrays, i: int, chains: int) -> Arrays:
    """The chains of data set number `i`."""
    return {name: values[i * chains : (i + 1) * chains] for name, values in arrays.items()}
