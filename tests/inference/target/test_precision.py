"""Single and double precision: what is computed in which, and what single precision loses of a million rows."""

import logging
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import arrays
from noisezoo.inference.strategies.parse import parse
from noisezoo.inference.target.precision import in_double, precision, widened
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl import ppl
from noisezoo.models.ppl.programs import log_joint
from noisezoo.models.weights.parametrisation import normal

MILLION, FEATURES = 10**6, 3
WEIGHTS = np.array([1.0, -2.0, 0.5])
MODEL = gaussian(mlp(), normal(1.0), (1.0, 0.1))
NEAR = [  # two points of the posterior, some of its sds apart
    {"layer0.weight": WEIGHTS[:, None] + away, "layer0.bias": np.array([away]), "precision": np.array(4.0 + 4 * away)}
    for away in (0.0, 2.0**-11)
]


@cache
def million():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(MILLION, FEATURES)).astype(np.float32)
    return x, (x @ WEIGHTS + 0.5 * rng.normal(size=MILLION)).astype(np.float32)


@cache
def exact():
    """The log joint at the two points, and its terms of the rows at the first, in double precision."""
    x, y = (a.astype(np.float64) for a in million())
    found = []
    for point in NEAR:
        w, b, tau = point["layer0.weight"][:, 0], point["layer0.bias"][0], float(point["precision"])
        rows = 0.5 * np.log(tau / (2 * np.pi)) - 0.5 * tau * (y - x @ w - b) ** 2
        prior = -0.5 * (np.sum(w**2) + b**2 + 4 * np.log(2 * np.pi)) + np.log(0.1) - 0.1 * tau
        found.append((rows, np.sum(rows) + prior))
    (rows, first), (_, second) = found
    return rows, first, second


def found(language, dtype):
    xp = language_of(language).xp
    as_type = getattr(xp, dtype)
    x, y = (xp.asarray(a, dtype=as_type) for a in million())
    evaluate = jax.jit(lambda values, x, y: log_joint(MODEL, values, x, y)) if language == "numpyro" else None
    points = [{k: xp.asarray(v, dtype=as_type) for k, v in point.items()} for point in NEAR]
    return [float((evaluate or (lambda *of: log_joint(MODEL, *of)))(point, x, y)) for point in points]


def test_double_precision_keeps_the_last_nats_of_a_million_rows(language):
    _, first, second = exact()
    with in_double(language):
        ours = found(language, "float64")
    assert ours == pytest.approx([first, second], abs=1e-6)
    assert abs(first) > 7e5 and ours[1] - ours[0] == pytest.approx(second - first, abs=1e-6)


def test_single_precision_adds_pairwise_so_that_only_the_total_is_rounded(language):
    rows, first, second = exact()
    ours, last = found(language, "float32"), abs(float(np.spacing(np.float32(first))))
    assert last == 0.0625 and ours == pytest.approx([first, second], abs=4 * last)
    assert ours[1] - ours[0] == pytest.approx(second - first, abs=6 * last)
    one_by_one = np.cumsum(rows, dtype=np.float32)[-1]  # as it would be without
    assert abs(one_by_one - rows.sum()) > 100 * last


def shifted(shift):
    def program(x, y=None, batch_size=None):
        p = ppl(x)
        p.factor("shift", p.xp.asarray(shift) * p.xp.ones(()))
        w = p.sample("w", p.dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
        f = p.deterministic("f", x @ w)
        p.sample("y", p.dist.Normal(f, 1.0).to_event(1), obs=y)

    return program


@pytest.mark.parametrize("shift, double, said", [(-2e6, False, 1), (2e6, False, 1), (-2e6, True, 0), (-2e5, False, 0)])
def test_energies_that_single_precision_cannot_tell_apart_are_a_warning(language, caplog, shift, double, said):
    x, y = np.eye(4, 2, dtype=np.float32), np.ones(4, np.float32)
    strategies = ["nuts:warmup=5,draws=5,chains=1"]
    strategies += ["sgld:warmup=5,draws=5,chains=1"] * (shift == 2e6)  # which looks at no energy
    with in_double(language, double), caplog.at_level(logging.WARNING, "noisezoo"):
        for (config,) in (parse(text).values() for text in strategies):
            fit(shifted(shift), config, *arrays(language, x, y), progress=False)
    lines = [record.getMessage() for record in caplog.records if "--x64" in record.getMessage()]
    assert len(lines) == said
    if said:
        assert lines[0].startswith("nuts goes by differences of energies, and those of 2e+06 nats are multiples of 0.1")


def test_the_language_is_as_it_was_afterwards(language):
    assert precision(language) == "float32"
    with pytest.raises(ZeroDivisionError), in_double(language):
        assert precision(language) == "float64"
        raise ZeroDivisionError
    with in_double(language), in_double(language, False), in_double(language):
        assert precision(language) == "float64"
    assert precision(language) == "float32"


def test_floats_are_widened_and_nothing_else(language):
    xp = language_of(language).xp
    x, y = xp.ones((2, 1), dtype=xp.float32), xp.ones(2, dtype=xp.int32)
    assert [a.dtype for a in widened(x, y)] == [xp.float32, xp.int32]
    with in_double(language):
        assert [a.dtype for a in widened(x, y, xp.ones(1, dtype=xp.float64))] == [xp.float64, xp.int32, xp.float64]
        assert [a.dtype for a in arrays(language, np.ones(2, np.float32), np.ones(2, np.int32))] == [
            xp.float64,
            xp.int32,
        ]


def test_a_double_set_by_the_user_gives_doubles_throughout(language):
    """By JAX's own switch, or torch's, and single data as `noisezoo.data` has them."""
    x, y = np.eye(4, 2, dtype=np.float32), np.ones(4, np.float32)
    xp, before = language_of(language).xp, precision(language)
    (config,) = parse("svi:steps=5,draws=5").values()
    _set_double(language, True)
    try:
        double = fit(shifted(0.0), config, xp.asarray(x), xp.asarray(y), progress=False)
    finally:
        _set_double(language, False)
    single = fit(shifted(0.0), config, xp.asarray(x), xp.asarray(y), progress=False)
    assert precision(language) == before
    for found, dtype in ((double, "float64"), (single, "float32")):
        assert {v.dtype.name for v in (*found.draws.values(), *found.stats.values())} == {dtype}


def _set_double(language, on):
    if language == "numpyro":
        jax.config.update("jax_enable_x64", on)
        assert (jnp.ones(1).dtype == "float64") == on
    else:
        import torch

        torch.set_default_dtype(torch.float64 if on else torch.float32)
