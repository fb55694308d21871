"""Ranks as uniform numbers, and the exact test of uniformity."""

from itertools import product

import numpy as np
import pytest
from noisezoo.inference.calibration.ranks import holm, p_value, pit, short_p, thinned
from scipy.stats import binom, kstest


def statistic(counts, n):
    """The smallest tail probability of counts below 1/n, 2/n, ..., written down once more."""
    z = np.arange(1, n) / n
    return min(min(binom.cdf(k, n, p), binom.sf(k - 1, n, p)) for k, p in zip(counts, z, strict=True))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_p_value_is_that_of_all_ways_to_fall_into_bins(n):
    ways = {}
    for bins in product(range(n), repeat=n):  # of equal width, hence equally likely
        counts = tuple(sum(b < i for b in bins) for i in range(1, n))
        ways.setdefault(counts, []).append(bins)
    of = {counts: statistic(counts, n) for counts in ways}
    for counts, (bins, *_) in ways.items():
        share = sum(len(same) for other, same in ways.items() if of[other] <= of[counts] * (1 + 1e-9)) / n**n
        assert p_value((np.array(bins) + 0.5) / n) == pytest.approx(max(share, 1e-12), abs=1e-9)


@pytest.mark.parametrize("law", ["uniform", "shifted", "narrow", "wide"])
def test_the_p_value_is_small_where_ranks_are_not_uniform(law):
    rng = np.random.default_rng(1)
    draws = {
        "uniform": rng.uniform(size=128),
        "shifted": rng.uniform(size=128) ** 1.6,
        "narrow": rng.beta(0.6, 0.6, size=128),
        "wide": rng.beta(2, 2, size=128),
    }
    assert (p_value(draws[law]) < 1e-3) == (law != "uniform")


def test_ties_and_few_draws_leave_the_ranks_uniform():
    rng = np.random.default_rng(0)
    truth, draws = rng.binomial(1, 0.3, size=4000), rng.binomial(1, 0.3, size=(4000, 3))
    assert kstest(pit(truth, draws, rng), "uniform").pvalue > 0.01
    one_sided = ((draws < truth[:, None]).sum(axis=1) + rng.uniform(size=4000)) / 4
    assert kstest(one_sided, "uniform").pvalue < 1e-9  # what ties do where they are not broken


def test_dependent_draws_are_thinned_to_what_they_are_worth():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 1, 1000, 2))
    chain = np.zeros_like(noise)
    for t in range(1, 1000):
        chain[:, :, t] = 0.8 * chain[:, :, t - 1] + noise[:, :, t]
    kept, ess = thinned(chain, independent=False)
    assert kept == int(ess) and 50 < kept < 1000 * 0.2 / 1.8  # the ESS of an AR(1), and a tenth of the fits have less
    assert thinned(noise, independent=True) == (1000, 1000.0)
    still = np.concatenate([chain, np.zeros((40, 1, 1000, 1))], axis=-1)  # what does not move has no ESS
    assert thinned(still, independent=False) == (kept, ess)


def test_holm():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert (short_p(0.0123), short_p(1e-12)) == ("0.012", "< 1e-9")
