"""Several strategies on one program and one data set, side by side."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from ..driver.fit import fit
from ..judging.datatree import arrays, to_datatree
from ..judging.diagnose import COLUMNS, diagnose
from ..judging.sampler.exact import first_exact
from ..judging.verdict import verdict
from ..references.stored import Reference
from ..strategies.parse import parse
from ..target.memory import check_memory
from ..target.precision import in_double
from ..target.sites import sites_of
from ..target.support import check_task

TRUSTED = ("ok", "divergent", "too few draws")  # verdicts of a reference that others may still be measured against


class Comparison(NamedTuple):
    """`table` has one row per strategy, `trees` the DataTree of each that ran, `failed` why the others did not."""

    table: pd.DataFrame
    trees: dict[str, Any]
    failed: dict[str, str]


def compare(
    model: Callable,
    data: Any,
    strategies: str | dict[str, Any] = "svi,nuts,sgld",
    *,
    ppl: str = "numpyro",
    seed: int = 0,
    x64: bool = False,
    progress: bool = True,
    reference: Reference | None = None,
) -> Comparison:
    """Fit `model` to `data` with every strategy and judge them, against `first_exact` or a stored reference.

    Parameters
    ----------
    model : a program ``(x, y=None, batch_size=None) -> f``.
    data : a `Data`, from `noisezoo.data.load` or `from_frame`.
    strategies : as on the command line (``"svi:guide=low_rank,nuts"``), or configs by label.
    ppl : ``"numpyro"`` or ``"pyro"``.
    x64 : compute in double precision; by default in that of the language (see `target.precision`).
    reference : a stored one, from `references.stored.find` or `load`.

    A strategy that fails is a row with its reason, and the others go on.  Ctrl-C ends the one that runs; what is
    finished is returned.  Raises ValueError if the likelihood is not one for the task of the data, the draws of a
    strategy do not fit into memory, or the reference is of other data.
    """
    if reference is not None:
        reference.check(data)
    configs = parse(strategies) if isinstance(strategies, str) else dict(strategies)
    with in_double(ppl, x64):
        trees, failed = _fits(model, data, configs, ppl, seed, progress)
    return Comparison(table(trees, reference, failed), trees, failed)


def _fits(
    model: Callable, data: Any, configs: dict[str, Any], ppl: str, seed: int, progress: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """The DataTree of each fit by label, and why the others have none."""
    x, y = arrays(ppl, data.x_train, data.y_train)
    sites = sites_of(model, x, y)
    check_task(sites.support, data)
    for config in configs.values():
        check_memory(config, sites, ppl)
    trees, failed = {}, {}
    for label, config in configs.items():
        try:
            result = fit(model, config, x, y, seed=seed, progress=progress)
            trees[label] = to_datatree(result, model, data, seed)
        except KeyboardInterrupt:
            failed[label] = "interrupted"
            break
        except Exception as error:  # whatever it is, what is finished is not lost and the others go on
            failed[label] = str(error) or type(error).__name__
            continue
        if result.stopped:
            break
    return trees, failed


def table(
    trees: dict[str, Any], reference: str | Reference | None = None, failed: dict[str, str] | None = None
) -> pd.DataFrame:
    """The comparison as a table, one row per label; `reference` is a label or a stored reference of these data, and
    defaults to that of `first_exact`; `failed` says why not.

    Columns: see `diagnose`.  A cell that has no meaning for a strategy is empty (NaN).  Each row is also put into its
    tree's attributes, as JSON, under ``judged``.
    """
    reference = reference or first_exact(trees)
    if isinstance(reference, Reference):
        measure, reference = reference.moments, f"{reference.name} (stored)"
    else:
        measure = trees.get(reference) if reference else None
    rows = {label: diagnose(tree, measure) for label, tree in trees.items()}
    reference_verdict = "ok"  # of the reference, once it is judged
    for label in sorted(rows, key=lambda label: label != reference):
        judged, reason = verdict(rows[label], trees[label], reference or "", reference_verdict in TRUSTED)
        if label == reference:
            reference_verdict = judged
        elif measure is not None and reference_verdict in TRUSTED[1:]:
            reason += f" ({reference}: {reference_verdict})"
        if stopped := trees[label].attrs.get("stopped"):
            reason += f"; {stopped}"
        rows[label].update(verdict=judged, reason=reason)
        trees[label].attrs["judged"] = json.dumps(rows[label], default=float)
    for label, message in (failed or {}).items():
        rows[label] = {"strategy": label.partition(":")[0], "verdict": "failed", "reason": message}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS)).rename_axis("label")
