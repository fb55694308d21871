"""The driver: one loop for every strategy, in either language.

A run is a warmup and then draws, both done in blocks of records.  A record is `thin` steps and what is known after
them: a draw, its stats, the mean of the steps' info.  An engine runs blocks (`engine` compiles them for JAX,
`pyro.engine` loops in torch); this file decides how many, tells the progress bar, checks for NaN and saves.  The random
key of a step is a function of (seed, chain, step), so a run that was interrupted and resumed equals one that was not.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..models.ppl import PPL, ppl
from .algorithm import Algorithm
from .checkpoint import Checkpoint
from .fit import Arrays, Fit
from .log import Log
from .progress import Progress, progress_bar

HISTORY = 100  # records of the warmup, where it is that long
PATIENCE = 0.5  # seconds between two updates of the progress bar, about
PER_CHAIN = ("draws", "stats", "history", "loc", "scale")  # of a fit: arrays (chain, ...) by name
Watch = Callable[[Arrays, Arrays], dict[str, float]]
Check = Callable[[str, int, dict[str, Arrays]], None]
NEVER = np.iinfo(np.int32).max


def fit(
    model: Callable,
    config: Any,
    x: Any,
    y: Any,
    *,
    seed: int = 0,
    progress: bool | Progress = True,
    checkpoint: str | Path | None = None,
    watch: Watch | None = None,
) -> Fit:
    """Run a strategy on a program.

    Parameters
    ----------
    model : a program ``model(x, y)``; it must take ``batch_size=`` too if the config asks for minibatches.
    config : settings of a strategy: `SVI`, `NUTS` or `SGLD`.
    x, y : the data, (rows, features) and (rows,); JAX arrays run in NumPyro, torch tensors in Pyro.
    seed : the run is a function of it.
    progress : show a bar; or a function ``(done, total, message)`` that is told instead.
    checkpoint : a file that holds the state as the run goes (JAX only); if it exists the run goes on from there, and
        gives what an uninterrupted run would have given.
    watch : called a hundred times while a guide of independent normals is fitted, with its means and standard
        deviations by site; what it returns, numbers by name, goes into the history.

    Raises ValueError if the strategy does not apply to the program or the data are bad, and FloatingPointError if the
    run diverges.  Ctrl-C while drawing gives the draws there are, and `Fit.stopped` says so; before that it is raised.
    """
    language = checked(config, x, y)
    return fit_checked(language, model, config, x, y, seed, progress, checkpoint, watch)


def checked(config: Any, x: Any, y: Any) -> str:
    """The name of the language that these data choose; raises ValueError or TypeError if they are bad."""
    p = ppl(x, y)
    _check_data(p, type(config).__name__.lower(), config, x, y)
    return p.name


def fit_checked(
    language: str,
    model: Callable,
    config: Any,
    x: Any,
    y: Any,
    seed: int,
    progress: bool | Progress = False,
    checkpoint: str | Path | None = None,
    watch: Watch | None = None,
) -> Fit:
    """`fit` to data whose arrays were looked at; in JAX `x` may be a pytree with a shape and rows, as `em.Given` is."""
    name = type(config).__name__.lower()
    algorithm, engines = _bound(language, config, model, x, y)
    if watch is not None and (algorithm.moments is None or algorithm.independent_chains or algorithm.approximation):
        raise ValueError(f"watch needs a guide of independent normals: svi with guide local or flipout, not {name}")
    saved = Checkpoint(checkpoint, language, config, seed, x, y) if checkpoint else None
    with progress_bar(name, progress) as tell:
        engine = engines.Engine(algorithm, seed, x, y)  # compiles, which takes a while
        records = _loop(algorithm, engine, name, tell, saved, watch)
    return _fit(config, language, algorithm, records)


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
    shapes = {(*x.shape, *y.shape) for x, y in zip(xs, ys, strict=True)}
    if len(shapes) != 1 or len(seeds) != len(xs):
        raise ValueError(f"fit_many needs data of one shape and a seed for each, got {len(shapes)} shapes of {len(xs)}")
    name = type(config).__name__.lower()
    for x, y in zip(xs, ys, strict=True):
        p = ppl(x, y)
        if p.name != "numpyro":
            raise ValueError("fit_many runs in NumPyro only; give it JAX arrays, or call fit for one after another")
        _check_data(p, name, config, x, y)
    algorithm, engines = _bound("numpyro", config, model, xs[0], ys[0])
    failed: dict[int, FloatingPointError] = {}

    def check(what: str, step: int, block: dict[str, Arrays]) -> None:
        for i in set(range(len(xs))) - set(failed):
            try:
                _check_finite(what, step, {part: _lanes(v, i, algorithm.chains) for part, v in block.items()})
            except FloatingPointError as error:
                failed[i] = error
        if len(failed) == len(xs):
            raise failed[0]

    with progress_bar(name, progress) as tell:
        engine = engines.Engine.of_many(algorithm, seeds, list(zip(xs, ys, strict=True)))
        try:
            records = _loop(algorithm, engine, name, tell, None, None, check)
        except FloatingPointError:
            return [failed[i] for i in range(len(xs))]
    records["seconds"] = {k: v / len(xs) for k, v in records["seconds"].items()}
    return [failed.get(i) or _fit(config, "numpyro", algorithm, _own(records, i, algorithm)) for i in range(len(xs))]


def _own(records: dict[str, Any], i: int, algorithm: Algorithm) -> dict[str, Any]:
    """The records of data set number `i`."""
    return {k: _lanes(v, i, algorithm.chains) if k in PER_CHAIN else v for k, v in records.items()}


def _lanes(arrays: Arrays, i: int, chains: int) -> Arrays:
    return {name: values[i * chains : (i + 1) * chains] for name, values in arrays.items()}


def _bound(language: str, config: Any, model: Callable, x: Any, y: Any) -> tuple[Algorithm, Any]:
    """The strategy of a config bound to a program, and the module of its engine."""
    package = ".pyro." if language == "pyro" else "."
    name = type(config).__name__.lower()
    strategy, target, engines = (import_module(package + part, __package__) for part in (name, "target", "engine"))
    model = _for_shapes(model, tuple(x.shape), tuple(y.shape), _stamp(getattr(config, "start", None)))
    return strategy.algorithm(config, model, target.sites(model, x, y)), engines


@lru_cache(maxsize=32)
def _for_shapes(model: Callable, x: tuple[int, ...], y: tuple[int, ...], start: Any = None) -> Callable:
    """The program as one of its own for data of these shapes and this state of the file that it starts from, for a
    strategy keeps what it saw first."""
    return wraps(model)(lambda *args, **kwargs: model(*args, **kwargs))


def _stamp(path: str | None) -> tuple[int, int] | None:
    """What tells one content of a file from another, if it is there."""
    if path is None or not Path(path).is_file():
        return None
    about = Path(path).stat()
    return about.st_mtime_ns, about.st_size


def _fit(config: Any, language: str, algorithm: Algorithm, records: dict[str, Any]) -> Fit:
    return Fit(
        strategy=type(config).__name__.lower(),
        settings=asdict(config),
        ppl=language,
        independent_chains=algorithm.independent_chains,
        approximation=algorithm.approximation,
        **records,
    )


def _check_data(p: PPL, name: str, config: Any, x: Any, y: Any) -> None:
    if x.shape[0] == 0:
        raise ValueError("the data have no rows")
    for what, array in (("x", x), ("y", y)):
        if not p.xp.all(p.xp.isfinite(array)):
            raise ValueError(f"{what} holds NaN or infinite values; clean or impute them first")
    size = getattr(config, "batch_size", None)
    if size is not None and size > x.shape[0]:
        raise ValueError(f"{name}: batch_size {size} is more than the {x.shape[0]} rows")


def _loop(
    algorithm: Algorithm,
    engine: Any,
    what: str,
    tell: Progress,
    saved: Checkpoint | None,
    watch: Watch | None,
    check: Check | None = None,
) -> dict[str, Any]:
    """Warmup, `ready`, draws, in blocks that take about PATIENCE seconds each; returns the rest of a `Fit`.

    `check` raises if a block is not finite; by default `_check_finite`.
    """
    warm_thin = max(algorithm.warmup // HISTORY, 1)
    plan = {"warmup": (-(-algorithm.warmup // warm_thin), warm_thin), "draws": (algorithm.draws, algorithm.thin)}
    total = sum(records for records, _ in plan.values())
    seconds = {"warmup": 0.0, "draws": 0.0}
    log, stopped = Log(), ""
    if saved is not None and saved.path.exists():
        engine.state, log = saved.load(engine.state)
    try:
        for phase, (records, thin) in plan.items():
            last, count = (algorithm.warmup if phase == "warmup" else NEVER), 1
            while (done := log.done[phase]) < records:
                at = time.perf_counter()
                if phase == "draws" and done == 0:
                    engine.ready(log.step)
                count = 1 if watch is not None and phase == "warmup" else min(count, records - done, engine.records)
                block = engine.block(log.step, done, count, thin, last)
                took = time.perf_counter() - at
                if watch is not None and phase == "warmup":
                    block["info"].update(_watched(watch, *engine.moments()))
                (check or _check_finite)(what, log.step, block)
                log.add(phase, block, count, min(log.step + count * thin, last))
                seconds[phase] += took
                tell(sum(log.done.values()), total, log.message(phase))
                count = max(1, int(count * np.clip(PATIENCE / max(took, 1e-9), 0.25, 4.0)))
                if saved is not None:
                    saved.save(engine.state, log)
    except KeyboardInterrupt:
        if not log.done["draws"]:
            raise
        stopped = f"interrupted after {log.done['draws']} of {algorithm.draws} draws"
    finally:
        if saved is not None and log.step:
            saved.save(engine.state, log, now=True)
    seconds = {"compile": engine.compile_seconds, "adapt": seconds["warmup"], "sample": seconds["draws"]}
    recorded = {"draws": log.joined("sites"), "stats": log.joined("stats"), "history": log.joined("info")}
    loc, scale = engine.moments()
    return {**recorded, "loc": loc, "scale": scale, "seconds": seconds, "stopped": stopped}


def _watched(watch: Watch, loc: Arrays, scale: Arrays) -> Arrays:
    """What `watch` says of each chain, as one record (chain, 1) by name."""
    chains = range(len(next(iter(loc.values()))))
    said = [watch(*({k: v[chain] for k, v in part.items()} for part in (loc, scale))) for chain in chains]
    return {name: np.array([[row[name]] for row in said], dtype=float) for name in said[0]}


def _check_finite(what: str, step: int, block: dict[str, Arrays]) -> None:
    """Raise FloatingPointError if anything in a block is NaN, or a draw is infinite."""
    bad = [k for k, v in block["info"].items() if np.isnan(v).any()]
    bad += [k for k, v in block["finite"].items() if not v.all()]
    if bad:
        raise FloatingPointError(
            f"{what} stopped soon after step {step}: {bad[0]} is no longer finite; a smaller lr or step_size may help"
        )
