"""The jobs of a sweep: cells that differ in their split alone are fitted at once; others are jobs of one.

A job says all that a worker needs to know, and its results go back to whoever asked, so that workers share no files.
Nothing slow is imported before a worker has been set up (see `worker`).
"""

import os
import signal
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

import numpy as np

from .store import DONE, FAILED, Cell, claim

TOGETHER = 20  # splits of a job, at most
SCORES = (
    *("rmse", "mae", "mae_samples", "mlpd", "accuracy", "calibration"),
    *("rhat_f", "ess_bulk_f", "divergences", "elbo"),
)
CLAIMED: list[Any] = []  # the lock of this process's device, kept open
ALONE = Lock()  # NumPyro's handlers are not made for two threads of one process, which a Dask worker may have


class Job(NamedTuple):
    """Cells of one model, strategy, data set and seed.

    `model` has the settings of the model, `options` those of the `strategy` for these data; `data` is the data set's
    name or its file's path, `reading` how it is read, and `rows` are those of a training set; `x64` asks for double
    precision.  All of it is plain: whatever unpickles a job does not import JAX.
    """

    cells: tuple[Cell, ...]
    model: dict[str, Any]
    strategy: str
    options: dict[str, Any]
    data: str
    reading: dict[str, Any]
    rows: int
    ppl: str
    x64: bool

    @property
    def size(self) -> float:
        """About how long it takes: rows times steps."""
        steps = self.options.get("steps") or self.options["warmup"] + self.options["draws"] * self.options.get(
            "thin", 1
        )
        return len(self.cells) * (self.options.get("batch_size") or self.rows) * steps


class Result(NamedTuple):
    """What became of a cell, as its file holds it, and the traceback if it failed."""

    cell: Cell
    facts: dict[str, Any]
    error: str = ""


def grouped(cells: Iterable[Cell]) -> list[tuple[Cell, ...]]:
    """Cells that differ in their split alone, `TOGETHER` at most."""
    groups: dict[Cell, list[Cell]] = {}
    for cell in sorted(cells):
        groups.setdefault(cell._replace(split=0), []).append(cell)
    return [tuple(group[i : i + TOGETHER]) for group in groups.values() for i in range(0, len(group), TOGETHER)]


def worker(job: Job, devices: str | None) -> list[Result]:
    """Run a job in a process of its own, which has one thread, or one device where there are any.

    `devices` is a folder with a lock for each device of this machine.
    """
    one_thread()
    if devices and not CLAIMED:
        claim_device(Path(devices))
    return run(job)


def follow(parent: int) -> None:
    """Leave Ctrl-C to the process that hands out the jobs, and end with it, however it ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=watch, daemon=True).start()


def one_thread() -> None:
    """One thread for this process: for XLA, which reads this once when JAX first computes, and for our own threads."""
    os.environ["NPROC"] = "1"
    flag = "--xla_cpu_multi_thread_eigen=false"
    if flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def claim_device(folder: Path) -> str:
    """Take a device that no other process has, and hide the others from JAX; the claim ends with the process.

    Raises RuntimeError if all are taken.
    """
    for path in sorted(folder.glob("*.lock")):
        file = open(path, "w")  # noqa: SIM115  it stays open as long as the process lives
        if claim(file):
            CLAIMED.append(file)
            os.environ["CUDA_VISIBLE_DEVICES"] = path.stem
            return path.stem
        file.close()
    raise RuntimeError(f"all devices in {folder} are taken; run with --jobs of no more than there are devices")


def run(job: Job) -> list[Result]:
    """Fit and score the cells of a job; one that fails has its reason, and the others go on."""
    from ..driver.compilation_cache import persistent_cache
    from ..target.precision import in_double

    began = time.perf_counter()
    try:
        persistent_cache()
        with ALONE, in_double(job.ppl, job.x64):
            return _run(job)
    except Exception as error:  # whatever it is, the other jobs go on
        return failed(job, error, time.perf_counter() - began)


def failed(job: Job, error: Exception, seconds: float = 0.0) -> list[Result]:
    """What becomes of the cells of a job that ended with an error."""
    return [_failed(cell, error, seconds / len(job.cells)) for cell in job.cells]


def _run(job: Job) -> list[Result]:
    from ... import data as datasets
    from ..driver.fit_many import fit_many
    from ..judging.datatree import arrays

    sets, results = {}, []
    for cell in job.cells:
        try:
            sets[cell] = datasets.load(job.data, split=cell.split, **job.reading)
        except ValueError as error:  # such as a target that is constant in the training rows of this split
            results.append(_failed(cell, error, 0.0))
    if not sets:
        return results
    first = next(iter(sets.values()))
    model = program(tuple(job.model.items()), first.task, len(first.classes))
    from ..strategies.parse import config as make_config

    config = make_config(job.strategy, job.options)
    shapes: dict[Any, list[Cell]] = {}
    for cell, data in sets.items():
        shapes.setdefault(data.x_train.shape, []).append(cell)
    for cells in shapes.values():
        pairs = [arrays(job.ppl, sets[cell].x_train, sets[cell].y_train) for cell in cells]
        if job.ppl == "numpyro":
            xs, ys = zip(*pairs, strict=True)
            fits = fit_many(model, config, xs, ys, [cell.seed for cell in cells], progress=False)
        else:
            fits = [_alone(model, config, pair, cell.seed) for cell, pair in zip(cells, pairs, strict=True)]
        results += [_scored(cell, model, sets[cell], fit) for cell, fit in zip(cells, fits, strict=True)]
    return sorted(results)


def _alone(model: Any, config: Any, data: list[Any], seed: int) -> Any:
    """A fit, or the error it ended with."""
    from ..driver.fit import fit

    try:
        return fit(model, config, *data, seed=seed, progress=False)
    except Exception as error:  # the next split may well do
        return error


def program(settings: tuple[tuple[str, Any], ...], task: str, classes: int) -> Any:
    """The model of these settings, always the same one, so that nothing is compiled twice."""
    from ...models import catalogue
    from .plan import parts

    by_name = dict(settings)
    prior, network = parts(by_name)
    return catalogue.model(prior, network, task, classes, by_name["precision"])


def _scored(cell: Cell, model: Any, data: Any, fit: Any) -> Result:
    """The result of a cell from its fit, or from the error it ended with."""
    began = time.perf_counter()
    try:
        if isinstance(fit, Exception):
            raise fit
        if fit.stopped:
            raise KeyboardInterrupt
        scores = score(fit, model, data, cell.seed)
        return Result(cell, _facts(cell, DONE, _doubts(fit, scores), sum(fit.seconds.values()), scores))
    except Exception as error:
        return _failed(cell, error, time.perf_counter() - began)


def _doubts(fit: Any, scores: dict[str, float]) -> str:
    """What is wrong with the chains of a fit, as the verdict of `compare` has it: words and reasons, "" for nothing."""
    from ..judging.verdict import chain_problems

    if not fit.independent_chains:
        return ""
    chains, draws = next(iter(fit.draws.values())).shape[:2]
    return "; ".join(f"{word}: {reason}" for word, reason in chain_problems(scores, chains, chains * draws))


def _failed(cell: Cell, error: Exception, seconds: float) -> Result:
    from ...errors import sentence

    trace = "".join(traceback.format_exception(error))
    return Result(cell, _facts(cell, FAILED, sentence(error), seconds, {}), trace)


def _facts(cell: Cell, status: str, reason: str, seconds: float, scores: dict[str, float]) -> dict[str, Any]:
    return {"cell": cell._asdict(), "status": status, "reason": reason, "seconds": seconds, "scores": scores}


def score(fit: Any, model: Any, data: Any, seed: int) -> dict[str, float]:
    """The numbers of a fit at the test rows, in the target's own units; see `SCORES` in docs/sweeps.md.

    The predictive draws are those that `compare` makes with this seed.
    """
    from ..driver import result
    from ..judging import accuracy, convergence
    from ..judging.datatree import arrays
    from ..judging.predict import predict

    x, y = arrays(fit.ppl, data.x_test, data.y_test)
    test = predict(model, fit.draws, x, y, seed + 1)
    assert test.log_lik is not None  # it was given y
    regression = data.task == "regression"
    f = data.original(test.f) if regression else test.f
    log_lik = _samples(test.log_lik - (np.log(data.y_scale) if regression else 0.0))
    if regression:
        target = data.original(data.y_test)
        scores = accuracy.regression(target, _samples(f), _samples(data.original(test.y)), log_lik)
        scores["mae_samples"] = float(np.mean(np.abs(_samples(f) - target)))
    else:
        scores = accuracy.classification(data.y_test, _samples(f), log_lik)
    if fit.independent_chains:
        scores |= convergence.mixing(convergence.flat(f))
    if "diverging" in fit.stats:
        scores["divergences"] = float(fit.stats["diverging"].sum())
    if {"log_lik", "kl"} <= set(fit.history) and _proper(fit, model, x, y):
        scores["elbo"] = result.last_elbo(fit.history["log_lik"], fit.history["kl"])
    return {name: scores[name] for name in SCORES if name in scores}


def _proper(fit: Any, model: Any, x: Any, y: Any) -> bool:
    """Whether there is a prior that the divergence of a guide is from."""
    from ..target.sites import sites_of

    return sites_of(model, x, y).improper == ""


def _samples(values: np.ndarray) -> np.ndarray:
    """(chain, draw, row, ...) as (sample, row, ...)."""
    return values.reshape(-1, *values.shape[2:])
