"""Checkpoints: a run that is killed and resumed equals the uninterrupted one, and no other run takes it up."""

import os
import random
import subprocess
import sys
from functools import cache, wraps

import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from linear_model import data, model
from noisezoo.inference import files
from noisezoo.inference.driver import checkpoint, loop
from noisezoo.inference.driver.engine import Engine, fingerprint
from noisezoo.inference.driver.fit import bind, fit
from noisezoo.inference.driver.records import Records
from noisezoo.inference.strategies import STRATEGIES
from noisezoo.inference.strategies.guides import GUIDES
from noisezoo.inference.strategies.parse import parse, svi
from noisezoo.inference.target.precision import in_double
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import prior
from safetensors.numpy import load_file, save_file

X, Y = (jnp.asarray(a) for a in data())
SHORT = {
    **{f"svi:guide={name}": "steps=24,draws=6,batch_size=20" for name in GUIDES},
    **{name: "warmup=24,draws=6" for name in ("nuts", "mclmc")},
    **{
        name: "warmup=24,draws=6,thin=2,step_size=0.01,batch_size=20,half_draws=2"
        for name in ("sgld", "sghmc", "sgnht")
    },
}
SHORT["mclmc"] = "warmup=1000,draws=6"  # it needs as many to tune itself
SHORT["svi:guide=laplace"] = "steps=200,draws=6"  # it needs a mode
KINDS = ("draws", "stats", "history", "loc", "scale", "half")


def test_every_strategy_and_guide_is_here():
    assert {words.partition(":")[0] for words in SHORT} == set(STRATEGIES)


def config(words):
    return next(iter(parse(f"{words}{',' if ':' in words else ':'}{SHORT[words]}").values()))


@cache
def program(words="nuts"):
    form = "hierarchical" if words == "svi:guide=em" else "expanded"
    return likelihoods.gaussian(mlp(), prior(noises.inverse_gamma(), form=form))


@cache
def whole(words):
    return fit(program(words), config(words), X, Y, seed=3, progress=False)


def assert_same(found, expected):
    for kind in KINDS:
        assert getattr(found, kind).keys() == getattr(expected, kind).keys()
        for site, values in getattr(expected, kind).items():
            np.testing.assert_array_equal(getattr(found, kind)[site], values, err_msg=f"{kind} {site}")


class Killed(BaseException):
    pass


class Killer:
    """Ends a run before or after some call of the driver; `hard` as `kill -9` does, else so that it may still save."""

    def __init__(self, monkeypatch):
        self.left, self.hard, self.dead = None, False, False
        for owner, name in [
            *((Engine, name) for name in ("block", "after_warmup")),
            *((Records, "with_block"), (checkpoint.Checkpoint, "save"), (files, "through"), (os, "replace")),
        ]:
            monkeypatch.setattr(owner, name, self.watched(getattr(owner, name)))

    def watched(self, function):
        @wraps(function)
        def calls(*args, **kwargs):
            self.moment()
            result = function(*args, **kwargs)
            self.moment()
            return result

        return calls

    def moment(self):
        if self.left is None:
            return
        self.left -= 1
        if self.left == 0 or (self.dead and self.hard):
            self.dead = True
            raise Killed


@pytest.mark.parametrize("words", SHORT)
def test_killed_at_random_moments_and_resumed_equals_uninterrupted(words, tmp_path, monkeypatch):
    path, moments, kills = tmp_path / "run.safetensors", random.Random(words), 0
    expected = whole(words)
    monkeypatch.setattr(loop, "PATIENCE", 0.0)  # one record a block
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    killer = Killer(monkeypatch)
    while True:
        most = 20 if "pathfinder" in words or "laplace" in words else 200  # they have no steps
        killer.left, killer.hard, killer.dead = moments.randint(1, most), kills % 2 == 0, False
        try:
            found = fit(program(words), config(words), X, Y, seed=3, progress=False, checkpoint=path)
            break
        except Killed:
            kills += 1
    assert kills
    assert_same(found, expected)
    assert [file.name for file in tmp_path.iterdir()] in ([path.name], [path.name, ".run.part.safetensors"]), kills


PROCESS = """
import os, signal, sys
import jax.numpy as jnp, numpy as np
from noisezoo.inference.driver import checkpoint, loop
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.parse import svi
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import prior

folder, kill = sys.argv[1], float(sys.argv[2])
loop.PATIENCE, checkpoint.EVERY = 0.0, 0.0
x, y = np.load(f"{folder}/x.npy"), np.load(f"{folder}/y.npy")

def progress(done, total, message):
    if done >= kill * total:
        os.kill(os.getpid(), signal.SIGKILL)

model = likelihoods.gaussian(mlp(4), prior(noises.half_cauchy()))
config = svi(guide="mean_field", steps=400, draws=20)
found = fit(model, config, jnp.asarray(x), jnp.asarray(y), progress=progress, checkpoint=sys.argv[3])
parts = {f"{k}/{n}": v for k in ("draws", "stats", "history") for n, v in getattr(found, k).items()}
np.savez(f"{folder}/{sys.argv[4]}.npz", **parts)
"""


def test_a_process_that_was_killed_goes_on_in_another_one(tmp_path):
    """Names are hashed differently in each process, which once decided the order of the sums."""
    for name, array in zip("xy", data(), strict=True):
        np.save(tmp_path / f"{name}.npy", array)

    def run(kill, state, seed, name="killed"):
        command = [sys.executable, "-c", PROCESS, str(tmp_path), str(kill), str(tmp_path / state), name]
        return subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": str(seed)}, check=False).returncode

    assert run(2.0, "a", 1, "whole") == 0
    assert [run(kill, "b", seed) for seed, kill in enumerate((0.3, 0.9), 2)] == [-9, -9]
    assert run(2.0, "b", 4, "resumed") == 0
    expected, found = np.load(tmp_path / "whole.npz"), np.load(tmp_path / "resumed.npz")
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


# Whose it is.


def gaussian(*units, noise=noises.half_cauchy, sigma0=1.0, activation="tanh", **words):
    return likelihoods.gaussian(mlp(*units, activation=activation), prior(noise(), sigma0=sigma0), **words)


def weighted(number):
    """A program with a big constant, of which one number is given."""
    constant = np.ones(1000, np.float32)
    constant[500] = number
    base = gaussian()

    def program(x, y=None, batch_size=None):
        numpyro.factor("constant", -jnp.sum(jnp.asarray(constant) ** 2) * x[0, 0])
        return base(x, y)

    return program


BASE = svi(steps=10, draws=3)
OTHERS = {
    "width": (lambda: gaussian(2), lambda: gaussian(5)),
    "depth": (lambda: gaussian(2), lambda: gaussian(2, 2)),
    "noise": (gaussian, lambda: gaussian(noise=noises.rayleigh)),
    "a noise's parameter": (gaussian, lambda: gaussian(noise=lambda: noises.half_cauchy(scale=0.5))),
    "sigma0": (gaussian, lambda: gaussian(sigma0=0.9)),
    "precision": (lambda: gaussian(precision=1.0), lambda: gaussian(precision=2.0)),
    "learned precision": (lambda: gaussian(precision=1.0), gaussian),
    "activation": (lambda: gaussian(2), lambda: gaussian(2, activation="relu")),
    "a constant": (lambda: weighted(1.0), lambda: weighted(2.0)),
}


def identity_of(program, strategy=BASE):
    return fingerprint(bind("numpyro", strategy, program, X, Y)[0], X, Y)


@pytest.mark.parametrize("name", OTHERS)
def test_programs_are_told_apart_and_one_made_again_is_the_same(name):
    mine, other = OTHERS[name]
    assert identity_of(mine()) == identity_of(mine()) != identity_of(other())


def test_a_checkpoint_of_another_program_is_refused(tmp_path):
    path = tmp_path / "state"
    fit(gaussian(), BASE, X, Y, progress=False, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is of another run \(not the same program.*; delete it or name another"):
        fit(gaussian(sigma0=0.9), BASE, X, Y, progress=False, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("settings", {"config": svi(steps=20, draws=3)}),
        ("data", {"x": X.at[0, 0].add(1e-6)}),
        ("seed", {"seed": 4}),
    ],
)
def test_a_checkpoint_of_other_settings_data_or_seed_is_refused(what, changed, tmp_path):
    path, given = tmp_path / "state", {"config": BASE, "x": X, "y": Y, "seed": 3}
    program = model()
    fit(program, **given, progress=False, checkpoint=path)
    with pytest.raises(ValueError, match=rf"another run \(not the same .*{what}"):
        fit(program, **given | changed, progress=False, checkpoint=path)


@pytest.mark.parametrize("first", [False, True])
def test_a_checkpoint_of_the_other_precision_is_refused(tmp_path, first):
    path, x, y = tmp_path / "state", *data()
    program = model()
    with in_double("numpyro", first):
        fit(program, BASE, jnp.asarray(x), jnp.asarray(y), progress=False, checkpoint=path)
    before = path.read_bytes()
    said = r"^.*state is of another run \(not the same precision\); delete it or name another$"
    with in_double("numpyro", not first), pytest.raises(ValueError, match=said):
        fit(program, BASE, jnp.asarray(x), jnp.asarray(y), progress=False, checkpoint=path)
    assert path.read_bytes() == before
    with in_double("numpyro", first):  # and one that goes on is in the precision it was in
        resumed = fit(program, BASE, jnp.asarray(x), jnp.asarray(y), progress=False, checkpoint=path)
    assert {v.dtype.name for v in resumed.draws.values()} == {"float64" if first else "float32"}


def test_a_checkpoint_of_other_versions_is_refused(tmp_path, monkeypatch):
    fit(model(), BASE, X, Y, progress=False, checkpoint=tmp_path / "state")
    monkeypatch.setattr(checkpoint, "versions", lambda: {"jax": "0.1"})
    with pytest.raises(ValueError, match="version of jax"):
        fit(model(), BASE, X, Y, progress=False, checkpoint=tmp_path / "state")


def broken(path, change):
    arrays, metadata = load_file(path), metadata_of(path)
    change(arrays, metadata)
    save_file(arrays, path, metadata=metadata)


def metadata_of(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata()


def flip(arrays, metadata):
    arrays["state/1"] = arrays["state/1"] + 1


def other_step(arrays, metadata):
    metadata["facts"] = metadata["facts"].replace('"step": 10', '"step": 9')


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (flip, "was changed; delete it to start afresh"),
        (other_step, "was changed"),
        (lambda arrays, metadata: arrays.pop("state/1"), "was changed"),
        (lambda arrays, metadata: metadata.pop("facts"), "is not a whole checkpoint"),
        (lambda arrays, metadata: metadata.clear(), "is not a whole checkpoint"),
        (lambda arrays, metadata: metadata.update(facts="[1]"), "is not a whole checkpoint"),
        (lambda arrays, metadata: (metadata.clear(), metadata.update(run="x", step="1")), "is of an older noisezoo"),
    ],
)
def test_a_checkpoint_that_was_changed_is_refused(change, says, tmp_path):
    path, program = tmp_path / "state", model()
    fit(program, BASE, X, Y, progress=False, checkpoint=path)
    broken(path, change)
    with pytest.raises(ValueError, match=says):
        fit(program, BASE, X, Y, progress=False, checkpoint=path)


def test_a_checkpoint_that_is_no_file_is_refused(tmp_path):
    path, program = tmp_path / "state", model()
    fit(program, BASE, X, Y, progress=False, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        fit(program, BASE, X, Y, progress=False, checkpoint=path)
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        fit(program, BASE, X, Y, progress=False, checkpoint=path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="a pipe or a device, not a file; remove it, or name another file"):
        fit(program, BASE, X, Y, progress=False, checkpoint=path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="a folder, not a file"):
        fit(program, BASE, X, Y, progress=False, checkpoint=path)
