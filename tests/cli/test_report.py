"""A report made again."""


def test_report_makes_everything_again(noisezoo, finished):
    folder, _ = finished
    made = ["table.csv", "report.html", "scales.png"]
    before = {name: (folder / name).read_bytes() for name in made}
    for name in made:
        (folder / name).unlink()
    assert "R-hat" in noisezoo("report", folder)
    for name in ("table.csv", "report.html"):
        assert (folder / name).read_bytes() == before[name]


def test_report_of_a_truncated_file_is_one_sentence(noisezoo, finished, tmp_path):
    folder, _ = finished
    for name in ("run.json", "svi.nc", "nuts.nc"):
        content = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name == "nuts.nc" else content)
    output = noisezoo("report", tmp_path, code=2)
    assert (
        "nuts.nc is not whole, or not the file that this run wrote; put that one back, or run the fit again" in output
        and output.count("\n") == 1
    )


def test_report_of_a_folder_without_a_run_is_one_sentence(noisezoo, tmp_path):
    assert "holds no run" in noisezoo("report", tmp_path, code=2)
    assert "holds no run" in noisezoo("report", tmp_path / "nowhere", code=2)
