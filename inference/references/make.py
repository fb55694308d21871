"""Runs of record: ``python -m noisezoo.inference.references.make [NAME...]`` makes the files of the references.

Every run is kept in a folder as it ends, and so is NUTS in the middle of one, so that the command, given again, goes on
where it was stopped.  What the runs found goes into the file of the problem, as a reference where they agree, and where
they do not with the reason.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ... import data as datasets
from ...models import catalogue
from .. import files, seals
from ..driver.compilation_cache import persistent_cache
from ..driver.fit import fit
from ..judging.convergence import flat, thinned
from ..judging.datatree import arrays
from ..judging.functionals import functionals
from ..judging.predict import predict
from ..provenance import versions
from ..strategies.parse import parse, settings
from ..target.sites import Arrays
from .agreement import AXES, Run, judge, summary
from .hmc import hmc
from .problems import FOLDER, Problem, problem, problems, program
from .stored import Reference, fingerprint, write

SEED = 20  # of the first run; the next have the next


def make(problem: Problem, work: Path, folder: Path = FOLDER, progress: bool = True) -> Reference:
    """Run what is left to run of a problem, and write its file into `folder`; `work` is where runs are kept.

    Raises KeyboardInterrupt on Ctrl-C.
    """
    data = datasets.load(problem.data, split=problem.split)
    kept = work / f"{problem.name}-{seals.digest(problem._asdict())[:8]}"  # with other settings it is another problem
    runs = {name: _kept(kept, name, run) for name, run in _runs(problem, data, kept, progress).items()}
    checked, agreement, why = judge(runs)
    words = (problem.prior, problem.network, data.task, len(data.classes), problem.structure, problem.forms[0])
    reference = Reference(
        name=problem.name,
        problem=problem._asdict(),
        identity=catalogue.identity(*words),
        data=fingerprint(data),
        agreed=not why,
        why=why,
        runs=checked,
        agreement=agreement,
        quantities={} if why else summary([run.found for name, run in runs.items() if checked[name]["used"]]),
        versions=versions(),
    )
    write(reference, folder)
    return reference


def _runs(problem: Problem, data: Any, folder: Path, progress: bool) -> dict[str, Callable[[], Run]]:
    """The runs of a problem by name, not begun yet."""
    nuts = next(iter(parse(problem.nuts).values()))
    x, y = arrays("numpyro", data.x_train, data.y_train)

    def by_nuts(form: str, seed: int) -> Run:
        model, checkpoint = program(problem, form, data), folder / f"{form}.safetensors"
        found = fit(model, nuts, x, y, seed=seed, progress=progress, checkpoint=checkpoint)
        if found.stopped:
            raise KeyboardInterrupt
        facts = _facts("nuts", form, seed, settings(nuts), found.stats, sum(found.seconds.values()))
        return Run(_quantities(model, found.draws, data), facts)

    def by_hmc(form: str, seed: int) -> Run:
        model, began = program(problem, form, data), time.perf_counter()
        used = {name: getattr(nuts, name) for name in ("warmup", "draws", "chains", "target_accept")}
        draws, stats = hmc(model, x, y, seed=seed, **used)
        facts = _facts("hmc (BlackJAX)", form, seed, used, stats, time.perf_counter() - began)
        return Run(_quantities(model, draws, data), facts)

    asked = {f"nuts, {form}": (by_nuts, form) for form in problem.forms} | {"hmc": (by_hmc, problem.forms[0])}
    return {name: (lambda s=SEED + i, r=run, f=form: r(f, s)) for i, (name, (run, form)) in enumerate(asked.items())}


def _facts(sampler: str, form: str, seed: int, used: dict[str, Any], stats: Arrays, seconds: float) -> dict[str, Any]:
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function
    ebfmi = np.min(arviz_stats.bfmi(np.asarray(stats["energy"], np.float64), **AXES))
    return {
        "sampler": sampler,
        "form": form,
        "seed": seed,
        "settings": used,
        "transitions": int(stats["diverging"].size),
        "divergences": int(stats["diverging"].sum()),
        "ebfmi": float(np.nan_to_num(ebfmi)),  # where transitions diverge, energies may be infinite
        "seconds": round(seconds, 1),
    }


def _quantities(model: Callable, draws: Arrays, data: Any) -> Arrays:
    """What is compared and kept, each (chain, draw, value); see `stored`."""
    f = predict(model, draws, *arrays("numpyro", data.x_test)).f
    found = {"f": thinned(flat(data.original(f) if data.task == "regression" else f))}
    for name, values in functionals(draws, data.y_scale).items():
        if name.endswith(".sorted") or name == "noise_sd":
            found[f"log {name}"] = thinned(np.log(np.abs(values.astype(np.float64))).reshape(*values.shape[:2], -1))
    return found


def _kept(folder: Path, name: str, run: Callable[[], Run]) -> Run:
    """The result of a run from its file, or else from the run."""
    file = folder / f"{files.file_name(name)}.npz"
    if not file.exists():
        found, facts = run()
        folder.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {key: values.astype(np.float32) for key, values in found.items()}
        content["facts.json"] = json.dumps(facts)
        files.through(file, lambda part: np.savez(part, **content))
    with np.load(file) as archive:
        found = {key: archive[key].astype(np.float64) for key in archive if key != "facts.json"}
        return Run(found, json.loads(str(archive["facts.json"])))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Runs of record, and the reference posteriors that they make.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="problems; all of them by default")
    parser.add_argument("--work", type=Path, default=Path("runs/references"), help="where runs are kept")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args()
    persistent_cache()
    for asked in [problem(name) for name in options.names or problems()]:
        reference = make(asked, options.work, progress=not options.quiet)
        print(f"{asked.name}: {'agreed' if reference.agreed else reference.why}", flush=True)


if __name__ == "__main__":
    main()
