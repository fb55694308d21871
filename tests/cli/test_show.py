"""What ``show`` tells of a noise."""

import pytest


def test_show_tells_the_law_and_saves_a_figure(noisezoo, tmp_path):
    output = noisezoo("show", "half_cauchy:scale=0.5", "--out", tmp_path / "figure.png")
    for fact in ("half_cauchy(scale=0.5)", "horseshoe", "betaprime(0.5, 0.5, scale=0.25)", "closed form", "Carvalho"):
        assert fact in output
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    (median,) = [line.split()[3] for line in output.splitlines() if "|scale|" in line]
    assert float(median) == pytest.approx(0.5, rel=0.05)  # of HalfCauchy(s), the median is s


@pytest.mark.parametrize("prior", ["log_uniform", "bernoulli", "regularised_half_cauchy", "beta"])
def test_show_knows_noises_of_every_kind(noisezoo, prior):
    output = noisezoo("show", prior)
    assert ("Quantiles" in output) == (prior != "log_uniform")


@pytest.mark.parametrize("command", ["show", "list"])
@pytest.mark.parametrize(
    "name, told",
    [
        ("nuts", ("target_accept", "0.9", "nearer 1 for fewer divergences")),
        ("svi", ("batch_size", "none", "kl_warmup", "sweeps", "of dropout")),
        ("svi:guide=local", ("plane", "kl_warmup", "lr", "0.01")),
    ],
)
def test_settings_are_shown_with_meaning_and_default(noisezoo, command, name, told):
    output = " ".join(noisezoo(command, name).split())
    assert all(word.lower() in output.lower() for word in told)


def test_an_unknown_setting_is_answered_by_the_meaning_of_the_near_one(noisezoo, tmp_path):
    words = ("compare", "half_cauchy", "--data", "diabetes", "--with", "nuts:warmp=3", "--out", tmp_path / "run")
    output = noisezoo(*words, code=2)
    assert "'warmup' (steps of adaptation, per chain)" in output and "noisezoo show nuts" in output
    assert "did you mean 'nuts'" in noisezoo("show", "nutz", code=2)
