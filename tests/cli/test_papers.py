"""What ``papers`` prints."""

import pytest
from noisezoo.cli import app
from noisezoo.models.papers import PAPERS, paper
from typer.testing import CliRunner


def run(*words, width="120"):
    return CliRunner(env={"COLUMNS": width}).invoke(app, ["papers", *words])


def test_papers_names_all():
    output = run().output
    assert all(name in output for name in PAPERS)


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_in_full(name):
    output = run(name, width="200").output
    p = paper(name)
    for part in (p.citation, *p.programs, *p.protocol, *p.run, "erratum", "Published beside ours"):
        assert part in output


def test_unknown_paper():
    result = run("sparsevd")
    assert result.exit_code == 2 and "did you mean 'sparse_vd'" in result.stderr
