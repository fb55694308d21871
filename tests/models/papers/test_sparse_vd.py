"""Sparse variational dropout's program, and the improper laws that it is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.laws import divergences
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.papers import sparse_vd
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl import ppl
from noisezoo.models.ppl.programs import log_joint, trace
from noisezoo.models.ppl.unnormalised import unnormalised
from scipy import stats

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
Y = np.linspace(-1, 1, 7, dtype=np.float32)
RNG = np.random.default_rng(1)
LOC, SCALE = RNG.normal(size=(3, 4)).astype(np.float32), np.exp(RNG.normal(size=(3, 4))).astype(np.float32)
KINDS = pytest.mark.parametrize("approximate", [False, True], ids=["exact", "approximate"])


def arrays(language, *values):
    if language == "numpyro":
        return [jnp.asarray(v) for v in values]
    import torch

    return [torch.tensor(v) for v in values]


def kl(language):
    """The `kl_divergence` of a language."""
    if language == "numpyro":
        from numpyro.distributions import kl_divergence
    else:
        from torch.distributions import kl_divergence
    return kl_divergence


def weights(model, x, seed=0):
    """Values for the sites of a program with hidden layers of 4."""
    rng = np.random.default_rng(seed)
    shapes = {"layer0.weight": (3, 4), "layer0.bias": (4,), "layer1.weight": (4, 1), "layer1.bias": (1,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def laws(language, prior, shape):
    """The law of a weight under a prior, as the program samples from it."""
    found = []
    p = language_of(language)._replace(sample=lambda name, law, **_: found.append((name, law)))
    prior(p, "layer0", shape)
    return found


@KINDS
def test_the_divergence_is_registered(language, approximate):
    """Found through to_event and expand, elementwise sums over the event, the closed form's number."""
    [(name, law)] = laws(language, sparse_vd.prior(approximate), (3, 4))
    assert name == "layer0.weight" and tuple(law.event_shape) == (3, 4)
    loc, scale = arrays(language, LOC, SCALE)
    found = kl(language)(language_of(language).dist.Normal(loc, scale).to_event(2), law)
    closed = divergences.log_uniform_approximate if approximate else divergences.log_uniform
    assert tuple(found.shape) == ()
    np.testing.assert_allclose(found, closed(np, LOC.astype(float), SCALE.astype(float)).sum(), rtol=1e-5)


def test_derivatives_of_the_registered_divergence(language):
    """Those that the law is given: -sqrt(u) Dawson(sqrt u) per unit of log alpha, weighted by what comes downstream."""
    from scipy.special import dawsn

    [(_, law)] = laws(language, sparse_vd.prior(), (3, 4))
    dist, factor = language_of(language).dist, 3.0
    if language == "numpyro":
        total = jax.grad(lambda m, s: factor * kl("numpyro")(dist.Normal(m, s).to_event(2), law), (0, 1))
        by_loc, by_scale = total(jnp.asarray(LOC), jnp.asarray(SCALE))
    else:
        import torch

        at = [torch.tensor(v, requires_grad=True) for v in (LOC, SCALE)]
        (factor * kl("pyro")(dist.Normal(*at).to_event(2), law)).backward()
        by_loc, by_scale = (v.grad.numpy() for v in at)
    root = np.abs(LOC) / SCALE / np.sqrt(2)
    expected = 2 * factor * root * dawsn(root)
    np.testing.assert_allclose(by_loc * LOC, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(-by_scale * SCALE, expected, rtol=1e-4, atol=1e-5)


def test_an_unnormalised_law_in_a_plate(language):
    """One law per row: the divergence keeps the shape of the batch, and so does the log density."""
    law = unnormalised(language)("flat", lambda w: 0 * w, lambda loc, scale: loc + scale).expand((3, 4))
    loc, scale = arrays(language, LOC, SCALE)
    q = language_of(language).dist.Normal(loc, scale)
    assert tuple(law.batch_shape) == (3, 4) and tuple(law.event_shape) == ()
    np.testing.assert_allclose(kl(language)(q, law), LOC + SCALE, rtol=1e-6)
    np.testing.assert_allclose(kl(language)(q.to_event(1), law.to_event(1)), (LOC + SCALE).sum(1), rtol=1e-6)
    assert tuple(law.to_event(1).log_prob(loc).shape) == (3,)


def test_a_scalar_guide_is_broadcast():
    """A guide with one scale for all weights pays for each of them."""
    from numpyro import distributions as dist

    [(_, law)] = laws("numpyro", sparse_vd.prior(), (3, 4))
    q = dist.Normal(jnp.asarray(LOC), 0.3).to_event(2)
    np.testing.assert_allclose(kl("numpyro")(q, law), divergences.log_uniform(np, LOC, 0.3 + 0 * LOC).sum(), rtol=1e-5)


def test_an_improper_law_has_no_draws(language):
    [(_, law)] = laws(language, sparse_vd.prior(), (3, 4))
    arguments = (jax.random.PRNGKey(0),) if language == "numpyro" else ()
    with pytest.raises(NotImplementedError, match="the log-uniform prior is improper: it has no draws"):
        law.sample(*arguments)


def test_an_improper_law_passes_through_jit():
    """It is a pytree: the law can be an argument or a result of compiled code."""
    [(_, law)] = laws("numpyro", sparse_vd.prior(), (3, 4))
    copy = jax.tree.map(lambda leaf: leaf, law)
    loc = jnp.asarray(LOC)
    np.testing.assert_array_equal(jax.jit(lambda law, w: law.log_prob(w))(copy, loc), law.log_prob(loc))


def test_the_density_is_that_of_the_scale_free_prior(language):
    """log p = -sum log abs(w): multiplying all twelve weights by 3 lowers it by 12 log 3."""
    [(_, law)] = laws(language, sparse_vd.prior(), (3, 4))
    one, three = arrays(language, LOC, 3 * LOC)
    np.testing.assert_allclose(law.log_prob(one), -np.log(np.abs(LOC)).sum(), rtol=1e-5)
    np.testing.assert_allclose(law.log_prob(one) - law.log_prob(three), 12 * np.log(3), rtol=1e-5)


@KINDS
def test_log_joint(language, approximate):
    """The log joint of the program, written out by hand."""
    model = gaussian(mlp(4), sparse_vd.prior(approximate), precision=4.0)
    x, y = arrays(language, X, Y)
    values = weights(model, X)
    found = log_joint(model, dict(zip(values, arrays(language, *values.values()), strict=True)), x, y)
    w0, b0, w1, b1 = (v.astype(float) for v in values.values())
    f = (np.tanh(X @ w0 + b0) @ w1 + b1)[:, 0]
    expected = stats.norm(f, 0.5).logpdf(Y).sum() - sum(np.log(np.abs(w)).sum() for w in (w0, w1))
    expected += sum(stats.norm.logpdf(b).sum() for b in (b0, b1))
    np.testing.assert_allclose(float(found), expected, rtol=1e-5)


def test_the_same_settings_give_the_same_prior():
    assert sparse_vd.prior() is sparse_vd.prior() and sparse_vd.prior() is not sparse_vd.prior(approximate=True)


def test_the_site_says_that_it_is_improper(language):
    x, y = arrays(language, X, Y)
    values = weights(None, X)
    model = gaussian(mlp(4), sparse_vd.prior(), precision=4.0)
    sites = trace(model, 0, x, y, values=dict(zip(values, arrays(language, *values.values()), strict=True)))
    assert ppl(x).name == language
    assert sites["layer1.weight"]["infer"]["improper"] == "log-uniform"
    assert not sites["layer1.bias"]["infer"].get("improper")


def test_kernels_have_a_law_of_their_shape(language):
    [(_, law)] = laws(language, sparse_vd.prior(), (5, 5, 2, 3))
    assert tuple(law.event_shape) == (5, 5, 2, 3)
