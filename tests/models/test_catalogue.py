"""Noises, networks and models in words."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models import catalogue, likelihoods, networks, noises
from noisezoo.models.papers import empirical_bayes, sparse_vd
from noisezoo.models.ppl import ppl
from noisezoo.models.ppl.programs import simulate
from noisezoo.models.weights.parametrisation import AUTO, FORMS, prior

MINE = """
from noisezoo.models.noises import Noise

LEVEL = 3

def lognormal(p, name, shape):
    return p.sample(name, p.dist.LogNormal(0.0, 1.0).expand(shape).to_event(len(shape)))

signed = Noise(lambda p, name, shape: p.sample(name, p.dist.Normal(0.0, 1.0).expand(shape)), "signed", signed=True)
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_a_noise_by_name_is_the_noise():
    assert catalogue.noise("half_cauchy") is noises.half_cauchy()
    assert catalogue.noise("inverse_gamma:a=2,b=0.5") is noises.inverse_gamma(a=2.0, b=0.5)


def test_a_noise_from_a_file_runs(mine):
    found = catalogue.noise(f"{mine}:lognormal")
    assert found.name == "lognormal"
    weight = simulate(lambda x: prior(found)(ppl(x), "layer0", (3, 2)), 0, jnp.zeros(1))
    assert weight["layer0.scale"].shape == (3,) and (weight["layer0.scale"] > 0).all()
    assert catalogue.noise(f"{mine}:signed").signed


def test_a_file_may_import_its_neighbour(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text("RATE = 2.0\n")
    mine = "from neighbour_of_mine import RATE\ndef mine(p, name, shape):\n    return RATE + p.xp.ones(shape)\n"
    (tmp_path / "mine.py").write_text(mine)
    assert catalogue.noise(f"{tmp_path / 'mine.py'}:mine").name == "mine"


@pytest.mark.parametrize(
    "spec, error, said",
    [
        ("half_cauchi", ValueError, "did you mean 'half_cauchy'"),
        ("half_cauchy:scal=1", ValueError, "did you mean 'scale'"),
        ("half_cauchy:scale=wide", ValueError, "half_cauchy: scale must be a number, got 'wide'"),
        ("half_cauchy:scale=-1", ValueError, "half_cauchy: scale must be positive"),
        ("half_cauchy:0.5", ValueError, "write a setting as name=value"),
        ("half_cauchy:scale=1,scale=2", ValueError, "scale is given twice"),
        ("uniform:scale=1", ValueError, "noise uniform has no settings"),
        ("nowhere.py:mine", FileNotFoundError, "there is no file nowhere.py"),
        ("{mine}:lognorm", ValueError, "did you mean 'lognormal'"),
        ("{mine}", ValueError, "mine.py:lognormal'"),
        ("{mine}:LEVEL", TypeError, "LEVEL in"),
    ],
)
def test_a_bad_noise_gets_one_sentence(mine, spec, error, said):
    with pytest.raises(error, match="^[^\n]+$") as raised:
        catalogue.noise(spec.format(mine=mine))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("import nothing_of_this_name", "line 1 does not import: ModuleNotFoundError"),
        ("x = 1\ny = 1 / 0", "line 2 does not import: ZeroDivisionError: division by zero"),
        ("x = 1\ndef mine(:", "line 2 does not import: SyntaxError"),
        ("raise SystemExit(3)", "line 1 does not import: SystemExit"),
    ],
)
def test_a_file_that_does_not_import_is_named_with_its_line(tmp_path, text, said):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ImportError, match="^[^\n]+$") as raised:
        catalogue.noise(f"{path}:mine")
    assert said in str(raised.value)


def test_a_network_by_name_is_the_network():
    assert catalogue.network("mlp:50") is networks.mlp(50)
    assert catalogue.network("mlp:50-20,activation=relu") is networks.mlp(50, 20, activation="relu")
    assert catalogue.network("residual_mlp:8-8") is networks.residual_mlp(8, 8)
    assert catalogue.network("linear") is networks.mlp()
    assert catalogue.network("lenet_300_100") is networks.mlp(300, 100, activation="relu")
    for name in ("lenet5", "alexnet", "vgg"):
        assert catalogue.network(name) is networks.NETWORKS[name]()


@pytest.mark.parametrize(
    "spec, said",
    [
        ("mpl:50", "did you mean 'mlp'"),
        ("linea", "did you mean 'linear'"),
        ("mlp", "needs the widths"),
        ("mlp:wide", "widths are whole numbers"),
        ("mlp:0", "positive"),
        ("mlp:50,activation=rellu", "did you mean 'relu'"),
        ("mlp:50,activate=relu", "did you mean 'activation'"),
        ("linear:50", "write mlp:50"),
        ("lenet5:50", "the network lenet5 has no settings, got '50'"),
        ("lenet", "did you mean 'lenet5'"),
    ],
)
def test_a_bad_network_gets_one_sentence(spec, said):
    with pytest.raises(ValueError, match="^[^\n]+$") as raised:
        catalogue.network(spec)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "task, classes, make",
    [
        ("regression", 0, likelihoods.gaussian),
        ("binary", 2, likelihoods.bernoulli),
        ("categorical", 3, lambda net, weights: likelihoods.categorical(net, weights, 3)),
    ],
)
def test_the_task_chooses_the_likelihood(task, classes, make):
    net, hc = networks.mlp(2), noises.half_cauchy()
    found = catalogue.model(catalogue.prior("half_cauchy", "add", "hierarchical"), net, task, classes)
    x = jnp.ones((4, 3))
    ours, theirs = simulate(found, 0, x), simulate(make(net, prior(hc, "add", "hierarchical")), 0, x)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("structure, form, said", [("adr", FORMS[0], "'ard'"), ("ard", "expandd", "'expanded'")])
def test_bad_parts_are_named(structure, form, said):
    with pytest.raises(ValueError, match=said):
        catalogue.prior("half_cauchy", structure, form)


def test_a_papers_prior_by_its_name():
    assert catalogue.prior("sparse_vd") is sparse_vd.prior()
    assert catalogue.prior("sparse_vd:approximate=0") is sparse_vd.prior(approximate=False)
    assert catalogue.prior("sparse_vd:approximate=1") is sparse_vd.prior(approximate=True)
    assert catalogue.prior("half_cauchy:scale=0.5", "add") is prior(noises.half_cauchy(scale=0.5), "add", "expanded")
    assert catalogue.prior("empirical_bayes:a=0.51,b=1e-8") is empirical_bayes.prior(a=0.51, b=1e-8)
    assert catalogue.described("empirical_bayes:a=0.51,b=1e-8", "ard") == "empirical_bayes(a=0.51,b=1e-8)"
    assert catalogue.described("half_cauchy", "add") == "half_cauchy(scale=1) add"


@pytest.mark.parametrize(
    "spec, structure, said",
    [
        ("sparse_vd", "iid", "leave structure, form and sigma0 out"),
        ("sparse_vd:a=1", "ard", "unknown setting of prior sparse_vd 'a'"),
        ("sparse_vd:approximate=2", "ard", "prior sparse_vd: approximate must be 0 or 1, got '2'"),
        ("sparse_vd:approximate=yes", "ard", "prior sparse_vd: approximate must be a number, got 'yes'"),
        ("empirical_bayes:a=0.5", "ard", "a must be greater than 1/2"),
        ("empirical_bayes:b=-1", "ard", "b must be zero or positive"),
        ("sparse_vdd", "ard", "did you mean 'sparse_vd'"),
    ],
)
def test_bad_words_for_a_papers_prior(spec, structure, said):
    with pytest.raises(ValueError, match=said):
        catalogue.prior(spec, structure)


def test_a_papers_prior_is_no_noise():
    with pytest.raises(ValueError, match="sparse_vd is a prior of weights, not a noise"):
        catalogue.noise("sparse_vd")


def test_the_identity_of_a_model_does_not_depend_on_how_it_is_spelled():
    known = catalogue.identity("half_cauchy", "mlp:5", "regression", 0)
    assert known == catalogue.identity("half_cauchy:scale=1", "mlp:5,bias=1,activation=tanh", "regression", 0)
    assert known == catalogue.identity("half_cauchy", "mlp:5", "regression", 0, form="hierarchical")
    papers = catalogue.identity("student_t", "linear", "binary", 2)
    assert papers == catalogue.identity("student_t:b=1,form=marginal", "linear", "binary", 2)


@pytest.mark.parametrize(
    "change",
    [
        {"prior": "half_cauchy:scale=2"},
        {"prior": "normal"},
        {"prior": "my.py:half_cauchy"},
        {"network": "mlp:6"},
        {"network": "mlp:5,activation=relu"},
        {"network": "residual_mlp:5"},
        {"task": "binary", "classes": 2},
        {"structure": "iid"},
        {"form": "weight_norm"},
    ],
)
def test_the_identity_of_a_model_tells_it_from_others(change):
    known = {"prior": "half_cauchy", "network": "mlp:5", "task": "regression", "classes": 0}
    assert catalogue.identity(**known) != catalogue.identity(**{**known, **change})


def test_every_network_example_works_and_every_form_is_explained():
    for example in catalogue.EXAMPLES:
        assert callable(catalogue.network(example))
    assert {name for name in catalogue.FORM_MEANINGS if "=" not in name} == {*FORMS, AUTO}


NETWORK_NAMES = ("linear", "mlp:50-50,activation=relu", "residual_mlp:5,bias=0", "lenet5", "alexnet", "vgg")


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_a_network_is_shown_by_its_name(name):
    assert repr(catalogue.network(name)).startswith(f"<function {name} at ")


@pytest.mark.parametrize("name", catalogue.PRIORS)
def test_no_prior_is_shown_by_where_it_was_made(name):
    shown = repr(catalogue.prior(f"{name}:alpha=0.1" if name in catalogue.ROTATIONS else name))
    made_of = {"scale_mixture": "bernoulli", "structured_shrinkage": "inverse_gamma", "student_t": "gamma_precision"}
    assert shown.startswith(f"<function {made_of.get(name, name)}") and "locals" not in shown


def test_a_model_is_shown_by_its_parts():
    network = catalogue.network("mlp:50")
    for form in ("expanded", "hierarchical", "marginal"):
        weights = catalogue.prior("inverse_gamma:a=2", "iid", form)
        for task, likelihood in (("regression", "gaussian"), ("binary", "bernoulli"), ("categorical", "categorical")):
            shown = repr(catalogue.model(weights, network, task, 3))
            assert shown.startswith(f"<function {likelihood}(mlp:50, inverse_gamma(a=2, b=3) iid {form}) at "), shown


def test_parts_of_ones_own_need_no_name():
    class Own:
        def __call__(self, p, name, noise, shape):
            return noise(p, name, ())

    assert prior(noises.half_cauchy(), Own()).__name__ == "half_cauchy(scale=1) Own expanded"
    with pytest.raises(ValueError, match="with structure Own has no marginal"):
        prior(noises.half_cauchy(), Own(), "marginal")
