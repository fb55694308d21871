"""What is compiled has one owner: a second fit compiles nothing, and what an owner had goes with it."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.parse import svi
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.ppl import compiled
from noisezoo.models.ppl.compiled import keep, kept, let_go
from noisezoo.models.weights.parametrisation import normal

X = jnp.asarray(np.random.default_rng(0).normal(size=(9, 2)), jnp.float32)
Y = X[:, 0]
CONFIG = svi(guide="mean_field", steps=3, draws=2)


class Program:
    """Something to be kept, that a weak reference can watch."""


@pytest.fixture(autouse=True)
def nothing_is_kept():
    let_go()
    yield
    let_go()


def test_an_owner_keeps_at_most_so_many_and_the_least_recently_used_goes(monkeypatch):
    monkeypatch.setattr(compiled, "MOST", 2)
    programs = {owner: weakref.ref(keep(owner, "step", Program)) for owner in ("a", "b")}
    keep("a", "step", Program)  # used again
    keep("c", "step", Program)
    assert programs["a"]() is not None and programs["b"]() is None


def test_what_an_owner_has_goes_together(monkeypatch):
    monkeypatch.setattr(compiled, "MOST", 1)
    programs = [weakref.ref(keep("a", key, Program)) for key in ("step", "moments")]
    keep("b", "step", Program)
    assert [program() for program in programs] == [None, None]


def test_kept_is_made_once_for_a_program_and_the_rest():
    made = []
    make = kept(lambda program, rest: made.append((program, rest)) or len(made))
    assert [make("p", 1), make("p", 1), make("p", 2), make("q", 1)] == [1, 1, 2, 3]


def test_a_program_that_fails_to_compile_is_tried_again():
    with pytest.raises(ZeroDivisionError):
        keep("a", "step", lambda: 1 / 0)
    assert keep("a", "step", lambda: 5) == 5


def compilations(run):
    """How many programs JAX compiles while `run` runs."""
    seen = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: seen.append(event))
    try:
        run()
    finally:
        jax.monitoring.clear_event_listeners()
    return sum("backend_compile" in event for event in seen)


def test_a_second_fit_compiles_nothing_and_another_type_of_data_does():
    model = gaussian(mlp(3), normal())
    assert compilations(lambda: fit(model, CONFIG, X, Y, progress=False)) > 0
    assert compilations(lambda: fit(model, CONFIG, X, Y, seed=1, progress=False)) == 0
    assert compilations(lambda: fit(model, CONFIG, (10 * X).astype(jnp.int32), Y, progress=False)) > 0


def test_a_program_that_is_let_go_is_collected():
    model = gaussian.__wrapped__(mlp(3), normal())  # which `gaussian` does not remember
    fit(model, CONFIG, X, Y, progress=False)
    watched = weakref.ref(model)
    del model
    gc.collect()
    assert watched() is not None  # kept, for a second fit
    let_go()
    assert watched() is None
