"""A cell: one prior x structure x form x network x strategy x language, what is asked of it and what came of it.

A cell's file is named after a checksum of everything that decides what it computes, and counts only if it is as it was
written, so that whatever was stopped knows what is left to do.
"""

import hashlib
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import sentence
from .. import files, seals

CELLS = "cells"
DONE, REFUSED, FAILED, WAITING = "done", "refused", "failed", "not run"
ROWS, FEATURES, POINTS = 10, 2, 3  # of the tiny problem; inputs where f is ranked
DIGITS = 3  # of a rank as a uniform number, in the file
# Settings that are not named are these: what is run a hundred times has to be short, and one chain is enough.
SHORT = {
    "svi": {"draws": 300},
    "nuts": {"warmup": 300, "draws": 300, "chains": 1, "start": None, "max_tree_depth": 7, "method": "vectorised"},
    "mclmc": {"draws": 300, "chains": 1, "method": "vectorised"},
    **{name: {"draws": 300, "chains": 1} for name in ("sgld", "sghmc", "sgnht")},
}
KINDS = {"cell": dict, "status": str, "reason": str, "seconds": (int, float), "pit": dict, "p_values": dict}


class Cell(NamedTuple):
    """What is asked, in the words of the command line; `data` is "" for data from the prior."""

    prior: str
    structure: str
    strategy: str
    form: str = "expanded"
    network: str = "mlp:3"
    ppl: str = "numpyro"
    simulations: int = 128
    seed: int = 0
    data: str = ""
    split: int = 0

    @property
    def title(self) -> str:
        """In a few words: ``half_cauchy ard mlp:3, nuts``."""
        from ...models.catalogue import described

        suffix = f" ({self.form})" if self.form != "expanded" else ""
        place = f" at {self.data}" if self.data else ""
        return f"{described(self.prior, self.structure)} {self.network}{suffix}{place}, {self.strategy}"


def program(cell: Cell, data: Any = None) -> Any:
    """The model of a cell; raises ValueError and so on for words that mean nothing."""
    from ...models import catalogue

    weights = catalogue.prior(cell.prior, cell.structure, cell.form)
    task, classes = ("regression", 2) if data is None else (data.task, len(data.classes))
    return catalogue.model(weights, catalogue.network(cell.network), task, classes)


def configs(cell: Cell) -> tuple[Any, Any]:
    """The settings of a cell's strategy as asked for, and those for a hundred fits: `SHORT` where none is named."""
    from ..strategies.parse import config, split

    ((name, given),) = split(cell.strategy)
    return config(name, given), config(name, {**SHORT.get(name, {}), **given})


def facts(cell: Cell) -> dict[str, Any]:
    """Everything that decides what a cell computes, as JSON holds it."""
    from ..strategies.parse import settings

    full, short = configs(cell)
    path = cell.prior if cell.prior.endswith(".py") else cell.prior.rpartition(":")[0]
    own = hashlib.sha256(Path(path).read_bytes()).hexdigest() if path.endswith(".py") else ""
    known = {**cell._asdict(), "settings": settings(short), "prior_sha256": own}
    if cell.data:
        from ..provenance import checksum

        known |= {"at_data": settings(full), "data_sha256": checksum(_data(cell))}
    return known


def file_of(folder: Path, cell: Cell) -> Path:
    """Where the result of a cell is, or will be."""
    own = files.file_name(f"{Path(cell.prior).name}-{cell.structure}-{cell.strategy}")[:60]
    return folder / CELLS / f"{own}-{seals.digest(facts(cell))[:12]}.json"


def write(path: Path, result: dict[str, Any], error: str = "") -> None:
    """Write the result of a cell, and its traceback if there is one."""
    trace = path.with_suffix(".error.txt")
    files.write(trace, error) if error else trace.unlink(missing_ok=True)
    ranks = {name: " ".join(f"{10**DIGITS * v:.0f}" for v in u) for name, u in result["pit"].items()}
    seals.write_json(path, result | {"pit": ranks}, indent=0)


def read(path: Path) -> dict[str, Any] | None:
    """The result of a cell, or None if there is none, or it is not as it was written."""
    try:
        result = seals.read_json(path, "")
        seals.check(result, KINDS)
        ranks = {name: [int(v) / 10**DIGITS for v in u.split()] for name, u in result["pit"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return result | {"pit": ranks}


def compute(cell: Cell, progress: Any = False) -> tuple[dict[str, Any], str]:
    """The result of a cell as its file holds it, and the traceback if it failed.

    A strategy that does not apply, and a prior that nothing can be simulated from, is refused with its own sentence.
    """
    began = time.perf_counter()
    result: dict[str, Any] = {"cell": facts(cell), "status": REFUSED, "reason": "", "pit": {}, "p_values": {}}
    error = ""
    try:
        result |= _computed(cell, progress)
    except _Refused as refused:
        result["reason"] = str(refused)
    except Exception as problem:  # whatever it is, the other cells go on
        result |= {"status": FAILED, "reason": sentence(problem)}
        error = traceback.format_exc()
    return result | {"seconds": round(time.perf_counter() - began, 1)}, error


class _Refused(ValueError):
    """Why a strategy does not apply."""


def _computed(cell: Cell, progress: Any) -> dict[str, Any]:
    from ..driver.fit import bind
    from . import simulations
    from .calibrate import calibrate

    full, short = configs(cell)
    model, x, y, new = _problem(cell)
    try:
        bind(cell.ppl, short, model, x, y)
        if not cell.data:
            made = simulations.of_prior(model, x, cell.simulations, cell.seed)
    except (ValueError, TypeError) as error:
        raise _Refused(sentence(error)) from error
    if cell.data:
        made = simulations.of_posterior(model, full, x, y, cell.simulations, cell.seed)
    found = calibrate(model, short, made, new, cell.seed, progress)
    return {
        "status": DONE,
        "pit": {name: [round(float(v), DIGITS) for v in u] for name, u in found.pit.items()},
        "p_values": {name: float(f"{p:.3g}") for name, p in found.p_values.items()},
        "draws": found.draws,
        "ess": round(found.ess, 1),
        "divergences": found.divergences,
        "failed": len(found.failed),
        "why_failed": found.failed[0] if found.failed else "",
        "accepted": made.accepted,
    }


def _problem(cell: Cell) -> tuple[Any, Any, Any, Any]:
    """The program, its data (the target a stand-in if it is simulated), and inputs where f is ranked."""
    import numpy as np

    from ..judging.datatree import arrays

    if cell.data:
        data = _data(cell)
        at = np.linspace(0, len(data.x_test) - 1, min(POINTS, len(data.x_test))).astype(int)
        return program(cell, data), *arrays(cell.ppl, data.x_train, data.y_train, data.x_test[at])
    drawn = np.random.default_rng(0).normal(size=(ROWS + POINTS, FEATURES)).astype(np.float32)
    parts = arrays(cell.ppl, drawn[:ROWS], np.zeros(ROWS, np.float32), drawn[ROWS:])
    return program(cell), *parts


def _data(cell: Cell) -> Any:
    from ... import data as datasets

    return datasets.load(cell.data, split=cell.split)
