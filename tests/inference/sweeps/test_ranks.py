"""Ranks and the critical difference, against the worked example of Demsar (2006), tables 5 and 6."""

import io

import numpy as np
import pytest
from noisezoo.inference.runs import images
from noisezoo.inference.sweeps import ranks, report

# AUC of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets (table 6); where two are equal as printed but not their ranks
# (the thirteenth row), a digit more
AUC = np.array(
    [
        *([0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967]),
        *([0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931]),
        *([0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875]),
        *([1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669]),
        *([0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970]),
    ]
)


def test_the_worked_example():
    ranked = ranks.ranks(AUC, larger=True)
    np.testing.assert_allclose(ranked.mean(axis=0), [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    test = ranks.friedman(ranked)
    assert test.chi2 == pytest.approx(9.28, abs=0.01) and test.f == pytest.approx(3.69, abs=0.01)
    assert 0.01 < test.p < 0.05  # the critical value at 5% is 2.85
    assert ranks.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_values_of_table_5(methods, q):
    assert ranks.critical_difference(methods, 6) == pytest.approx(q * np.sqrt(methods * (methods + 1) / 36), rel=1e-3)


def test_ties_share_their_ranks_and_larger_turns_them():
    values = np.array([[1.0, 2.0, 1.0]])
    np.testing.assert_array_equal(ranks.ranks(values, larger=False), [[1.5, 3.0, 1.5]])
    np.testing.assert_array_equal(ranks.ranks(values, larger=True), [[2.5, 1.0, 2.5]])


def test_data_sets_that_all_agree():
    assert ranks.friedman(np.array([[1, 2, 3], [1, 2, 3.0]])).p == 0.0


def test_bars_join_what_may_be_equal_and_none_lies_within_another():
    assert ranks.joined(np.array([1.0, 1.5, 2.4, 4.0]), 1.0) == [(0, 1), (1, 2)]
    assert ranks.joined(np.array([1.0, 1.1, 1.2]), 0.5) == [(0, 2)]
    assert ranks.joined(np.array([1.0, 3.0]), 0.5) == []


def test_the_plot_names_every_method_with_its_rank():
    figure = ranks.plot(["b", "a", "c"], np.array([2.0, 1.2, 2.8]), 5.0)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert {"a  1.20", "b  2.00", "2.80  c"} <= set(said)
    assert any(text.startswith("CD = 5.00 (more") for text in said)


def test_names_of_methods_are_never_formulas():
    figure = ranks.plot(["pay_$_per_$_won", "b"], np.array([1.0, 2.0]), 1.0)
    figure.savefig(io.BytesIO(), format="png")  # a formula that cannot be read is an error
    assert r"pay_\$_per_\$_won  1.00" in [text.get_text() for text in figure.axes[0].texts]


def test_a_diagram_that_cannot_be_drawn_leaves_its_ranks_as_a_table(tmp_path, monkeypatch):
    def dark(*_):
        raise RuntimeError("no light")

    monkeypatch.setattr(report.ranks, "plot", dark)
    ranking = report.Ranking(
        "rmse", ["a", "b"], np.array([1.0, 2.0]), ["x", "y"], [], ranks.Friedman(1, 1, 0.3), 1.4, ""
    )
    with pytest.warns(UserWarning, match="'Ranks by RMSE' could not be drawn: RuntimeError: no light"):
        (image,) = images.write(tmp_path, [report.picture(ranking)])
    text = report._rank_section(ranking, image)
    assert "no light" in text and "<td>1.00</td>" in text and list(tmp_path.iterdir()) == []
