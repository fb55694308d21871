"""Where a data set's file is: $NOISEZOO_DATA, the checkout's neighbour, the user's cache, or its public source."""

import os
from collections.abc import Iterator
from pathlib import Path

import pooch

from .entry import Entry

BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"  # for developers; skipped where absent


def find(entry: Entry, file: str) -> Path:
    """The path of a data set's `file`, its sha256 checked; downloaded into the user's cache if need be.

    Raises
    ------
    ValueError
        The file that was found or downloaded is not the published one.
    FileNotFoundError
        There is no such file and it cannot be downloaded; the message says what to put where.
    """
    return local_file(entry, file) or _download(entry, file)


def local_file(entry: Entry, file: str) -> Path | None:
    """The path of a data set's `file` in a data folder, None if there is none; raises ValueError as `find` does."""
    for folder in _folders():
        path = folder / entry.folder / file
        if path.is_file():
            return _checked(path, entry.files[file])
    return None


def _folders() -> Iterator[Path]:
    if folder := os.environ.get("NOISEZOO_DATA"):
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"NOISEZOO_DATA is {folder!r}, which is not a folder: set it to one, or unset it.")
        yield Path(folder)
    yield BESIDE_CHECKOUT


def _checked(path: Path, sha256: str) -> Path:
    if sha256 and pooch.file_hash(str(path), alg="sha256") != sha256:
        raise ValueError(f"{path} is not the published file (its sha256 should be {sha256}): replace or remove it.")
    return path


def _download(entry: Entry, file: str) -> Path:
    url, sha256 = entry.url + file, entry.files[file]
    cache = Path(pooch.os_cache("noisezoo")) / entry.folder
    try:
        return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}" if sha256 else None, fname=file, path=cache))
    except OSError as error:  # requests' errors are OSErrors too
        raise FileNotFoundError(
            f"{entry.folder}/{file} is not on this machine and could not be downloaded ({type(error).__name__}): "
            f"save {', '.join(entry.files)} from {entry.url} in DIR/{entry.folder} and set NOISEZOO_DATA=DIR."
        ) from None
    except ValueError:
        raise ValueError(f"{url} is no longer the published file (its sha256 should be {sha256}): not kept.") from None
