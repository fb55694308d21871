"""Each kind of bad noise is told what is wrong with it, and a good one nothing."""

import re

import jax
import numpy as np
import pytest
from noisezoo.models.check import check_noise
from noisezoo.models.noises import NOISES, Noise

SLOW = {"beta", "inverse_nakagami", "inverse_gamma", "gamma_precision"}  # JAX takes seconds to compile a Gamma draw


def positive(p, shape, rate=1.0):
    return p.dist.Exponential(rate).expand(shape).to_event(len(shape))


def improper(p, name, shape):
    return p.sample(name, p.dist.ImproperUniform(p.dist.constraints.positive, shape, ()).to_event(len(shape)))


def with_nan(p, name, shape):
    return p.xp.log(-p.sample(name, positive(p, shape)))


def with_a_foreign_site(p, name, shape):
    return p.sample("tau", p.dist.HalfNormal(1.0)) * p.sample(name, positive(p, shape))


def with_a_foreign_record(p, name, shape):
    return p.deterministic("lambda", p.sample(name, positive(p, shape)))


def with_other_randomness(p, name, shape):
    return float(np.random.rand()) * p.sample(name, positive(p, shape))


def infinite_log_joint(p, name, shape):
    scales = p.sample(name, positive(p, shape))
    p.factor(f"{name}.wall", -p.xp.sum(scales) / 0.0 if p.name == "numpyro" else 0.0 * p.xp.sum(scales))
    return scales


WRONG = {
    "not callable": (3, r"^a noise is a function \(p, name, shape\) -> scales, and this is a value of type int$"),
    "raises": (lambda p, name, shape: 1 / 0, "^in NumPyro it raises ZeroDivisionError at shape .*: division by zero$"),
    "arguments": (lambda p, name: 0, "^in NumPyro it raises TypeError .* 2 positional arguments but 3 were given$"),
    "unknown word": (lambda p, name, shape: p.dist.Nonsense(1.0), "raises AttributeError .*'Nonsense'"),
    "one site twice": (lambda p, n, s: p.sample(n, positive(p, s)) + p.sample(n, positive(p, s)), "unique names"),
    "shape": (lambda p, name, shape: p.sample(name, positive(p, ())), r"^it returns shape \(\) where \(3,\) is asked"),
    "number": (lambda p, name, shape: 1.0, "^in NumPyro it returns a float: return what p.sample gives"),
    "NumPy": (lambda p, n, s: np.asarray(p.sample(n, positive(p, s))), "^in NumPyro it returns a numpy ndarray"),
    "NaN": (with_nan, "^2000 of 2000 scales drawn are NaN or infinite$"),
    "zero": (lambda p, n, s: 0 * p.sample(n, positive(p, s)), "^all its scales are zero"),
    "negative": (lambda p, n, s: -p.sample(n, positive(p, s)), "^its scales are negative: .*signed=True"),
    "site": (with_a_foreign_site, r"^its site 'tau' does not start with the name .*: call it f'\{name\}.tau', or name"),
    "no dot": (
        lambda p, n, s: p.sample(f"{n}_tau", p.dist.HalfNormal(1.0)) * p.sample(n, positive(p, s)),
        r"^its site f'\{name\}_tau' has no dot after the name that it is given: call it f'\{name\}.tau'$",
    ),
    "hyperprior's batch": (
        lambda p, n, s: p.sample(f"{n}.u", p.dist.HalfNormal(1.0).expand((4,)))[0] * p.sample(n, positive(p, s)),
        r"^its site f'\{name\}.u' has a batch shape: end its distribution with .to_event\(1\)$",
    ),
    "record": (with_a_foreign_record, "^its site 'lambda' does not start with the name"),
    "batch": (lambda p, n, s: p.sample(n, p.dist.HalfCauchy(1.0).expand(s)), r"has a batch shape: .*to_event"),
    "random state": (with_other_randomness, "^it gives other scales at the same seed"),
    "log joint": (infinite_log_joint, "^its log joint is not finite at a draw of its own$"),
    "improper": (improper, r"^warning: it is improper: .*proper=False"),
}
WRONG_IN_PYRO = {
    "NumPyro only": (lambda p, n, s: p.sample(n, p.dist.Gompertz(1.0).expand(s).to_event(len(s))), "'Gompertz'"),
    "JAX only": (lambda p, n, s: jax.numpy.exp(p.sample(n, positive(p, s))), "it works in NumPyro but not in Pyro: .*"),
    "two laws": (
        lambda p, n, s: p.sample(n, positive(p, s, 1.0 if p.name == "numpyro" else 2.0)),
        r"its log joint at the same draw is -?\d.* in NumPyro and -?\d.* in Pyro",
    ),
}


@pytest.mark.parametrize("name", sorted(set(NOISES) - SLOW))
def test_the_noises_of_the_zoo_are_sound(name):
    assert check_noise(NOISES[name]()) == []


def test_a_sound_function_is_sound():
    def with_a_hyperprior(p, name, shape):
        return p.sample(f"{name}.tau", p.dist.HalfNormal(1.0)) * p.sample(name, positive(p, shape))

    assert check_noise(with_a_hyperprior) == []


@pytest.mark.parametrize("site", ["tau", "{name}_tau", "{name}tau", "my site", "it's"])
def test_a_foreign_site_is_sound_once_it_is_called_as_advised(site):
    def called(name_of_site):
        def noise(p, name, shape):
            return p.sample(eval(name_of_site), p.dist.HalfNormal(1.0)) * p.sample(name, positive(p, shape))  # noqa: S307

        return noise

    (problem,) = check_noise(called(f'f"{site}"'))
    assert check_noise(called(re.search(r"call it (f'[^']*')", problem)[1])) == []


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said(wrong, recwarn):
    noise, message = WRONG[wrong]
    (problem,) = check_noise(noise)
    assert "\n" not in problem
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem)


@pytest.mark.needs_pyro
@pytest.mark.parametrize("wrong", WRONG_IN_PYRO)
def test_what_is_wrong_in_pyro_is_a_warning(wrong):
    pytest.importorskip("pyro")
    noise, message = WRONG_IN_PYRO[wrong]
    (problem,) = check_noise(noise)
    with pytest.raises(AssertionError, match=f"^warning: .*{message}"):
        raise AssertionError(problem)


def test_facts_settle_what_a_function_leaves_open():
    assert check_noise(Noise(lambda p, n, s: -p.sample(n, positive(p, s)), "mine", signed=True)) == []
    assert check_noise(Noise(improper, "mine", proper=False)) == []


def test_without_pyro_only_numpyro_is_asked(monkeypatch):
    from noisezoo.models import check

    def only_numpyro(name, language=check.language):
        if name == "pyro":
            raise ImportError("Pyro is not installed")
        return language(name)

    monkeypatch.setattr(check, "language", only_numpyro)
    assert check_noise(WRONG_IN_PYRO["JAX only"][0]) == []


def test_several_problems_are_all_said():
    def two(p, name, shape):
        p.sample("tau", p.dist.HalfNormal(1.0))
        return p.sample("sigma", positive(p, shape))

    assert len(check_noise(two)) == 2
