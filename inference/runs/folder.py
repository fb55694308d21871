"""The folder of a run: what lies in it, written so that a file is either whole or not there.

``run.json`` (what was asked, with which versions, and what became of each strategy), ``table.csv``, ``report.html``,
one ``<strategy>.nc`` per fit and one PNG per figure.
"""

import json
from pathlib import Path
from typing import Any

from ..files import write

RUN = "run.json"


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
        write(folder / RUN, "{}\n")
    except OSError as error:
        raise OSError(f"cannot write to the run folder {folder}: {error.strerror or error}") from error
    return folder


def write_run(folder: Path, run: dict[str, Any]) -> None:
    """Write ``run.json``."""
    write(folder / RUN, json.dumps(run, indent=2) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says; raises FileNotFoundError or ValueError if it is not there or not whole."""
    try:
        run = json.loads((folder / RUN).read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no run (no {RUN} in it); give the folder that compare wrote") from None
    except NotADirectoryError:
        raise FileNotFoundError(f"{folder} is not a folder; give the folder that compare wrote") from None
    except ValueError:
        raise ValueError(f"{folder / RUN} is not whole; run the comparison again") from None
    if "fits" not in run:
        raise ValueError(f"{folder / RUN} lists no fits: the run was stopped before its first; run it again")
    return run
