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
