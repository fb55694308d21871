"""Prior draws, and figures that show what they claim."""

import io
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models import likelihoods
from noisezoo.models.networks import mlp
from noisezoo.models.noises import NOISES, half_cauchy, rayleigh
from noisezoo.models.noises.draws import draw_scales, draw_weights
from noisezoo.models.noises.marginal import log_marginal
from noisezoo.models.views.functions import plot_functions, prior_functions
from noisezoo.models.views.noises import DRAWS, plot_noise
from noisezoo.models.weights.parametrisation import prior

X = np.array([[0.5, -1.0], [2.0, 0.3], [0.0, 0.0]], np.float32)
LINE = np.stack([np.linspace(-2, 2, 25), np.zeros(25)], axis=1).astype(np.float32)


def regression(noise=None):
    return likelihoods.gaussian(mlp(), prior(noise or rayleigh(scale=0.8), "ard", "expanded", 0.7))


def exponential_with_a_hyperprior(p, name, shape):
    tau = p.sample(f"{name}.tau", p.dist.HalfNormal(1.0))
    return tau * p.sample(name, p.dist.Exponential(1.0).expand(shape).to_event(len(shape)))


def arrays(where, x):
    return jnp.asarray(x) if where == "numpyro" else pytest.importorskip("torch").tensor(x)


def test_draws_have_their_shape_and_seed():
    for draw in (draw_scales, draw_weights):
        first = draw(half_cauchy(), 50, seed=1)
        assert first.shape == (50,) and first.dtype == np.float64
        np.testing.assert_array_equal(first, draw(half_cauchy(), 50, seed=1))
        assert np.all(first != draw(half_cauchy(), 50, seed=2))
    assert np.all(draw_scales(half_cauchy(), 50) > 0)


def test_weights_scale_with_sigma0():
    np.testing.assert_allclose(draw_weights(half_cauchy(), 9, 2.0), 2 * draw_weights(half_cauchy(), 9, 1.0), rtol=1e-6)


def test_draws_do_not_share_a_hyperprior():
    def only_a_hyperprior(p, name, shape):
        return p.sample(f"{name}.tau", p.dist.HalfNormal(1.0)) * p.xp.ones(shape)

    assert len(np.unique(draw_scales(only_a_hyperprior, 100))) > 90


@pytest.mark.parametrize("where, n", [("numpyro", 4000), ("pyro", 800)])
def test_functions_of_a_linear_model_have_the_known_variance(where, n):
    """Var f(x) = norm(x)^2 sigma0^2 E[lambda^2] + 1, with E[lambda^2] = 2 scale^2 under Rayleigh noise."""
    f = prior_functions(regression(), arrays(where, X), n, seed=1)
    assert f.shape == (n, 3)
    exact = (X**2).sum(1) * 0.7**2 * 2 * 0.8**2 + 1
    np.testing.assert_allclose(f.var(0), exact, rtol=5 * 2 / n**0.5)
    np.testing.assert_allclose(f.mean(0), 0, atol=4 * exact.max() ** 0.5 / n**0.5)


@pytest.mark.parametrize("where", ["numpyro", "pyro"])
def test_functions_of_other_models(where):
    x = arrays(where, X)
    weights = prior(half_cauchy(), "ard")
    assert prior_functions(likelihoods.categorical(mlp(), weights, 3), x, 5).shape == (5, 3, 3)
    first = prior_functions(likelihoods.bernoulli(mlp(4), weights), x, 5, seed=1)
    assert first.shape == (5, 3)
    np.testing.assert_array_equal(first, prior_functions(likelihoods.bernoulli(mlp(4), weights), x, 5, seed=1))
    with pytest.raises(ValueError, match="improper: it has no draws"):
        prior_functions(regression(NOISES["log_uniform"]()), x, 2)


def test_functions_need_an_array_of_a_language():
    with pytest.raises(TypeError, match="pass jax.numpy.asarray"):
        prior_functions(regression(), X)


def test_an_improper_noise_has_no_draws():
    for draw in (draw_scales, draw_weights):
        with pytest.raises(ValueError, match="log_uniform is improper: it has no draws"):
            draw(NOISES["log_uniform"](), 3)


@pytest.mark.parametrize("name", ["half_cauchy", "bernoulli", "gaussian", "log_normal", "log_uniform"])
def test_the_figure_of_a_noise(name):
    noise = NOISES[name]()
    figure = plot_noise(noise)
    left, middle, right = figure.axes
    assert figure.get_suptitle() == f"{noise}: {noise.prior}"
    for axes in figure.axes:
        assert axes.get_title() and axes.get_xlabel() and axes.get_ylabel() and axes.get_legend()
    assert left.get_xlabel() == ("|λ|" if noise.signed else "λ")
    (curve,) = middle.lines
    x, y = curve.get_data()
    np.testing.assert_allclose(y, np.exp(log_marginal(noise, x)))
    how = {"log_normal": "quadrature", "log_uniform": "up to a constant"}.get(name, "closed form")
    assert curve.get_label() == how
    assert right.get_xscale() == right.get_yscale() == "log"
    assert len(right.lines) == (3 if noise.proper else 1)
    assert bool(middle.patches) == noise.proper
    assert [t.get_text() for t in middle.texts] == (["P(w = 0) = 0.5"] if noise.discrete else [])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    assert buffer.tell() > 5000


def test_the_histogram_lies_under_the_curve():
    """Each bar within five standard errors of the density at its middle; of a density off by 20%, it is not."""
    middle = plot_noise(rayleigh()).axes[1]
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height(), bar.get_width()) for bar in middle.patches]
    at, height, width = np.array(bars).T
    exact = np.exp(log_marginal(rayleigh(), at))
    error = 5 * np.sqrt(exact / (DRAWS * width)) + 0.02 * exact
    assert np.all(np.abs(height - exact) < error)
    assert not np.all(np.abs(height - 1.2 * exact) < error)


def test_the_references_of_the_tails_have_the_median_of_the_noise():
    noise, gaussian, laplace = plot_noise(rayleigh()).axes[2].lines
    np.testing.assert_allclose(laplace.get_ydata()[:150], noise.get_ydata()[:150], rtol=0.05)  # this noise is Laplace
    assert gaussian.get_ydata()[-1] < laplace.get_ydata()[-1] or laplace.get_ydata()[-1] == 0


def test_the_figure_of_a_function_of_unknown_law():
    figure = plot_noise(exponential_with_a_hyperprior)
    left, middle, _ = figure.axes
    assert figure.get_suptitle() == "exponential_with_a_hyperprior"
    assert not left.lines and left.patches
    assert middle.lines[0].get_label() == "average over draws"


def test_the_figure_of_functions():
    model, x = regression(), jnp.asarray(LINE)
    axes = plot_functions(model, x, n=7).axes[0]
    assert len(axes.lines) == 7 and axes.get_xlabel() == "x[0]" and axes.get_title() == "7 functions from the prior"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), LINE[:, 0])
    np.testing.assert_array_equal(np.stack([line.get_ydata() for line in axes.lines]), prior_functions(model, x, 7))
    logits = likelihoods.categorical(mlp(), prior(half_cauchy()), 3)
    axes = plot_functions(logits, x, n=4).axes[0]
    assert len(axes.lines) == 4 and axes.get_ylabel() == "f(x), logit of class 0"
    for bad, count in [(np.zeros((4, 2)), 0), (X, 2)]:
        with pytest.raises(ValueError, match=f"must vary in one feature, it varies in {count}"):
            plot_functions(model, jnp.asarray(bad))


def test_figures_leave_pyplot_alone():
    plot_noise(half_cauchy())
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
