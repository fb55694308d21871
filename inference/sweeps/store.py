"""The folder of a sweep: ``sweep.json``, and one file for each cell that is finished.

A cell's file is either whole or not there, and counts only if its checksum is right, so that a sweep that was stopped
in any way knows what is left to do.
"""

import errno
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from .. import files as files_module
from ..runs import folder as folder_module

SWEEP, LOCK, CELLS = "sweep.json", "lock", "cells"
DONE, FAILED = "done", "failed"


class Cell(NamedTuple):
    """One fit of a sweep; model, strategy and data are the names in its file."""

    model: str
    strategy: str
    data: str
    split: int
    seed: int


def keys(facts: dict[str, Any]) -> dict[Cell, str]:
    """The names of the files of all cells: checksums of everything that decides what a cell computes."""
    keys_of = {}
    for cell in (Cell(*values) for values in facts["cells"]):
        model, strategy = facts["models"][cell.model], facts["strategies"][cell.strategy]
        files = [facts["files"].get(spec) for spec in (model["prior"], cell.data)]
        keys_of[cell] = _sha([cell, model, strategy, files, facts["ppl"]])[:16]
    return keys_of


def _sha(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def create(folder: Path, facts: dict[str, Any], provenance: dict[str, Any]) -> Any:
    """Make the folder of a sweep, or find that it holds the same one; returns a file whose lock says that it is taken.

    The lock ends with the process, however that ends, or when the file is closed.  Raises FileExistsError if the folder
    holds something else, BlockingIOError if another process has it, and OSError if it cannot be written.
    """
    if (folder / folder_module.RUN).exists():
        raise FileExistsError(f"{folder} holds a run of compare; name another folder with --out")
    try:
        (folder / CELLS).mkdir(parents=True, exist_ok=True)
        lock = open(folder / LOCK, "w")  # noqa: SIM115  it stays open while the sweep runs
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        if not claim(lock):
            raise BlockingIOError(f"another process is running the sweep in {folder}; wait for it, or stop it")
        _hold(folder, facts, provenance)
    except BaseException:
        lock.close()
        raise
    return lock


def _hold(folder: Path, facts: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Write ``sweep.json``, or find that it is the same sweep's."""
    if not (folder / SWEEP).exists():
        try:
            files_module.write(folder / SWEEP, json.dumps({"facts": facts, **provenance}, indent=1) + "\n")
        except OSError as error:
            raise _not_written(folder, error) from error
    elif read(folder)["facts"] != json.loads(json.dumps(facts)):
        raise FileExistsError(
            f"{folder} holds another sweep than this file asks for now; name another folder with --out, or remove it"
        )


def _not_written(folder: Path, error: OSError) -> OSError:
    return OSError(f"cannot write to the folder {folder}: {error.strerror or error}")


def read(folder: Path) -> dict[str, Any]:
    """What ``sweep.json`` says; raises FileNotFoundError or ValueError if it is not there or not whole."""
    try:
        record = json.loads((folder / SWEEP).read_text())
        keys(record["facts"])
        return record
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{folder} holds no sweep (no {SWEEP} in it)") from None
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{folder / SWEEP} is not whole; remove it and run the sweep again, cells are kept") from None


def claim(file: Any) -> bool:
    """Lock an open file, for as long as it is open; False if somebody else has done so."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(folder: Path, key: str, result: dict[str, Any], error: str = "") -> None:
    """Write the result of a cell, and its traceback if there is one.

    Raises OSError, in words of our own if the disk is full.
    """
    path = folder / CELLS / f"{key}.json"
    try:
        trace = path.with_name(f"{key}.error.txt")
        files_module.write(trace, error) if error else trace.unlink(missing_ok=True)
        files_module.write(path, json.dumps(result | {"sha256": _sha(result)}) + "\n")
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        raise full(folder) from problem


def full(folder: Path) -> OSError:
    """The error to raise when there is no room left."""
    return OSError(f"the disk of {folder} is full; what is finished is kept: make room, then give the command again")


def finished(folder: Path, file_keys: dict[Cell, str]) -> dict[Cell, dict[str, Any]]:
    """The results of the cells that are finished; a file that is not whole, or was edited, counts as missing."""
    cells = {key: cell for cell, key in file_keys.items()}
    results = {}
    with os.scandir(folder / CELLS) as files:
        for file in files:
            cell = cells.get(file.name.removesuffix(".json"))
            result = _result(file.path) if cell else None
            if cell and result is not None:
                results[cell] = result
    return results


def _result(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            result = json.loads(file.read())
        return result if result.pop("sha256") == _sha(result) else None
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
