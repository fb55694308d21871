"""Files that are either whole or not there, inside their folder, and names for them."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any


def unused(path: Path) -> Path:
    """`path`, or the first of ``path-2``, ``path-3``, ... that does not exist."""
    names = (path.with_name(f"{path.name}-{i}") if i > 1 else path for i in range(1, 1000))
    return next(name for name in names if not name.exists())


def write(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing."""
    through(path, lambda part: part.write_bytes(content.encode() if isinstance(content, str) else content))


def through(path: Path, save: Callable[[Path], Any]) -> Any:
    """Have `save` write a file beside `path`, then put it in its place in one move; returns what `save` does.

    What lay beside it is removed first: it might be a link to somewhere else.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        part.unlink(missing_ok=True)
        result = save(part)
        os.replace(part, path)
        return result
    finally:
        part.unlink(missing_ok=True)


def file_name(label: str) -> str:
    """A strategy's label as a file name: ``svi:low_rank`` -> ``svi-low_rank``."""
    return re.sub(r"[^\w.=+-]+", "-", label)


def inside(folder: Path, name: Any) -> Path:
    """What `name` names in a folder; raises ValueError unless it is a plain name and leads nowhere else."""
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise ValueError(f"{folder} names a file {name!r}; it must be a plain name, of a file inside the folder")
    path = folder / name
    if path.is_symlink() and path.resolve().parent != folder.resolve():
        raise ValueError(f"{path} is a link that leads out of its folder; put what it leads to in its place")
    return path


def regular(path: str | Path) -> Path:
    """`path`, if a file is there that can be read to its end; raises FileNotFoundError or ValueError if it is not.

    A pipe or a device is refused: whoever reads it may wait for ever.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise ValueError(f"{path} is {kind}, not a file; remove it, or name another file")
    return path
