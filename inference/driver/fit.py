"""The driver: one loop for every strategy, in either language.

`fit` checks the data, binds the strategy to the program, and has `loop` run it in an engine: `engine` compiles blocks
for JAX, `pyro.engine` loops in torch.
"""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import check_seed
from ...models.ppl import PPL, ppl
from ...models.ppl.compiled import keep
from .. import strategies
from ..strategies.algorithm import Algorithm
from ..strategies.parse import settings
from ..target.memory import check_memory
from ..target.precision import precision, widened
from ..target.support import check_support
from .checkpoint import Checkpoint, identity
from .loop import Watch, run_loop
from .progress import Progress, progress_bar, warn_if_long
from .result import Fit


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
    x, y : the data, (rows, features) and (rows,); JAX arrays run in NumPyro, torch tensors in Pyro, and both in double
        precision where that is the language's default (see `target.precision`).
    seed : the run is a function of it.
    progress : show a bar; or a function ``(done, total, message)`` to call instead.
    checkpoint : a file that holds the state as the run goes (JAX only); if it exists the run goes on from there, and
        gives what an uninterrupted run would have given.  A file of another program, other settings, data, seed or
        versions is refused.
    watch : called a hundred times while a guide of independent normals is fitted, with its means and standard
        deviations by site; what it returns, numbers by name, goes into the history.

    Raises ValueError if the strategy does not apply to the program, its draws do not fit into memory or the data or the
    seed are bad, and FloatingPointError if the run diverges.  Ctrl-C while drawing gives the draws there are, and
    `Fit.stopped` says so; before that it is raised.
    """
    language = checked(config, x, y)
    x, y = widened(x, y)
    check_seed(seed)
    return fit_checked(language, model, config, x, y, seed, progress, checkpoint, watch)


def checked(config: Any, x: Any, y: Any) -> str:
    """The name of the language that these data choose; raises ValueError or TypeError if they are bad."""
    p = ppl(x, y)
    check_data(p, config, x, y)
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
    """`fit` to checked data; in JAX `x` may be a pytree with a shape and rows, as `type_ii.Given` is."""
    algorithm, engine_class = bind(language, config, model, x, y)
    if watch is not None and (algorithm.moments is None or algorithm.independent_chains or algorithm.approximation):
        raise ValueError(
            f"watch needs a guide of independent normals: svi with guide local or flipout, not {config.name}"
        )
    saved = _checkpoint(checkpoint, language, algorithm, config, seed, x, y) if checkpoint else None
    with progress_bar(config.name, progress) as bar:
        report_progress = warn_if_long(bar, config, x.shape[0])
        engine = engine_class(algorithm, seed, x, y)  # compiles, which takes a while
        records = run_loop(algorithm, engine, config.name, report_progress, saved, watch)
    return as_fit(config, language, algorithm, records)


def _checkpoint(path: str | Path, language: str, algorithm: Algorithm, config: Any, seed: int, x: Any, y: Any) -> Any:
    """The checkpoint of a run; raises ValueError for a language that has none."""
    if language != "numpyro":
        raise ValueError("checkpoints hold the state of JAX strategies only; run without checkpoint= under Pyro")
    from .engine import fingerprint

    return Checkpoint(path, identity(fingerprint(algorithm, x, y), config, seed, x, y))


def bind(language: str, config: Any, model: Callable, x: Any, y: Any) -> tuple[Algorithm, Any]:
    """The strategy of a config bound to a program, and the class of its engine.

    What is bound is kept for data of these shapes and types, and for this content of the file that it starts from.
    """
    density = import_module(f"..target.{language}.density", __package__)
    engine = import_module(".pyro.engine" if language == "pyro" else ".engine", __package__)
    arrays = [(tuple(a.shape), str(getattr(a, "dtype", ""))) for a in (x, y)]
    owner = (model, config, language, precision(language), *arrays, _stamp(_start(config)))

    def bound() -> tuple[Algorithm, Any]:
        program = wraps(model)(lambda *args, **kwargs: model(*args, **kwargs))  # a strategy keeps what it saw first
        sites = density.sites(program, x, y)
        check_support(sites.support, y)
        check_memory(config, sites, language)
        algorithm = strategies.implementation(config, language)(config, program, sites)
        if algorithm.refuse is not None:
            algorithm.refuse(x, y)
        rows = getattr(config, "batch_size", None) or x.shape[0]
        return algorithm._replace(owner=owner, work=sites.size * rows), sites.support

    algorithm, support = keep(owner, "algorithm", bound)
    check_support(support, y)
    return algorithm, engine.Engine


def _start(config: Any) -> str | None:
    """The file of the fit that a strategy starts from, if it does."""
    return getattr(config, "start", None) or getattr(getattr(config, "guide", None), "start", None)


def _stamp(path: str | None) -> tuple[int, int] | None:
    """What tells one content of a file from another, if it is there."""
    if path is None or not Path(path).is_file():
        return None
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size


def as_fit(config: Any, language: str, algorithm: Algorithm, records: dict[str, Any]) -> Fit:
    """The result of a run from what its loop recorded."""
    return Fit(
        strategy=config.name,
        settings=settings(config),
        ppl=language,
        independent_chains=algorithm.independent_chains,
        approximation=algorithm.approximation,
        **records,
    )


def check_data(p: PPL, config: Any, x: Any, y: Any) -> None:
    """Raise ValueError for data without rows, that are not finite, or are fewer than a minibatch."""
    if x.shape[0] == 0:
        raise ValueError("the data have no rows")
    for name, array in (("x", x), ("y", y)):
        if not p.xp.all(p.xp.isfinite(array)):
            raise ValueError(f"{name} holds NaN or infinite values; clean or impute them first")
    check_config(config, x.shape[0])


def check_config(config: Any, rows: int) -> None:
    """Raise ValueError if a minibatch is more than all rows, or a guide's divergence never has its whole weight."""
    guide, steps = getattr(config, "guide", None), getattr(config, "steps", 0)
    if (ramp := getattr(guide, "pretrain", 0) + getattr(guide, "kl_warmup", 0)) > steps:
        raise ValueError(
            f"svi: pretrain and kl_warmup take {ramp} of {steps} steps, so that the divergence never has its whole "
            "weight; take more steps, or fewer of these"
        )
    size = getattr(config, "batch_size", None)
    if size is not None and size > rows:
        raise ValueError(f"{config.name}: batch_size {size} is more than the {rows} rows")
