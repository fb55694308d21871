"""What all tests share: JAX on the CPU, no windows, one thread per worker, and the languages that are installed."""

import os
from importlib.util import find_spec

import pytest

# Before anything imports JAX, torch or matplotlib.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests compile thousands of small programs: XLA's older emitters take two thirds of the time that the new ones take.
# They are to go from XLA; a jaxlib that calls the flag unknown has done so, and the line can go too.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

PYRO = find_spec("pyro") is not None and find_spec("torch") is not None
LANGUAGES = ["numpyro", "pyro"] if PYRO else ["numpyro"]
collect_ignore = [] if PYRO else ["inference/pyro"]  # they import torch


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """The name of a probabilistic language; the test runs once for each that is installed."""
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``needs_pyro`` skip where Pyro is not installed."""
    for item in items:
        if not PYRO and item.get_closest_marker("needs_pyro"):
            item.add_marker(pytest.mark.skip(reason="Pyro is not installed: pip install 'noisezoo[pyro]'"))


MOST_MAPS = 30_000  # of the 65,530 that Linux allows a process by default: every compiled program takes some


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Forget compiled programs before a worker has more memory maps than it may have."""
    if nextitem is not None and nextitem.path == item.path:
        return
    try:
        with open("/proc/self/maps") as maps:
            many = sum(1 for _ in maps) > MOST_MAPS
    except OSError:  # not Linux
        return
    if many:
        import gc

        import jax

        jax.clear_caches()
        gc.collect()
