"""The report of a run: one file with everything in it, made again from what is on disk."""

import base64
import html
import json
import re
import shlex
import warnings
from html.parser import HTMLParser

import pandas as pd
import pytest
from made_trees import made_tree
from noisezoo.inference import files
from noisezoo.inference.judging import pictures
from noisezoo.inference.runs import compare, folder, report


def made_run(**changes):
    done = {"settings": {"draws": 200}, "status": "done", "why": ""}
    fits = {name: {**done, "file": f"{name}.nc"} for name in ("nuts", "svi")}
    options = {"data": "made", "with": "nuts,svi", "structure": "ard", "network": "linear", "split": 0, "seed": 0}
    run = {
        "title": "half_cauchy(scale=1) <linear> on made",
        "prior": "my noise.py:mine",
        "options": options,
        "started": "2024-01-01T00:00:00",
        "versions": {"jax": "0.9"},
        "data_sha256": "abc",
        "fits": fits,
    }
    return run | changes


@pytest.fixture(scope="module")
def trees():
    return {"nuts": made_tree("nuts", seed=2), "svi": made_tree("svi", spread=0.4, chains=1, seed=1)}


@pytest.fixture(scope="module")
def table(trees):
    return compare.table(trees)


class Reader(HTMLParser):
    """What a browser would find: open tags are closed in order, sources of pictures, cells of tables."""

    VOID = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.stack, self.sources, self.cells, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.stack.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.stack and self.stack[-1] in ("td", "th"):
            self.cells.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.stack == []
    return reader


def test_the_folder_holds_table_figures_and_one_page(trees, table, tmp_path):
    report.write(tmp_path, made_run(), table, trees)
    names = {path.name for path in tmp_path.iterdir()}
    figures = {f"{picture.name}.png" for picture in pictures.pictures(trees)} | {"weights.png"}
    assert names == {"table.csv", "report.html"} | figures
    back = pd.read_csv(tmp_path / "table.csv", index_col="label")
    pd.testing.assert_series_equal(back["rmse"], table["rmse"])
    page = read((tmp_path / "report.html").read_text())
    assert len(page.sources) == len(figures)
    for source in page.sources:  # nothing lies outside the page
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert f"{table.loc['nuts', 'rmse']:.3g}" in page.cells


def test_a_picture_that_cannot_be_drawn_is_told_of_and_nothing_else_is_lost(trees, table, tmp_path, monkeypatch):
    def dark(*_):
        raise RuntimeError("no light <here>")

    monkeypatch.setattr(pictures.predictions, "coverage", dark)
    said = "the picture 'Calibration' could not be drawn: RuntimeError: no light <here>"
    with pytest.warns(UserWarning, match=re.escape(said)):
        report.write(tmp_path, made_run(), table, trees)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"table.csv", "report.html", "predictions.png", "loss.png"} <= names and "calibration.png" not in names
    text = (tmp_path / "report.html").read_text()
    assert html.escape(said) in text and len(read(text).sources) == len(names) - 2


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_lose_no_report(table, tmp_path, number):
    fits = {name: made_tree(name, seed=2).copy(deep=True) for name in ("nuts", "svi", "sgld")}
    for tree in fits.values():
        for group in set(tree.children) - {"prior", "prior_predictive", "observed_data", "predictions_constant_data"}:
            found = tree[group].to_dataset()
            tree[group] = found.assign({k: v * number for k, v in found.data_vars.items() if v.dtype.kind == "f"})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the picture .* could not be drawn")
        report.write(tmp_path, made_run(), table, fits)
    assert "Loss along the way" in read((tmp_path / "report.html").read_text()).text


def test_what_a_user_wrote_is_escaped(table):
    text = report.page(made_run(), table, [])
    assert "&lt;linear&gt;" in text and "<linear>" not in text


def test_the_command_is_that_of_the_run():
    words = shlex.split(report.command(made_run()))
    wanted = ["--data", "made", "--with", "nuts,svi", "--structure", "ard", "--network", "linear"]
    assert words == ["noisezoo", "compare", "my noise.py:mine", *wanted, "--split", "0", "--seed", "0"]


def test_verdicts_are_those_of_the_table_and_of_what_failed(table):
    run = made_run()
    run["fits"]["sgld"] = {"settings": {}, "file": "sgld.nc", "status": "failed", "why": "sgld needs continuous scales"}
    run["fits"]["later"] = {"settings": {}, "file": "later.nc", "status": "not run", "why": ""}
    found = dict((label, (verdict, tone)) for label, verdict, tone in report.verdicts(run, table))
    assert found["svi"] == (f"too narrow: {table.loc['svi', 'reason']}", "yellow")
    assert found["nuts"][0].startswith("ok: ") and found["nuts"][1] == "green"
    assert found["sgld"] == ("failed: sgld needs continuous scales", "red")
    assert found["later"] == ("not run", "red")


def test_numbers_leave_out_what_is_empty(trees):
    table = compare.table(trees, failed={"sgld": "why"})
    head, rows = report.numbers(table)
    assert [row[0] for row in rows] == ["nuts", "svi"]
    assert "accuracy" not in head and "RMSE" in head
    nuts, svi = rows
    assert nuts[head.index("mean off")] == "" and svi[head.index("R-hat")] == ""  # never invented
    assert float(svi[head.index("sd ratio")]) == pytest.approx(table.loc["svi", "distance_sd"], abs=0.005)
    assert report.numbers(table, ["rmse"])[0] == ["", "RMSE"]


def test_sparsity_is_told_only_of_what_has_it(table):
    found = {
        "text": "log alpha <3>",
        "kept": 2,
        "weights": 6,
        "compression": None,
        "error": {"before": 1.0, "after": 2.0, "unit": "%"},
        "bytes": {"before": 2500, "after": 1200},
        "structured": None,
        "why": "residual",
        "layers": {
            "layer0": {"kept": 2, "total": 6, "share": 1 / 3, "compression": 3.0}
            | {"units_in": 1, "of_in": 2, "units_out": 3, "of_out": 3},
            "total": {"kept": 2, "total": 6, "share": 1 / 3, "compression": 3.0}
            | dict.fromkeys(("units_in", "of_in", "units_out", "of_out")),
        },
    }
    text = report.page(made_run(), table, [], {"svi": [found], "nuts": []})
    assert "Sparsity of svi" in text and "Sparsity of nuts" not in text and "log alpha &lt;3&gt;" in text
    cells = read(text).cells
    for cell in ("2 of 6", "33.33%", "3x", "1 of 2", "3 of 3", "1 -> 2 %", "2.5 -> 1.2 kB", "none taken out: residual"):
        assert cell in cells
    assert "Sparsity of" not in report.page(made_run(), table, [])


def test_every_column_of_the_table_is_explained():
    from noisezoo.inference.judging.diagnose import COLUMNS

    assert set(COLUMNS) - set(report.COLUMNS) == {"model", "strategy", "ppl", "verdict", "reason"}
    assert set(report.SHORT) <= set(report.COLUMNS)


def test_a_new_folder_is_made_and_an_old_run_is_kept(tmp_path):
    made = folder.create(tmp_path / "a" / "b")
    folder.write_run(made, made_run())
    with pytest.raises(FileExistsError, match="already holds a run"):
        folder.create(made)
    assert folder.read_run(made) == made_run()
    assert files.unused(made).name == "b-2" and files.unused(tmp_path / "new").name == "new"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write to the run folder .*below"):
        folder.create(tmp_path / "file" / "below")


def test_a_broken_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    files.write(path, "old")

    def stops(part):
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.through(path, stops)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "text, said",
    [(None, "holds no run"), ('{"title": "x', "is not whole"), (json.dumps({}), "lists no fits")],
)
def test_a_folder_without_a_run_gets_one_sentence(tmp_path, text, said):
    if text is not None:
        (tmp_path / folder.RUN).write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        folder.read_run(tmp_path)


@pytest.mark.parametrize("label", ["svi:low_rank", "nuts:target_accept=0.95,mass=dense", "a/b"])
def test_labels_become_file_names(label):
    assert re.fullmatch(r"[\w.=+-]+", files.file_name(label))
