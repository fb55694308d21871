"""Every program has the same log joint in both languages at the same draw."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp, residual_mlp
from noisezoo.models.ppl import ppl
from noisezoo.models.ppl.programs import log_joint, simulate, trace
from noisezoo.models.unsampled.action import linear
from noisezoo.models.weights.parametrisation import FORMS, prior
from noisezoo.models.weights.structure import STRUCTURES

ROWS, FEATURES = 7, 3
X = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
LINE = np.linspace(-1, 1, ROWS, dtype=np.float32)
LIKELIHOODS = {
    "gaussian": (likelihoods.gaussian, LINE),
    "gaussian fixed": (lambda n, p: likelihoods.gaussian(n, p, precision=4.0), LINE),
    "bernoulli": (likelihoods.bernoulli, np.arange(ROWS) % 2),
    "categorical": (lambda n, p: likelihoods.categorical(n, p, 3), np.arange(ROWS) % 3),
}


def combinations():
    for name, structure, form in itertools.product(noises.NOISES, STRUCTURES, FORMS):
        if form == "weight_norm" and name not in ("half_cauchy", "gaussian_dropout"):
            continue  # it adds the same factors to every noise
        try:
            prior(noises.NOISES[name](), structure, form)
        except ValueError:
            continue  # the refusals have a test of their own
        yield name, structure, form


COMBINATIONS = list(combinations())
CASES = [(*combination, list(LIKELIHOODS)[i % len(LIKELIHOODS)]) for i, combination in enumerate(COMBINATIONS)]
CASES += [
    ("half_cauchy", "ard", form, likelihood) for form in ("expanded", "hierarchical") for likelihood in LIKELIHOODS
]


def draw(model, x, y, seed):
    """A draw of the latent sites; improper sites, which have no draws, get numbers of the right shape."""
    from numpyro.infer.gibbs import latent_sample_sites, prototype_trace

    sites = prototype_trace(model, jax.random.PRNGKey(seed), (x, y), {})
    return {name: np.asarray(sites[name]["value"]) for name in latent_sample_sites(sites)}


@pytest.mark.parametrize("name, structure, form, likelihood", sorted(set(CASES)))
def test_both_languages_agree(name, structure, form, likelihood):
    """Every noise in every structure and form, the likelihoods taking turns: they do not know of the prior."""
    torch = pytest.importorskip("torch")
    make, y = LIKELIHOODS[likelihood]
    model = make(mlp(4), prior(noises.NOISES[name](), structure, form))
    values = draw(model, jnp.asarray(X), jnp.asarray(y), seed=1)
    ours = log_joint(model, {k: jnp.asarray(v) for k, v in values.items()}, jnp.asarray(X), jnp.asarray(y))
    theirs = log_joint(
        model,
        {k: torch.tensor(v, dtype=torch.float32) for k, v in values.items()},
        torch.tensor(X),
        torch.tensor(y),
    )
    assert np.isfinite(float(ours))
    np.testing.assert_allclose(float(ours), float(theirs), rtol=1e-5)


def test_a_changed_program_has_another_log_joint():
    y = jnp.asarray(LIKELIHOODS["gaussian"][1])
    first, second = (likelihoods.gaussian(mlp(4), prior(noises.half_cauchy(scale=s))) for s in (1.0, 1.01))
    values = {k: jnp.asarray(v) for k, v in draw(first, jnp.asarray(X), y, seed=1).items()}
    ours, other = (float(log_joint(m, values, jnp.asarray(X), y)) for m in (first, second))
    assert abs(ours - other) > 1e-5 * abs(ours)


@pytest.mark.parametrize("network", [mlp(), mlp(5), residual_mlp(4, 4, 6), mlp(3, 2, activation="relu")])
def test_minibatch_scaling_is_unbiased(network):
    """The mean of the log joint over all minibatches is that of the full data."""
    from numpyro import handlers

    model = likelihoods.gaussian(network, prior(noises.half_cauchy()))
    x, y = jnp.asarray(X), jnp.asarray(LIKELIHOODS["gaussian"][1])
    values = {k: jnp.asarray(v) for k, v in draw(model, x, y, seed=2).items()}
    full = log_joint(model, values, x, y)

    def part(rows):
        return log_joint(handlers.substitute(model, data={"data": rows}), values, x, y, batch_size=2)

    parts = jax.jit(jax.vmap(part))(jnp.asarray(list(itertools.combinations(range(ROWS), 2))))
    np.testing.assert_allclose(np.mean(parts), full, rtol=1e-5)


def test_structures_share_what_they_say(language):
    arrays = language_array(language)
    wide, square = (FEATURES, 4), (FEATURES, FEATURES)  # of the layer
    one, rows, unit, layer = "layer0.scale", (FEATURES, 1), "layer0.scale.unit", "layer0.scale.layer"
    cases = [
        ("iid", wide, wide, {one: wide}),
        ("ard", wide, rows, {one: (FEATURES,)}),
        ("add", wide, (), {one: ()}),
        ("output", wide, (1, 4), {one: (4,)}),
        ("ard_add", wide, rows, {unit: (FEATURES,), layer: ()}),
        ("inner_add", wide, rows, {one: (FEATURES,)}),
        ("inner_add", square, (), {one: ()}),
        ("inner_ard_add", wide, rows, {one: (FEATURES,)}),
        ("inner_ard_add", square, rows, {unit: (FEATURES,), layer: ()}),
    ]
    assert {name for name, *_ in cases} == set(STRUCTURES)
    for name, shape, expected, sites in cases:
        scales = {}

        def program(x, name=name, shape=shape, scales=scales):
            p = ppl(x)
            scales["got"] = STRUCTURES[name](p, "layer0.scale", noises.half_cauchy(), shape)

        found = simulate(program, 0, arrays(X))
        assert tuple(scales["got"].shape) == expected
        assert {site: tuple(value.shape) for site, value in found.items()} == sites


def test_residual_adds_the_input_where_widths_agree():
    """With zero weights a residual layer hands its input on: f depends on the first layer alone."""
    model = likelihoods.gaussian(
        residual_mlp(4, 4, activation="tanh"), prior(noises.half_cauchy(), form="hierarchical")
    )
    x = jnp.asarray(X)
    sites = trace(model, 0, x)
    values = {k: s["value"] for k, s in sites.items() if s["type"] == "sample"}
    values |= {k: jnp.zeros_like(values[k]) for k in ("layer1.weight", "layer1.bias")}
    h = jnp.tanh(x @ values["layer0.weight"] + values["layer0.bias"])
    expected = (h @ values["layer2.weight"] + values["layer2.bias"])[:, 0]
    np.testing.assert_allclose(trace(model, 0, x, values=values)["f"]["value"], expected, rtol=1e-5)


def language_array(language):
    if language == "numpyro":
        return jnp.asarray
    import torch

    return torch.tensor


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: prior(noises.bernoulli(), form="hierarchical"), "expanded"),
        (lambda: prior(noises.half_cauchy(), form="marginal"), "marginal"),
        (lambda: prior(noises.half_cauchy(), structure="arc"), "ard"),
        (lambda: prior(noises.half_cauchy(), form="expanded "), "expanded"),
        (lambda: prior(noises.half_cauchy(), sigma0=0.0), "sigma0 must be positive"),
        (lambda: mlp(0), "widths must be positive"),
        (lambda: mlp(3, activation="rel"), "relu"),
        (lambda: likelihoods.categorical(mlp(), prior(noises.half_cauchy()), 1), "at least 2 classes"),
        (lambda: likelihoods.gaussian(mlp(), prior(noises.half_cauchy()), -1.0), "precision must be positive"),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_bad_arrays():
    model = likelihoods.gaussian(mlp(), prior(noises.half_cauchy()))
    with pytest.raises(TypeError, match=r"jax\.numpy\.asarray"):
        model(X)
    with pytest.raises(ValueError, match="shape"):
        trace(model, 0, jnp.ones(3))
    with pytest.raises(ValueError, match="shape"):
        trace(model, 0, jnp.ones((3, 2)), jnp.ones(4))
    with pytest.raises(ValueError, match="batch_size"):
        trace(model, 0, jnp.ones((3, 2)), jnp.ones(3), batch_size=4)


def test_linear_is_a_matrix_product():
    h, w = np.ones((2, 3), np.float32), np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(linear(h, w), h @ w)
