"""Step sizes that are found, and the bias of the steps that a run at half of them tells."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from exact_fits import exact_data, model
from linear_model import PRECISION, SIGMA0, data
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.convergence import convergence
from noisezoo.inference.judging.datatree import to_datatree
from noisezoo.inference.judging.diagnose import diagnose
from noisezoo.inference.judging.predict import predict
from noisezoo.inference.judging.sampler.step_bias import step_bias
from noisezoo.inference.judging.verdict import verdict
from noisezoo.inference.strategies.sghmc import SGHMC
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.strategies.sgnht import SGNHT
from noisezoo.models import catalogue
from noisezoo.models.ppl import language as ppl_of
from noisezoo.models.ppl import ppl
from scipy.linalg import solve_discrete_lyapunov

COPIES = 200  # of a posterior, so that its law is seen at once
SD = np.logspace(-3, 3, 7).astype(np.float32)[:, None]
MEAN = SD * np.linspace(-3, 3, 7, dtype=np.float32)[:, None]
NOTHING = np.zeros((5, 1), np.float32), np.zeros(5, np.float32)
SAMPLERS = [SGLD(), SGHMC(), SGNHT()]


def scaled_normals(x, y=None, batch_size=None):
    """z ~ N(MEAN, SD^2), whose scales are six orders of magnitude apart, and data that say nothing of it."""
    p = ppl(x)
    shape = (len(SD), COPIES)
    mean, sd = (p.xp.asarray(np.broadcast_to(v, shape).copy()) for v in (MEAN, SD))
    p.sample("z", p.dist.Normal(mean, sd).to_event(2))
    with p.plate("data", x.shape[0], subsample_size=batch_size, dim=-1):
        p.sample("y", p.dist.Normal(p.subsample(0 * x[:, 0], event_dim=0), 1.0), obs=p.subsample(y, event_dim=0))


def arrays(language, values):
    return [ppl_of(language).xp.asarray(v) for v in values]


def widths(values):
    """The sd of every row of z, in its own sds, over draws, chains and copies."""
    return np.sqrt((((values - MEAN) / SD) ** 2).mean((0, 1, 3)))


def stationary_sd(config, share):
    """Of a normal of sd 1 under a sampler at `share` of the step that its tolerance allows: exact, by Lyapunov."""
    size = share * ((1 + config.tolerance) ** 2 - 1) / config.widening[0]
    if config.name == "sgld":
        return (1 - size / 2) ** -0.5
    h, f = size**0.5, config.friction
    step = np.array([[1 - h * h, h * (1 - f)], [-h, 1 - f]])
    noise = np.array([h, 1.0]) * np.sqrt(2 * f)
    return solve_discrete_lyapunov(step, np.outer(noise, noise))[0, 0] ** 0.5


@pytest.mark.parametrize("config", SAMPLERS, ids=lambda config: config.name)
def test_scales_of_any_size(config, language):
    if language == "pyro" and config.name == "sgnht":
        pytest.skip("its kernel is the same in both languages")
    short = {"warmup": 600, "draws": 80, "thin": 20, "half_draws": 40, "chains": 2}
    slow = {"warmup": 150, "draws": 40, "thin": 15, "half_draws": 20, "chains": 1}
    config = replace(config, **(slow if language == "pyro" else short))
    found = fit(scaled_normals, config, *arrays(language, NOTHING), progress=False)
    off = (found.draws["z"].mean((0, 1, 3)) - MEAN[:, 0]) / SD[:, 0]
    rtol = 0.05 if language == "pyro" else 0.03
    np.testing.assert_allclose(off, 0, atol=3 * rtol)
    np.testing.assert_allclose(widths(found.draws["z"]), stationary_sd(config, 1.0), rtol=rtol)
    np.testing.assert_allclose(widths(found.half["z"][:, 10:]), stationary_sd(config, 0.5), rtol=rtol)
    assert stationary_sd(config, 1.0) == pytest.approx(1 + config.tolerance, abs=0.015)
    assert np.ptp(found.stats["step_size"], axis=1).max() == 0, "it must not move after the warmup"


def test_minibatch_noise_counts():
    """As much as curvature: a smaller step on smaller batches, and the law within the same tolerance."""
    x, y = (jnp.asarray(v) for v in data(rows=400))
    steps = {}
    for size in (None, 20):
        config = SGLD(warmup=200, draws=4, thin=1, chains=2, batch_size=size, half_draws=0)
        steps[size] = fit(model(), config, x, y, progress=False).stats["step_size"].mean()
    assert steps[None] > 4 * steps[20] > 0


def test_an_automatic_run_is_resumed(tmp_path):
    class Killed(BaseException):
        pass

    def kill(done, total, message):
        if done == total - 5:
            raise Killed

    x, y = (jnp.asarray(v) for v in data())
    config, program = SGHMC(warmup=40, draws=40, thin=2, chains=2), model()
    whole = fit(program, config, x, y, seed=1, progress=False)
    path = tmp_path / "run.safetensors"
    import noisezoo.inference.driver.loop as loop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "PATIENCE", 0.0)  # one record a block
        with pytest.raises(Killed):
            fit(program, config, x, y, seed=1, progress=kill, checkpoint=path)
    found = fit(program, config, x, y, seed=1, progress=False, checkpoint=path)
    for part in ("draws", "half", "loc", "stats"):
        for name, values in getattr(whole, part).items():
            np.testing.assert_array_equal(getattr(found, part)[name], values, err_msg=f"{part} {name}")
    assert whole.half["layer0.bias"].shape[:2] == (2, 10)


def test_moments_are_those_of_the_whole_step():
    x, y = (jnp.asarray(v) for v in data())
    config = SGLD(warmup=50, draws=40, thin=1, step_size=0.01, chains=2)
    with_half, without = (fit(model(), c, x, y, progress=False) for c in (config, replace(config, half_draws=0)))
    assert not without.half
    np.testing.assert_array_equal(with_half.loc["layer0.weight"], without.loc["layer0.weight"])
    np.testing.assert_array_equal(with_half.draws["layer0.weight"], without.draws["layer0.weight"])


@pytest.fixture(scope="module")
def biased():
    """A run with large steps on the linear model, and the true ratio of the sds of f(x), the median over test rows."""
    found = exact_data()
    design, test = (np.c_[x, np.ones(len(x))].astype(float) for x in (found.x_train, found.x_test))
    precision = PRECISION * design.T @ design + np.diag(np.r_[np.full(3, SIGMA0**-2.0), 1.0])
    size = 0.8 / np.linalg.eigvalsh(precision)[-1]
    covariance = np.linalg.inv(precision)
    wide = covariance @ np.linalg.inv(np.eye(4) - size * precision / 2)  # of z <- z - size P z + N(0, 2 size): exact
    ratio = np.sqrt(np.einsum("ij,jk,ik->i", test, wide, test) / np.einsum("ij,jk,ik->i", test, covariance, test))
    config = SGLD(warmup=500, draws=4000, thin=20, step_size=size * len(design))
    result = fit(program := model(), config, *arrays("numpyro", (found.x_train, found.y_train)), progress=False)
    return result, program, found, float(np.median(ratio))


def test_the_bias_of_a_known_law(biased):
    """This program has a base and scales of one: the posterior of base and bias is normal, and so is that of a step."""
    result, program, found, ratio = biased
    row = diagnose(to_datatree(result, program, found))
    assert row["step_bias_error"] < 0.08
    assert row["step_bias_mean"] < 2 * row["step_bias_error"]
    assert row["step_bias_sd"] == pytest.approx(ratio, abs=2 * row["step_bias_error"]), ratio
    assert ratio > 1 + 2 * row["step_bias_error"], "a bias that is seen"
    same = replace(result, half={k: v[:, ::4] for k, v in result.draws.items()})  # no difference, no bias
    assert abs(diagnose(to_datatree(same, program, found))["step_bias_sd"] - 1) < 2 * row["step_bias_error"]


MODELS = {
    "linear": ("normal", "linear", "regression"),
    "horseshoe": ("half_cauchy", "linear", "regression"),
    "net": ("half_cauchy", "mlp:4", "regression"),
    "classes": ("normal", "linear", "binary"),
    "laplace": ("rayleigh", "mlp:3", "regression"),
}


def judged(name, config):
    """The verdict on a fit, of what a verdict reads."""
    prior, network, task = MODELS[name]
    x, y = data(rows=120, features=3, seed=2)
    y = (y > np.median(y)).astype(np.int32) if task == "binary" else y
    program = catalogue.model(catalogue.prior(prior, "ard", "expanded"), catalogue.network(network), task, 2)
    result = fit(program, config, jnp.asarray(x[:90]), jnp.asarray(y[:90]), progress=False)
    f, half = (
        xr.DataTree(xr.Dataset({"f": (("chain", "draw", "row"), predict(program, draws, jnp.asarray(x[90:])).f)}))
        for draws in (result.draws, result.half)
    )
    tree = xr.DataTree.from_dict({"/predictions": f.to_dataset(), "/half_step": half.to_dataset()})
    tree["posterior"] = f.copy()
    tree.attrs.update(strategy=config.name, independent_chains=1, settings='{"step_size": "auto"}')
    row = {"mlpd": 0.0, "distance_mean": np.nan, **convergence(tree), **step_bias(tree)}
    return verdict(row, tree)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("config", SAMPLERS, ids=lambda config: config.name)
def test_a_tenth_of_a_run_is_never_ok(name, config):
    assert judged(name, replace(config, warmup=config.warmup // 10, draws=config.draws // 10))[0] != "ok"


def test_a_whole_run_is_ok():
    word, reason = judged("linear", SGHMC())
    assert word == "ok" and "step bias: 0.0" in reason, reason
