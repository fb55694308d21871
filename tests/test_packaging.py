"""What is installed is what is here, and the light commands stay light."""

import fnmatch
import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import noisezoo
import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
OTHERS = ("tests", "docs", "notebooks", "build", "dist", "runs")  # folders that are no part of the package
HEAVY = ("jax", "torch", "numpyro", "pyro", "arviz_base", "scipy.stats", "matplotlib", "pandas", "sklearn")


def folder(package):
    return ROOT.joinpath(*package.split(".")[1:])


def test_one_version():
    assert noisezoo.__version__ == PYPROJECT["project"]["version"] == version("noisezoo")


def test_the_changelog_and_the_citation_know_the_version():
    assert f"## {noisezoo.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {noisezoo.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_every_package_is_listed():
    folders = [d for d in ROOT.iterdir() if d.is_dir() and d.name[0] != "." and d.name not in OTHERS]
    inits = [f.parent.relative_to(ROOT) for d in folders for f in d.rglob("__init__.py")]
    assert {"noisezoo", *(".".join(("noisezoo", *p.parts)) for p in inits)} == set(SETUPTOOLS["packages"])
    assert SETUPTOOLS["package-dir"] == {"noisezoo": "."}


def test_every_data_file_of_a_package_is_listed():
    patterns = SETUPTOOLS["package-data"]
    for package in SETUPTOOLS["packages"][1:]:
        for file in folder(package).iterdir():
            if file.is_file() and file.suffix not in (".py", ".pyc"):
                assert any(fnmatch.fnmatch(file.name, p) for p in patterns.get(package, [])), f"{file} is not installed"
    assert (ROOT / "py.typed").exists() and "py.typed" in patterns["noisezoo"]


def test_the_lazy_names_are_there():
    code = "import noisezoo, sys; assert not {'jax', 'torch', 'numpy'} & set(sys.modules); print(dir(noisezoo))"
    listed = python("-c", code).stdout
    for name in noisezoo.__all__:
        assert getattr(noisezoo, name) and name in listed
    with pytest.raises(AttributeError, match="no attribute 'dropout'"):
        _ = noisezoo.dropout


@pytest.mark.parametrize("argument", ["--help", "list"])
def test_light_commands_import_nothing_heavy(argument):
    code = f"""
import sys
from noisezoo.cli import app
try:
    app([{argument!r}])
finally:
    print("HEAVY", sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    said = python("-c", code).stdout
    assert "HEAVY []" in said
    assert "half_cauchy" in said or argument == "--help"


def python(*arguments):
    """A Python of its own, far from the checkout, so that the installed package is what answers."""
    environment = {**os.environ, "COLUMNS": "200"}
    run = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=Path(sys.executable).anchor, env=environment
    )
    assert run.returncode == 0, run.stderr
    return run
