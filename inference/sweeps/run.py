"""Every model x strategy x data set x split x seed of a file, on all cores or on a cluster, one file per finished cell.

The process that was started plans, hands out jobs and writes what comes back; a job is computed in it, in processes of
this machine, or on a Dask cluster.  Whatever ends it, the same command goes on with the cells that are missing.
"""

import importlib.util
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..driver.progress import progress_bar
from ..strategies.parse import settings
from . import plan as plans
from . import store, worker
from .plan import Sweep
from .store import DONE, FAILED, Cell
from .toml import place
from .worker import Job, Result

PATIENCE = 5  # seconds until a scheduler must have answered
Results = Generator[list[Result], None, None]
INSTALL = "a cluster needs Dask: pip install 'noisezoo[cluster]'"


@dataclass(frozen=True)
class Plan:
    """A sweep that is ready to run: its folder, the files of its cells, those that are finished, and what is left.

    `lock` is a file that keeps other processes out of the folder as long as it is open; `changed` says which files
    count as missing, for they are not what was written.
    """

    folder: Path
    keys: dict[Cell, str]
    done: dict[Cell, dict[str, Any]]
    jobs: list[Job]
    lock: Any
    changed: str


def prepare(file: str | Path, out: str | Path | None = None, retry: bool = False, cluster: str | None = None) -> Plan:
    """Read a sweep's file, check all there is to check before anything is computed, and make or find its folder.

    Cells that failed are left alone, unless `retry`.  A `cluster` needs Dask, and must answer.  Raises ValueError,
    TypeError, ImportError or OSError, each of one sentence.
    """
    from ..provenance import versions

    if cluster and importlib.util.find_spec("distributed") is None:
        raise ImportError(INSTALL)
    sweep = plans.read(file)
    rows = _checked(sweep)
    if cluster:
        _client(cluster).close()
    folder = Path(out or Path("runs") / Path(file).stem)
    facts = sweep.facts()
    lock = store.create(folder, facts, {"file": str(file), "text": sweep.text, "versions": versions()})
    keys = store.keys(facts)
    try:
        done = store.finished(folder, keys)
    except BaseException:
        lock.close()
        raise
    changed = store.changed(folder, keys, done)
    if retry:
        done = {cell: result for cell, result in done.items() if result["status"] != FAILED}
    groups = worker.grouped(cell for cell in sweep.cells if cell not in done)
    jobs = [_job(sweep, group, rows[group[0].data]) for group in groups]
    return Plan(folder, keys, done, sorted(jobs, key=lambda job: -job.size), lock, changed)


def _checked(sweep: Sweep) -> dict[str, int]:
    """The number of training rows of each data set; raises for data and models that do not go together."""
    from ... import data as datasets

    last: dict[str, int] = {}
    for cell in sweep.cells:
        last[cell.data] = max(cell.split, last.get(cell.data, 0))
    rows = {}
    for name, split in last.items():
        with place(f"[data.{name}]") if name in sweep.data else nullcontext():
            data = datasets.load(sweep.located(name), split=split, **sweep.reading(name))
        rows[name] = len(data.x_train)
        for model in sorted({cell.model for cell in sweep.cells if cell.data == name}):
            with place(f"[models.{model}] on {name}"):
                worker.program(_settings(sweep, model), data.task, len(data.classes))
        for strategy in sorted({cell.strategy for cell in sweep.cells if cell.data == name}):
            size = getattr(sweep.strategies[strategy].config, "batch_size", None)
            if size and size > rows[name]:
                raise ValueError(f"[strategies] {strategy}: batch_size {size} is more than the {rows[name]} of {name}")
    return rows


def _settings(sweep: Sweep, model: str) -> tuple[tuple[str, Any], ...]:
    settings = sweep.models[model]
    return tuple((settings | {"prior": sweep.located(settings["prior"])}).items())


def _job(sweep: Sweep, group: tuple[Cell, ...], rows: int) -> Job:
    cell = group[0]
    config = sweep.strategies[cell.strategy].on(rows)
    return Job(
        group,
        dict(_settings(sweep, cell.model)),
        config.name,
        settings(config),
        sweep.located(cell.data),
        sweep.reading(cell.data),
        rows,
        sweep.ppl,
        sweep.x64,
    )


def run(
    plan: Plan,
    workers: int | None = None,
    cluster: str | None = None,
    progress: bool = True,
    print_line: Callable[[str], Any] = print,
) -> Counter:
    """Run the jobs and write each cell as it comes back; returns how many cells are done and how many failed.

    Raises OSError if the disk is full, KeyboardInterrupt on Ctrl-C; what is finished is kept.
    """
    done = dict(plan.done)
    total = len(plan.keys)
    if plan.changed:
        print_line(plan.changed)
    if done:
        print_line(f"{len(done)} of {total} cells are finished already")
    with plan.lock, progress_bar("sweep", progress) as report_progress:
        report_progress(len(done), total, "")
        with closing(_results(plan, workers, cluster)) as finished_jobs:
            for results in finished_jobs:
                for result in results:
                    store.write(plan.folder, plan.keys[result.cell], result.facts, result.error)
                    done[result.cell] = result.facts
                print_line(line(results))
                report_progress(len(done), total, _failures(done))
    return Counter(result["status"] for result in done.values())


def _failures(done: dict[Cell, dict[str, Any]]) -> str:
    failed = sum(result["status"] == FAILED for result in done.values())
    return f"{failed} failed" if failed else ""


def line(results: list[Result]) -> str:
    """A job in one line: ``ard em yacht: 20 splits, rmse 0.95 ± 0.05, 80 s``."""
    cell = results[0].cell
    done = [result for result in results if result.facts["status"] == DONE]
    count = f"{len(results)} splits" if len(results) > 1 else f"split {cell.split}"
    parts = [count] if done else []
    name = next((n for n in ("rmse", "accuracy", "mlpd") if done and n in done[0].facts["scores"]), "")
    if name:
        values = [result.facts["scores"][name] for result in done]
        spread = f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2g}" if len(values) > 1 else ""
        parts.append(f"{name} {np.mean(values):.3g}{spread}")
    failed = [result for result in results if result.facts["status"] == FAILED]
    if failed:
        parts.append(f"{len(failed)} of {len(results)} failed: {failed[0].facts['reason']}")
    parts.append(f"{sum(result.facts['seconds'] for result in results):.0f} s")
    seed = f" seed {cell.seed}" if cell.seed else ""
    return f"{cell.model} {cell.strategy} {cell.data}{seed}: {', '.join(parts)}"


def _results(plan: Plan, workers: int | None, cluster: str | None) -> Results:
    """What comes back from the jobs, as it comes."""
    if not plan.jobs:
        return
    devices = [] if cluster else _devices()
    most = len(devices) or workers or os.cpu_count() or 1  # a device has one process
    count = min(workers or most, most, len(plan.jobs))
    if cluster:
        yield from _on_cluster(plan.jobs, cluster)
    elif count > 1:
        yield from _on_processes(plan.jobs, count, _locks(plan.folder, devices))
    else:
        yield from map(worker.run, plan.jobs)


def _on_processes(jobs: list[Job], count: int, devices: str | None) -> Results:
    """Jobs in processes of this machine, a thread each, or a device each if there are any."""
    from concurrent.futures import FIRST_COMPLETED, wait

    from joblib.externals.loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

    executor = ProcessPoolExecutor(count, initializer=worker.follow, initargs=(os.getpid(),))
    pending, running = iter(jobs), set()

    def submit(most: int) -> None:
        for job in islice(pending, most):
            running.add(executor.submit(worker.worker, job, devices))

    try:
        submit(2 * count)
        while running:  # a few at a time, so that little is left to take back on Ctrl-C
            finished = wait(running, return_when=FIRST_COMPLETED).done
            running -= finished
            submit(len(finished))
            for future in finished:
                yield future.result()
    except TerminatedWorkerError as error:
        raise OSError(
            "a worker process was killed, perhaps for its memory; what is finished is kept: give the same command "
            "again, with fewer --jobs"
        ) from error
    finally:
        while not all(future.running() or future.done() for future in running):
            time.sleep(0.01)  # shutting down loky while it has a job in hand makes its thread fail
        executor.shutdown(kill_workers=True)


def _on_cluster(jobs: list[Job], address: str) -> Results:
    """Jobs on the workers of a Dask scheduler, which gives those of a worker that dies to another.

    The client is asked directly: joblib's Dask backend waits for ever for a job whose workers all died.
    """
    from distributed import KilledWorker, as_completed

    client = _client(address)
    try:
        futures = {client.submit(worker.worker, job, None, pure=False): job for job in jobs}
        for future in as_completed(futures, loop=client.loop):
            error = future.exception()
            if isinstance(error, KilledWorker):
                yield worker.failed(futures[future], RuntimeError("it killed every worker that it was given to"))
            elif error is not None:
                raise OSError(f"the workers of {address} cannot run a job: {error}") from error
            else:
                yield future.result()
    finally:
        client.close()


def _client(address: str) -> Any:
    """A client of the scheduler at `address` that has workers."""
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {address}: start one with 'dask scheduler'") from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        client.close()
        raise OSError(f"the scheduler at {address} has no workers: start some with 'dask worker {address}'") from error
    return client


def _devices() -> list[str]:
    """The GPUs that JAX may use, by number."""
    if not any(importlib.util.find_spec(f"jax_cuda{version}_plugin") for version in (12, 13)):
        return []
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(i) for i, _ in enumerate(row for row in listing.splitlines() if row.startswith("GPU"))]


def _locks(folder: Path, devices: list[str]) -> str | None:
    """A folder with a lock for each device, if there are any."""
    if not devices:
        return None
    locks = folder / "devices"
    shutil.rmtree(locks, ignore_errors=True)
    locks.mkdir()
    for name in devices:
        (locks / f"{name}.lock").touch()
    return str(locks.resolve())
