"""Figures of directions: a panel for each, and curves that are the laws."""

import io
import sys

import numpy as np
import pytest
from noisezoo.models.laws import direction as direction_module
from noisezoo.models.laws import directions
from noisezoo.models.views.directions import BETA, NORMAL, POINTS, PROJECTED, angles, plane, sphere


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.tell()


def test_settings_of_the_figures():
    np.testing.assert_array_equal(np.round(PROJECTED, 4), [0.0001, 0.0003, 0.0007, 0.0019, 0.0052, 0.0139, 0.0373, 0.1])
    assert len(BETA) == 8 and len(NORMAL) == 9


@pytest.mark.parametrize(
    "make, alphas",
    [
        (directions.projected, PROJECTED),
        (directions.tangent, PROJECTED),
        (directions.rotation_beta, BETA),
        (directions.rotation_normal, NORMAL),
    ],
)
def test_the_angles_of_a_figure(make, alphas):
    figure = angles([make(alpha) for alpha in alphas], n=200, count=1000)
    assert len(figure.axes) == len(alphas) and make.__name__ in figure.get_suptitle()
    for axes, alpha in zip(figure.axes, alphas, strict=True):
        law = make(alpha).law(200)
        assert axes.get_title() == f"alpha = {alpha:.3g}"
        (curve,) = axes.lines
        x, y = curve.get_data()
        np.testing.assert_allclose(y, law.pdf(x))
        low, high = axes.get_xlim()
        assert len(x) == POINTS and (x[0], x[-1]) == (low, high) and 0 <= low < law.mean() < high
        assert (high - low) / POINTS < law.std() / 15  # finely drawn
        assert law.cdf(high) - law.cdf(low) > 0.998
        assert axes.texts[0].get_text() == f"{law.mean():.3f} ± {law.std():.4f}"
        bars = np.array([(bar.get_height(), bar.get_width()) for bar in axes.patches])
        assert bars.prod(axis=1).sum() == pytest.approx(1)
    assert png(figure) > 5000


def test_the_histogram_lies_under_the_curve():
    """Bars within five standard errors of the mass that the law has there; of a law a tenth wider, they are not."""
    count = 10_000
    axes = angles([directions.projected(0.01)], n=100, count=count).axes[0]
    edges = np.array([bar.get_x() for bar in axes.patches] + [axes.patches[-1].get_x() + axes.patches[-1].get_width()])
    share = np.array([bar.get_height() * bar.get_width() for bar in axes.patches])
    right, wrong = (np.diff(directions.projected(alpha).law(100).cdf(edges)) for alpha in (0.01, 0.0105))
    error = 5 * np.sqrt(right / count) + 2 / count
    assert np.all(np.abs(share - right) < error)
    assert not np.all(np.abs(share - wrong) < error)


def test_angles_go_beyond_a_right_angle_where_there_is_mass():
    for direction, beyond in [(directions.projected(10.0), True), (directions.rotation_beta(1.0), False)]:
        low, high = angles([direction], n=3, count=500).axes[0].get_xlim()
        assert low == 0 and (high > 2.5 if beyond else high == pytest.approx(np.pi / 2))


def test_the_same_seed_gives_the_same_figure():
    heights = [
        [bar.get_height() for bar in angles([directions.tangent(0.1)], n=50, count=300, seed=seed).axes[0].patches]
        for seed in (0, 0, 1)
    ]
    assert heights[0] == heights[1] != heights[2]


def test_the_sphere():
    shown = [directions.projected(0.1), directions.anisotropic([0.5, 0.01, 0.01]), directions.von_mises_fisher(10.0)]
    figure = sphere(shown, count=60)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "projected\nalpha = 0.1",
        "anisotropic\nalpha = (0.5, 0.01, 0.01)",
        "von_mises_fisher\nkappa = 10",
    ]
    for axes, direction in zip(figure.axes, shown, strict=True):
        points = np.concatenate([np.stack(c._offsets3d, 1) for c in axes.collections if hasattr(c, "_offsets3d")])
        assert points.shape == (60, 3)
        expected = direction_module.sample(direction, np.array([0.0, 0.0, 1.0]), 60, seed=0)
        np.testing.assert_allclose(np.sort(points[:, 2]), np.sort(expected[:, 2]))
    assert png(figure) > 5000
    assert [axes.get_title() for axes in sphere([directions.projected(0.1), directions.projected(1.0)], 5).axes] == [
        "alpha = 0.1",
        "alpha = 1",
    ]


def test_the_plane_of_a_rotation():
    figure = plane(0.7)
    lines = [np.stack(line.get_data_3d(), 1) for line in figure.axes[0].lines]
    for line in lines:
        np.testing.assert_allclose(np.linalg.norm(line, axis=1), 1)
    equator, circle, arc = lines
    np.testing.assert_allclose(equator[:, 2], 0, atol=1e-12)
    assert np.ptp(circle[:, 2]) == pytest.approx(2, abs=1e-3)
    np.testing.assert_allclose(arc[0], [0, 0, 1], atol=1e-12)
    assert np.arccos(arc[-1, 2]) == pytest.approx(0.7)
    assert png(figure) > 5000


def test_bad_input():
    with pytest.raises(ValueError, match="anisotropic has no exact law of the angle; leave it out"):
        angles([directions.projected(0.1), directions.anisotropic([0.1, 0.2])])
    for draw in (angles, sphere):
        with pytest.raises(ValueError, match="at least one direction"):
            draw([])


def test_figures_leave_pyplot_alone():
    sphere([directions.projected(0.1)], 5)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
