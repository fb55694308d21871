"""Soft targets against the likelihood they generalise, and a student against its teacher."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import by_hand, random_net, random_tree
from noisezoo import data as datasets
from noisezoo.inference.driver import fit as fit_module
from noisezoo.inference.sparsity import distillation, evaluation, trimming
from noisezoo.inference.sparsity import scores as scores_module
from noisezoo.inference.strategies.parse import svi
from noisezoo.models import catalogue, likelihoods
from noisezoo.models.networks import mlp
from noisezoo.models.networks.bare import bare_program
from noisezoo.models.ppl.programs import log_joint
from noisezoo.models.weights.parametrisation import normal
from scipy.special import expit, log_softmax, softmax

ROWS, FEATURES, CLASSES = 7, 6, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
SOFT = RNG.dirichlet(np.ones(CLASSES), ROWS).astype(np.float32)
NET = mlp(4), normal()
LOC = random_net(FEATURES, 4, CLASSES)


def arrays(language, **values):
    if language == "numpyro":
        return {k: jnp.asarray(v) for k, v in values.items()}
    torch = pytest.importorskip("torch")
    return {k: torch.tensor(v) for k, v in values.items()}


def joint(language, model, y, **words):
    values = arrays(language, x=X, y=y, **LOC)
    x, y = values.pop("x"), values.pop("y")
    return float(log_joint(model, values, x, y, **words))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_log_joint_is_the_sum_written_out(language, temperature):
    prior = -0.5 * sum(np.sum(v**2) for k, v in LOC.items() if k.endswith("bias"))
    prior -= 0.5 * sum(len(v) * np.sum(v**2) for k, v in LOC.items() if k.endswith("weight"))  # sd 1 / sqrt(fan_in)
    sizes = {k: v.size for k, v in LOC.items()}
    prior -= 0.5 * np.log(2 * np.pi) * sum(sizes.values())
    prior += 0.5 * sum(v.size * np.log(len(v)) for k, v in LOC.items() if k.endswith("weight"))
    soft = temperature**2 * np.sum(SOFT * log_softmax(by_hand(LOC, X) / temperature, axis=-1))
    found = joint(language, likelihoods.soft_targets(*NET, CLASSES, temperature), SOFT)
    assert found == pytest.approx(prior + soft, rel=1e-5)


def test_one_hot_targets_are_the_categorical_likelihood(language):
    y = np.arange(ROWS) % CLASSES
    hard = joint(language, likelihoods.categorical(*NET, CLASSES), y)
    one_hot = np.eye(CLASSES, dtype=np.float32)[y]
    assert joint(language, likelihoods.soft_targets(*NET, CLASSES), one_hot) == pytest.approx(hard, rel=1e-5)
    assert abs(joint(language, likelihoods.soft_targets(*NET, CLASSES, 2.0), one_hot) - hard) > 0.1


def test_minibatch_scaling_is_unbiased():
    from numpyro import handlers

    model = likelihoods.soft_targets(*NET, CLASSES, 2.0)
    parts = [
        joint("numpyro", handlers.substitute(model, data={"data": jnp.asarray(rows)}), SOFT, batch_size=2)
        for rows in itertools.combinations(range(ROWS), 2)
    ]
    assert np.mean(parts) == pytest.approx(joint("numpyro", model, SOFT), rel=1e-5)
    assert np.ptp(parts) > 0.1


def test_the_temperature_leaves_the_gradient_its_size():
    def size(temperature):
        model = likelihoods.soft_targets(*NET, CLASSES, temperature)
        y = jnp.asarray(softmax(by_hand(LOC, X) / temperature + 0.1 * np.arange(CLASSES) / temperature, axis=-1))
        values = {k: jnp.asarray(v) for k, v in LOC.items()}
        both = [jax.grad(lambda v, t=t: log_joint(model, v, jnp.asarray(X), t))(values) for t in (y, 0 * y)]
        return np.linalg.norm(both[0]["layer1.bias"] - both[1]["layer1.bias"])

    assert size(100.0) == pytest.approx(size(50.0), rel=0.02)


def test_without_targets_there_is_f_alone(language):
    from noisezoo.models.ppl.programs import simulate

    found = simulate(likelihoods.soft_targets(*NET, CLASSES), 0, arrays(language, x=X)["x"])
    assert tuple(found["f"].shape) == (ROWS, CLASSES) and "y" not in found


@pytest.mark.parametrize(
    "words, y, said",
    [
        ({"classes": 1}, SOFT, "at least 2 classes"),
        ({"classes": 3, "temperature": 0.0}, SOFT, "temperature must be positive"),
        ({"classes": 3, "temperature": float("inf")}, SOFT, "temperature must be positive and finite"),
        ({"classes": 3}, np.zeros(ROWS, np.float32), r"y must have shape \(7, 3\) to go with x, got \(7,\)"),
        ({"classes": 4}, SOFT, r"y must have shape \(7, 4\) to go with x, got \(7, 3\)"),
    ],
)
def test_bad_targets_are_one_sentence(words, y, said):
    with pytest.raises(ValueError, match=said):
        joint("numpyro", likelihoods.soft_targets(*NET, **words), y)


def test_the_teacher_is_a_softmax_of_one_net_or_the_mean_of_several():
    tree = random_tree((FEATURES, 8, CLASSES))
    nets, model = scores_module.some_draws(tree, 5), bare_program(catalogue.network("mlp:8"), CLASSES)
    wanted = np.mean([softmax(by_hand(net, X) / 3, axis=-1) for net in nets], axis=0)
    np.testing.assert_allclose(distillation.teacher(model, nets, X, 3.0), wanted, atol=1e-6)
    np.testing.assert_allclose(
        distillation.teacher(model, nets[0], X), softmax(by_hand(nets[0], X), axis=-1), atol=1e-6
    )
    assert distillation.teacher(model, nets[0], X).dtype == np.float32
    one = random_net(FEATURES, 8, 1)
    found = distillation.teacher(bare_program(catalogue.network("mlp:8"), 1), one, X, 2.0)
    p = expit(by_hand(one, X) / 2)
    np.testing.assert_allclose(found, np.stack([1 - p, p], axis=-1), atol=1e-6)
    for nets, temperature, said in [([], 1.0, "no nets"), (one, 0.0, "must be positive"), (one, np.nan, "positive")]:
        with pytest.raises(ValueError, match=said):
            distillation.teacher(model, nets, X, temperature)


def count(inputs, hidden, out):
    units = (inputs, *hidden, out)
    return sum(a * b for a, b in zip(units[:-1], units[1:], strict=True))


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 0.9, 0.95])
@pytest.mark.parametrize("inputs, hidden, out", [(784, (300, 100), 10), (90, (50,), 1), (20, (30, 7, 30), 3)])
def test_a_student_is_as_large_as_it_may_be(fraction, inputs, hidden, out):
    found, most = distillation.widths(fraction, inputs, hidden, out), (1 - fraction) * count(inputs, hidden, out)
    assert count(inputs, found, out) <= most + 1e-6 and len(found) == len(hidden)
    factor = min((k + 1) / w for k, w in zip(found, hidden, strict=True))  # the next one at which a width grows
    if factor <= 1:
        assert count(inputs, [max(1, int(factor * w + 1e-9)) for w in hidden], out) > most
    else:
        assert fraction == 0 and list(found) == list(hidden)


@pytest.mark.parametrize(
    "fraction, hidden, said",
    [(1.0, (5,), r"in \[0, 1\), got 1"), (float("nan"), (5,), "got nan"), (0.5, (), "without hidden layers"),
     (0.999, (5, 5), "at least 12 weights")],
)  # fmt: skip
def test_widths_that_cannot_be(fraction, hidden, said):
    with pytest.raises(ValueError, match=said):
        distillation.widths(fraction, 10, hidden, 1)


def test_a_student_of_digits_comes_close_to_its_teacher():
    data, temperature = datasets.load("digits"), 4.0
    x, words = jnp.asarray(data.x_train), {"progress": False}
    settings = {"guide": "map", "lr": 0.01, "draws": 1, "batch_size": 200}
    large = likelihoods.categorical(mlp(40), normal(), 10)
    fit = fit_module.fit(large, svi(steps=400, **settings), x, jnp.asarray(data.y_train), **words)
    net = trimming.network_sites({site: v[0, 0] for site, v in fit.draws.items()})
    soft = distillation.teacher(bare_program(mlp(40), 10), net, data.x_train, temperature)
    width = distillation.widths(0.6, 64, (40,), 10)
    small = likelihoods.soft_targets(mlp(*width), normal(), 10, temperature)
    fit = fit_module.fit(small, svi(steps=600, **settings), x, jnp.asarray(soft), **words)
    student = trimming.network_sites({site: v[0, 0] for site, v in fit.draws.items()})
    f = {
        k: evaluation.outputs(bare_program(mlp(*w), 10), v, data.x_test)
        for k, w, v in (("large", (40,), net), ("small", width, student))
    }
    agree = np.mean(f["large"].argmax(axis=1) == f["small"].argmax(axis=1))
    right = {k: np.mean(v.argmax(axis=1) == data.y_test) for k, v in f.items()}
    assert width == [16] and right["large"] > 0.93
    assert agree > 0.93 and right["small"] > right["large"] - 0.04
