"""Prune a fit in the folder of a run."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import unknown
from .. import files
from ..driver.progress import Progress
from ..sparsity.pruning import curve
from ..sparsity.scores import groups_with_weights
from . import folder, images


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
    from ...models import catalogue
    from ...models.catalogue import outputs_of_task
    from ...models.networks.bare import bare_program
    from ..judging.pictures.style import Picture
    from ..sparsity.pictures import pruning

    run = Path(run)
    record = folder.read_run(run)
    label, tree = _fit(record["fits"], strategy, lambda entry: folder.load_fit(run, entry))
    options = record["options"]
    data = folder.data_of(record)
    model = bare_program(catalogue.network(options["network"]), outputs_of_task(data.task, len(data.classes)))
    errors = curve(model, tree, data, rules, by=by, progress=progress)
    out, name = run if out is None else Path(out), f"prune-{files.file_name(label)}{'-unit' * (by == 'unit')}"
    out.mkdir(parents=True, exist_ok=True)
    files.write(out / f"{name}.csv", errors.to_csv(index=False))
    title = f"{label}: {options['network']} on {options['data']}"
    drawn = images.write(out, [Picture(name, title, pruning.CAPTION, partial(pruning.curves, errors, title))])
    return errors, [out / f"{name}.csv", *(out / f"{name}.png" for image in drawn if image.png)]


def _fit(fits: dict[str, Any], strategy: str, load: Callable) -> tuple[str, Any]:
    """Label and tree of the fit that is asked for, or of the only one with weights."""
    if strategy and strategy not in fits:
        raise unknown("strategy of this run", strategy, fits)
    fitted = {label: entry for label, entry in fits.items() if entry["status"] in ("done", "partly done")}
    if strategy:
        if strategy not in fitted:
            raise ValueError(f"{strategy} has no fit in this run ({fits[strategy]['status']}); run it again")
        return strategy, load(fitted[strategy])
    trees = {label: load(entry) for label, entry in fitted.items()}
    with_weights = {label: tree for label, tree in trees.items() if groups_with_weights(tree)}
    if not with_weights:
        raise ValueError("this run has no fit with weights to prune; run the comparison again with another --form")
    if len(with_weights) > 1:
        raise ValueError(f"several fits have weights to prune ({', '.join(with_weights)}); choose one by --strategy")
    return next(iter(with_weights.items()))
