"""A run of NUTS cut to a tenth: from a random start none is called ok, and of others only what is right."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from exact_fits import FEATURES, exact_data, model, predictive
from linear_model import PRECISION
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import to_datatree
from noisezoo.inference.judging.diagnose import diagnose
from noisezoo.inference.judging.verdict import verdict
from noisezoo.inference.strategies.nuts import NUTS

PROGRAM = model()  # one for all, and data of one shape: a cut is compiled once
SCALES = np.array([1e-2, 1.0, 1e2])
MIXED = np.ones((FEATURES, FEATURES)) + 0.03 * np.eye(FEATURES)  # columns with correlations of 0.999
COLUMNS = {
    "plain": np.eye(FEATURES),
    "correlated": MIXED,
    "scaled": np.diag(SCALES),
    "both": MIXED * SCALES,
    "large": 300 * np.eye(FEATURES),
}


def data(name):
    """The linear model's data with their columns mixed and scaled, and y to go with them."""
    found, rng = exact_data(), np.random.default_rng(4)
    x = [(part @ COLUMNS[name]).astype(np.float32) for part in (found.x_train, found.x_test)]
    slopes = 1 / np.abs(x[0]).mean(0)
    y = [(part @ slopes + rng.normal(size=len(part)) * PRECISION**-0.5).astype(np.float32) for part in x]
    return replace(found, x_train=x[0], x_test=x[1], y_train=y[0], y_test=y[1])


def judged(name, config):
    """The word of the verdict, and whether f(x) is right at every test row: its mean within a fifth of an sd, its sd
    within 15%."""
    found = data(name)
    result = fit(PROGRAM, config, jnp.asarray(found.x_train), jnp.asarray(found.y_train), progress=False)
    tree = to_datatree(result, PROGRAM, found)
    f = tree["predictions"]["f"].values.reshape(-1, len(found.y_test)).astype(float)
    mean, sd, _ = predictive(found)
    right = (np.abs(f.mean(0) - mean) < 0.2 * sd) & (np.abs(f.std(0) / sd - 1) < 0.15)
    return verdict(diagnose(tree), tree)[0], right.all()


def test_none_is_ok_that_was_cut_to_a_tenth():
    assert "ok" not in {judged(name, NUTS(warmup=100, draws=100, start=None))[0] for name in COLUMNS}


def test_from_the_automatic_start_a_tenth_is_right():
    """These posteriors are normal: a hundred draws of each chain are all but independent from the first one on."""
    assert {judged(name, NUTS(warmup=100, draws=100)) for name in COLUMNS} <= {("ok", True), ("too few draws", True)}


def test_after_a_warmup_of_ten_steps_only_what_is_right_is_ok():
    found = {name: judged(name, NUTS(warmup=10, draws=800, start=None)) for name in COLUMNS}
    assert all(right for word, right in found.values() if word == "ok")
    assert found["plain"] == ("ok", True)
    assert not any(found[name][1] for name in ("scaled", "large")), "too easy: any verdict would do"
