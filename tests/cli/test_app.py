"""The application as a whole."""

import subprocess
import sys
import time

import pytest
from noisezoo.cli import app
from typer.testing import CliRunner

HEAVY = {"jax", "torch", "numpy", "scipy", "pandas", "matplotlib", "numpyro", "pyro", "arviz_stats", "sklearn"}


def test_help_and_list_import_nothing_heavy():
    code = f"""
import sys
from noisezoo.cli import app
for words in (["--help"], ["list"], ["compare", "--help"]):
    try:
        app(words)
    except SystemExit as end:
        assert not end.code
sys.exit(", ".join({HEAVY} & set(sys.modules)) or 0)
"""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - start < 5  # 0.2 s on an idle machine


COMMANDS = ("list", "show", "check", "papers", "compare", "calibrate", "sweep", "report", "trim", "prune")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_not_cut(command):
    output = CliRunner(env={"COLUMNS": "80"}).invoke(app, [command, "--help"]).output
    assert "Usage" in output and "…" not in output


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "noisezoo", "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "half_cauchy" in done.stdout, done.stderr
