"""SVI in Pyro against optima that are known."""

import numpy as np
import pyro
import pytest
import torch
from linear_model import PRECISION, SIGMA0, model, posterior
from noisezoo.inference.strategies.guides import GUIDES
from noisezoo.inference.strategies.parse import svi
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.ppl import ppl
from noisezoo.models.weights.parametrisation import prior
from pyro_driver import X, Y, bind, chain, run

NET = likelihoods.gaussian(mlp(3), prior(noises.half_cauchy(), "ard", "expanded"))


def test_dropout_is_its_ridge():
    """Noise N(1, a) on the weights of a linear model costs a precision w_j^2 / 2 sum_i x_ij^2 on average."""
    a = 0.5
    weight = prior(noises.gaussian_dropout(a=a), "iid", "expanded", SIGMA0)
    draws, stats = run(
        svi(guide="dropout", steps=2000, lr=0.02, draws=1000), likelihoods.gaussian(mlp(), weight, PRECISION)
    )
    design = np.c_[X, np.ones(len(X))]
    gram = design.T @ design
    penalty = np.diag(np.r_[np.full(2, SIGMA0**-2), 1.0]) + PRECISION * a * np.diag([*np.diag(gram)[:2], 0.0])
    ridge = np.linalg.solve(PRECISION * gram + penalty, PRECISION * design.T @ Y)
    point = np.r_[draws["layer0.base"][0, 0, :, 0], draws["layer0.bias"][0, 0]]
    np.testing.assert_allclose(point, ridge, atol=0.05)
    assert np.abs(ridge - posterior(X, Y)[0]).max() > 0.2, "the noise must matter for this test to mean anything"
    scale = draws["layer0.scale"].reshape(-1, 2)
    np.testing.assert_allclose(scale.mean(0), 1.0, atol=4 * np.sqrt(a / 1000))
    np.testing.assert_allclose(scale.var(0), a, rtol=0.15)
    np.testing.assert_allclose(draws["layer0.weight"], draws["layer0.scale"] * draws["layer0.base"], rtol=1e-6)
    assert stats == {} and (draws["layer0.base"] == draws["layer0.base"][:, :1]).all()


@pytest.mark.parametrize("guide", ["mean_field", "flow"])
def test_log_densities_count_the_jacobian(guide):
    """mean of p / q over draws of q is the evidence, here of a conjugate precision."""
    from scipy.special import gammaln

    def program(x, y=None, batch_size=None):
        p = ppl(x)
        tau = p.sample("tau", p.dist.Gamma(6.0, 6.0).expand((2,)).to_event(1))
        with p.plate("data", x.shape[0], dim=-1):
            p.sample("y", p.dist.Normal(0.0, tau**-0.5).to_event(1), obs=y[:, None].expand(-1, 2))

    y = np.random.default_rng(0).normal(size=30).astype(np.float32)
    _, stats = run(svi(guide=guide, steps=600, lr=0.02, draws=1000), program, np.ones((30, 1), np.float32), y)
    a, b = 6 + 15, 6 + (y**2).sum() / 2
    exact = 2 * (6 * np.log(6) - gammaln(6) + gammaln(a) - a * np.log(b) - 15 * np.log(2 * np.pi))
    found = np.log(np.exp(stats["log_p"] - stats["log_q"] - exact).mean())
    assert abs(found) < 0.05


@pytest.mark.parametrize("guide", sorted(set(GUIDES) - {"laplace", "em"}))  # em: see test_pyro_em
@pytest.mark.parametrize("batch_size", [None, 10])
def test_every_guide_runs_on_a_network(guide, batch_size):
    draws, stats = run(svi(guide=guide, steps=15, draws=3, batch_size=batch_size), NET)
    names = {f"layer{i}.{part}" for i in (0, 1) for part in ("scale", "base", "weight", "bias")} | {"precision"}
    assert set(draws) == names
    assert draws["layer0.weight"].shape == (1, 3, 2, 3) and draws["precision"].shape == (1, 3)
    assert all(np.isfinite(values).all() for values in draws.values())
    with_density = ("mean_field", "low_rank", "full_rank", "flow", "pathfinder")
    assert set(stats) == ({"log_p", "log_q"} if guide in with_density else set())


def test_chains_do_not_share_parameters():
    """Chains stepped in turn are the chains stepped one after another, and Pyro's global store is left alone."""
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    algorithm = bind(svi(guide="mean_field", steps=20, draws=2, chains=2), model(), x, y)
    alone = [list(chain(algorithm, x, y, number)) for number in (0, 1)]
    in_turn = list(zip(*(chain(algorithm, x, y, number) for number in (0, 1)), strict=True))
    for number in (0, 1):
        assert [info["loss"] for info in alone[number][:20]] == [infos[number]["loss"] for infos in in_turn[:20]]
        torch.testing.assert_close(alone[number][-1][0], in_turn[-1][number][0], rtol=0, atol=0)
    assert alone[0][19]["loss"] != alone[1][19]["loss"]
    assert len(pyro.get_param_store()) == 0


def test_divergence_is_said_in_one_sentence():
    with pytest.raises(FloatingPointError, match="loss is not finite"):
        run(svi(guide="mean_field", steps=10, lr=1e30, draws=1), model())


def test_no_mode_is_said_in_one_sentence():
    """The hierarchical posterior has an infinite spike at weight = scale = 0."""
    program = likelihoods.gaussian(mlp(3), prior(noises.half_cauchy(), "ard", "hierarchical"))
    with pytest.raises(ValueError, match="found no proper mode"):
        run(svi(guide="laplace", steps=5, draws=1), program)


@pytest.mark.parametrize(
    "guide, weight, says",
    [
        ("dropout", prior(noises.gaussian_dropout(), form="hierarchical"), "expanded"),
        ("dropout", prior(noises.log_uniform(), form="expanded"), "improper"),
        ("mean_field", prior(noises.bernoulli(), form="expanded"), "discrete"),
    ],
)
def test_refused(guide, weight, says):
    with pytest.raises(ValueError, match=says):
        run(svi(guide=guide), likelihoods.gaussian(mlp(), weight))


def test_dropout_takes_discrete_noise():
    """The published form of dropout: weights are zero or the point."""
    weight = prior(noises.bernoulli(), "ard", "expanded")
    draws, _ = run(svi(guide="dropout", steps=20, draws=60), likelihoods.gaussian(mlp(3), weight))
    assert set(np.unique(draws["layer0.scale"])) == {0.0, 1.0}
