"""One comparison from words to a folder: what `noisezoo compare` and `noisezoo report` do.

A strategy that fails does not stop the others, and every fit is on disk as soon as it is finished.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ... import data as datasets
from ...errors import check_seed, sentence, unknown
from ...models import catalogue
from ...models.ppl import language
from ...models.weights.parametrisation import AUTO
from .. import files
from ..provenance import checksum, versions
from ..references import stored as references
from ..strategies.parse import parse, settings
from ..target.precision import in_double, precision
from . import folder as folder_module
from . import report

STORED = "stored"  # the reference that is not one of the fits
WATCHED = 2000  # test rows whose error is followed while a sparse guide is fitted
DONE, PART, FAILED, INTERRUPTED, WAITING = "done", "partly done", "failed", "interrupted", "not run"


@dataclass(frozen=True)
class Run:
    """A comparison that is ready to run.

    folder : where everything goes.
    record : what ``run.json`` says; its ``fits`` tell what became of each strategy.
    model, data : what is fitted to what.
    configs : the strategies' settings by label.
    """

    folder: Path
    record: dict[str, Any]
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
    x64: bool = False,
    reading: dict[str, Any] | None = None,
    reference: str | None = None,
    out: Path | None = None,
) -> Run:
    """Find what the words mean and make the folder; nothing is computed yet.

    `x64` asks for double precision.  `reading` says how a table of one's own is read: keywords of `noisezoo.data.load`,
    such as ``drop``.  `reference` is None for `first_exact`, or ``"stored"`` for the reference posterior that comes
    with the package.

    Raises ValueError, TypeError, ImportError or OSError, each of one sentence, for words that mean nothing, parts that
    do not go together, a file that is not there, a folder that cannot be written, and a reference that there is not.
    """
    if reference not in (None, STORED):
        raise unknown("reference", reference, [STORED])
    undecided = form == AUTO and prior.partition(":")[0] not in catalogue.PRIORS
    weights, net = catalogue.prior(prior, structure, "expanded" if undecided else form), catalogue.network(network)
    from ..driver.fit import check_config

    language(ppl)  # is it there?
    check_seed(seed)
    configs = parse(with_)
    table = datasets.load(data, split=split, **(reading or {}))
    for config in configs.values():
        check_config(config, len(table.y_train))
    model = catalogue.model(weights, net, table.task, len(table.classes))
    with in_double(ppl, x64):
        precise = precision(ppl)
        _check_draws(model, table, ppl, configs)
    options = {"data": data, "with": with_, "structure": structure, "form": form, "network": network}
    measured = {}
    if reference is not None:
        found = references.find(prior, table, structure=structure, form=form, network=network)
        measured = {"reference": found.name}
        options["reference"] = reference
    described = f"{catalogue.described(prior, structure)} {network}"
    complete = prior.partition(":")[0] in catalogue.PRIORS  # it has no structure and no form
    suffix = "" if complete else f" ({form})"
    record = {
        "title": f"{described}{suffix} on {table.name} in {language(ppl).name}",
        "model": described,
        "prior": prior,
        "options": {**options, "ppl": ppl, "split": split, "seed": seed, **({"x64": True} if x64 else {})},
        "precision": precise,
        "reading": reading or {},
        "understood": datasets.understood(table),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": versions(),
        "data_sha256": checksum(table),
        **measured,
        "fits": {
            label: {"settings": settings(c), "file": f"{files.file_name(label)}.nc", "status": WAITING, "why": ""}
            for label, c in configs.items()
        },
    }
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    stem = prior.partition(":")[0] if complete else f"{catalogue.noise(prior).name}-{structure}"
    name = f"{stem}-{files.file_name(table.name)}-{stamp}"
    folder = folder_module.create(out or files.unused(Path("runs") / name))
    folder_module.write_run(folder, record)
    if ".py:" in prior:
        source = Path(prior.rpartition(":")[0])
        files.write(folder / source.name, source.read_bytes())
    return Run(folder, record, model, table, configs)


def _check_draws(model: Callable, data: Any, ppl: str, configs: dict[str, Any]) -> None:
    """Raise ValueError if the draws of a strategy do not fit into memory, before another runs for an hour."""
    from ..judging.datatree import arrays
    from ..target.memory import check_memory
    from ..target.sites import sites_of

    try:
        sites = sites_of(model, *arrays(ppl, data.x_train[:2], data.y_train[:2]))
    except Exception:  # what is wrong with the program is the reason why a strategy fails, and is said there
        return
    for config in configs.values():
        check_memory(config, sites, ppl)


def run(prepared: Run, progress: bool = True, print_line: Callable[[str], Any] = print) -> Any:
    """Run the strategies one after another, save each fit, then write table, figures and report; returns the table.

    Ctrl-C ends the strategy that runs, and the rest is not begun.
    """
    from ..driver.compilation_cache import persistent_cache

    persistent_cache()
    options = prepared.record["options"]
    with in_double(options["ppl"], options.get("x64", False)):
        _fit_all(prepared, progress, print_line)
    return judge(prepared.folder, prepared.record)


def _fit_all(prepared: Run, progress: bool, print_line: Callable[[str], Any]) -> None:
    """Run the strategies and save their fits, and after each what became of it."""
    from ..driver.fit import fit
    from ..judging.datatree import arrays, save, to_datatree

    if prepared.record["options"]["form"] == AUTO:
        prepared = _with_form(prepared, print_line)
    record, seed = prepared.record, prepared.record["options"]["seed"]
    x, y = arrays(record["options"]["ppl"], prepared.data.x_train, prepared.data.y_train)
    for label, config in prepared.configs.items():
        entry, began = record["fits"][label], time.perf_counter()
        try:
            watch = _watch(prepared, config)
            result = fit(prepared.model, config, x, y, seed=seed, progress=progress, watch=watch)
            tree = to_datatree(result, prepared.model, prepared.data, seed)
            tree.attrs["model"] = record["model"]
            entry["sha256"] = save(tree, prepared.folder / entry["file"])
            entry.update(status=PART if result.stopped else DONE, why=result.stopped)
        except KeyboardInterrupt:
            entry.update(status=INTERRUPTED, why="stopped by Ctrl-C")
        except Exception as error:  # whatever it is, the other strategies go on
            entry.update(status=FAILED, why=sentence(error))
            files.write(prepared.folder / f"{files.file_name(label)}.error.txt", traceback.format_exc())
        folder_module.write_run(prepared.folder, record)
        print_line(f"{label}: {entry['why'] or 'done'} ({time.perf_counter() - began:.0f} s)")
        if entry["status"] in (INTERRUPTED, PART):
            break


def _with_form(prepared: Run, print_line: Callable[[str], Any]) -> Run:
    """The run with the forms that a pilot decides, which ``run.json`` and the report then tell."""
    from ..driver.form import choose_form
    from ..judging.datatree import arrays

    record, data = prepared.record, prepared.data
    options, net = record["options"], catalogue.network(record["options"]["network"])

    def model_of(form: str) -> Callable[..., Any]:
        weights = catalogue.prior(record["prior"], options["structure"], form)
        return catalogue.model(weights, net, data.task, len(data.classes))

    x, y = arrays("numpyro", data.x_train, data.y_train)
    record["form"] = choose_form(model_of, x, y, options["seed"])
    record["understood"].append(f"form: {record['form'].replace(',', ', ')}, as a pilot run decided")
    print_line(record["understood"][-1])
    return replace(prepared, model=model_of(record["form"]))


def report_again(folder: Path) -> tuple[dict[str, Any], Any]:
    """Table, figures and report of a finished run from its files; returns ``run.json`` and the table.

    Raises ValueError or FileNotFoundError if the folder holds no run, or a file in it is not whole.
    """
    record = folder_module.read_run(folder)
    return record, judge(folder, record)


def judge(folder: Path, record: dict[str, Any]) -> Any:
    """Write table, figures and report of what is done; returns the table."""
    from ..judging.datatree import check
    from .compare import table

    fits = record["fits"]
    fitted = [label for label, entry in fits.items() if entry["status"] in (DONE, PART)]
    trees = {label: folder_module.load_fit(folder, fits[label]) for label in fitted}
    for label, tree in trees.items():
        check(tree, folder / fits[label]["file"])
    failed = {label: entry["why"] or entry["status"] for label, entry in fits.items() if label not in fitted}
    reference = references.load(record["reference"]) if "reference" in record else None
    comparison = table(trees, reference, failed)
    report.write(folder, record, comparison, trees)
    return comparison


def _watch(prepared: Run, config: Any) -> Any:
    """Compression and error of the trimmed net along the way, where the guide has weights that can be trimmed."""
    if getattr(getattr(config, "guide", None), "name", "") not in ("local", "flipout"):
        return None
    options = prepared.record["options"]
    prior = prepared.record["prior"].partition(":")[0]
    form = prepared.record.get("form", options["form"])
    drawn = prior in catalogue.WEIGHTS if prior in catalogue.PRIORS else form in ("hierarchical", "marginal")
    if not drawn:
        return None
    from ..sparsity.report import watch

    subset = {name: getattr(prepared.data, name)[:WATCHED] for name in ("x_test", "y_test")}
    return watch(prepared.model, replace(prepared.data, **subset))
