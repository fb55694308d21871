"""The folder of a sweep: ``sweep.json``, and one file for each cell that is finished.

A cell's file is either whole or not there, and counts only if its checksum is right, so that a sweep that was stopped
in any way knows what is left to do.
"""

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from .. import files as files_module
from .. import seals
from ..runs import folder as folder_module
from ..seals import digest

SWEEP, LOCK, CELLS = "sweep.json", "lock", "cells"
DONE, FAILED = "done", "failed"
AGAIN = "remove it and run the sweep again, cells are kept"
KINDS = {"facts": dict, "file": str, "text": str, "versions": dict}
RESULT = {"status": str, "reason": str, "seconds": (int, float), "scores": dict}


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
        seals.check(cell._asdict(), Cell.__annotations__)
        model, strategy = facts["models"][cell.model], facts["strategies"][cell.strategy]
        table = facts.get("data", {}).get(cell.data)
        files = [facts["files"].get(spec) for spec in (model["prior"], table["table"] if table else cell.data)]
        said = [*([table] if table else []), *(["x64"] if facts.get("x64") else [])]  # keys without are as they were
        keys_of[cell] = digest([cell, model, strategy, files, facts["ppl"], *said])[:16]
    return keys_of


def create(folder: Path, facts: dict[str, Any], provenance: dict[str, Any]) -> Any:
    """Make the folder of a sweep, or find that it holds the same one; returns a file whose lock says that it is taken.

    The lock ends with the process, however that ends, or when the file is closed.  Raises FileExistsError if the folder
    holds something else, BlockingIOError if another process has it, and OSError if it cannot be written.
    """
    if (folder / folder_module.RUN).exists():
        raise FileExistsError(f"{folder} holds a run of compare; name another folder with --out")
    try:
        files_module.inside(folder, CELLS).mkdir(parents=True, exist_ok=True)
        lock = open(files_module.inside(folder, LOCK), "a", opener=_without_waiting)  # noqa: SIM115  it stays open
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
            seals.write_json(folder / SWEEP, {"facts": facts, **provenance}, indent=1)
        except OSError as error:
            raise _not_written(folder, error) from error
    elif read(folder)["facts"] != json.loads(json.dumps(facts)):
        raise FileExistsError(
            f"{folder} holds another sweep than this file asks for now; name another folder with --out, or remove it"
        )


def _not_written(folder: Path, error: OSError) -> OSError:
    return OSError(f"cannot write to the folder {folder}: {error.strerror or error}")


def _without_waiting(path: str, flags: int) -> int:
    """Open a file, or fail at once where a pipe lies in its place."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


def read(folder: Path) -> dict[str, Any]:
    """What ``sweep.json`` says; raises FileNotFoundError, OSError or ValueError if it is not there or not as it was."""
    try:
        record = seals.read_json(files_module.inside(folder, SWEEP), AGAIN)
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no sweep (no {SWEEP} in it)") from None
    try:
        seals.check(record, KINDS)
        keys(record["facts"])
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ValueError(f"{folder / SWEEP} is not whole (see {error}); {AGAIN}") from None
    return record


def claim(file: Any) -> bool:
    """Lock an open file, for as long as it is open; False if somebody else has done so."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(folder: Path, key: str, result: dict[str, Any], error: str = "") -> None:
    """Write the result of a cell with its key and a checksum, and its traceback if there is one.

    Raises OSError, in words of our own if the disk is full.
    """
    path = folder / CELLS / f"{key}.json"
    try:
        trace = path.with_name(f"{key}.error.txt")
        files_module.write(trace, error) if error else trace.unlink(missing_ok=True)
        result = result | {"key": key}
        files_module.write(path, json.dumps(result | {"sha256": digest(result)}) + "\n")
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        raise full(folder) from problem


def full(folder: Path) -> OSError:
    """The error to raise when there is no room left."""
    return OSError(f"the disk of {folder} is full; what is finished is kept: make room, then give the command again")


def finished(folder: Path, file_keys: dict[Cell, str]) -> dict[Cell, dict[str, Any]]:
    """The results of the cells that are finished; a file that is not whole, or was changed, counts as missing.

    Raises OSError or ValueError if something that is no file, or leads out of the folder, lies in a cell's place.
    """
    cells = {key: cell for cell, key in file_keys.items()}
    path, results = files_module.inside(folder, CELLS), {}
    if not path.is_dir():
        raise FileNotFoundError(f"{folder} has no folder {CELLS}; give the command of the sweep again")
    with os.scandir(path) as files:
        for file in files:
            key = file.name.removesuffix(".json")
            if key in cells and file.name != key:
                result = _result(files_module.regular(files_module.inside(path, file.name)), cells[key], key)
                if result is not None:
                    results[cells[key]] = result
    return results


def changed(folder: Path, file_keys: dict[Cell, str], results: dict[Cell, dict[str, Any]]) -> str:
    """What to say of files that count as missing, for they are not whole, were changed or are of another cell."""
    files = [f"{CELLS}/{key}.json" for cell, key in file_keys.items() if cell not in results]
    files = [name for name in files if (folder / name).exists()]
    if not files:
        return ""
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return (
        f"not whole, changed or of another cell: {', '.join(files[:3])}{more}; the sweep, given again, runs them anew"
    )


def _result(path: Path, cell: Cell, key: str) -> dict[str, Any] | None:
    """What the file of a cell says, if that is what was written, for this cell; an older file does not say its key."""
    try:
        result = json.loads(path.read_bytes())
        if result.pop("sha256") != digest(result) or result["cell"] != cell._asdict() or result.pop("key", key) != key:
            return None
        seals.check(result, RESULT)
        seals.check(result["scores"], dict.fromkeys(result["scores"], (int, float)))
        return result
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
