"""Noises: the same density in both languages and in the law, draws that follow the law, and facts that hold."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.laws.closed_forms import normal
from noisezoo.models.noises import NOISES, Noise, as_noise, bernoulli, half_cauchy
from noisezoo.models.noises.draws import draw_scales
from noisezoo.models.ppl import language, ppl
from noisezoo.models.ppl.programs import log_joint, simulate
from scipy import stats

PARAMETERS = {  # none of them a default, so that a parameter that is not used shows
    "bernoulli": {"p": 0.3},
    "gaussian": {"a": 0.4},
    "gaussian_dropout": {"a": 0.4},
    "gamma_dropout": {"a": 0.4},
    "rayleigh": {"scale": 0.8},
    "inverse_nakagami": {"m": 1.5, "omega": 0.6},
    "inverse_gamma": {"a": 2.5, "b": 1.4},
    "gamma_precision": {"a": 1.2, "b": 0.7},
    "half_cauchy": {"scale": 0.5},
    "regularised_half_cauchy": {"scale": 0.5, "slab": 1.7},
    "uniform": {},
    "beta": {"a": 0.6, "b": 0.8},
    "log_normal": {"loc": -0.3, "scale": 0.6},
    "log_uniform": {},
}
ALL = [NOISES[name](**settings) for name, settings in PARAMETERS.items()]
PROPER = [noise for noise in ALL if noise.proper]
DRAWS = 20_000
SIGNIFICANT = 1e-3


def program(noise, shape):
    return lambda x: noise(ppl(x), "s", shape)


def values(noise, shape):
    """Values for the sites of a noise, drawn by scipy."""
    rng = np.random.default_rng(1)
    if noise.discrete:
        draws = rng.integers(0, 2, shape)
    elif noise.signed:
        draws = rng.normal(size=shape)
    else:
        draws = rng.uniform(0.1, 0.9, shape)
    site = "s.raw" if noise.name == "regularised_half_cauchy" else "s"
    return {site: np.array(draws, np.float32)}


def log_density(noise, square):
    """log p(lambda) from the law of lambda^2: what the program's log joint has to be."""
    scale = np.sqrt(square)
    if noise.discrete:
        return noise.law().logpmf(square)
    return noise.law().logpdf(square) + np.log(2 * scale)


def test_every_noise_is_tested_and_knows_itself():
    assert list(PARAMETERS) == list(NOISES) and len(NOISES) == 14
    for noise, (name, settings) in zip(ALL, PARAMETERS.items(), strict=True):
        assert noise.name == name
        assert dict(noise.parameters) == settings
        assert noise.prior and noise.source
        assert noise.proper == (name != "log_uniform")
        assert (noise.law is None) == (not noise.proper)
    assert {noise.name for noise in ALL if noise.discrete} == {"bernoulli"}
    assert {noise.name for noise in ALL if noise.signed} == {"gaussian", "gaussian_dropout"}


def test_the_registry_imports_neither_jax_nor_torch_nor_scipy():
    code = (
        "import sys; from noisezoo.models.noises import NOISES; [str(f()) for f in NOISES.values()];"
        "print(sorted({'jax', 'torch', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("shape", [(), (3, 2)])
@pytest.mark.parametrize("noise", ALL, ids=str)
def test_log_joint_is_that_of_the_other_language_and_of_the_law(noise, shape):
    torch = pytest.importorskip("torch")
    drawn = values(noise, shape)
    ours = log_joint(program(noise, shape), {k: jnp.asarray(v) for k, v in drawn.items()}, jnp.zeros(()))
    theirs = log_joint(program(noise, shape), {k: torch.tensor(v) for k, v in drawn.items()}, torch.zeros(()))
    np.testing.assert_allclose(float(ours), float(theirs), rtol=1e-5, atol=1e-5)
    (drawn,) = (v.astype(float) for v in drawn.values())
    if not noise.proper:
        exact = -np.log(drawn)
    elif noise.signed:
        exact = normal(drawn - (noise.name == "gaussian_dropout"), dict(noise.parameters)["a"] ** 0.5)
    elif noise.name == "regularised_half_cauchy":
        exact = log_density(half_cauchy(scale=0.5), drawn**2)
    else:
        exact = log_density(noise, drawn**2)
    np.testing.assert_allclose(float(ours), exact.sum(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("noise", PROPER, ids=str)
@pytest.mark.parametrize("where", ["numpyro", "pyro"])
def test_draws_follow_the_law(noise, where):
    if where == "numpyro":
        scales = draw_scales(noise, DRAWS, seed=3)
    else:
        torch = pytest.importorskip("torch")
        scales = simulate(program(noise, (DRAWS,)), 3, torch.zeros(()))["s"].numpy().astype(float)
    law = noise.law()
    if noise.discrete:
        share = np.mean(scales == 1)
        assert set(np.unique(scales)) == {0, 1}
        assert abs(share - law.pmf(1)) < 4 * law.std() / DRAWS**0.5
        assert abs(share - 0.9 * law.pmf(1)) > 4 * law.std() / DRAWS**0.5
        return
    assert stats.kstest(scales**2, law.cdf).pvalue > SIGNIFICANT
    assert stats.kstest((1.1 * scales) ** 2, law.cdf).pvalue < SIGNIFICANT


def test_signed_noise_has_its_mean():
    for name, mean in [("gaussian", 0.0), ("gaussian_dropout", 1.0)]:
        scales = draw_scales(NOISES[name](a=0.4), DRAWS, seed=4)
        assert abs(scales.mean() - mean) < 4 * (0.4 / DRAWS) ** 0.5


def test_the_regularised_scale_stays_below_its_slab_even_where_the_raw_one_overflows():
    noise = NOISES["regularised_half_cauchy"](scale=0.5, slab=1.7)
    raw = jnp.asarray([1e-30, 1.0, 1e30], jnp.float32)

    def run(x):
        p = language("numpyro")._replace(sample=lambda name, law, infer: raw, deterministic=lambda name, value: value)
        return noise(p, "s", (3,))

    np.testing.assert_allclose(run(None), [1e-30, 1.7 / (1 + 1.7**2) ** 0.5, 1.7], rtol=1e-6)


@pytest.mark.parametrize("where", ["numpyro", "pyro"])
def test_marginals_as_distributions_are_the_closed_forms(where):
    if where == "pyro":
        pytest.importorskip("torch")
    p, w = language(where), np.linspace(-3, 3, 7)
    values = p.xp.asarray(w, dtype=p.xp.float32)
    with_weight = {noise.name for noise in ALL if noise.weight}
    assert with_weight == {"rayleigh", "inverse_nakagami", "inverse_gamma", "gamma_precision"}
    assert {noise.name for noise in ALL if noise.row_weight} == with_weight - {"rayleigh"}
    for noise in ALL:
        if noise.weight:
            found = noise.weight(p, 0.7).expand((7,)).log_prob(values)
            np.testing.assert_allclose(np.asarray(found), noise.closed_form(w, 0.7), rtol=1e-5)
        if noise.row_weight:
            law = noise.row_weight(p, 0.7, 7)
            assert tuple(law.event_shape) == (7,)
            np.testing.assert_allclose(float(law.log_prob(values)), noise.row(w, 0.7), rtol=1e-5)


@pytest.mark.parametrize(
    "name, settings",
    [
        ("bernoulli", {"p": 0.0}),
        ("bernoulli", {"p": 1.2}),
        ("bernoulli", {"p": float("nan")}),
        ("gaussian", {"a": -1.0}),
        ("gaussian_dropout", {"a": 0.0}),
        ("rayleigh", {"scale": 0.0}),
        ("inverse_nakagami", {"omega": float("inf")}),
        ("inverse_gamma", {"a": -2.0}),
        ("gamma_precision", {"b": 0.0}),
        ("half_cauchy", {"scale": float("nan")}),
        ("regularised_half_cauchy", {"slab": 0.0}),
        ("beta", {"b": -0.5}),
        ("log_normal", {"scale": 0.0}),
        ("log_normal", {"loc": float("nan")}),
    ],
)
def test_bad_parameters_raise_one_sentence(name, settings):
    (parameter,) = settings
    with pytest.raises(ValueError, match=rf"^{name}: {parameter}\b.* must .*, got"):
        NOISES[name](**settings)


def test_a_function_is_a_noise():
    def exponential(p, name, shape):
        return p.sample(name, p.dist.Exponential(1.0).expand(shape).to_event(len(shape)))

    noise = as_noise(exponential)
    assert noise.name == str(noise) == "exponential" and noise.law is None
    assert as_noise(noise) is noise
    assert as_noise(exponential) == noise and hash(as_noise(exponential)) == hash(noise)
    assert draw_scales(exponential, 5, seed=0).shape == (5,)
    with pytest.raises(TypeError, match="a noise is a function .* got a value of type int"):
        as_noise(3)


def test_the_same_settings_are_the_same_noise():
    assert half_cauchy() is half_cauchy()
    assert half_cauchy(scale=2.0) != half_cauchy()
    assert str(bernoulli(p=0.25)) == "bernoulli(p=0.25)"


@pytest.mark.parametrize(
    "returned, what",
    [
        (lambda p: p.xp.ones(()), r"shape \(\)"),
        (lambda p: p.xp.ones((3, 1)), r"shape \(3, 1\)"),
        (lambda p: 1.0, "a float"),
    ],
)
def test_a_wrong_shape_raises_where_it_happens(returned, what):
    noise = Noise(lambda p, name, shape: returned(p), "mine")
    with pytest.raises(ValueError, match=rf"noise mine returned {what} where scales of shape \(3,\) were asked for"):
        noise(language("numpyro"), "s", (3,))


def test_the_improper_noise_says_so():
    from noisezoo.models.ppl.programs import trace

    site = trace(program(NOISES["log_uniform"](), (2,)), 0, jnp.zeros(()), values={"s": jnp.ones(2)})["s"]
    assert site["infer"]["improper"] == "log-uniform"
    with pytest.raises(ValueError, match="log_uniform is improper: it has no draws"):
        draw_scales(NOISES["log_uniform"](), 3)
