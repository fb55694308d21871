"""The folder of a run: what lies in it, written so that a file is either whole or not there.

``run.json`` (what was asked, with which versions, and what became of each strategy), ``table.csv``, ``report.html``,
one ``<strategy>.nc`` per fit and one PNG per figure.
"""

from pathlib import Path
from typing import Any

from .. import files, seals

RUN = "run.json"
AGAIN = "run the comparison again"
KINDS = {"options": dict, "data_sha256": str, "title": str, "prior": str, "started": str, "versions": dict}
OPTIONS = {"data": str, "split": int, "network": str}
FIT = {"settings": dict, "file": str, "status": str, "why": str}


def data_of(run: dict[str, Any]) -> Any:
    """The data of a run, read as they were then; raises ValueError if they are no longer the same."""
    from ... import data as datasets
    from ..provenance import checksum

    options = run["options"]
    data = datasets.load(options["data"], split=options["split"], **run.get("reading", {}))
    if checksum(data) != run["data_sha256"]:
        raise ValueError(f"the data {options['data']} are no longer those of the run; run the comparison again")
    return data


def create(path: str | Path) -> Path:
    """Make the folder of a new run, or say before anything is computed why it cannot be.

    Raises FileExistsError if it already holds a run, which is never overwritten, and OSError if it cannot be written.
    """
    folder = Path(path)
    if (folder / RUN).exists():
        raise FileExistsError(f"{folder} already holds a run; name another folder, or remove this one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write(folder / RUN, "{}\n")
    except OSError as error:
        raise OSError(f"cannot write to the run folder {folder}: {error.strerror or error}") from error
    return folder


def write_run(folder: Path, run: dict[str, Any]) -> None:
    """Write ``run.json``."""
    seals.write_json(folder / RUN, run)


def read_run(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says; raises FileNotFoundError, OSError or ValueError if it is not there or not as it was."""
    if folder.exists() and not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give the folder that compare wrote")
    try:
        run = seals.read_json(files.inside(folder, RUN), AGAIN)
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no run (no {RUN} in it); give the folder that compare wrote") from None
    if "fits" not in run:
        raise ValueError(f"{folder / RUN} lists no fits: the run was stopped before its first; run it again")
    try:
        seals.check(run, {**KINDS, "fits": dict})
        seals.check(run["options"], OPTIONS)
        for fit in run["fits"].values():
            seals.check(fit, FIT)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / RUN} is not as compare writes it (see {error}); {AGAIN}") from None
    for fit in run["fits"].values():
        files.inside(folder, fit["file"])
    return run


def load_fit(folder: Path, fit: dict[str, Any]) -> Any:
    """The tree of a fit that ``run.json`` lists; raises ValueError or OSError if it is not the one that was written."""
    from ..target.warm_start import load

    return load(files.inside(folder, fit["file"]), fit.get("sha256", ""))
