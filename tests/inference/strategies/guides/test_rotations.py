"""The guide of the direction and magnitude program: what it pays and expects, and a posterior known by quadrature."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo import fit
from noisezoo.inference.strategies.guides import elbo as elbo_module
from noisezoo.inference.strategies.guides import flipout, local, normals
from noisezoo.inference.strategies.guides.layout import layout
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.target.numpyro import density
from noisezoo.models import catalogue
from noisezoo.models.laws import divergences
from noisezoo.models.likelihoods import categorical, gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.networks.layers import conv, layer
from noisezoo.models.ppl import language, truncated_integrals
from scipy import stats

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5)).astype(np.float32)
Y = (X @ np.array([1.0, -1.0, 0.5, 0.0, 0.3]) + 0.3 * RNG.normal(size=30)).astype(np.float32)
QUARTER = 0.5 * math.pi
KINDS = {
    "sampled": (None, "rows"),
    "rows": (local.LocalNormal, "rows"),
    "batch": (local.LocalNormal, "batch"),
    "flipout": (flipout.FlipoutNormal, "rows"),
    "learned": (local.LocalNormal, "learned"),
}


def net(spec="direction_magnitude", *widths, precision=4.0):
    return gaussian(mlp(*widths), catalogue.prior(spec), precision=precision)


def parts_of(model, kind, key, params):
    """The parts of the ELBO at these parameters of the guide, others at a value of their own."""
    unsampled, plane = KINDS[kind]
    found = density.sites(model, jnp.asarray(X), jnp.asarray(Y))

    def guide(x, y, rows=None):
        sites = layout(model, found, x, y)
        start = lambda name, shape, mean, sd: jnp.asarray(params.setdefault(name, _value(name, shape)))  # noqa: E731
        config = svi(guide="flipout") if kind == "flipout" else svi(guide="local", plane=plane)
        normals.sample(language("numpyro"), sites, config.guide, start, unsampled)

    return elbo_module.parts(key, {}, density.on_rows(model), guide, (jnp.asarray(X), jnp.asarray(Y), None), {})


def _value(name, shape):
    rng = np.random.default_rng(len(name))
    if name.endswith(".log_scale"):
        return rng.uniform(-2, -0.5, shape).astype(np.float32)
    return np.asarray(rng.uniform(0.2, 1.2, shape) if "angle" in name else rng.normal(size=shape), np.float32)


@pytest.mark.parametrize(
    "spec, kinds",
    [
        ("direction_magnitude", ("sampled", "rows", "batch", "flipout")),
        ("direction_magnitude:over=inputs", ("sampled", "flipout")),
    ],
)
def test_all_ways_to_draw_have_the_same_expected_log_likelihood(spec, kinds):
    """Two layers: what differs is how alike the rows are, hence the variance."""
    model, params = net(spec, 4), {}
    keys = jax.random.split(jax.random.key(0), 10_000)
    drawn = {
        kind: np.asarray(jax.jit(jax.vmap(lambda key, kind=kind: parts_of(model, kind, key, params).log_lik))(keys))
        for kind in kinds
    }
    errors = {kind: v.std() / math.sqrt(len(v)) for kind, v in drawn.items()}
    for kind, values in drawn.items():
        gap = values.mean() - drawn["sampled"].mean()
        assert abs(gap) < 4.5 * math.hypot(errors[kind], errors["sampled"]), kind
    assert max(drawn[kind].var() for kind in kinds[1:]) < drawn["sampled"].var()


@pytest.mark.parametrize("kind", ["rows", "learned"])
def test_the_guide_pays_for_angles_and_magnitudes_in_closed_form(kind):
    """And for a learned plane; the direction v is a point that pays nothing."""
    model, params = net("direction_magnitude", 4), {}
    paid = float(parts_of(model, kind, jax.random.key(0), params).kl)
    at = {k: np.asarray(v, np.float64) for k, v in params.items()}
    expected = 0.0
    for name in ("layer0", "layer1"):
        angle = (at[f"{name}.angle.loc"], np.exp(at[f"{name}.angle.log_scale"]))
        expected += truncated_integrals.divergence(np, *angle, 0.0, QUARTER).sum()
        expected += divergences.log_uniform(
            np, at[f"{name}.magnitude.loc"], np.exp(at[f"{name}.magnitude.log_scale"])
        ).sum()
        for site in ("bias", "plane") if kind == "learned" else ("bias",):
            mean, sd = at[f"{name}.{site}.loc"], np.exp(at[f"{name}.{site}.log_scale"])
            expected += np.sum(0.5 * (mean**2 + sd**2 - 1) - np.log(sd))
    assert paid == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("settings", [{"plane": "rows"}, {"plane": "learned"}, {"guide": "flipout"}])
def test_pyro_fits_the_same_program(settings):
    torch = pytest.importorskip("torch")
    pytest.importorskip("pyro")
    config = svi(**{"guide": "local", **settings}, steps=40, lr=0.05, draws=3)
    for spec in ("direction_magnitude", "direction_magnitude:magnitude=gamma,over=inputs"):
        found = fit(net(spec, 3), config, torch.tensor(X), torch.tensor(Y), progress=False)
        loss = found.history["loss"][0]
        assert np.all(np.isfinite(loss)) and loss[-5:].mean() < loss[:5].mean()
        angles = found.draws["layer0.angle"]
        assert np.all((angles >= 0) & (angles <= QUARTER))
        assert "layer0.angle" in found.loc and "layer0.base" not in found.loc
        assert ("layer0.plane" in found.loc) == (settings.get("plane") == "learned")


@pytest.mark.parametrize("settings", [{"parameters": "alpha"}, {"alpha": 0.25}])
def test_magnitudes_may_have_a_variance_in_multiples_of_their_mean(settings):
    """q(g) = N(m, alpha m^2), eq 29: learned as (m, alpha), or alpha fixed."""
    found = fit(
        net(), svi(guide="local", steps=5, draws=4000, **settings), jnp.asarray(X), jnp.asarray(Y), progress=False
    )
    g, m = found.draws["layer0.magnitude"][0], found.loc["layer0.magnitude"][0]
    alpha = 0.25 if "alpha" in settings else (found.scale["layer0.magnitude"][0] / m) ** 2
    np.testing.assert_allclose(g.std(axis=0) / np.abs(m), np.sqrt(alpha) * np.ones_like(m), rtol=0.1)
    np.testing.assert_allclose(g.mean(axis=0), m, atol=0.1)


NOISES = [
    *("projected:alpha=0.1,on=both", "tangent_as_released:alpha=0.1", "rotation_beta:alpha=3,on=both,over=inputs"),
    *("rotation_normal:alpha=0.1,magnitude=gamma", "rotation_normal:alpha=0.1,on=activations,magnitude=normal"),
]


@pytest.mark.parametrize("where, guide", [("numpyro", "local"), ("numpyro", "flipout"), ("pyro", "local")])
@pytest.mark.parametrize("spec", NOISES)
def test_noise_on_directions_is_inferred_like_any_latent_site(spec, where, guide):
    x, y = jnp.asarray(X), jnp.asarray(Y)
    if where == "pyro":
        pytest.importorskip("pyro")
        x, y = (pytest.importorskip("torch").tensor(v) for v in (X, Y))
    found = fit(net(spec), svi(guide=guide, steps=200, lr=0.02, draws=3), x, y, progress=False)
    loss = found.history["loss"][0]
    assert np.all(np.isfinite(loss)) and loss[-20:].mean() < loss[:20].mean()
    assert all(np.all(np.isfinite(values)) for values in found.draws.values())


def test_refusals():
    x, y = jnp.asarray(X), jnp.asarray(Y)
    with pytest.raises(ValueError, match="log-uniform prior is improper, .*:magnitude=half_cauchy"):
        fit(net(), NUTS(warmup=2, draws=2), x, y, progress=False)
    with pytest.raises(ValueError, match="plane is a setting of the guide local, not of the guide mean_field"):
        svi(guide="mean_field", plane="batch")
    with pytest.raises(ValueError, match="unknown plane 'row'; did you mean 'rows'"):
        svi(guide="local", plane="row")
    two = svi(guide="local", steps=2)
    with pytest.raises(ValueError, match="cannot be turned; use over='inputs'"):
        fit(net("direction_magnitude", 3), two, x[:, :1], y, progress=False)
    with pytest.raises(ValueError, match="cannot be turned; widen the layer"):
        fit(net("direction_magnitude:over=inputs", 1), two, x[:, :1], y, progress=False)
    with pytest.raises(ValueError, match="activations before layer0 are single numbers.* use on='weights'"):
        fit(net("tangent:alpha=1,on=activations", 3), svi(guide="dropout", steps=2), x[:, :1], y, progress=False)


# -- two weights, no bias: w = g (cos(e) v + sin(e) phi) in the plane, where phi is one of two


X2 = RNG.normal(size=(12, 2)).astype(np.float32)
Y2 = (X2 @ np.array([0.8, -0.5]) + 0.5 * RNG.normal(size=12)).astype(np.float32)
PROPER = {"half_cauchy": stats.halfcauchy, "gamma": stats.gamma(2, scale=0.5)}


def log_lik(w):
    """Of weights (..., 2)."""
    return np.sum(stats.norm.logpdf(Y2, w @ X2.T.astype(np.float64), 0.5), axis=-1)


@pytest.fixture(scope="module", params=PROPER)
def toy(request):
    """The program, its law of g, and the posterior of (g, angle of w) on a grid, with the log evidence.

    v is uniform, so w is g times a uniform direction, whatever e.
    """
    model = gaussian(mlp(bias=False), catalogue.prior(f"direction_magnitude:magnitude={request.param}"), precision=4.0)
    law = PROPER[request.param]
    g, t = np.linspace(1e-3, 4, 800), np.linspace(-math.pi, math.pi, 721)[:-1]
    w = g[:, None, None] * np.stack([np.cos(t), np.sin(t)], axis=-1)
    log_p = log_lik(w) + law.logpdf(g)[:, None] - math.log(2 * math.pi)
    area = (g[1] - g[0]) * (t[1] - t[0])
    evidence = math.log(np.sum(np.exp(log_p)) * area)
    return model, law, g, t, np.exp(log_p - evidence) * area, evidence


def test_nuts_agrees_in_density(toy):
    model, _, g, t, p, _ = toy
    found = fit(model, NUTS(warmup=1000, draws=2500, chains=2), jnp.asarray(X2), jnp.asarray(Y2), progress=False)
    w = found.draws["layer0.weight"].reshape(-1, 2)[::5].astype(np.float64)
    length, turn = np.linalg.norm(w, axis=1), np.arctan2(w[:, 1], w[:, 0])
    for draws, grid, margin in ((length, g, p.sum(axis=1)), (turn, t, p.sum(axis=0))):
        cdf = np.cumsum(margin) - 0.5 * margin
        assert stats.kstest(draws, lambda v, grid=grid, cdf=cdf: np.interp(v, grid, cdf)).pvalue > 1e-3
    wide = stats.kstest(length * 1.1, lambda v: np.interp(v, g, np.cumsum(p.sum(axis=1)))).pvalue
    assert wide < 1e-3  # it would have seen a tenth


def test_the_elbo_is_below_the_evidence(toy):
    """Given its v, a point, the guide bounds the evidence of that v, by quadrature over g, e and the two phi."""
    model, law, *_, whole = toy
    config = svi(guide="local", plane="batch", steps=6000, lr=0.02, decay=0.5, draws=2000, init_scale=0.2)
    found = fit(model, config, jnp.asarray(X2), jnp.asarray(Y2), progress=False)
    late = {k: found.history[k][0, -1000:].astype(np.float64) for k in ("log_lik", "kl")}
    base = found.draws["layer0.base"][0, 0, :, 0].astype(np.float64)
    v = base / np.linalg.norm(base)
    phi = np.array([-v[1], v[0]])
    g, e = np.linspace(1e-3, 6, 1200), (np.arange(400) + 0.5) / 400 * QUARTER
    w = [np.cos(e)[:, None] * v + sign * np.sin(e)[:, None] * phi for sign in (1, -1)]
    log_p = np.stack([log_lik(g[:, None, None] * side) for side in w]) + law.logpdf(g)[:, None]
    evidence = math.log(np.mean(np.exp(log_p)) * (g[-1] - g[0]))
    elbo = np.mean(late["log_lik"] - late["kl"])
    error = np.std(late["log_lik"] - late["kl"]) / math.sqrt(1000)  # the rate has fallen to next to nothing
    assert elbo + 3 * error < evidence
    assert evidence - elbo < 2.0  # and not far below
    assert evidence > whole - 0.5  # v was learned


def images(p, x, prior, out):
    """A convolution of four 3 x 3 kernels, and a dense layer."""
    h = x.T.reshape((1, 6, 6, x.shape[0]))
    h = p.xp.maximum(conv(p.xp, h, prior(p, "layer0", (3, 3, 1, 4))), 0.0)
    return layer(p, h.reshape((-1, x.shape[0])).T, prior, "layer1", out)


def test_classes_and_kernels_fit():
    """A network for images with the guide: a kernel, whose vectors are over outputs, and columns that are turned."""
    x = jnp.asarray(RNG.normal(size=(8, 36)), jnp.float32)
    labels = jnp.asarray(np.arange(8) % 3)
    model = categorical(images, catalogue.prior("direction_magnitude:over=inputs"), 3)
    found = fit(model, svi(guide="local", steps=3, lr=1e-3, batch_size=4, draws=1), x, labels, progress=False)
    assert np.all(np.isfinite(found.history["loss"]))
    assert found.draws["layer0.angle"].shape == (1, 1, 4) and found.draws["layer1.angle"].shape == (1, 1, 64)
