"""Direction and magnitude noise as programs: one log joint in both languages, exact covariances and means, refusals."""

import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.strategies.guides.dropout import is_noise, noise_without_draws, per_example_noise
from noisezoo.models import catalogue
from noisezoo.models.laws import direction, directions
from noisezoo.models.likelihoods import categorical, gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.networks.layers import conv
from noisezoo.models.ppl import language
from noisezoo.models.ppl.programs import log_joint, simulate
from noisezoo.models.unsampled.rotated import Rotated
from noisezoo.models.unsampled.signal import Signal
from noisezoo.models.weights import direction_noise, weight_norm
from numpyro import handlers

ROWS, FEATURES = 7, 3
X = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
Y = np.linspace(-1, 1, ROWS, dtype=np.float32)
NOISES = [f"{name}:alpha={alpha}" for name in catalogue.ROTATIONS for alpha in (0.05, 0.7)]
PRIORS = [
    "weight_norm",
    "weight_norm:over=inputs",
    *NOISES,
    "tangent:alpha=0.2,over=inputs,magnitude=normal",
    "rotation_normal:alpha=0.2,on=activations,magnitude=gamma,magnitude_alpha=0.3",
    "projected:alpha=0.2,on=both",
    "direction_magnitude",
    "direction_magnitude:over=inputs",
    "direction_magnitude:magnitude=half_cauchy",
    "direction_magnitude:magnitude=gamma",
]


def sites_of(model, x, y=None, fill=None, seed=0):
    """The trace of a NumPyro program; improper sites are given ones."""

    def value(site):
        if site["type"] == "sample" and site["infer"].get("improper") and not site["is_observed"]:
            return jnp.linspace(0.5, 1.5, math.prod(site["fn"].shape())).reshape(site["fn"].shape())
        return fill(site) if fill and site["type"] == "sample" and not site["is_observed"] else None

    run = handlers.seed(handlers.substitute(model, substitute_fn=value), jax.random.key(seed))
    return handlers.trace(run).get_trace(x, y)


@pytest.mark.parametrize("spec", PRIORS)
def test_both_languages_agree(spec):
    torch = pytest.importorskip("torch")
    model = gaussian(mlp(4, bias=False), catalogue.prior(spec), precision=4.0)
    sites = sites_of(model, jnp.asarray(X), jnp.asarray(Y))
    values = {k: np.asarray(s["value"]) for k, s in sites.items() if s["type"] == "sample" and k != "y"}
    values.pop("data", None)
    ours = log_joint(model, {k: jnp.asarray(v) for k, v in values.items()}, jnp.asarray(X), jnp.asarray(Y))
    theirs = log_joint(model, {k: torch.tensor(v) for k, v in values.items()}, torch.tensor(X), torch.tensor(Y))
    assert np.isfinite(float(ours))
    np.testing.assert_allclose(float(ours), float(theirs), rtol=2e-5)


@pytest.mark.parametrize("spec", PRIORS[:-4])
def test_noise_in_a_network_draws_from_its_prior_in_both_languages(spec):
    pytest.importorskip("torch")
    import torch

    for x in (jnp.asarray(X), torch.tensor(X)):
        drawn = simulate(gaussian(mlp(4), catalogue.prior(spec)), 0, x)
        assert np.all(np.isfinite(np.asarray(drawn["f"])))


# -- what noise does to a weight, a row, a pre-activation


@pytest.mark.parametrize("over", ["outputs", "inputs"])
@pytest.mark.parametrize("name", ["projected", "tangent", "rotation_normal", "rotation_beta"])
def test_a_weight_is_turned_by_the_law_and_keeps_its_length(name, over):
    """Over the columns of a wide matrix, or the rows of a long one."""
    from scipy import stats

    law = directions.DIRECTIONS[name](0.3)
    shape = (5, 3000) if over == "outputs" else (3000, 5)
    axis, p = 0 if over == "outputs" else 1, language("numpyro")
    prior = direction_noise.direction_noise(law, over=over)
    trace = handlers.trace(handlers.seed(lambda: prior(p, "w", shape), jax.random.key(3))).get_trace()
    base, w, g = (np.asarray(trace[f"w.{k}"]["value"], np.float64) for k in ("base", "weight", "magnitude"))
    np.testing.assert_allclose(np.linalg.norm(w, axis=axis), g, rtol=1e-4)
    angle = direction.angle_between(base, w, axes=(axis - 2,))
    assert stats.kstest(angle, law.law(5).cdf).pvalue > 1e-4


def noisy_preactivations(prior, x, rows, out, seed=0):
    """Pre-activations (rows, out) of the same x under noise of each row's own, and the weight without it."""
    p, h = language("numpyro"), jnp.broadcast_to(x, (rows, len(x)))

    def fill(site):
        if not is_noise(site["name"]):
            return None
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(site["name"].encode()))
        normal = lambda shape: jax.random.normal(key, shape)  # noqa: E731
        return per_example_noise(site, normal, lambda: site["fn"].sample(key, (rows,)))

    def layer(x, y=None):
        return weight_norm_linear(p, h, prior, out)

    trace = sites_of(layer, x, fill=fill)
    clean = {k: s["value"] for k, s in trace.items() if s["type"] == "sample" and not is_noise(k)}
    centre = sites_of(
        layer, x, fill=lambda s: clean[s["name"]] if s["name"] in clean else noise_without_draws(s, "centre")
    )
    return np.asarray(trace["z"]["value"], np.float64), np.asarray(centre["z"]["value"][0], np.float64), centre


def weight_norm_linear(p, h, prior, out):
    from noisezoo.models.unsampled.action import linear

    return p.deterministic("z", linear(h, prior(p, "w", (h.shape[-1], out))))


def test_noise_on_weights_inputs_and_magnitudes_has_three_covariances():
    """Section 3.4: means and variances tell the magnitude apart, the covariance of units tells weights from inputs."""
    x, alpha, rows, out = jnp.asarray([0.5, -1.5, 2.0, 1.0]), 0.2, 200_000, 3
    seen = {}
    for structure in ("iid", "ard", "output"):
        prior = catalogue.prior(f"gaussian_dropout:a={alpha}", structure, "weight_norm")
        z, clean, sites = noisy_preactivations(prior, x, rows, out)
        w = np.asarray(sites["w.weight"]["value"], np.float64)
        parts = np.asarray(x, np.float64)[:, None] * w  # of each pre-activation, by input
        expected = {
            "iid": alpha * np.diag((parts**2).sum(axis=0)),
            "ard": alpha * parts.T @ parts,
            "output": alpha * np.diag(parts.sum(axis=0) ** 2),
        }[structure]
        np.testing.assert_allclose(z.mean(axis=0), clean, atol=5 * np.sqrt(expected.max() / rows))
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        np.testing.assert_allclose(np.cov(z.T) / scale, expected / scale, atol=6 / math.sqrt(rows) * 1.5)
        seen[structure] = expected
    assert np.abs(seen["ard"][0, 1]) > 0.05 * np.sqrt(seen["ard"][0, 0] * seen["ard"][1, 1])  # else no difference


@pytest.mark.parametrize("spec", ["rotation_normal:alpha=0.5", "rotation_beta:alpha=2", "projected:alpha=0.2"])
def test_rows_of_their_own_have_the_mean_and_variance_of_the_rotation(spec):
    """x'w = g (cos(e) x'v + sin(e) norm(t) u): E = g E[cos] x'v, and its square by E[cos^2] = 1 - E[sin^2]."""
    x, rows = jnp.asarray([0.5, -1.5, 2.0, 1.0, 0.3]), 100_000
    prior = catalogue.prior(spec)
    z, clean, sites = noisy_preactivations(prior, x, rows, 2)
    name, alpha = spec.split(":alpha=")
    law = directions.DIRECTIONS[name](float(alpha))
    angle = law.law(5)
    grid = np.linspace(0, math.pi, 20_001)[1:-1]
    density = angle.pdf(grid)
    sine2 = np.sum(density * np.sin(grid) ** 2) / np.sum(density)
    g = np.asarray(sites["w.magnitude"]["value"], np.float64)
    rest = g**2 * float(jnp.sum(x**2)) - clean**2  # g^2 norm(t)^2
    second = (1 - sine2) * clean**2 + sine2 * rest / 4
    mean = law.mean_cosine(5) * clean
    sd = np.sqrt(second - mean**2)
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=5 * sd.max() / math.sqrt(rows))
    np.testing.assert_allclose(z.std(axis=0), sd, rtol=0.02)


def test_a_signal_is_turned_and_stretched():
    x = jnp.asarray(np.vstack([X, np.zeros(FEATURES)]), jnp.float32)
    z = jax.random.normal(jax.random.key(0), x.shape)
    angle, factor = jnp.linspace(0.1, 1.4, len(x)), jnp.linspace(0.5, 2.0, len(x))
    signal = Signal(jnp.eye(FEATURES), angle, z, factor)
    noisy = np.asarray(signal.act(x))
    np.testing.assert_allclose(np.linalg.norm(noisy, axis=1), factor * np.linalg.norm(x, axis=1), atol=1e-5)
    np.testing.assert_allclose(direction.angle_between(X, noisy[:-1]), angle[:-1], atol=1e-5)
    gradient = jax.grad(lambda x: jnp.sum(signal.act(x) ** 3))(x)
    assert np.all(np.isfinite(gradient))


def test_a_kernel_has_a_vector_for_each_channel():
    p, shape = language("numpyro"), (3, 3, 2, 5)
    for prior in (weight_norm.prior("inputs"), direction_noise.direction_noise(directions.tangent(0.1), over="inputs")):
        w = handlers.seed(lambda prior=prior: prior(p, "w", shape), jax.random.key(0))()
        trace = handlers.trace(handlers.seed(lambda prior=prior: prior(p, "w", shape), jax.random.key(0))).get_trace()
        np.testing.assert_allclose(jnp.sqrt(jnp.sum(w**2, axis=(0, 1, 2))), trace["w.magnitude"]["value"], rtol=1e-4)
    noise = direction_noise.direction_noise(directions.tangent(0.1), on="activations")
    with pytest.raises(ValueError, match="dense layers; use on='weights'"):
        handlers.seed(lambda: conv(p.xp, jnp.ones((2, 6, 6, 4)), noise(p, "w", shape)), jax.random.key(0))()


# -- mean weights


@pytest.mark.parametrize("spec", [s for s in NOISES if not s.startswith("tangent_as")])
def test_the_noise_at_its_mean_gives_the_mean_weight(spec):
    """E[w] = g E[cos(e)] v, and the centre is g v."""
    p, shape = language("numpyro"), (4, 3)
    prior = catalogue.prior(spec)

    def weight(x, y=None):
        return prior(p, "w", shape)

    first = sites_of(weight, None)
    points = {k: first[f"w.{k}"]["value"] for k in ("base", "magnitude")}

    def at(prediction):
        def fill(site):
            name = site["name"]
            return noise_without_draws(site, prediction) if is_noise(name) else points[name.removeprefix("w.")]

        return sites_of(weight, None, fill=fill)["w.weight"]["value"]

    def drawn(key):
        values = {f"w.{k}": v for k, v in points.items()}
        run = handlers.seed(handlers.substitute(weight, data=values), key)
        return handlers.trace(run).get_trace(None)["w.weight"]["value"]

    draws = np.asarray(jax.vmap(drawn)(jax.random.split(jax.random.key(1), 40_000)), np.float64)
    bound = 5 * draws.std(axis=0).max() / math.sqrt(len(draws))
    np.testing.assert_allclose(at("mean_weight"), draws.mean(axis=0), atol=bound)
    v = points["base"] / jnp.linalg.norm(points["base"], axis=0)
    np.testing.assert_allclose(at("centre"), points["magnitude"] * v, atol=1e-5)
    name, alpha = spec.split(":alpha=")
    shrunk = directions.DIRECTIONS[name](float(alpha)).mean_cosine(4)
    np.testing.assert_allclose(at("mean_weight"), shrunk * at("centre"), atol=1e-4)


# -- refusals


@pytest.mark.parametrize(
    "spec, message",
    [
        ("projected", "needs its alpha, as in projected:alpha=0.1"),
        ("projected:alpha=0", "alpha must be positive"),
        ("rotation_normal:alpha=-1", "alpha must be positive"),
        ("rotation_beta:alpha=nan", "alpha must be positive"),
        ("projected:alpha=0.1,on=weight", "unknown place of noise 'weight'; did you mean 'weights'"),
        ("projected:alpha=0.1,over=input", "did you mean 'inputs'"),
        ("projected:alpha=0.1,magnitude=norm", "did you mean 'normal'"),
        (
            "projected:alpha=0.1,magnitude=normal,magnitude_alpha=0",
            "^magnitude_alpha must be positive and finite .*, got 0",
        ),
        ("projected:alpha=0.1,magnitude_alpha=0.2", "set magnitude=normal or gamma"),
        ("tangent_as_released:alpha=0.1,on=activations", "is defined for weights"),
        ("direction_magnitude:magnitude=cauchy", "did you mean 'half_cauchy'"),
        ("weight_norm:over=rows", "unknown dimension to normalise over 'rows'"),
        ("tangent:beta=1", "unknown setting of prior tangent 'beta'"),
    ],
)
def test_bad_words_say_what_would_do(spec, message):
    with pytest.raises(ValueError, match=message):
        catalogue.prior(spec)


def test_a_law_without_a_program_is_refused():
    with pytest.raises(ValueError, match="von_mises_fisher is a law to compare with"):
        direction_noise.direction_noise(directions.von_mises_fisher(3.0))


def test_a_zero_direction_stays_finite():
    p = language("numpyro")
    for spec in ("projected:alpha=0.1", "direction_magnitude"):
        prior = catalogue.prior(spec)
        model = categorical(mlp(4), prior, 3)
        zero = lambda s: jnp.zeros(s["fn"].shape()) if s["name"] == "layer0.base" else None  # noqa: E731
        sites = sites_of(model, jnp.asarray(X), fill=zero)
        assert np.all(np.isfinite(sites["f"]["value"]))
    assert isinstance(Rotated(jnp.ones((2, 2)), None, None, (1.0,)).array(), jax.Array)
    assert p.name == "numpyro"
