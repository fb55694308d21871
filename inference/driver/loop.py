"""The loop: warmup and draws of any strategy, in blocks.

A run is a warmup and then draws, both done in blocks of records.  A record is `thin` steps and what is known after
them: a draw, its stats, the mean of the steps' info.  An engine runs blocks (`engine` compiles them for JAX,
`pyro.engine` loops in torch); the loop decides how many, moves the progress bar, checks for NaN and saves.  The random
key of a step is a function of (seed, chain, step), so a run that was interrupted and resumed equals one that was not.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import interrupt
from ..strategies import STRATEGIES
from ..strategies.algorithm import Algorithm
from ..target.sites import Arrays
from .checkpoint import Checkpoint
from .progress import Progress
from .records import Records

HISTORY = 100  # records of the warmup, where it is that long
PATIENCE = 0.5  # seconds between two updates of the progress bar, about
Watch = Callable[[Arrays, Arrays], dict[str, float]]
Check = Callable[[str, int, dict[str, Arrays]], None]
ROUNDED = 2.0**20  # nats: from here on single precision holds multiples of an eighth
COMPARED = (("info", "lp"), ("stats", "energy"))  # where a sampler that compares energies has them, in warmup and after
logger = logging.getLogger(__name__)
NEVER = np.iinfo(np.int32).max


def run_loop(
    algorithm: Algorithm,
    engine: Any,
    strategy: str,
    report_progress: Progress,
    saved: Checkpoint | None,
    watch: Watch | None,
    check: Check | None = None,
) -> dict[str, Any]:
    """Warmup, `after_warmup`, draws, `halve`, draws at half the step, in blocks that take about PATIENCE seconds each.

    Returns the rest of a `Fit`.

    `check` raises if a block is not finite; by default `check_finite`.  A block counts once it is recorded: state and
    records are moved on as one, so that whatever ends a run at whatever moment, what is saved is the end of a block.
    """
    warm_thin = max(algorithm.warmup // HISTORY, 1)
    plan = {
        "warmup": (-(-algorithm.warmup // warm_thin), warm_thin),
        "draws": (algorithm.draws, algorithm.thin),
        "half": (algorithm.at_half, 2 * algorithm.thin),
    }
    total = sum(records for records, _ in plan.values())
    seconds = {"warmup": 0.0, "draws": 0.0, "half": 0.0}
    so_far, stopped, warned = Records(), "", False
    if saved is not None and saved.path.exists():
        engine.state, so_far = saved.load(engine.state)
    else:
        engine.prepare()
        seconds["warmup"] += engine.prepare_seconds
    reached = engine.state, so_far
    try:
        for phase, (records, thin) in plan.items():
            last, count = (algorithm.warmup if phase == "warmup" else NEVER), 1
            while (done := so_far.done[phase]) < records and not (phase == "warmup" and _converged(engine)):
                began = time.perf_counter()
                if phase == "draws" and done == 0:
                    engine.after_warmup(so_far.step)
                if phase == "half" and done == 0 and algorithm.halve is not None:
                    engine.state = [algorithm.halve(state) for state in engine.state]
                count = 1 if watch is not None and phase == "warmup" else min(count, records - done, engine.records)
                block = engine.block(so_far.step, done, count, thin, last)
                elapsed = time.perf_counter() - began
                if watch is not None and phase == "warmup":
                    block["info"].update(_watched(watch, *engine.moments()))
                (check or check_finite)(strategy, so_far.step, block)
                warned = warned or _warn_if_rounded(strategy, block)
                block, recorded = _before_the_end(block, count)
                so_far = so_far.with_block(phase, block, recorded, min(so_far.step + recorded * thin, last))
                reached = engine.state, so_far
                if phase != "warmup":
                    interrupt.keep()
                seconds[phase] += elapsed
                if phase != "warmup":  # which may have ended early
                    total = so_far.done["warmup"] + algorithm.draws + algorithm.at_half
                report_progress(sum(so_far.done.values()), total, so_far.message(phase))
                count = max(1, int(count * np.clip(PATIENCE / max(elapsed, 1e-9), 0.25, 4.0)))
                if saved is not None:
                    saved.save(*reached)
    except KeyboardInterrupt:
        engine.state, so_far = reached
        if not so_far.done["draws"]:
            raise
        phase, whole = "draws", algorithm.draws
        if so_far.done[phase] == whole and algorithm.at_half:
            phase, whole = "half", algorithm.at_half
        what = "draws" if phase == "draws" else "draws at half the step"
        stopped = f"interrupted after {so_far.done[phase]} of {whole} {what}"
    finally:
        if saved is not None and reached[1].step:
            saved.save(*reached, now=True)
    sample = seconds["draws"] + seconds["half"]
    seconds = {"compile": engine.compile_seconds, "adapt": seconds["warmup"], "sample": sample}
    recorded = {"draws": so_far.joined("sites"), "stats": so_far.joined("stats"), "history": so_far.joined("info")}
    recorded["half"] = so_far.joined("half")
    loc, scale = engine.moments()
    moments = {"loc": loc, "scale": scale, "optimisation": engine.progress()}
    return {**recorded, **moments, "seconds": seconds, "stopped": stopped}


def _converged(engine: Any) -> bool:
    """Whether all chains say that their warmup has reached its end."""
    progress = engine.progress()
    return "converged" in progress and bool(np.all(progress["converged"]))


def _before_the_end(block: dict[str, Arrays], count: int) -> tuple[dict[str, Arrays], int]:
    """A block of the warmup without the records in which no chain still moves, and how many are left: as many however
    long the block was."""
    if "ended" not in block["info"]:
        return block, count
    info = dict(block["info"])
    moving = int((info.pop("ended") < 1.0).any(axis=0).sum())
    return {**block, "info": {name: values[:, :moving] for name, values in info.items()}}, moving


def _watched(watch: Watch, loc: Arrays, scale: Arrays) -> Arrays:
    """What `watch` says of each chain, as one record (chain, 1) by name."""
    chains = range(len(next(iter(loc.values()))))
    rows = [watch(*({k: v[chain] for k, v in part.items()} for part in (loc, scale))) for chain in chains]
    return {name: np.array([[row[name]] for row in rows], dtype=float) for name in rows[0]}


def _warn_if_rounded(strategy: str, block: dict[str, Arrays]) -> bool:
    """Say so, and return True, if a sampler goes by differences of energies that single precision cannot tell apart."""
    compared = [values for part, name in COMPARED if (values := block.get(part, {}).get(name)) is not None]
    largest = max((float(np.abs(values).max()) for values in compared), default=0.0)
    single = any(v.dtype == np.float32 for v in (*compared, *block.get("sites", {}).values()))
    if largest < ROUNDED or not single:
        return False
    logger.warning(
        f"{strategy} goes by differences of energies, and those of {largest:.2g} nats are multiples of "
        f"{np.spacing(np.float32(largest)):.2g} in single precision; compute in double precision, with the option --x64"
    )
    return True


def check_finite(strategy: str, step: int, block: dict[str, Arrays]) -> None:
    """Raise FloatingPointError if the loss, the log density or a draw in a block is NaN or infinite."""
    broken = [k for k, v in block["info"].items() if not np.isfinite(v).all()]
    broken += [k for k, v in block["finite"].items() if not v.all()]
    broken += ["lp" for v in [block.get("stats", {}).get("lp", 0.0)] if not np.isfinite(v).all()]
    if broken:
        first = "standardise x and y if they are large; else " if step == 0 else ""
        raise FloatingPointError(
            f"{strategy} stopped soon after step {step}: {broken[0]} is not finite; "
            f"{first}{STRATEGIES[strategy].steadier} may help"
        )
