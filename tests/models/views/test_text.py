"""Names of the user's, as figures show them."""

import io
from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from noisezoo.models.laws.directions import projected
from noisezoo.models.noises import NOISES
from noisezoo.models.views.directions import angles
from noisezoo.models.views.noises import plot_noise
from noisezoo.models.views.text import LONGEST, plain

AWKWARD = "pay_$_per_$_won"  # which matplotlib would take for a formula, and a wrong one


@pytest.mark.parametrize("name", [AWKWARD, "a $ b", r"\$_$_", "$$", "$_^$", "\\", "two\nlines"])
def test_what_is_shown_is_the_name(name):
    figure = Figure()
    text = figure.text(0, 0, plain(name))
    figure.savefig(io.BytesIO(), format="png")
    shown, formula = text._preprocess_math(text.get_text())
    assert shown == " ".join(name.split()) and not formula


def test_a_name_that_is_a_wrong_formula_is_an_error_without_it():
    figure = Figure()
    figure.text(0, 0, AWKWARD)
    with pytest.raises(ValueError):
        figure.savefig(io.BytesIO(), format="png")


def test_a_long_name_keeps_its_beginning_and_its_end():
    found = plain("first " + 200 * "x" + " last")
    assert len(found) <= LONGEST and found.startswith("first") and found.endswith("last")
    assert plain(7) == "7" and plain(LONGEST * "x") == LONGEST * "x"


def test_names_of_noises_and_directions_are_never_formulas():
    noise = replace(NOISES["half_cauchy"](), name=AWKWARD, prior=AWKWARD)
    direction = replace(projected(0.01), name=AWKWARD)
    for figure in (plot_noise(noise), angles([direction], n=10, count=20)):
        figure.savefig(io.BytesIO(), format="png")
        assert r"\$_per_\$" in figure.get_suptitle()
