"""What ``check`` says of a noise."""

import pytest


def test_check_says_what_is_wrong_or_shows_the_prior(noisezoo, mine):
    assert "nothing is wrong" in noisezoo("check", f"{mine}:lognormal")
    assert "returns shape (3,)" in noisezoo("check", f"{mine}:of_one_shape", code=1)
    assert "negative" in noisezoo("check", f"{mine}:negative", code=1)


DISCRETE = """
def drop(p, name, shape):
    return 1.0 * p.sample(name, p.dist.Bernoulli(probs=0.5).expand(shape).to_event(len(shape)))

def levels(p, name, shape):
    probs = p.xp.asarray([0.2, 0.6, 0.2])
    return 1.0 * p.sample(name, p.dist.Categorical(probs=probs).expand(shape).to_event(len(shape)))

def counts(p, name, shape):
    return 1.0 * p.sample(name, p.dist.Binomial(total_count=3, probs=0.5).expand(shape).to_event(len(shape)))

def endless(p, name, shape):
    return 1.0 * p.sample(name, p.dist.Poisson(2.0).expand(shape).to_event(len(shape)))
"""


@pytest.mark.parametrize("name", ["drop", "levels", "counts", "endless"])
def test_check_says_which_strategies_run_under_a_discrete_noise(noisezoo, tmp_path, name):
    (tmp_path / "discrete.py").write_text(DISCRETE)
    output = " ".join(noisezoo("check", f"{tmp_path}/discrete.py:{name}").split())
    runs = output.partition("runs under")[2].partition("not under")[0].strip()
    assert "nothing is wrong" in output
    assert runs == ("svi:guide=dropout" if name == "endless" else "svi:guide=dropout, nuts")
    assert "sgld, sghmc, sgnht, mclmc: needs continuous scales, and layer0.scale is discrete" in output
    assert ("nuts: goes through the values of a discrete scale" in output) == (name == "endless")


def test_what_check_says_is_what_compare_does(noisezoo, compare, tmp_path):
    (tmp_path / "discrete.py").write_text(DISCRETE)
    quick = "nuts:warmup=10,draws=10,chains=2,svi:guide=dropout,steps=10,draws=10"
    compare(tmp_path / "levels", prior=f"{tmp_path}/discrete.py:levels", with_=quick)
    output = compare(tmp_path / "endless", prior=f"{tmp_path}/discrete.py:endless", with_=quick, code=1)
    assert "nuts  failed: nuts goes through the values of a discrete scale" in output
    assert "nuts is no reference" in output  # and is not what the verdict of svi advises


FLAT = """
def flat(p, name, shape):
    return p.sample(name, p.dist.ImproperUniform(p.dist.constraints.positive, shape, ()).to_event(len(shape)))
"""


def test_an_improper_noise_is_said_to_be_improper_whether_its_author_says_so_or_not(noisezoo, tmp_path):
    (tmp_path / "flat.py").write_text(FLAT)
    output = " ".join(noisezoo("check", f"{tmp_path}/flat.py:flat").split())
    assert "warning: it is improper" in output and "proper no: it has no draws" in output
    assert "nuts" in output.partition("not under")[2] and "the flat prior is improper" in output
    assert "proper no: it has no draws" in " ".join(noisezoo("show", f"{tmp_path}/flat.py:flat").split())
