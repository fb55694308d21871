"""Every example in a docstring says what happens."""

import doctest
import os
import pkgutil
from importlib import import_module

import noisezoo
import pytest


def modules():
    for module in pkgutil.walk_packages(noisezoo.__path__, "noisezoo.", onerror=_raise):
        if set(module.name.split(".")).isdisjoint({"tests", "docs", "notebooks"}):  # folders of the checkout, no packages
            marks = [pytest.mark.needs_pyro] if module.name.startswith("noisezoo.inference.pyro.") else []
            yield pytest.param(module.name, marks=marks)


def _raise(name):
    raise ImportError(f"{name} cannot be imported")


@pytest.mark.parametrize("name", ["noisezoo", *modules()])
def test_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write a file
    module = import_module(name)
    assert module.__doc__, f"{name} does not say what it is for"
    result = doctest.testmod(module)
    assert result.failed == 0


def test_a_wrong_example_fails():
    def wrong():
        """
        >>> 1 + 1
        3
        """

    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder().find(wrong, "wrong", globs={}):
        runner.run(example, out=lambda text: None)
    assert runner.summarize(verbose=False).failed == 1


def test_all_packages_are_walked():
    names = {p.values[0] for p in modules()}
    assert {"noisezoo.models.ppl", "noisezoo.inference.run", "noisezoo.inference.pyro.svi", "noisezoo.data.loader"} <= names
    assert os.path.isdir(noisezoo.__path__[0])
