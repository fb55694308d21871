"""A TOML file as tables of checked values: what is wrong with one is a sentence that names the place."""

import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import unknown
from .. import files as files_module

NAMES = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """The text of a file and the tables in it."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; write a sweep as a TOML file")
    content = files_module.regular(path).read_bytes()
    try:
        text = content.decode()
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except ValueError as error:  # TOML's own, or of a number that is too long
        last = f"at line {len(text.splitlines())}, the end"
        raise ValueError(f"{path} is not TOML: {str(error).replace('at end of document', last)}") from None
    except RecursionError:
        raise ValueError(f"{path} nests too deeply; a sweep has tables in tables, and lists of names") from None


@contextmanager
def place(where: str) -> Iterator[None]:
    """Put the place in the file before what is wrong there."""
    try:
        yield
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise ValueError(f"{where}: {error}") from error


def check_keys(kind: str, table: dict[str, Any], allowed: Iterable[str]) -> None:
    """Raise ValueError, with the nearest allowed ones, for a key that is none of them."""
    for key in table:
        if key not in allowed:
            raise unknown(kind, key, allowed)


def tables(path: Path, content: dict[str, Any], name: str, example: str) -> dict[str, Any]:
    """The tables below the one of this name; raises ValueError if there are none."""
    tables = content.get(name, {})
    if not isinstance(tables, dict) or not tables:
        raise ValueError(f"{path} names no {name}; add a table [{example}]")
    return tables


def typed(key: str, value: Any, kind: type) -> Any:
    """`value` if it is of this kind; a whole number is a number too, a truth value is neither."""
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise ValueError(f"{key} must be {NAMES[kind]}, got {value!r}")
    try:
        return kind(value)
    except OverflowError:
        raise ValueError(f"{key} is a number of {len(str(value))} digits, more than can be computed with") from None


def listed(key: str, given: Any) -> list[str]:
    """A list of names; raises ValueError if it is none, or has none."""
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        raise ValueError(f"{key} must be a list of names with one name at least, got {given!r}")
    return given
