"""Trim a fit in the folder of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import unknown
from .. import files
from ..sparsity import report, trimming
from ..sparsity.net_files import NET, export
from . import folder


def trim(
    run: str | Path,
    strategy: str = "",
    rule: str = "log_alpha",
    threshold: float | None = None,
    out: str | Path | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Trim a fit in the folder of a run and export it; returns the folder and what ``net.json`` says.

    `strategy` is the label of the fit, needed if several have a guide of independent normals; `out` is by default a
    folder ``<strategy>-net`` in that of the run.  Of several restarts the one of the lowest loss is taken.  Raises
    ValueError or FileNotFoundError, of one sentence, for a run or a fit that is not there or cannot be trimmed, and for
    data that are no longer those of the run; FileExistsError if `out` already holds a net, which is never overwritten.
    """

    run = Path(run)
    record = folder.read_run(run)
    label, tree = _fit(record["fits"], strategy, lambda entry: folder.load_fit(run, entry))
    out = run / f"{files.file_name(label)}-net" if out is None else Path(out)
    if (out / NET).exists():
        raise FileExistsError(f"{out} already holds a net; name another folder with --out, or remove this one")
    loc, scale = report.moments(tree)
    masks = trimming.kept(loc, scale, rule, threshold)
    options = record["options"]
    data = folder.data_of(record)
    return out, export(out, loc, masks, options["network"], data, rule, threshold)


def _fit(fits: dict[str, Any], strategy: str, load: Callable) -> tuple[str, Any]:
    """Label and tree of the fit that is asked for, or of the only one with a guide of independent normals."""
    if strategy and strategy not in fits:
        raise unknown("strategy of this run", strategy, fits)
    fitted = {label: entry for label, entry in fits.items() if entry["status"] in ("done", "partly done")}
    if strategy and strategy not in fitted:
        raise ValueError(f"{strategy} has no fit in this run ({fits[strategy]['status']}); run it again")
    trees = {label: load(entry) for label, entry in fitted.items() if label == strategy or not strategy}
    with_guide = {label: tree for label, tree in trees.items() if "guide" in tree.children}
    if not with_guide:
        raise ValueError(
            "this run has no fit with a guide of independent normals; make one with --with svi:guide=local"
        )
    if len(with_guide) > 1:
        raise ValueError(
            f"several fits have a guide of independent normals ({', '.join(with_guide)}); choose one by --strategy"
        )
    return next(iter(with_guide.items()))
