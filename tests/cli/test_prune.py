"""The curves of ``prune``."""

import pandas as pd
import pytest


def test_a_fit_is_pruned_by_several_rules(noisezoo, finished, tmp_path):
    output = noisezoo("prune", finished[0], "--strategy", "nuts", "--out", tmp_path)
    curve = pd.read_csv(tmp_path / "prune-nuts.csv")
    assert set(curve["rule"]) == {"snr", "spr", "second_moment", "magnitude", "log_alpha", "random"}
    assert (tmp_path / "prune-nuts.png").read_bytes().startswith(b"\x89PNG")
    (line,) = [line.split() for line in output.splitlines() if line.split()[:1] == ["spr"]]
    own = curve[curve["rule"] == "spr"].set_index("fraction")["error"]
    assert line[3:8] == [f"{own[at]:.3g}" for at in (0, 0.5, 0.8, 0.9, 0.95)]
    assert "(RMSE)" in output and "within 1% of" in output and str(tmp_path / "prune-nuts.csv") in output
    assert max(map(len, output.splitlines())) <= 130
    before = set(finished[0].iterdir())
    noisezoo("prune", finished[0], "--strategy", "svi", "--rules", "snr, spr", "--by", "unit")
    made = set(finished[0].iterdir()) - before
    assert {path.name for path in made} == {"prune-svi-unit.csv", "prune-svi-unit.png"}
    for path in made:
        path.unlink()


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "several fits have weights to prune (svi, nuts); choose one by --strategy"),
        (("--strategy", "nutz"), "did you mean 'nuts'"),
        (("--strategy", "nuts", "--rules", "snr,spt"), "did you mean 'spr'"),
        (("--strategy", "nuts", "--rules", "inclusion"), "no draw of a weight is exactly zero; use one of snr, spr"),
        (("--strategy", "nuts", "--by", "row"), "Known: weight, unit"),
    ],
)
def test_what_cannot_be_pruned_is_one_sentence(noisezoo, finished, words, said):
    output = noisezoo("prune", finished[0], *words, code=2)
    assert said in output and output.startswith("noisezoo: ") and output.count("\n") == 1
    assert not list(finished[0].glob("prune-*"))
