"""One comparison from words to a folder: what `noisezoo compare` and `noisezoo report` do.

A strategy that fails does not stop the others, and every fit is on disk as soon as it is finished.
"""

import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ... import data as datasets
from ...errors import sentence
from ...models import catalogue
from ...models.ppl import language
from .. import files
from ..provenance import checksum, versions
from ..strategies.parse import parse, settings
from . import folder as folder_module
from . import report

WATCHED = 2000  # test rows whose error is followed while a sparse guide is fitted
DONE, PART, FAILED, INTERRUPTED, WAITING = "done", "partly done", "failed", "interrupted", "not run"


@dataclass(frozen=True)
class Run:
    """A comparison that is ready to run.

    folder : where everything goes.
    run : what ``run.json`` says; its ``fits`` tell what became of each strategy.
    model, data : what is fitted to what.
    configs : the strategies' settings by label.
    """

    folder: Path
    run: dict[str, Any]
    model: Callable[..., Any]
    data: Any
    configs: dict[str, Any]


def prepare(
    prior: str,
    *,
    data: str,
    with_: str = "svi,nuts,sgld",
    structure: str = "ard",
    form: str = "expanded",
    network: str = "mlp:50",
    ppl: str = "numpyro",
    split: int = 0,
    seed: int = 0,
    out: Path | None = None,
) -> Run:
    """Find what the words mean and make the folder; nothing is computed yet.

    Raises ValueError, TypeError, ImportError or OSError, each of one sentence, for words that mean nothing, parts that
    do not go together, a file that is not there and a folder that cannot be written.
    """
    weights, net = catalogue.prior(prior, structure, form), catalogue.network(network)
    language(ppl)  # is it there?
    configs = parse(with_)
    table = datasets.load(data, split=split)
    model = catalogue.model(weights, net, table.task, len(table.classes))
    words = {"data": data, "with": with_, "structure": structure, "form": form, "network": network}
    described = f"{catalogue.described(prior, structure)} {network}"
    own = prior.partition(":")[0] in catalogue.PRIORS  # it has no structure and no form
    how = "" if own else f" ({form})"
    run = {
        "title": f"{described}{how} on {table.name} in {language(ppl).name}",
        "model": described,
        "prior": prior,
        "options": {**words, "ppl": ppl, "split": split, "seed": seed},
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": versions(),
        "data_sha256": checksum(table),
        "fits": {
            label: {"settings": settings(c), "file": f"{files.file_name(label)}.nc", "status": WAITING, "why": ""}
            for label, c in configs.items()
        },
    }
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    first = prior.partition(":")[0] if own else f"{catalogue.noise(prior).name}-{structure}"
    name = f"{first}-{files.file_name(table.name)}-{stamp}"
    folder = folder_module.create(out or files.unused(Path("runs") / name))
    folder_module.write_run(folder, run)
    if ".py:" in prior:
        shutil.copy(prior.rpartition(":")[0], folder)
    return Run(folder, run, model, table, configs)


def go(session: Run, progress: bool = True, say: Callable[[str], Any] = print) -> Any:
    """Run the strategies one after another, save each fit, then write table, figures and report; returns the table.

    Ctrl-C ends the strategy that runs, and the rest is not begun.
    """
    from ..driver.compilation_cache import persistent_cache
    from ..driver.fit import fit
    from ..judging.datatree import arrays, save, to_datatree

    persistent_cache()
    run, seed = session.run, session.run["options"]["seed"]
    x, y = arrays(run["options"]["ppl"], session.data.x_train, session.data.y_train)
    for label, config in session.configs.items():
        entry, at = run["fits"][label], time.perf_counter()
        try:
            watch = _watch(session, config)
            result = fit(session.model, config, x, y, seed=seed, progress=progress, watch=watch)
            tree = to_datatree(result, session.model, session.data, seed)
            tree.attrs["model"] = run["model"]
            save(tree, session.folder / entry["file"])
            entry.update(status=PART if result.stopped else DONE, why=result.stopped)
        except KeyboardInterrupt:
            entry.update(status=INTERRUPTED, why="interrupted by Ctrl-C")
        except Exception as error:  # whatever it is, the other strategies go on
            entry.update(status=FAILED, why=sentence(error))
            files.write(session.folder / f"{files.file_name(label)}.error.txt", traceback.format_exc())
        folder_module.write_run(session.folder, run)
        say(f"{label}: {entry['why'] or 'done'} ({time.perf_counter() - at:.0f} s)")
        if entry["status"] in (INTERRUPTED, PART):
            break
    return judge(session.folder, run)


def again(folder: Path) -> tuple[dict[str, Any], Any]:
    """Table, figures and report of a finished run from its files; returns ``run.json`` and the table.

    Raises ValueError or FileNotFoundError if the folder holds no run, or a file in it is not whole.
    """
    run = folder_module.read_run(folder)
    return run, judge(folder, run)


def judge(folder: Path, run: dict[str, Any]) -> Any:
    """Write table, figures and report of what is done; returns the table."""
    from ..judging.datatree import save
    from ..target.warm_start import load
    from .compare import table

    fits = run["fits"]
    there = [label for label, entry in fits.items() if entry["status"] in (DONE, PART)]
    trees = {label: load(folder / fits[label]["file"]) for label in there}
    failed = {label: entry["why"] or entry["status"] for label, entry in fits.items() if label not in there}
    found = table(trees, failed=failed)
    for label, tree in trees.items():
        save(tree, folder / fits[label]["file"])  # now with what was judged of it
    report.write(folder, run, found, trees)
    return found


def _watch(session: Run, config: Any) -> Any:
    """Compression and error of the trimmed net along the way, where the guide has weights that can be trimmed."""
    if getattr(getattr(config, "guide", None), "name", "") not in ("local", "flipout"):
        return None
    options = session.run["options"]
    prior = session.run["prior"].partition(":")[0]
    if prior not in catalogue.WEIGHTS if prior in catalogue.PRIORS else options["form"] in ("expanded", "weight_norm"):
        return None
    from ..sparsity.report import watch

    few = {name: getattr(session.data, name)[:WATCHED] for name in ("x_test", "y_test")}
    return watch(session.model, replace(session.data, **few))
