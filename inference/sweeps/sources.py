"""The data sets of a sweep: those of the list, tables by their file, and tables with a name and how they are read."""

import hashlib
from pathlib import Path
from typing import Any

from .toml import check_keys, listed, place, typed

READING = {"task": str, "test_fraction": float, "sep": str, "decimal": str, "encoding": str, "drop": list}
EXAMPLE = 'table = "prices.csv:price"'


def named(tables: Any) -> dict[str, dict[str, Any]]:
    """The tables ``[data.NAME]`` of a file, their values checked: ``table`` and keywords of `noisezoo.data.load`.

    Raises ValueError, of one sentence that names the place.
    """
    with place("[data]"):
        if not isinstance(tables, dict):
            raise ValueError(f"a table of your own is [data.NAME] with {EXAMPLE} in it")
    return {name: _named(name, settings) for name, settings in tables.items()}


def _named(name: str, settings: Any) -> dict[str, Any]:
    from ...data import CATALOGUE
    from ...data.reading import TABLE

    with place(f"[data.{name}]"):
        if not isinstance(settings, dict) or "table" not in settings:
            raise ValueError(f"say which table it is, as in {EXAMPLE}")
        check_keys("setting of a table", settings, ("table", *READING))
        if not TABLE.fullmatch(typed("table", settings["table"], str)):
            raise ValueError(f"table is a file and its target, as in {EXAMPLE}, got {settings['table']!r}")
        if name in CATALOGUE:
            raise ValueError(f"{name} is a data set of the list already; give the table another name")
        kinds = {"table": str} | READING
        return {k: listed(k, v) if kinds[k] is list else typed(k, v, kinds[k]) for k, v in settings.items()}


def table(tables: dict[str, dict[str, Any]], data: str) -> str:
    """The table that a name stands for, or the name or the table itself."""
    return tables[data]["table"] if data in tables else data


def reading(tables: dict[str, dict[str, Any]], data: str) -> dict[str, Any]:
    """How a data set is read."""
    return {key: value for key, value in tables.get(data, {}).items() if key != "table"}


def is_file(spec: str) -> bool:
    """Whether a data set or a prior is in a file: ``prices.csv:price``, ``noise.py:function``."""
    from ...data.reading import TABLE

    return bool(TABLE.fullmatch(spec)) or ".py:" in spec or spec.endswith(".py")


def check(tables: dict[str, dict[str, Any]], name: str, split: int) -> None:
    """Raise if there is no data set of this name, or no such split of it."""
    from ...data import CATALOGUE, splits
    from ...data.loader import no_data

    if name not in tables and not is_file(name):
        if name not in CATALOGUE:
            raise no_data(name, tables)
        splits.check(name, split, CATALOGUE[name].splits)


def checksum(folder: Path, spec: str) -> str:
    """The sha256 of the file of a data set or a prior."""
    from ...data.reading import TABLE

    found = TABLE.fullmatch(spec)
    file = folder / (found["path"] if found else spec if spec.endswith(".py") else spec.rpartition(":")[0])
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}; paths are relative to the folder of the sweep's file")
    return hashlib.sha256(file.read_bytes()).hexdigest()
