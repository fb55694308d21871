"""Discrete sites under Gibbs steps: against enumeration, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.target.numpyro.discrete import is_countable

X = jnp.array([[1.0, 0.5], [-0.5, 1.0], [0.3, 0.3], [1.0, -1.0]])
Y = jnp.array([1.6, 0.4, 0.7, -0.2])
LAWS = {
    "Bernoulli": (dist.Bernoulli(probs=0.3), [0.7, 0.3]),
    "Categorical": (dist.Categorical(probs=jnp.array([0.2, 0.6, 0.2])), [0.2, 0.6, 0.2]),
    "Binomial": (dist.Binomial(total_count=2, probs=0.5), [0.25, 0.5, 0.25]),
    "DiscreteUniform": (dist.DiscreteUniform(0, 2), [1 / 3] * 3),
}


@pytest.mark.parametrize("name", LAWS)
def test_scales_closed_by_to_event_are_sampled_as_enumeration_has_them(name):
    law, probs = LAWS[name]

    def program(x, y=None):
        scales = 1.0 * numpyro.sample("scales", law.expand((2,)).to_event(1))
        weights = numpyro.sample("weights", dist.Normal(1.0, 0.01).expand((2,)).to_event(1))
        f = numpyro.deterministic("f", x @ (scales * weights))
        numpyro.sample("y", dist.Normal(f, 1.0).to_event(1), obs=y)

    draws = fit(program, NUTS(warmup=200, draws=2000, chains=2), X, Y, progress=False).draws["scales"].reshape(-1, 2)
    values = list(itertools.product(range(len(probs)), repeat=2))
    joint = np.array(
        [np.prod([probs[k] for k in v]) * np.exp(-0.5 * np.sum((Y - X @ np.array(v)) ** 2)) for v in values]
    )
    found = np.array([np.mean(np.all(draws == v, axis=1)) for v in values])
    wrong = np.array([np.prod([probs[k] for k in v]) for v in values])  # the prior
    assert np.abs(found - joint / joint.sum()).max() < 0.04 < np.abs(wrong - joint / joint.sum()).max()


@pytest.mark.parametrize(
    "law",
    [
        dist.Poisson(2.0),
        dist.Geometric(0.5),
        dist.DiscreteUniform(1, 3),  # of which NumPyro's steps would propose 0
        dist.Binomial(total_count=jnp.array([1, 2]), probs=0.5),
        dist.Multinomial(total_count=2, probs=jnp.array([0.5, 0.5])),
    ],
)
def test_what_gibbs_steps_cannot_go_through_is_refused(law):
    assert not is_countable(law) and not jax.jit(lambda: is_countable(law.to_event(0)))()

    def program(x, y=None):
        scale = 1.0 * jnp.sum(numpyro.sample("scale", law.to_event(len(law.batch_shape))))
        numpyro.sample("y", dist.Normal(scale * x[:, 0], 1.0).to_event(1), obs=y)

    with pytest.raises(
        ValueError, match="^nuts goes through the values of a discrete scale, and those of scale are not"
    ):
        fit(program, NUTS(), X, Y, progress=False)


def test_a_list_of_values_that_is_not_known_yet_is_none():
    laws = [  # by what is not known: their number, or the values themselves
        lambda n: dist.Binomial(total_count=n.astype(int), probs=0.5),
        lambda n: dist.DiscreteUniform(0, n.astype(int)),
        lambda n: Listed(lambda: n * jnp.arange(3)),
    ]
    found = []
    for law in laws:
        jax.eval_shape(lambda n, law=law: found.append(is_countable(law(n))) or n, 2.0)
    assert found == [False, False, False] and is_countable(Listed(lambda: jnp.arange(3)))


def test_a_mistake_in_a_law_of_ones_own_is_not_taken_for_an_answer():
    with pytest.raises(TypeError, match="can only concatenate"):
        is_countable(Listed(lambda: "0" + 1))


class Listed(dist.BernoulliProbs):
    """A law with a list of its own."""

    def __init__(self, values):
        self.values = values
        super().__init__(0.5)

    def enumerate_support(self, expand=True):
        return self.values()
