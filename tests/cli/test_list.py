"""What ``list`` prints."""

import pytest
from noisezoo.cli import app
from typer.testing import CliRunner


@pytest.mark.parametrize("width", ["80", "120"])
def test_list_names_everything_within_the_terminal(width):
    from noisezoo.data import CATALOGUE
    from noisezoo.inference.strategies import STRATEGIES
    from noisezoo.inference.strategies.guides import GUIDES
    from noisezoo.models.noises import NOISES

    output = CliRunner(env={"COLUMNS": width}).invoke(app, ["list"]).output
    assert max(map(len, output.splitlines())) <= int(width)
    for name in (
        *NOISES,
        *CATALOGUE,
        *STRATEGIES,
        *GUIDES,
        "horseshoe",
        "ard_add",
        "hierarchical",
        "mlp:50",
        "diabetes-ridge",
    ):
        assert name in output


def test_what_list_says_of_a_structure_is_one_line_of_it():
    output = " ".join(CliRunner(env={"COLUMNS": "200"}).invoke(app, ["list"]).output.split())
    assert "ADD as the paper's networks have it" in output
    assert "A residual network can do without" not in output
