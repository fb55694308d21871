"""Beta(alpha, alpha): the sampler of one pass against the exact law."""

import jax
import numpy as np
import pytest
from noisezoo.models.ppl import language as language_of
from scipy import stats


def drawn(language, law, shape):
    if language == "numpyro":
        return np.asarray(law.sample(jax.random.key(0), shape))
    import torch

    torch.manual_seed(0)
    return np.asarray(law(torch.Size(shape)))


@pytest.mark.parametrize("alpha", [0.4, 0.5, 0.55, 1.0, 1.8701, 3.2702, 10.0, 1000.0])
def test_draws_follow_the_law(language, alpha):
    law = language_of(language).symmetric_beta(alpha).expand((4,)).to_event(1)
    draws = drawn(language, law, (2500,))
    assert draws.shape == (2500, 4)
    assert stats.kstest(draws.ravel(), stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert stats.kstest(draws.ravel(), stats.beta(1.2 * alpha, 1.2 * alpha).cdf).pvalue < 1e-3
    assert np.max(np.abs(np.corrcoef(draws.T) - np.eye(4))) < 0.08


def test_the_density_is_that_of_a_beta(language):
    p = language_of(language)
    x = np.array([0.1, 0.5, 0.8])
    for alpha in (0.3, 3.0):
        found = p.symmetric_beta(alpha).expand((3,)).log_prob(p.xp.asarray(x.astype(np.float32)))
        np.testing.assert_allclose(np.asarray(found), stats.beta(alpha, alpha).logpdf(x), rtol=1e-5, atol=1e-6)
