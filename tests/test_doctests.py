"""Every example in a docstring says what happens."""

import doctest
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import noisezoo
import pytest

DOCS = Path(__file__).parents[1] / "docs"


def modules():
    for module in pkgutil.walk_packages(noisezoo.__path__, "noisezoo.", onerror=_raise):
        marks = [pytest.mark.needs_pyro] if ".pyro." in f"{module.name}." else []
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


@pytest.mark.parametrize("page", [page.name for page in sorted(DOCS.glob("*.md"))])
def test_pages(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(DOCS)  # my_noise.py
    result = doctest.testfile(str(DOCS / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_the_noise_of_the_docs_is_sound():
    from noisezoo.models.catalogue import noise
    from noisezoo.models.check import check_noise

    assert check_noise(noise(f"{DOCS / 'my_noise.py'}:lognormal")) == []


def test_the_docs_tell_every_column_and_strategy():
    from noisezoo.inference.judging.diagnose import COLUMNS
    from noisezoo.inference.strategies import STRATEGIES
    from noisezoo.inference.strategies.guides import GUIDES

    page = (DOCS / "choosing.md").read_text()
    assert [name for name in (*COLUMNS, *STRATEGIES, *GUIDES) if f"`{name}`" not in page] == []


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
    names = {p.values[0].removeprefix("noisezoo.") for p in modules()}
    assert {"cli", "models.ppl", "inference.driver.fit", "inference.strategies.pyro.svi", "data.loader"} <= names


def test_every_gotcha_is_linked_from_a_docstring_and_no_other_is():
    headings = re.findall(r"^## (.*)$", (DOCS / "gotchas.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    code = [file.read_text() for folder in ("models", "inference") for file in (DOCS.parent / folder).rglob("*.py")]
    assert set(re.findall(r"gotchas\.md#([\w-]+)", "".join(code))) == anchors
