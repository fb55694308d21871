"""What all tests share: JAX on the CPU, no windows, one thread per worker, and the languages that are installed."""

import gc
import os
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pooch
import pytest

# Before anything imports JAX, torch or matplotlib.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests compile thousands of small programs and run each for a moment: with little optimisation, on one thread, and with
# XLA's older emitters that takes half of the time.  (Without any, nets take ten times as long.)  The emitters are
# to go from XLA; a jaxlib that calls the flag unknown has done so, and the flag can go too.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=1 --xla_cpu_parallel_codegen_split_count=1 --xla_cpu_use_fusion_emitters=false",
)

PYRO = find_spec("pyro") is not None and find_spec("torch") is not None
LANGUAGES = ["numpyro", "pyro"] if PYRO else ["numpyro"]
collect_ignore = [] if PYRO else ["inference/pyro"]  # they import torch


def pytest_configure(config: pytest.Config) -> None:
    """What one process compiles is there for the others: workers, programs that tests start, other checkouts.

    The keys are of what is compiled and by whom, so that a change of the code compiles anew what it changes.
    """
    if hasattr(config, "workerinput") or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = Path(pooch.os_cache("noisezoo")) / "tests"
    forget_unused(folder)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"


def forget_unused(folder: Path, days: float = 7) -> None:
    """Remove the compiled programs of older code, which no run has read for so long."""
    for file in folder.glob("*"):
        with suppress(FileNotFoundError):  # another run does the same
            if time.time() - file.stat().st_atime > days * 86_400:
                file.unlink()


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """The name of a probabilistic language; the test runs once for each that is installed."""
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``needs_pyro`` skip where Pyro is not installed."""
    for item in items:
        if not PYRO and item.get_closest_marker("needs_pyro"):
            item.add_marker(pytest.mark.skip(reason="Pyro is not installed: pip install 'noisezoo[pyro]'"))


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After each file forget what was compiled: it is on disk, and every collection of garbage would go through it.

    Nor may a process have more memory maps than Linux allows it, of which every compiled program takes some.
    """
    if "jax" not in sys.modules or nextitem is None or nextitem.path == item.path:
        return
    import jax
    from noisezoo.models.ppl.compiled import let_go

    jax.clear_caches()
    let_go()
    gc.freeze()  # what is left is modules and data: later collections need not look at it
