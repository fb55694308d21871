"""Seals: a file says the sha256 of its own content, and is refused on reading if that is no longer so.

A JSON file has it under ``seal``; a binary one in a last line, which readers of its format pass over, so that it is
checked before any of them looks at the content.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from . import files

KEY = "seal"
LINE = b"\nnoisezoo sha256 "
LENGTH = len(LINE) + 65  # of a last line: 64 digits and its end


def digest(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_json(path: Path, content: dict[str, Any], indent: int | None = 2) -> None:
    """Write a sealed JSON file, whole or not at all."""
    content = json.loads(json.dumps(content, allow_nan=False))
    files.write(path, json.dumps({**content, KEY: digest(content)}, indent=indent) + "\n")


def read_json(path: Path, fix: str) -> dict[str, Any]:
    """What `write_json` wrote; a file without a seal is of an older noisezoo, or written by hand.

    Raises FileNotFoundError if there is none, and ValueError if it is no file, is not whole or was changed; `fix` says
    what to do then.
    """
    text = files.regular(path).read_bytes()
    try:
        content = json.loads(text)
        seal = content.pop(KEY, None)
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise ValueError(f"{path} is not whole; {fix}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not whole; {fix}")
    lost = seal is None and content and isinstance([*content.values()][-1], str)  # the last value is the seal's
    if lost or seal not in (None, digest(content)):
        raise ValueError(f"{path} was changed since it was written; {fix}")
    return content


def check(content: dict[str, Any], kinds: dict[str, Any]) -> None:
    """Raise TypeError or KeyError if a value is missing or not of its kind."""
    for name, kind in kinds.items():
        if not isinstance(content[name], kind):
            raise TypeError(name)


def seal(path: Path) -> str:
    """Put the last line under a file; returns the sha256 of what is above it."""
    sha256 = _sha256(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(LINE + sha256.encode() + b"\n")
    return sha256


def read_seal(path: Path, fix: str) -> str:
    """The sha256 that a file is sealed with, or ``""``; raises ValueError if it is not that of its content."""
    size = path.stat().st_size - LENGTH
    if size < 0:
        return ""
    with path.open("rb") as file:
        file.seek(size)
        line = file.read()
    if not line.startswith(LINE):
        return ""
    sha256 = line[len(LINE) : -1].decode(errors="replace")
    if sha256 != _sha256(path, size):
        raise ValueError(f"{path} was changed since it was written; {fix}")
    return sha256


def _sha256(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(size, 2**20))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()
