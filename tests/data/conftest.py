"""The data folder that the tests of real files read: $NOISEZOO_DATA, or the checkout's neighbour."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder() -> Path:
    path = Path(os.environ.get("NOISEZOO_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not (path / "uci").is_dir():
        pytest.skip(f"no UCI files in {path}: set NOISEZOO_DATA")
    return path
