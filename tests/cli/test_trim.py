"""What ``trim`` leaves of a net."""

import json


def test_a_fit_with_a_guide_of_independent_normals_is_trimmed(noisezoo, compare, tmp_path):
    compare(tmp_path / "run", "--form", "hierarchical", with_="svi:guide=local,steps=50,draws=4")
    output = noisezoo("trim", tmp_path / "run", "--rule", "magnitude", "--threshold", "0.1", "--out", tmp_path / "net")
    facts = json.loads((tmp_path / "net" / "net.json").read_text())
    assert f"{facts['kept']} of 10" in output and "size of the mean at least 0.1" in output and "RMSE" in output
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Sparsity of svi:local" in page and "log alpha below 3" in page
    assert (tmp_path / "run" / "log-alpha-svi-local.png").exists()


def test_what_cannot_be_trimmed_is_one_sentence(noisezoo, finished):
    output = noisezoo("trim", finished[0], code=2)
    assert output.startswith("noisezoo: this run has no fit with a guide") and output.count("\n") == 1
