"""Problems whose posterior can be written down, and every strategy and guide with the settings that find it.

To add a strategy or a guide, add its row to STRATEGIES.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from linear_model import PRECISION, SIGMA0, data, ones, posterior
from noisezoo.inference.strategies.mclmc import MCLMC
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sghmc import SGHMC
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.strategies.sgnht import SGNHT
from noisezoo.models.likelihoods.model import model_of
from noisezoo.models.networks import mlp
from noisezoo.models.ppl import ppl
from noisezoo.models.weights.parametrisation import prior
from scipy.special import gammaln
from scipy.stats import multivariate_normal

COPIES = 16  # so many independent posteriors of one program: so many draws at once


class Problem(NamedTuple):
    """A program, its data, and what is known.

    values : draws of the sites -> (draws, quantities), the copies among the draws.
    mean, covariance : of the quantities under the posterior at temperature 1.
    evidence : log p(y), of all copies.
    """

    program: Callable[..., None]
    x: np.ndarray
    y: np.ndarray
    values: Callable[[dict[str, np.ndarray]], np.ndarray]
    mean: np.ndarray
    covariance: np.ndarray
    evidence: float


def copies(p, y):
    """The data `y` (rows,), once for every copy."""
    return p.xp.broadcast_to(y[:, None], (y.shape[0], COPIES))


def linear() -> Problem:
    """Weights and bias of a linear model with normal priors and noise: conjugate."""

    def outcome(p):
        return lambda f, y: p.sample("y", p.dist.Normal(f, PRECISION**-0.5).to_event(1), obs=copies(p, y))

    program = model_of(mlp(), prior(ones, sigma0=SIGMA0), COPIES, outcome)

    def values(draws):
        weight, bias = draws["layer0.weight"], draws["layer0.bias"]
        both = np.concatenate([weight, bias[..., None, :]], axis=-2)
        return np.moveaxis(both, -2, -1).reshape(-1, both.shape[-2])

    x, y = data(features=2)
    design = np.c_[x, np.ones(len(x))].astype(float)
    covariance = design @ np.diag([SIGMA0**2] * 2 + [1.0]) @ design.T + np.eye(len(x)) / PRECISION
    evidence = multivariate_normal(np.zeros(len(x)), covariance).logpdf(y)
    return Problem(program, x, y, values, *posterior(x, y), COPIES * evidence)


def precision() -> Problem:
    """The precision of normal data under a Gamma prior, conjugate: a site that is constrained."""

    def program(x, y=None, batch_size=None):
        p = ppl(x)
        tau = p.sample("tau", p.dist.Gamma(6.0, 6.0).expand((COPIES,)).to_event(1))
        with p.plate("data", x.shape[0], dim=-1):
            p.sample("y", p.dist.Normal(0.0, tau**-0.5).to_event(1), obs=copies(p, y))

    y = np.random.default_rng(0).normal(size=30).astype(np.float32)
    a, b = 6 + len(y) / 2, 6 + (y**2).sum() / 2
    evidence = 6 * np.log(6) - gammaln(6) + gammaln(a) - a * np.log(b) - len(y) / 2 * np.log(2 * np.pi)
    values = lambda draws: draws["tau"].reshape(-1, 1)  # noqa: E731
    mean, covariance = np.array([a / b]), np.array([[a / b**2]])
    return Problem(program, np.ones((30, 1), np.float32), y, values, mean, covariance, COPIES * evidence)


PROBLEMS = {"linear": linear(), "precision": precision()}


class Row(NamedTuple):
    """A strategy in one language or both, and what it is to find.

    numpyro, pyro : its settings in each; None where it does not exist there.
    mean_within, sd_within : means within so many posterior sds, sds within a fraction.
    problems : where its law is that of the posterior.
    temperatures : of the linear problem in NumPyro; in Pyro, which is slow, the last of them.
    law : ``posterior``; ``independent``, the best independent normals, which are too narrow; ``between`` these two; or
        ``point``, the mean.
    """

    numpyro: Any
    pyro: Any
    mean_within: float
    sd_within: float
    problems: tuple[str, ...] = ("linear",)
    temperatures: tuple[float, ...] = (1.0,)
    law: str = "posterior"


ALL = tuple(PROBLEMS)
TWO = (1.0, 0.25)  # a temperature that is not heard makes the sds wrong by a factor of two
LONG = {"warmup": 500, "draws": 250, "thin": 6, "chains": 4, "half_draws": 0}
MINI = {"warmup": 10_000, "draws": 150, "thin": 80, "chains": 4, "batch_size": 30, "half_draws": 0}
SHORT = {"warmup": 250, "draws": 150, "thin": 5, "chains": 1, "half_draws": 0}
TUNED = {"warmup": 2000, "draws": 150, "thin": 10}
STRATEGIES = {
    "nuts": Row(NUTS(200, 250, 4), NUTS(100, 125, 2, target_accept=0.8), 0.1, 0.06, ALL),
    "nuts vectorised dense": Row(NUTS(300, 250, 4, mass="dense", method="vectorised"), None, 0.1, 0.05),
    "nuts sequential": Row(NUTS(200, 500, 2, method="sequential"), None, 0.1, 0.05),
    "mclmc": Row(MCLMC(**TUNED), None, 0.1, 0.05, ALL),
    "mclmc unit": Row(MCLMC(**TUNED, mass="unit"), None, 0.1, 0.06),
    "mclmc vectorised": Row(MCLMC(**TUNED, method="vectorised"), None, 0.1, 0.06),
    "sgld": Row(SGLD(**LONG, step_size=0.01), SGLD(**SHORT, step_size=0.01), 0.12, 0.1, ALL, TWO),
    "sgld minibatch": Row(SGLD(**MINI, step_size=5e-4), None, 0.15, 0.15, temperatures=TWO),
    "sgld cyclical": Row(
        SGLD(**{**LONG, "thin": 40}, step_size=0.02, schedule="cyclical"), None, 0.15, 0.12, temperatures=TWO
    ),
    "sgld rmsprop": Row(
        SGLD(**LONG, step_size=0.01, preconditioner="rmsprop"),
        SGLD(**{**SHORT, "draws": 200}, step_size=0.01, preconditioner="rmsprop"),
        *(0.15, 0.15),
        temperatures=TWO,
    ),
    "sgld rmsprop minibatch": Row(SGLD(**MINI, step_size=6e-4, preconditioner="rmsprop"), None, 0.15, 0.15),
    "sghmc": Row(
        SGHMC(**LONG, step_size=0.004, friction=0.1),
        SGHMC(**SHORT, step_size=0.004, friction=0.1),
        *(0.15, 0.12),
        ALL,
        TWO,
    ),
    "sghmc viscous": Row(SGHMC(**LONG, step_size=0.003, friction=0.4), None, 0.15, 0.05),
    "sghmc minibatch": Row(SGHMC(**MINI, step_size=2e-4, friction=0.2), None, 0.15, 0.15),
    "sgnht": Row(
        SGNHT(**{**LONG, "warmup": 10_000, "thin": 40}, step_size=2e-3, friction=0.05),
        None,
        0.15,
        0.12,
        temperatures=TWO,
    ),  # its kernel is the same in both languages, see test_pyro_stochastic_gradient
    "sgnht viscous": Row(SGNHT(**{**LONG, "warmup": 5000}, step_size=0.003, friction=0.4), None, 0.15, 0.05),
    "sgnht minibatch": Row(SGNHT(**MINI, step_size=1e-3, friction=0.1), None, 0.15, 0.15),
    "sgld automatic": Row(SGLD(**LONG), SGLD(**SHORT), 0.12, 0.12, ALL, TWO),
    "sgld automatic minibatch": Row(SGLD(**{**MINI, "warmup": 4000}), None, 0.15, 0.15, temperatures=TWO),
    "sghmc automatic": Row(SGHMC(**{**LONG, "thin": 20}), SGHMC(**{**SHORT, "thin": 15}), 0.12, 0.12, ALL, TWO),
    "sghmc automatic minibatch": Row(SGHMC(**{**MINI, "warmup": 4000}), None, 0.15, 0.15),
    "sgnht automatic": Row(SGNHT(**{**LONG, "thin": 20, "warmup": 2000}), None, 0.12, 0.12, temperatures=TWO),
    "sgnht automatic minibatch": Row(SGNHT(**{**MINI, "warmup": 4000}), None, 0.15, 0.15),
    "svi laplace": Row(svi(guide="laplace", draws=500), "same", 0.1, 0.05),
    "svi pathfinder": Row(svi(guide="pathfinder", draws=500), "same", 0.1, 0.06),
    "svi full_rank": Row(
        svi(guide="full_rank", steps=3000, particles=4, draws=500),
        svi(guide="full_rank", steps=2500, lr=0.02, draws=300),
        *(0.1, 0.05),
    ),
    "svi full_rank minibatch": Row(
        svi(guide="full_rank", steps=10_000, particles=4, batch_size=20, draws=500), None, 0.25, 0.1
    ),
    "svi low_rank": Row(svi(guide="low_rank", steps=3000, particles=4, draws=500), None, 0.1, 0.05, law="between"),
    "svi flow": Row(svi(guide="flow", steps=3000, particles=4, draws=500), None, 0.1, 0.05),
    "svi mean_field": Row(
        svi(guide="mean_field", steps=1200, lr=0.02, draws=300), "same", 0.1, 0.05, law="independent"
    ),
    "svi local": Row(svi(guide="local", steps=1200, lr=0.02, draws=300), "same", 0.1, 0.05, law="independent"),
    "svi flipout": Row(svi(guide="flipout", steps=1200, lr=0.02, draws=300), "same", 0.1, 0.05, law="independent"),
    "svi map": Row(svi(guide="map", steps=2000, lr=0.02, draws=2), None, 0.01, 0.02, law="point"),
    "svi map minibatch": Row(
        svi(guide="map", steps=1000, lr=0.02, batch_size=20, draws=2), "same", 0.3, 0.02, law="point"
    ),
}
