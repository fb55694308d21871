"""``noisezoo calibrate``."""

QUICK = ("--network", "linear", "--simulations", 20, "--no-progress")


def test_a_noise_of_ones_own_is_calibrated_and_not_again(noisezoo, mine, tmp_path):
    words = ("calibrate", f"{mine}:lognormal", "--structure", "add", "--with", "svi:steps=20,draws=20", *QUICK)
    output = noisezoo(*words, "--out", tmp_path / "one")
    assert f"{tmp_path / 'one'}" in output and "calibrated" in output and "p = " in output.replace("p <", "p = ")
    assert {path.suffix for path in (tmp_path / "one").iterdir()} == {"", ".csv", ".png"}
    again = noisezoo(*words, "--out", tmp_path / "one")
    assert again.startswith("1 of 1 cells are finished already")
    assert again.splitlines()[-2:] == output.splitlines()[-2:]


def test_at_data_of_ones_own(noisezoo, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("a,y\n" + "".join(f"{i % 7},{i % 5 + i / 20}\n" for i in range(30)))
    words = ("calibrate", "rayleigh", "--data", f"{table}:y", "--with", "svi:steps=20,draws=20", *QUICK)
    output = noisezoo(*words, "--out", tmp_path / "one")
    assert "mine.csv:y" in output and "calibrated" in output


def test_what_is_refused_is_a_result(noisezoo, tmp_path):
    output = noisezoo("calibrate", "log_uniform", "--with", "nuts,svi", *QUICK, "--out", tmp_path / "one")
    assert "nuts  refused: nuts cannot sample: the log-uniform prior is improper" in output
    assert "svi  refused: the log-uniform prior is improper: there is nothing to simulate" in output
