"""Many data sets of one shape in one compiled program: each has the fit that it has alone."""

import compiles
import jax.numpy as jnp
import numpy as np
import pytest
from linear_model import data, model
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.driver.fit_many import fit_many
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import prior

SETS = [tuple(jnp.asarray(a) for a in data(rows=40, seed=seed)) for seed in range(3)]
XS, YS = zip(*SETS, strict=True)
SEEDS = (5, 6, 7)
CONFIGS = {
    "restarts": svi(steps=60, draws=20, chains=2),
    "local": svi(guide="local", steps=60, draws=20, batch_size=20),
    "local restarts": svi(guide="local", steps=60, draws=20, chains=2),
    "laplace": svi(guide="laplace", steps=400, draws=20),
    "sgld": SGLD(warmup=40, draws=20, thin=2, step_size=0.01, chains=2),
    "nuts": NUTS(warmup=4, draws=3, chains=2),  # few, for rounding grows
}


@pytest.mark.parametrize("name", ["local restarts", "laplace", "sgld", "nuts"])
def test_each_is_as_it_is_alone(name):
    together = fit_many(model(), CONFIGS[name], XS, YS, SEEDS, progress=False)
    for found, x, y, seed in zip(together, XS, YS, SEEDS, strict=True):
        alone = fit(model(), CONFIGS[name], x, y, seed=seed, progress=False)
        for part in ("draws", "history", "loc", "scale"):
            theirs = getattr(alone, part)
            assert set(getattr(found, part)) == set(theirs)
            for site, values in theirs.items():
                np.testing.assert_allclose(getattr(found, part)[site], values, rtol=2e-3, atol=2e-4, err_msg=site)


@pytest.mark.parametrize("name", ["local"])
def test_a_fit_does_not_depend_on_its_place_or_on_the_others(name):
    whole = fit_many(model(), CONFIGS[name], XS, YS, SEEDS, progress=False)
    some = fit_many(model(), CONFIGS[name], XS[:0:-1], YS[:0:-1], SEEDS[:0:-1], progress=False)
    for ours, theirs in zip(some, whole[:0:-1], strict=True):
        for site, values in theirs.draws.items():
            np.testing.assert_allclose(ours.draws[site], values, rtol=2e-3, atol=2e-4, err_msg=site)


@pytest.mark.parametrize("name", ["local", "restarts"])
def test_one_data_set_is_fit_to_the_last_bit(name):
    (found,) = fit_many(model(), CONFIGS[name], XS[:1], YS[:1], SEEDS[:1], progress=False)
    alone = fit(model(), CONFIGS[name], XS[0], YS[0], seed=SEEDS[0], progress=False)
    for site, values in alone.draws.items():
        np.testing.assert_array_equal(found.draws[site], values, err_msg=site)


@pytest.mark.parametrize("name", ["local", "sgld"])
def test_the_program_is_compiled_once(name, monkeypatch):
    traces, weight = [], prior(noises.half_cauchy())

    def counted(p, site, shape):
        traces.append(site)
        return weight(p, site, shape)

    program = likelihoods.gaussian(mlp(), counted)
    fit_many(program, CONFIGS[name], XS, YS, SEEDS, progress=False)
    start, compiled = len(traces), compiles.counted(monkeypatch)
    fit_many(program, CONFIGS[name], XS[::-1], YS[::-1], (8, 9, 10), progress=False)
    assert not compiled and len(traces) == start


@pytest.mark.parametrize("name", ["local restarts"])
def test_one_that_diverges_does_not_stop_the_others(name):
    huge = XS[1].at[0, 0].set(1e38)  # finite, but its square is not
    found = fit_many(model(), CONFIGS[name], (XS[0], huge, XS[2]), YS, SEEDS, progress=False)
    with pytest.raises(FloatingPointError) as alone:
        fit(model(), CONFIGS[name], huge, YS[1], seed=SEEDS[1], progress=False)
    assert isinstance(found[1], FloatingPointError) and str(found[1]) == str(alone.value)
    for i in (0, 2):
        theirs = fit(model(), CONFIGS[name], XS[i], YS[i], seed=SEEDS[i], progress=False).draws["layer0.weight"]
        np.testing.assert_allclose(found[i].draws["layer0.weight"], theirs, rtol=2e-3, atol=2e-4)


def test_all_that_diverge():
    huge = XS[1].at[0, 0].set(1e38)
    found = fit_many(model(), CONFIGS["local"], (huge, huge), YS[:2], (1, 2), progress=False)
    assert [type(one) for one in found] == [FloatingPointError, FloatingPointError]


def test_seconds_are_shares():
    one, two, three = fit_many(model(), CONFIGS["local"], XS, YS, SEEDS, progress=False)
    assert one.seconds == two.seconds == three.seconds and one.seconds["adapt"] > 0


def test_what_cannot_go_together_is_refused():
    with pytest.raises(ValueError, match="one shape"):
        fit_many(model(), CONFIGS["local"], (XS[0], XS[1][:30]), (YS[0], YS[1][:30]), (1, 2))
    with pytest.raises(ValueError, match="NaN"):
        fit_many(model(), CONFIGS["local"], (XS[0], XS[1] * jnp.nan), YS[:2], (1, 2))
