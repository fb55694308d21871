"""Cells one after another, each written as soon as it is finished: what `noisezoo calibrate` does.

Whatever ends it, the same command goes on with the cells that are missing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import check_seed
from ...models import catalogue
from ...models.noises import NOISES
from ...models.ppl import language
from ...models.ppl.compiled import let_go
from .. import files
from ..strategies.parse import parse, split
from . import cells
from .calibrate import said
from .cells import CELLS, DONE, WAITING, Cell
from .ranks import holm

FEWEST, MOST = 20, 10_000  # simulations
STRUCTURES = ("ard", "iid", "add", "ard_add")  # of the atlas, in the order in which they are run
STRATEGIES = ("nuts", "svi:guide=mean_field", "sgld", "svi:guide=laplace")
ASKED = ("prior", "structure", "form", "network", "strategy", "ppl", "data", "simulations")
TOGETHER = 4  # cells of a structure and a prior in the atlas
NUMBERS = ("draws", "ess", "divergences", "accepted", "failed", "seconds")


@dataclass(frozen=True)
class Plan:
    """Cells that are ready to run, their files, and the folder of all of them."""

    folder: Path
    files: dict[Cell, Path]
    atlas: bool


def prepare(
    prior: str | None = None,
    *,
    with_: str | None = None,
    structure: str | None = None,
    form: str = "expanded",
    network: str = "mlp:3",
    ppl: str = "numpyro",
    simulations: int = 128,
    seed: int = 0,
    data: str = "",
    split: int = 0,
    atlas: bool = False,
    out: Path | None = None,
) -> Plan:
    """Find what the words mean, and make the folder; nothing is computed yet.

    `with_` names strategies as on the command line of `compare`; an `atlas` is of one prior or of every named noise,
    under every structure of `STRUCTURES` unless one is given.  Raises ValueError, TypeError, ImportError or OSError,
    each of one sentence.
    """
    language(ppl)  # is it there?
    check_seed(seed)
    if not FEWEST <= simulations <= MOST:
        raise ValueError(f"simulations must lie between {FEWEST} and {MOST:,}, got {simulations}")
    if prior is None and not atlas:
        raise ValueError("name a prior, such as half_cauchy, or ask for the atlas of all noises by --atlas")
    if atlas and data:
        raise ValueError("the atlas is of simulated data alone; leave --data or --atlas out")
    priors = list(NOISES) if prior is None else [prior]
    structures = STRUCTURES if atlas and structure is None else (structure or "ard",)
    strategies = _strategies(with_ or (",".join(STRATEGIES) if atlas else "nuts"))
    rest = (form, network, ppl, simulations, seed, data, split)
    wanted = [Cell(name, laid, method, *rest) for laid in structures for name in priors for method in strategies]
    if data:
        from ... import data as datasets

        cells.program(wanted[0], datasets.load(data, split=split))
    for cell in wanted[:: len(strategies)]:
        cells.program(cell)
    stem = catalogue.described(prior, structures[0]) if prior else "atlas"
    folder = out or Path("runs") / f"calibrate-{files.file_name(stem)}"
    try:
        (folder / CELLS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot write to the folder {folder}: {error.strerror or error}") from error
    return Plan(folder, {cell: cells.file_of(folder, cell) for cell in wanted}, atlas)


def _strategies(text: str) -> list[str]:
    """Each strategy of the text in words of its own; raises ValueError for words that mean nothing."""
    parse(text)
    given = [(name, ",".join(f"{key}={value}" for key, value in settings.items())) for name, settings in split(text)]
    return [f"{name}:{settings}" if settings else name for name, settings in given]


def run(plan: Plan, progress: bool = True, print_line: Callable[[str], Any] = print) -> list[dict[str, Any]]:
    """Compute the cells that are not finished, then write table and figures; returns `rows`.

    Ctrl-C is raised once what is finished is in them.
    """
    from ..driver.compilation_cache import persistent_cache

    persistent_cache()
    left = [cell for cell, path in plan.files.items() if cells.read(path) is None]
    if len(left) < len(plan.files):
        print_line(f"{len(plan.files) - len(left)} of {len(plan.files)} cells are finished already")
    try:
        for i, cell in enumerate(left):
            result, error = cells.compute(cell, progress)
            cells.write(plan.files[cell], result, error)
            print_line(f"{cell.title}: {verdict(result)[0]} ({result['seconds']:.0f} s)")
            if i % TOGETHER == TOGETHER - 1:
                let_go()  # of programs that no other cell runs
    finally:
        made = rows(plan)
        _write(plan, made)
    return made


def rows(plan: Plan) -> list[dict[str, Any]]:
    """For each cell what was asked, `verdict`, `p`, `reason` and numbers; those not run say so."""
    made = []
    for cell, path in plan.files.items():
        result = cells.read(path)
        word, reason = verdict(result)
        known = {name: getattr(cell, name) for name in ASKED} | {"verdict": word, "p": _p(result), "reason": reason}
        made.append(known | {name: (result or {}).get(name) for name in NUMBERS})
    return made


def verdict(result: dict[str, Any] | None) -> tuple[str, str]:
    """A word and a sentence for what came of a cell; None for one that has not been run."""
    if result is None:
        return WAITING, ""
    if result["status"] != DONE:
        return result["status"], result["reason"]
    word, reason = said(result["pit"], result["p_values"], result["ess"], result["draws"])
    if lost := result["failed"]:
        reason += f"; {lost} fits failed and are left out, the first: {result['why_failed']}"
    return word, reason


def _p(result: dict[str, Any] | None) -> float:
    """The p-value over all quantities of a cell, NaN where there is none."""
    return math.nan if result is None or not result["p_values"] else min(holm(result["p_values"]).values())


def _write(plan: Plan, made: list[dict[str, Any]]) -> None:
    """The table and the figures of what is finished."""
    from ..judging.pictures.style import Picture
    from ..runs import images
    from . import atlas, pictures

    files.write(plan.folder / "table.csv", pd.DataFrame(made).to_csv(index=False, float_format="%.4g"))
    results = {cell: cells.read(path) for cell, path in plan.files.items()}
    if plan.atlas:
        return atlas.write_page(plan.folder, results, made)
    drawn = []
    for (cell, result), row in zip(results.items(), made, strict=True):
        if result is not None and result["status"] == DONE:
            title = f"{cell.title}: {row['verdict']}"
            draw = partial(pictures.figure, result["pit"], result["p_values"], title)
            drawn.append(Picture(plan.files[cell].stem, title, pictures.CAPTION, draw))
    images.write(plan.folder, drawn)
