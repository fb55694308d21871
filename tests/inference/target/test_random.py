"""Quick random numbers: the published hash, JAX's own, and the laws of what is drawn with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from noisezoo.inference.strategies.guides.elbo import OneSplit
from noisezoo.inference.target.random import _quantiles, normal, quick, threefry
from numpyro import distributions as dist
from numpyro import handlers, sample
from scipy import stats

KEY = jax.random.PRNGKey(0)
SIGMAS = 4.5


@pytest.mark.parametrize(
    ("key", "count", "hashed"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_hash_is_the_published_one(key, count, hashed):
    """The known answers that come with the generator (Random123)."""
    found = threefry(*(tuple(jnp.uint32(word) for word in pair) for pair in (key, count)))
    assert tuple(int(word) for word in found) == hashed


def test_the_hash_is_that_of_jax():
    counts = jnp.arange(2000, dtype=jnp.uint32)
    theirs = threefry_2x32(KEY, counts)  # the two halves are the two counts
    np.testing.assert_array_equal(jnp.concatenate(threefry(KEY, (counts[:1000], counts[1000:]))), theirs)


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_bits_are_uniform(width):
    with jax.enable_x64(width == 64):
        found = np.asarray(jax.random.bits(quick(KEY), (3, 33_333), jnp.dtype(f"uint{width}")))
    assert found.dtype == f"uint{width}"
    assert stats.chisquare(np.bincount(found.ravel() >> (width - 8), minlength=256)).pvalue > 1e-3  # the upper bits
    assert stats.chisquare(np.bincount(found.ravel() & 0xFF, minlength=256)).pvalue > 1e-3  # the lower ones
    assert abs(np.corrcoef(found[:, 1:].ravel() / 2.0**width, found[:, :-1].ravel() / 2.0**width)[0, 1]) < 0.015


@pytest.mark.parametrize(
    ("law", "exact"),
    [
        (dist.Normal(0.0, 1.0), stats.norm.cdf),
        (dist.Uniform(0.0, 1.0), stats.uniform.cdf),
        (dist.Laplace(0.0, 1.0), stats.laplace.cdf),
    ],
)
def test_distributions_draw_with_a_quick_key(law, exact):
    found = np.asarray(law.sample(quick(KEY), (20_000,)), np.float64)
    assert stats.kstest(found, exact).pvalue > 1e-3


def test_only_laws_that_are_drawn_in_one_pass_get_a_quick_key():
    """A Poisson variate could not be drawn with one."""

    def program():
        sample("normal", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        sample("bernoulli", dist.Bernoulli(0.5).expand([3]).to_event(1))
        sample("gamma", dist.Gamma(2.0, 1.0).expand([3]).to_event(1))
        sample("poisson", dist.Poisson(2.0))

    sites = handlers.trace(OneSplit(program, KEY)).get_trace()
    keys = {name: site["kwargs"]["rng_key"] for name, site in sites.items()}
    assert {name for name, key in keys.items() if key.dtype == quick(KEY).dtype} == {"normal", "bernoulli"}


def test_a_rare_event():
    found = np.asarray(dist.Bernoulli(0.995).sample(quick(KEY), (1_000_000,)))
    assert abs(found.mean() - 0.995) < SIGMAS * (0.995 * 0.005 / found.size) ** 0.5


def test_keys_are_split_and_mapped():
    """Each split has numbers of its own, and those of a key do not depend on its company."""
    keys = jax.random.split(quick(KEY), 3)
    together = np.asarray(jax.vmap(lambda key: jax.random.normal(key, (50,)))(keys))
    np.testing.assert_array_equal(together, np.stack([jax.random.normal(key, (50,)) for key in keys]))
    assert len(np.unique(together)) == together.size
    np.testing.assert_array_equal(
        jax.random.key_data(quick(jax.random.split(KEY, 3))),
        jax.random.split(KEY, 3),  # several keys at once
    )
    assert quick(quick(KEY)) == quick(KEY)
    assert quick(jax.random.key(0)) == quick(KEY)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0, 2)])
def test_any_shape(shape):
    assert jax.random.normal(quick(KEY), shape).shape == shape
    assert normal(KEY, shape).shape == shape


def test_the_cheap_normals_are_normal():
    found = np.asarray(normal(KEY, (400, 500)), np.float64).ravel()
    assert stats.kstest(found, stats.norm.cdf).pvalue > 1e-3
    assert abs(found.mean()) < SIGMAS * len(found) ** -0.5
    assert abs(found.var() - 1) < SIGMAS * (2 / len(found)) ** 0.5
    assert np.isfinite(found).all() and np.abs(found).max() < 4.4


def test_the_cheap_normals_are_the_quantiles():
    """Of 65536 numbers in the middle of as many equal parts of (0, 1)."""
    exact = stats.norm.ppf((np.arange(2**16) + 0.5) / 2**16)
    np.testing.assert_allclose(_quantiles(), exact, rtol=1e-4, atol=1e-7)
    assert np.isin(normal(KEY, (1000,)), _quantiles()).all()
