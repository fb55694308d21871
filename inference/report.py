"""The report of a run: its table, its pictures, and one HTML file that holds both."""

import base64
import html
import io
import shlex
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from . import folder
from .plots import Picture, pictures

COLUMNS: dict[str, str] = {}


def write(path: Path, run: dict[str, Any], table: Any, trees: dict[str, Any]) -> None:
    """Write ``table.csv``, the figures and ``report.html`` into the run folder `path`."""
    folder.through(path / "table.csv", table.to_csv)
    shown = []
    for picture in pictures(trees, run.get("reference")):
        picture_png = png(picture)
        folder.write(path / f"{folder.file_name(picture.name)}.png", picture_png)
        shown.append((picture, picture_png))
    folder.write(path / "report.html", page(run, table, shown))


def png(picture: Picture) -> bytes:
    """A picture as a PNG."""
    buffer = io.BytesIO()
    picture.figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def page(run: dict[str, Any], table: Any, shown: Iterable[tuple[Picture, bytes]]) -> str:
    """The report as one HTML page that needs no other file.

    `run` is what ``run.json`` holds, `table` that of `compare`, `shown` the pictures with their PNGs.
    """
    return PAGE.substitute(
        title=_text(f"{run['noise']} on {run['data']}"),
        facts=_facts(run),
        verdicts=_verdicts(run, table),
        table=_table(table),
        columns=_columns(table),
        pictures="\n".join(_picture(picture, image) for picture, image in shown),
        command=_text(command(run)),
        versions=_text(", ".join(f"{name} {version}" for name, version in run["versions"].items())),
        checksum=_text(run["data_sha256"]),
    )


def command(run: dict[str, Any]) -> str:
    """The shell command that does the run again."""
    return shlex.join(["noisezoo", "compare", run["prior"], *(f"--{k}={v}" for k, v in run["options"].items())])
