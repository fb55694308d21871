"""The command line, run as a user runs it; what is slow is replaced where it is not what is tested."""

import pytest
from noisezoo.cli import app
from typer.testing import CliRunner

QUICK = "svi:steps=50,draws=40,nuts:warmup=60,draws=60,chains=2"
MINE = """
def lognormal(p, name, shape):
    return p.sample(name, p.dist.LogNormal(0.0, 1.0).expand(shape).to_event(len(shape)))

def of_one_shape(p, name, shape):
    return p.sample(name, p.dist.LogNormal(0.0, 1.0).expand((3,)).to_event(1))

def negative(p, name, shape):
    return -p.sample(name, p.dist.LogNormal(0.0, 1.0).expand(shape).to_event(len(shape)))
"""


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """The user's compilation cache is left alone."""
    monkeypatch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)


@pytest.fixture
def mine(tmp_path):
    """A file of somebody's own noises."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.fixture(scope="session")
def noisezoo():
    """Run a command; gives what it printed."""

    def run(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.output

    return run


@pytest.fixture(scope="session")
def compare(noisezoo):
    """Run a small comparison into a folder; gives what was printed."""

    def run(folder, *words, prior="half_cauchy", with_=QUICK, data="diabetes", code=0):
        options = ("--network", "linear", "--no-progress", "--out", folder)
        return noisezoo("compare", prior, "--data", data, "--with", with_, *options, *words, code=code)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory, compare):
    """A run folder, and what was printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisezoo.inference.driver.compilation_cache.persistent_cache", lambda: None)
        folder = tmp_path_factory.mktemp("runs") / "one"
        return folder, compare(folder)
